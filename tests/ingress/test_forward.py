"""Requests reach the target rebuilt, answers come back, and streams are reused only when nothing is left open."""

import pytest
import trio

from relay.errors import StreamResetError
from relay.ingress import IngressLimits
from relay.mux import ResetCode
from relay.transport import MuxStream
from tests.ingress.stage import HOST, OK, answering, read_head, request, stage


async def test_a_request_reaches_the_target_with_our_headers_and_without_the_visitors_credential() -> None:
    seen: list[bytes] = []

    async def target(stream: MuxStream) -> None:
        seen.append(await read_head(stream))
        await stream.send_all(OK)

    async with stage(target) as made:
        visitor = await made.visitor()
        answer = await visitor.ask(
            request(
                "GET",
                "/a?b=c",
                "Cookie: __Host-sd-preview=secret; app=1",
                "X-Forwarded-For: 6.6.6.6",
                "X-Request-Id: forged",
                "sd-routing-key: forged",
                "baggage: mine=1,sd-workspace=forged",
            )
        )
    assert (answer.status, answer.body) == (200, b"ok")
    lines = seen[0].decode().split("\r\n")
    assert lines[:2] == ["GET /a?b=c HTTP/1.1", "host: web.shop.svc:8080"]
    headers = dict(line.split(": ", 1) for line in lines[1:-2])
    assert headers["x-forwarded-for"] == "192.0.2.7"
    assert headers["x-forwarded-host"] == HOST
    assert headers["x-forwarded-proto"] == "https"
    assert headers["x-request-id"] == answer.get("x-request-id") != "forged"
    assert headers["sd-routing-key"] == "key1"
    assert headers["baggage"] == "sd-routing-key=key1,sd-workspace=key1,mine=1"
    assert headers["cookie"] == "app=1"
    assert "signadot-api-key" not in headers
    assert headers["traceparent"].startswith("00-")


async def test_a_connection_reuses_its_stream_for_the_next_request() -> None:
    async with stage(answering(OK, OK, OK)) as made:
        visitor = await made.visitor()
        for _ in range(3):
            assert (await visitor.ask(request())).status == 200
        assert len(made.streams) == 1


async def test_two_visitors_never_share_a_stream() -> None:
    async with stage(answering(OK, OK)) as made:
        first, second = await made.visitor(), await made.visitor()
        await first.ask(request())
        await second.ask(request())
        await first.ask(request())
        assert len(made.streams) == 2


@pytest.mark.parametrize(
    "answer",
    [
        OK + b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\npoisoned",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
    ],
    ids=["leftover bytes", "connection: close", "HTTP/1.0"],
)
async def test_a_stream_with_an_open_end_is_not_reused(answer: bytes) -> None:
    async with stage(answering(answer, OK)) as made:
        visitor = await made.visitor()
        assert (await visitor.ask(request())).body == b"ok"
        assert (await visitor.ask(request())).body == b"ok"
        assert len(made.streams) == 2


async def test_a_request_that_may_be_repeated_is_when_an_idle_stream_was_closed_under_it() -> None:
    async def target(stream: MuxStream) -> None:
        await read_head(stream)
        await stream.send_all(OK)
        await read_head(stream)
        await stream.send_eof()

    async with stage(target) as made:
        visitor = await made.visitor()
        await visitor.ask(request())
        assert (await visitor.ask(request())).status == 200
        assert len(made.streams) == 2


async def test_a_post_is_never_sent_twice() -> None:
    heads: list[bytes] = []

    async def target(stream: MuxStream) -> None:
        heads.append(await read_head(stream))
        await stream.send_all(OK)
        heads.append(await read_head(stream))
        await stream.send_eof()

    async with stage(target) as made:
        visitor = await made.visitor()
        await visitor.ask(request())
        answer = await visitor.ask(request("POST", "/", "Content-Length: 0"))
    assert (answer.status, answer.json["code"]) == (502, "target_closed")
    assert [head[:4] for head in heads] == [b"GET ", b"POST"]


