"""What one cluster, one stranger and the memory of the process allow."""

from dataclasses import replace

import trio
import trio.testing

from relay.ingress import IngressLimits
from relay.transport import MuxStream
from tests.ingress.stage import OK, ROUTE, answering, read_head, request, stage

ORG_HOST = "web--shop--acme.preview.test"
CONNECT = request(
    "CONNECT",
    "db.shop.svc:5432",
    "Proxy-Authorization: Bearer sdk_good",
    "signadot-cluster: staging",
    host="db.shop.svc:5432",
    key=None,
)


async def test_one_stranger_cannot_hold_all_streams_of_a_public_preview() -> None:
    async with stage(answering(), limits=IngressLimits(public_requests_per_address=1)) as made:
        made.route(replace(ROUTE, visibility="public"))
        first, second, member = [await made.visitor(ORG_HOST) for _ in range(3)]
        await first.send(request(host=ORG_HOST, key=None))
        await trio.testing.wait_all_tasks_blocked()
        assert (await second.ask(request(host=ORG_HOST, key=None))).status == 503
        await member.send(request(host=ORG_HOST))
        await trio.testing.wait_all_tasks_blocked()
        assert len(made.streams) == 2
        await first.stream.aclose()
    assert not made.shared.strangers


async def test_connect_counts_among_a_clusters_requests() -> None:
    async with stage(answering(), limits=IngressLimits(requests_per_cluster=1)) as made:
        first, second = await made.visitor("proxy.test"), await made.visitor("proxy.test")
        assert (await first.ask(CONNECT)).status == 200
        assert (await second.ask(CONNECT)).json["code"] == "overloaded"


async def test_idle_streams_are_not_kept_while_memory_is_short(autojump_clock: trio.abc.Clock) -> None:
    async with stage(answering(OK, OK)) as made:
        visitor = await made.visitor()
        await visitor.ask(request())
        made.shared.memory_short = lambda: True
        await trio.sleep(2)  # virtual time: a sweep has passed
        await visitor.ask(request())
        await visitor.ask(request())
        assert len(made.streams) == 3


async def test_a_stream_that_no_tunnel_can_open_is_a_503() -> None:
    async with stage(answering()) as made:
        assert made.tunnels.tunnel is not None
        made.tunnels.tunnel.goaway(0)
        visitor = await made.visitor()
        answer = await visitor.ask(request())
        assert (answer.status, answer.json["code"]) == (503, "overloaded")


async def test_bodies_for_applications_are_limited_together_and_one_by_one() -> None:
    async with stage(answering(), limits=IngressLimits(api_body_bytes=100, api_bodies_bytes=120)) as made:
        slow, other, large = [await made.visitor("api.test") for _ in range(3)]
        await slow.send(request("PUT", "/", "Content-Length: 100", host="api.test") + b"x" * 90)
        await trio.testing.wait_all_tasks_blocked()
        answer = await other.ask(request("PUT", "/", "Content-Length: 90", host="api.test") + b"x" * 90)
        assert (answer.status, answer.json["code"]) == (503, "overloaded")
        # Said at once, before any of the body has come.
        assert (await large.ask(request("PUT", "/", "Content-Length: 101", host="api.test"))).status == 413
        assert (await slow.ask(b"x" * 10)).status == 200
        assert made.shared.body_bytes == 0


async def test_the_key_of_an_api_call_never_reaches_a_target() -> None:
    heads: list[bytes] = []

    async def target(stream: MuxStream) -> None:
        while head := await read_head(stream):
            heads.append(head)
            await stream.send_all(OK)

    async with stage(target) as made:
        visitor = await made.visitor()
        await visitor.ask(request("GET", "/", "Authorization: ApiKey sdk_other"))
        await visitor.ask(request("GET", "/", "Authorization: Bearer of-the-app"))
    assert b"sdk_other" not in heads[0]
    assert b"authorization: Bearer of-the-app\r\n" in heads[1]


async def test_an_upload_goes_on_after_the_answer_has_begun(autojump_clock: trio.abc.Clock) -> None:
    """The limit on a silent visitor is for the request; once the target answers, its own limit counts."""

    async def target(stream: MuxStream) -> None:
        await read_head(stream)
        await stream.send_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nearly\r\n")
        while await stream.receive_some() != b"b":
            pass
        await stream.send_all(b"0\r\n\r\n")

    async with stage(target, limits=IngressLimits(body_idle_seconds=5, response_head_seconds=5)) as made:
        visitor = await made.visitor()
        await visitor.send(request("POST", "/", "Content-Length: 2") + b"a")
        await trio.sleep(100)
        await visitor.send(b"b")
        assert (await visitor.answer()).body == b"early"


async def test_a_target_that_is_slow_to_say_continue_is_a_504_not_a_408(autojump_clock: trio.abc.Clock) -> None:
    async with stage(answering(), limits=IngressLimits(body_idle_seconds=5, response_head_seconds=20)) as made:
        visitor = await made.visitor()
        started = trio.current_time()
        answer = await visitor.ask(request("POST", "/", "Content-Length: 2", "Expect: 100-continue"))
        assert answer.status == 504
        assert trio.current_time() - started >= 20


async def test_an_application_answer_closes_while_draining() -> None:
    async with stage(answering()) as made:
        visitor = await made.visitor("api.test")
        await visitor.send(b"GET / HTTP/1.1\r\n")
        await trio.testing.wait_all_tasks_blocked()
        made.shared.draining = True
        answer = await visitor.ask(b"Host: api.test\r\n\r\n")
        assert answer.get("connection") == "close"
