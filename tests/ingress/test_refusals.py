"""Every row of the table of answers: what a visitor meets when a request does not reach a target."""

from dataclasses import replace

import pytest
import trio
import trio.testing

from relay.ingress import IngressLimits
from relay.mux import ResetCode
from relay.transport import MuxStream
from tests.ingress.stage import HOST, OK, ROUTE, answering, read_head, request, stage

ORG_HOST = "web--shop--acme.preview.test"
PREFLIGHT = ("Origin: https://app.example", "Access-Control-Request-Method: PUT")


async def never(stream: MuxStream) -> None:
    raise AssertionError(f"the target was reached: {await read_head(stream)!r}")


async def test_without_a_credential_a_program_gets_json_with_cors_headers() -> None:
    async with stage(never) as made:
        visitor = await made.visitor()
        answer = await visitor.ask(request("GET", "/", "Origin: https://app.example", key=None))
    assert (answer.status, answer.json["code"]) == (401, "unauthenticated")
    assert answer.get("access-control-allow-origin") == "https://app.example"
    assert answer.json["requestId"] == answer.get("x-request-id")


@pytest.mark.parametrize("header", ["Sec-Fetch-Mode: navigate", "Accept: text/html"])
async def test_a_wrong_key_is_told_to_a_person_as_a_page(header: str) -> None:
    async with stage(never) as made:
        visitor = await made.visitor()
        answer = await visitor.ask(request("GET", "/", header, key="sdk_wrong"))
    assert answer.status == 401
    assert answer.body.startswith(b"<!doctype html>")


async def test_without_a_credential_a_grpc_call_gets_its_status() -> None:
    async with stage(never) as made:
        visitor = await made.visitor()
        answer = await visitor.ask(
            request("POST", "/", "Content-Type: application/grpc", "Content-Length: 0", key=None)
        )
    assert (answer.status, answer.get("grpc-status")) == (200, "16")


@pytest.mark.parametrize("host", [HOST, "web--nothing.preview.test", "nonsense.preview.test", ORG_HOST])
async def test_without_a_credential_nothing_tells_which_previews_exist(host: str) -> None:
    async with stage(never) as made:
        visitor = await made.visitor(host)
        answer = await visitor.ask(request(host=host, key=None))
        assert (answer.status, answer.json["error"]) == (
            401,
            "This preview needs a credential: send the header `signadot-api-key: <API key>`.",
        )


async def test_a_wrong_key_is_refused_and_the_connection_goes_on() -> None:
    async with stage(answering(OK)) as made:
        visitor = await made.visitor()
        assert (await visitor.ask(request(key="sdk_wrong"))).status == 401
        assert (await visitor.ask(request())).status == 200


async def test_a_revoked_key_is_refused_at_the_next_request_of_a_connection() -> None:
    async with stage(answering(OK)) as made:
        visitor = await made.visitor()
        assert (await visitor.ask(request())).status == 200
        made.directory.revoked = True
        made.directory.generation += 1
        assert (await visitor.ask(request())).status == 401


async def test_another_key_on_the_same_connection_is_decided_anew() -> None:
    async with stage(answering(OK)) as made:
        visitor = await made.visitor()
        assert (await visitor.ask(request())).status == 200
        assert (await visitor.ask(request(key="sdk_other"))).status == 404
        assert (await visitor.ask(request(key=None))).status == 401


async def test_a_preflight_without_credential_passes_only_where_the_endpoint_says_so() -> None:
    async with stage(answering(OK)) as made:
        visitor = await made.visitor(ORG_HOST)
        assert (await visitor.ask(request("OPTIONS", "/", *PREFLIGHT, host=ORG_HOST, key=None))).status == 401
        made.route(replace(ROUTE, preflight="pass"))
        assert (await visitor.ask(request("OPTIONS", "/", *PREFLIGHT, host=ORG_HOST, key=None))).status == 200
        assert (await visitor.ask(request("OPTIONS", "/", host=ORG_HOST, key=None))).status == 401


async def test_a_public_endpoint_needs_no_credential_under_the_name_with_the_org() -> None:
    async with stage(answering(OK)) as made:
        made.route(replace(ROUTE, visibility="public"))
        visitor = await made.visitor(ORG_HOST)
        assert (await visitor.ask(request(host=ORG_HOST, key=None))).status == 200
        short = await made.visitor(HOST)
        assert (await short.ask(request(key=None))).status == 401


async def test_a_public_endpoint_is_open_to_another_orgs_credential_too() -> None:
    async with stage(answering(OK)) as made:
        made.route(replace(ROUTE, visibility="public"))
        visitor = await made.visitor(ORG_HOST)
        assert (await visitor.ask(request(host=ORG_HOST, key="sdk_other"))).status == 200


async def test_another_orgs_credential_is_forbidden_by_name_and_finds_nothing_without() -> None:
    async with stage(never) as made:
        by_org = await made.visitor(ORG_HOST)
        assert (await by_org.ask(request(host=ORG_HOST, key="sdk_other"))).status == 403
        short = await made.visitor(HOST)
        assert (await short.ask(request(key="sdk_other"))).status == 404