async def test_a_body_is_framed_anew_and_the_answer_may_be_chunked() -> None:
    received = bytearray()

    async def target(stream: MuxStream) -> None:
        while not received.endswith(b"0\r\n\r\n"):
            received.extend(await stream.receive_some())
        await stream.send_all(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;ext=1\r\nabc\r\n0\r\nX-T: 1\r\n\r\n"
        )

    async with stage(target) as made:
        visitor = await made.visitor()
        await visitor.send(request("POST", "/", "Transfer-Encoding: chunked"))
        answer = await visitor.ask(b"2;x=y\r\nhi\r\n003\r\nyou\r\n0\r\nTrailer-X: dropped\r\n\r\n")
        assert answer.body == b"abc"
        assert received.partition(b"\r\n\r\n")[2] == b"5\r\nhiyou\r\n0\r\n\r\n"
        assert answer.get("x-t") is None


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("status", [200, 204, 304])
async def test_answers_without_body_leave_the_connection_ready(method: str, status: int) -> None:
    answer = f"HTTP/1.1 {status} X\r\n".encode() + (b"Content-Length: 0\r\n" if status == 200 else b"") + b"\r\n"
    async with stage(answering(answer, OK)) as made:
        visitor = await made.visitor()
        assert (await visitor.ask(request(method))).status == status
        assert (await visitor.ask(request())).body == b"ok"
        assert len(made.streams) == 1


