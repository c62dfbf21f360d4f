"""The API and app hosts: requests become ASGI calls, answers are framed by us."""

import trio

from relay.ingress import IngressLimits
from tests.ingress.stage import answering, request, stage


async def test_an_application_gets_path_and_body_and_its_answer_is_framed() -> None:
    async with stage(answering()) as made:
        visitor = await made.visitor("api.test")
        answer = await visitor.ask(request("POST", "/a%20b?q=1", "Content-Length: 4", host="api.test") + b"body")
        assert (answer.status, answer.body) == (200, b"/a b|body")
        assert answer.get("content-length") == "9"
        again = await visitor.ask(request("HEAD", "/x", host="api.test"))
        assert (again.get("content-length"), again.body) == ("3", b"")


async def test_a_chunked_body_is_read_to_its_end_and_the_next_request_follows() -> None:
    async with stage(answering()) as made:
        visitor = await made.visitor("api.test")
        head = request("POST", "/", "Transfer-Encoding: chunked", host="api.test")
        await visitor.send(head + b"2\r\nhi\r\n0\r\n\r\n" + request("GET", "/next", host="api.test"))
        assert (await visitor.answer()).body == b"/|hi"
        assert (await visitor.answer()).body == b"/next|"


async def test_a_body_over_the_limit_is_a_413() -> None:
    async with stage(answering(), limits=IngressLimits(api_body_bytes=10)) as made:
        visitor = await made.visitor("api.test")
        answer = await visitor.ask(request("POST", "/", "Content-Length: 100", host="api.test") + b"x" * 100)
        assert (answer.status, answer.json["code"]) == (413, "too_large")
        assert await visitor.rest() == b""


async def test_a_body_that_stops_is_a_408(autojump_clock: trio.abc.Clock) -> None:
    async with stage(answering(), limits=IngressLimits(body_idle_seconds=3)) as made:
        visitor = await made.visitor("api.test")
        answer = await visitor.ask(request("POST", "/", "Content-Length: 100", host="api.test"))
        assert answer.status == 408


async def test_expect_100_continue_is_answered_before_the_body() -> None:
    async with stage(answering()) as made:
        visitor = await made.visitor("api.test")
        head = request("POST", "/", "Content-Length: 2", "Expect: 100-continue", host="api.test")
        assert (await visitor.ask(head)).status == 100
        assert (await visitor.ask(b"ok")).body == b"/|ok"


async def test_a_websocket_on_the_tunnel_host_is_handed_over_with_its_bytes() -> None:
    async with stage(answering()) as made:
        visitor = await made.visitor("tunnel.test")
        upgrade = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: eA==", "Sec-WebSocket-Version: 13")
        await visitor.send(request("GET", "/v1/tunnel", *upgrade, host="tunnel.test", key=None))
        assert await visitor.rest() == b"handed over GET /v1/tunnel HTTP/1.1"


async def test_the_tunnel_host_serves_nothing_else() -> None:
    async with stage(answering()) as made:
        visitor = await made.visitor("tunnel.test")
        assert (await visitor.ask(request(host="tunnel.test"))).status == 421