async def test_a_preflight_with_another_orgs_credential_opens_nothing_for_the_next_request() -> None:
    async with stage(answering(OK)) as made:
        made.route(replace(ROUTE, preflight="pass"))
        visitor = await made.visitor(ORG_HOST)
        preflight = request("OPTIONS", "/", *PREFLIGHT, host=ORG_HOST, key="sdk_other")
        assert (await visitor.ask(preflight)).status == 200
        assert (await visitor.ask(request(host=ORG_HOST, key="sdk_other"))).status == 403


async def test_an_unknown_endpoint_is_a_404_that_says_what_was_looked_up() -> None:
    host = "api--shop.preview.test"
    async with stage(never) as made:
        visitor = await made.visitor(host)
        answer = await visitor.ask(request(host=host))
    assert answer.status == 404
    assert "'api'" in answer.json["error"]
    assert "'shop'" in answer.json["error"]


async def test_an_offline_cluster_is_named_with_the_time_since_when() -> None:
    async with stage(never) as made:
        made.tunnels.tunnel = None
        made.directory.last_seen_at = 86400.0
        visitor = await made.visitor()
        answer = await visitor.ask(request())
    assert (answer.status, answer.json["code"]) == (503, "cluster_offline")
    assert "staging" in answer.json["error"]
    assert "1970-01-02 00:00:00 UTC" in answer.json["error"]
    assert answer.get("retry-after") is not None


async def test_a_clone_that_does_not_run_yet_is_a_503_that_says_when_to_come_again() -> None:
    async with stage(never) as made:
        made.route(replace(ROUTE, target_host=""))
        visitor = await made.visitor()
        answer = await visitor.ask(request())
        assert (answer.status, answer.json["code"]) == (503, "workspace_not_ready")
        assert answer.get("retry-after") is not None
        assert (await visitor.ask(request())).status == 503


@pytest.mark.parametrize(
    ("code", "status", "name"),
    [
        (ResetCode.REFUSED, 502, "target_refused"),
        (ResetCode.UNREACHABLE, 502, "target_refused"),
        (ResetCode.NOT_ALLOWED, 502, "target_not_allowed"),
        (ResetCode.NOT_FOUND, 502, "target_not_found"),
        (ResetCode.TARGET_RESET, 502, "target_closed"),
        (ResetCode.TIMED_OUT, 504, "target_timeout"),
        (ResetCode.LIMIT, 503, "overloaded"),
    ],
)
async def test_a_dial_that_failed_is_answered_with_the_agents_reason(code: ResetCode, status: int, name: str) -> None:
    async def target(stream: MuxStream) -> None:
        await trio.lowlevel.checkpoint()
        stream.reset(code, "the agent says why")

    async with stage(target) as made:
        visitor = await made.visitor()
        answer = await visitor.ask(request())
        assert (answer.status, answer.json["code"]) == (status, name)
        assert "the agent says why" in answer.json["error"]


@pytest.mark.parametrize(
    "reason", ["web.shop.svc:8080 refused", "Web.Shop.svc does not resolve", "[web.shop.svc]:8080"]
)
async def test_the_agents_reason_is_told_without_the_targets_name(reason: str) -> None:
    async def target(stream: MuxStream) -> None:
        await trio.lowlevel.checkpoint()
        stream.reset(ResetCode.REFUSED, reason)

    async with stage(target) as made:
        visitor = await made.visitor()
        answer = await visitor.ask(request())
    assert b"shop.svc" not in answer.body.lower()
    assert "could not be used" in answer.json["error"]


async def test_a_tunnel_that_dies_under_a_request_is_a_502_or_503_and_never_a_hang() -> None:
    async with stage(answering()) as made:
        visitor = await made.visitor()
        await visitor.send(request())
        await trio.testing.wait_all_tasks_blocked()
        assert made.tunnels.tunnel is not None
        made.tunnels.tunnel.close()
        made.tunnels.tunnel = None
        assert (await visitor.answer()).status == 503


async def test_a_target_that_answers_nonsense_is_a_502() -> None:
    async with stage(answering(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")) as made:
        visitor = await made.visitor()
        answer = await visitor.ask(request())
        assert (answer.status, answer.json["code"]) == (502, "bad_response")


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\nHost: web--shop.preview.test\r\nHost: web--shop.preview.test\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: web--shop.preview.test\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"GET / HTTP/1.1\nHost: web--shop.preview.test\n\n",
    ],
    ids=["two hosts", "two framings", "bare LF"],
)
async def test_ambiguous_http_is_refused_closed_and_counted(head: bytes) -> None:
    async with stage(never) as made:
        visitor = await made.visitor()
        answer = await visitor.ask(head)
        assert (answer.status, answer.get("connection")) == (400, "close")
        assert await visitor.rest() == b""
        assert sum(made.shared.telemetry.refused_heads.values()) == 1


