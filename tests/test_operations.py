"""Probes and metrics over plain HTTP."""

from collections.abc import AsyncIterator

import pytest
import trio

from relay.operations import serve_operations


class Operations:
    def __init__(self, port: int) -> None:
        self.port = port
        self.problem = ""
        self.fails = False

    async def get(self, request: bytes) -> bytes:
        stream = await trio.open_tcp_stream("127.0.0.1", self.port)
        async with stream:
            await stream.send_all(request)
            data = b""
            while more := await stream.receive_some():
                data += bytes(more)
            return data


@pytest.fixture
async def operations() -> AsyncIterator[Operations]:
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    made = Operations(listeners[0].socket.getsockname()[1])

    async def readiness() -> str:
        await trio.lowlevel.checkpoint()
        if made.fails:
            raise RuntimeError("a fault of ours")
        return made.problem

    async with trio.open_nursery() as nursery:

        async def metrics() -> bytes:
            return b"signadot_tunnels 3\n"

        async def serve() -> None:
            await serve_operations(listeners, metrics=metrics, readiness=readiness)

        nursery.start_soon(serve)
        yield made
        nursery.cancel_scope.cancel()


async def test_metrics_and_probes_answer(operations: Operations) -> None:
    assert b"signadot_tunnels 3" in await operations.get(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
    assert (await operations.get(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")).startswith(b"HTTP/1.1 200")
    assert (await operations.get(b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n")).startswith(b"HTTP/1.1 200")


async def test_readiness_says_what_is_wrong(operations: Operations) -> None:
    operations.problem = "the database does not answer"
    answer = await operations.get(b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 503")
    assert answer.endswith(b"the database does not answer\n")


async def test_a_scrape_that_fails_leaves_the_next_one_unharmed(operations: Operations) -> None:
    operations.fails = True
    assert await operations.get(b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n") == b""
    operations.fails = False
    assert (await operations.get(b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n")).startswith(b"HTTP/1.1 200")


async def test_other_requests_are_refused(operations: Operations) -> None:
    assert (await operations.get(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")).startswith(b"HTTP/1.1 404")
    assert (await operations.get(b"DELETE /metrics HTTP/1.1\r\nHost: x\r\n\r\n")).startswith(b"HTTP/1.1 405")
    assert (await operations.get(b"nonsense\r\n\r\n")).startswith(b"HTTP/1.1 400")
