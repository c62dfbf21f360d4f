"""Answers that an application gives in parts: each leaves at once, and half of one is never taken for the whole."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
import trio.testing

from relay.errors import RelayError
from relay.ingress import AsgiApp, IngressLimits
from relay.ingress.settings import Message
from tests.ingress.stage import Stage, answering, request, stage

Send = Callable[[Message], Awaitable[None]]
ASK = request(host="api.test")
ASK_1_0 = ASK.replace(b"HTTP/1.1", b"HTTP/1.0")


class Application:
    """Begins an answer, runs a function that sends its parts, and remembers how that ended."""

    def __init__(self, give: Callable[[Callable[[bytes], Awaitable[None]]], Awaitable[None]]) -> None:
        self.ended = trio.Event()
        self.sent = 0
        self._give = give

    async def __call__(self, _scope: Any, _receive: Any, send: Send) -> None:
        async def part(data: bytes) -> None:
            await send({"type": "http.response.body", "body": data, "more_body": True})
            self.sent += 1

        try:
            await send({"type": "http.response.start", "status": 200, "headers": [(b"Content-Length", b"7")]})
            await part(b"")
            await self._give(part)
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            self.ended.set()


@asynccontextmanager
async def streaming(api: AsgiApp, *, stalled_seconds: float = 5) -> AsyncIterator[Stage]:
    async with stage(answering(), limits=IngressLimits(write_stalled_seconds=stalled_seconds), api=api) as made:
        yield made


def logged(made: Stage) -> str:
    made.shared.telemetry.flush()
    return made.log.getvalue()


async def test_parts_leave_as_they_come_and_the_next_request_follows(autojump_clock: trio.abc.Clock) -> None:
    async def give(part: Callable[[bytes], Awaitable[None]]) -> None:
        await part(b"one")
        await trio.sleep(10_000)  # as long as the application likes
        await part(b"two")

    async with streaming(Application(give)) as made:
        visitor = await made.visitor("api.test", lockstep=True)
        for _ in range(2):
            await visitor.send(ASK)
            head = (await visitor.stream.receive_some()).lower()
            assert b"transfer-encoding: chunked" in head
            assert b"content-length" not in head
            assert await visitor.stream.receive_some() == b"3\r\none\r\n"
            assert await visitor.stream.receive_some() == b"3\r\ntwo\r\n"
            assert await visitor.stream.receive_some() == b"0\r\n\r\n"
        assert '"code": ""' in logged(made)


async def test_a_visitor_of_http_1_0_gets_no_chunks_and_the_connections_end() -> None:
    async def give(part: Callable[[bytes], Awaitable[None]]) -> None:
        await part(b"one")
        await part(b"two")

    async with streaming(Application(give)) as made:
        visitor = await made.visitor("api.test")
        await visitor.send(ASK_1_0)
        head, _, body = (await visitor.rest()).partition(b"\r\n\r\n")
        assert b"connection: close" in head
        assert b"transfer-encoding" not in head
        assert body == b"onetwo"
        assert not visitor.relay_end.was_cut


async def test_head_gets_the_head_alone() -> None:
    async def give(part: Callable[[bytes], Awaitable[None]]) -> None:
        await part(b"one")

    async with streaming(Application(give)) as made:
        visitor = await made.visitor("api.test")
        await visitor.send(
            request("HEAD", host="api.test") + request("HEAD", "/", "Connection: close", host="api.test")
        )
        heads = await visitor.rest()
        assert heads.count(b"HTTP/1.1 200") == 2
        assert heads.endswith(b"\r\n\r\n")
        assert b"one" not in heads


async def test_a_visitor_who_stops_reading_ends_the_application(autojump_clock: trio.abc.Clock) -> None:
    async def give(part: Callable[[bytes], Awaitable[None]]) -> None:
        while True:
            await part(b"x" * 1000)

    application = Application(give)
    async with streaming(application) as made:
        visitor = await made.visitor("api.test", lockstep=True)
        await visitor.send(ASK)
        for _ in range(10):  # the head, and nine parts behind the empty one
            await visitor.stream.receive_some()
            await trio.sleep(4)  # slow, and below the limit
        assert application.sent == 10
        with trio.fail_after(10):
            await application.ended.wait()
        assert application.sent == 10
        await trio.testing.wait_all_tasks_blocked()
        assert visitor.relay_end.was_cut
        assert '"code": "cut_off"' in logged(made)


async def test_a_visitor_who_leaves_ends_an_application_that_is_silent(autojump_clock: trio.abc.Clock) -> None:
    async def give(_: Callable[[bytes], Awaitable[None]]) -> None:
        await trio.sleep_forever()

    application = Application(give)
    async with streaming(application) as made:
        visitor = await made.visitor("api.test")
        await visitor.send(ASK)
        await visitor.stream.receive_some()
        await trio.sleep(5)
        await visitor.stream.aclose()
        with trio.fail_after(1):
            await application.ended.wait()
        await trio.testing.wait_all_tasks_blocked()
        assert '"code": "cut_off"' in logged(made)


async def test_a_visitor_who_leaves_ends_an_application_that_sends_whatever_it_makes_of_errors(
    autojump_clock: trio.abc.Clock,
) -> None:
    async def give(part: Callable[[bytes], Awaitable[None]]) -> None:
        while True:
            try:
                await part(b"x")
            except Exception:  # noqa: BLE001 - as frameworks do
                await trio.lowlevel.checkpoint()

    application = Application(give)
    async with streaming(application) as made:
        visitor = await made.visitor("api.test", lockstep=True)
        await visitor.send(ASK)
        await visitor.stream.receive_some()
        await visitor.stream.aclose()
        with trio.fail_after(1):
            await application.ended.wait()


@pytest.mark.parametrize("ask", [ASK, ASK_1_0], ids=["1.1", "1.0"])
@pytest.mark.parametrize("error", [RelayError("no"), ValueError("no"), None], ids=["relay", "other", "none"])
async def test_an_application_that_fails_in_the_middle_cuts_its_answer_off(ask: bytes, error: Exception | None) -> None:
    async def application(scope: Any, receive: Any, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"one", "more_body": True})
        if error is not None:
            raise error

    async with streaming(application) as made:
        made.failures = (ValueError,)
        visitor = await made.visitor("api.test")
        await visitor.send(ask)
        received = await visitor.rest()
        assert received.endswith(b"one\r\n" if ask is ASK else b"one")
        assert visitor.relay_end.was_cut
        assert '"code": "cut_off"' in logged(made)


async def test_a_second_beginning_cuts_the_answer_off() -> None:
    async def application(scope: Any, receive: Any, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"one", "more_body": True})
        await send({"type": "http.response.start", "status": 500})
        await send({"type": "http.response.body", "body": b"the relay failed"})

    async with streaming(application) as made:
        visitor = await made.visitor("api.test")
        await visitor.send(ASK)
        assert (await visitor.rest()).endswith(b"3\r\none\r\n")
        assert visitor.relay_end.was_cut