@pytest.mark.parametrize("host", ["api--shop.preview.test", "elsewhere.example"])
async def test_a_host_that_is_not_the_connections_is_misdirected(host: str) -> None:
    async with stage(never) as made:
        visitor = await made.visitor(HOST)
        assert (await visitor.ask(request(host=host))).status == 421


async def test_a_websocket_must_come_from_the_previews_own_origin() -> None:
    upgrade = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: eA==", "Sec-WebSocket-Version: 13")
    async with stage(never) as made:
        visitor = await made.visitor()
        answer = await visitor.ask(request("GET", "/", *upgrade, "Origin: https://evil--shop.preview.test"))
        assert answer.status == 403


@pytest.mark.parametrize("site", ["same-site", "cross-site"])
async def test_a_state_changing_request_from_another_page_is_refused_unless_its_origin_is_allowed(site: str) -> None:
    headers = (f"Sec-Fetch-Site: {site}", "Sec-Fetch-Mode: cors", "Origin: https://evil.example", "Content-Length: 0")
    async with stage(answering(OK)) as made:
        visitor = await made.visitor()
        assert (await visitor.ask(request("POST", "/", *headers))).status == 403
        made.route(replace(ROUTE, allowed_origins=("https://evil.example",)))
        visitor = await made.visitor()
        assert (await visitor.ask(request("POST", "/", *headers))).status == 200


async def test_a_target_that_stays_silent_is_a_504(autojump_clock: trio.abc.Clock) -> None:
    async with stage(answering(), limits=IngressLimits(response_head_seconds=7)) as made:
        visitor = await made.visitor()
        started = trio.current_time()
        answer = await visitor.ask(request())
        assert (answer.status, answer.json["code"]) == (504, "target_timeout")
        assert 7 <= trio.current_time() - started <= 8


async def test_a_target_that_stays_silent_after_a_body_is_a_504_and_an_end_in_order(
    autojump_clock: trio.abc.Clock,
) -> None:
    async with stage(answering(), limits=IngressLimits(response_head_seconds=7)) as made:
        visitor = await made.visitor()
        answer = await visitor.ask(request("POST", "/", "Content-Length: 2") + b"hi")
        assert (answer.status, answer.json["code"]) == (504, "target_timeout")
        assert await visitor.rest() == b""


async def test_a_refusal_while_draining_says_that_the_connection_ends() -> None:
    async with stage(answering()) as made:
        visitor = await made.visitor()
        await trio.testing.wait_all_tasks_blocked()
        made.shared.draining = True
        answer = await visitor.ask(request(key=None))
        assert (answer.status, answer.get("connection")) == (401, "close")


async def test_a_head_that_trickles_is_cut_off_however_often_a_byte_comes(autojump_clock: trio.abc.Clock) -> None:
    async with stage(never, limits=IngressLimits(head_seconds=5)) as made:
        visitor = await made.visitor()
        started = trio.current_time()
        await visitor.send(b"GET / HTTP/1.1\r\n")
        async with trio.open_nursery() as nursery:

            async def trickle() -> None:
                while True:
                    await visitor.send(b"A: b\r\n")
                    await trio.sleep(1)

            nursery.start_soon(trickle)
            answer = await visitor.answer()
            nursery.cancel_scope.cancel()
        assert answer.status == 408
        assert trio.current_time() - started <= 6


async def test_a_body_that_stops_arriving_is_a_408(autojump_clock: trio.abc.Clock) -> None:
    async with stage(answering(), limits=IngressLimits(body_idle_seconds=5)) as made:
        visitor = await made.visitor()
        answer = await visitor.ask(request("POST", "/", "Content-Length: 10") + b"half")
        assert answer.status == 408


async def test_an_idle_connection_is_closed_without_a_word(autojump_clock: trio.abc.Clock) -> None:
    async with stage(answering(OK), limits=IngressLimits(keep_alive_idle_seconds=5)) as made:
        visitor = await made.visitor()
        await visitor.ask(request())
        assert await visitor.rest() == b""


async def test_a_stalled_visitor_is_cut_off_and_its_stream_reset(autojump_clock: trio.abc.Clock) -> None:
    ended = trio.Event()

    async def target(stream: MuxStream) -> None:
        await read_head(stream)
        await stream.send_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        try:
            await trio.sleep_forever() if (await stream.receive_some()) else None
        finally:
            ended.set()

    async with stage(target, limits=IngressLimits(response_idle_seconds=5)) as made:
        visitor = await made.visitor()
        await visitor.send(request())
        with trio.fail_after(10):
            await ended.wait()


async def test_every_exchange_leaves_one_line_in_the_log_without_query_or_credential() -> None:
    async with stage(answering(OK)) as made:
        visitor = await made.visitor()
        await visitor.ask(request("GET", "/path?token=hidden"))
        await visitor.ask(request(key=None))
        made.shared.telemetry.flush()
        text = made.log.getvalue()
    lines = text.splitlines()
    assert len(lines) == 2
    assert '"path": "/path"' in lines[0]
    assert "hidden" not in text
    assert "sdk_good" not in text