async def test_a_head_answer_keeps_the_length_of_the_body_that_does_not_come() -> None:
    async with stage(answering(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", OK)) as made:
        visitor = await made.visitor()
        answer = await visitor.ask(request("HEAD"))
        assert answer.get("content-length") == "1000"
        assert (await visitor.ask(request())).body == b"ok"


async def test_an_answer_that_ends_with_its_connection_is_chunked_for_http_11() -> None:
    async def target(stream: MuxStream) -> None:
        await read_head(stream)
        await stream.send_all(b"HTTP/1.1 200 OK\r\n\r\nuntil")
        await stream.send_all(b" close")
        await stream.send_eof()

    async with stage(target) as made:
        visitor = await made.visitor()
        answer = await visitor.ask(request())
        assert (answer.get("transfer-encoding"), answer.body) == ("chunked", b"until close")
        assert (await visitor.ask(request())).body == b"until close"


@pytest.mark.parametrize("piece_bytes", [1, 100, 5000, 20_000])
async def test_a_body_of_known_length_arrives_whole_and_is_counted(piece_bytes: int) -> None:
    body = bytes(range(200)) * (piece_bytes // 20 + 1)

    async def target(stream: MuxStream) -> None:
        for _ in range(2):
            await read_head(stream)
            await stream.send_all(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body))
            for start in range(0, len(body), piece_bytes):
                await trio.testing.wait_all_tasks_blocked()
                stream.send_nowait(body[start : start + piece_bytes])

    async with stage(target) as made:
        visitor = await made.visitor()
        for number in (1, 2):
            assert (await visitor.ask(request())).body == body
            assert made.shared.telemetry.sent_bytes == number * len(body)
        assert len(made.streams) == 1, "the stream is kept for the next request"


async def test_more_body_than_its_length_is_not_passed_on_and_ends_the_stream() -> None:
    async def target(stream: MuxStream) -> None:
        await read_head(stream)
        await stream.send_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n")
        await trio.testing.wait_all_tasks_blocked()
        await stream.send_all(b"0123456789surplus")

    async with stage(target) as made:
        visitor = await made.visitor()
        assert (await visitor.ask(request())).body == b"0123456789"
        assert (await visitor.ask(request())).body == b"0123456789"
        assert len(made.streams) == 2


async def test_an_answer_cut_off_by_its_target_is_seen_as_cut_off() -> None:
    async def target(stream: MuxStream) -> None:
        await read_head(stream)
        await stream.send_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
        await stream.send_eof()

    async with stage(target) as made:
        visitor = await made.visitor()
        await visitor.send(request())
        received = await visitor.rest()
        made.shared.telemetry.flush()
        assert '"code": "cut_off"' in made.log.getvalue()
    assert received.endswith(b"3\r\nabc\r\n")
    assert b"HTTP/1.1 5" not in received


async def test_an_informational_answer_passes_before_the_final_one() -> None:
    async def target(stream: MuxStream) -> None:
        head = await read_head(stream)
        assert b"expect: 100-continue\r\n" in head
        await stream.send_all(b"HTTP/1.1 100 Continue\r\n\r\n")
        assert await stream.receive_some() == b"hello"
        await stream.send_all(OK)

    async with stage(target) as made:
        visitor = await made.visitor()
        interim = await visitor.ask(request("POST", "/", "Content-Length: 5", "Expect: 100-continue"))
        assert interim.status == 100
        assert (await visitor.ask(b"hello")).status == 200


async def test_an_early_answer_closes_the_visitors_connection_after_it() -> None:
    async with stage(answering(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")) as made:
        visitor = await made.visitor()
        answer = await visitor.ask(request("POST", "/", "Content-Length: 1000000") + b"a part")
        assert (answer.status, answer.get("connection")) == (413, "close")
        assert await visitor.rest() == b""


async def test_a_visitor_who_leaves_is_felt_at_the_target(autojump_clock: trio.abc.Clock) -> None:
    codes: list[int] = []

    async def target(stream: MuxStream) -> None:
        await read_head(stream)
        try:
            await stream.receive_some()
        except StreamResetError as error:
            codes.append(error.wire_code)

    async with stage(target) as made:
        visitor = await made.visitor()
        await visitor.send(request())
        await trio.sleep(5)
        await visitor.stream.aclose()
        await trio.sleep(0.1)
        assert codes == [ResetCode.CANCELLED]
        made.shared.telemetry.flush()
        assert '"status": 499, "code": "visitor_left"' in made.log.getvalue()


async def test_pipelined_requests_are_answered_in_order() -> None:
    async def target(stream: MuxStream) -> None:
        while head := await read_head(stream):
            path = head.split(b" ")[1]
            await stream.send_all(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(path), path))

    async with stage(target) as made:
        visitor = await made.visitor()
        await visitor.send(request("GET", "/1") + request("GET", "/2") + request("GET", "/3"))
        assert [(await visitor.answer()).body for _ in range(3)] == [b"/1", b"/2", b"/3"]


async def test_more_requests_than_a_cluster_may_have_in_flight_are_refused() -> None:
    async with stage(answering(), limits=IngressLimits(requests_per_cluster=1)) as made:
        first, second = await made.visitor(), await made.visitor()
        await first.send(request())
        await trio.testing.wait_all_tasks_blocked()
        answer = await second.ask(request())
        assert (answer.status, answer.json["code"]) == (503, "overloaded")
        assert answer.get("retry-after") is not None


async def test_a_request_that_was_sent_when_the_drain_began_is_answered() -> None:
    async def target(stream: MuxStream) -> None:
        for _ in range(2):  # the stream is kept as well
            await read_head(stream)
            await stream.send_all(OK)

    async with stage(target) as made:
        visitor = await made.visitor()
        answer = await visitor.ask(request())
        assert (answer.status, answer.get("connection")) == (200, None)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(made.ingress.drain)
            await trio.testing.wait_all_tasks_blocked()
            answer = await visitor.ask(request())
            assert (answer.status, answer.get("connection")) == (200, "close")
            assert await visitor.rest() == b""


async def test_draining_closes_idle_connections_and_lets_others_finish() -> None:
    release = trio.Event()

    async def target(stream: MuxStream) -> None:
        await read_head(stream)
        await release.wait()
        await stream.send_all(OK)

    async with stage(target) as made:
        release.set()
        idle, busy = await made.visitor(), await made.visitor()
        await idle.ask(request())
        release = trio.Event()
        await busy.send(request())
        await trio.testing.wait_all_tasks_blocked()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(made.ingress.drain)
            assert await idle.rest() == b""
            release.set()
            answer = await busy.answer()
            assert (answer.status, answer.get("connection")) == (200, "close")
            assert await busy.rest() == b""
