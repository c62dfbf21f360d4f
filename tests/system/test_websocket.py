"""A real WebSocket client through the relay: text, bytes, large messages, close codes both ways."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import pytest
import trio
from trio_websocket import (
    ConnectionClosed,
    ConnectionRejected,
    WebSocketConnection,
    WebSocketRequest,
    serve_websocket,
    wrap_client_stream,
)

from tests.support.memory import MIB
from tests.support.site import Site, preview
from tests.system.conftest import Demo

pytestmark = pytest.mark.system

SAMPLE_HOST = preview("web", "hello")
MAX_MESSAGE_BYTES = 4 * MIB


@asynccontextmanager
async def websocket(
    site: Site, host: str, *, headers: list[tuple[bytes, bytes]] | None = None
) -> AsyncIterator[WebSocketConnection]:
    """A connection to a preview, closed with the block."""
    context = ssl.create_default_context(cafile=str(site.ca_file))
    plain = await trio.open_tcp_stream("127.0.0.1", site.port)
    stream = trio.SSLStream(plain, context, server_hostname=host)
    key = [(b"signadot-api-key", site.api_key.encode())]
    async with trio.open_nursery() as nursery, stream:
        connection = await wrap_client_stream(
            nursery, stream, site.authority(host), "/socket", extra_headers=key if headers is None else headers,
            max_message_size=MAX_MESSAGE_BYTES,
        )  # fmt: skip
        async with connection:
            yield connection


@pytest.mark.parametrize(
    "message", ["héllo", b"\x00\xff bytes", "é" * (MIB // 2), bytes(MIB)], ids=lambda m: type(m).__name__
)
async def test_messages_come_back_as_they_were(demo: Demo, message: str | bytes) -> None:
    with trio.fail_after(30):
        async with websocket(demo, SAMPLE_HOST) as connection:
            await connection.send_message(message)
            assert await connection.get_message() == message


async def test_many_messages_keep_their_order(demo: Demo) -> None:
    with trio.fail_after(30):
        async with websocket(demo, SAMPLE_HOST) as connection, trio.open_nursery() as nursery:
            nursery.start_soon(_send_numbers, connection, 500)
            assert [await connection.get_message() for _ in range(500)] == [str(number) for number in range(500)]


def _closed(connection: WebSocketConnection) -> tuple[int, str | None] | None:
    reason = connection.closed
    return None if reason is None else (reason.code, reason.reason)


async def _send_numbers(connection: WebSocketConnection, count: int) -> None:
    for number in range(count):
        await connection.send_message(str(number))


async def test_the_code_with_which_a_visitor_closes_reaches_the_target(demo: Demo) -> None:
    seen: list[tuple[int, str | None] | None] = []

    async def serve(request: WebSocketRequest) -> None:
        connection = await request.accept()
        with pytest.raises(ConnectionClosed):
            await connection.get_message()
        seen.append(_closed(connection))

    with trio.fail_after(30):
        async with trio.open_nursery() as nursery:
            server = await nursery.start(partial(serve_websocket, serve, "127.0.0.1", 0, ssl_context=None))
            await trio.to_thread.run_sync(partial(demo.apply, "ws-visitor", ws=server.port))
            async with websocket(demo, preview("ws", "ws-visitor")) as connection:
                await connection.aclose(4321, "visitor is done")
            nursery.cancel_scope.cancel()
    assert seen == [(4321, "visitor is done")]


async def test_the_code_with_which_the_target_closes_reaches_the_visitor(demo: Demo) -> None:
    async def serve(request: WebSocketRequest) -> None:
        connection = await request.accept()
        await connection.aclose(4007, "target is done")

    with trio.fail_after(30):
        async with trio.open_nursery() as nursery:
            server = await nursery.start(partial(serve_websocket, serve, "127.0.0.1", 0, ssl_context=None))
            await trio.to_thread.run_sync(partial(demo.apply, "ws-target", ws=server.port))
            async with websocket(demo, preview("ws", "ws-target")) as connection:
                with pytest.raises(ConnectionClosed):
                    await connection.get_message()
                assert _closed(connection) == (4007, "target is done")
            nursery.cancel_scope.cancel()


async def test_an_upgrade_without_a_key_is_refused(demo: Demo) -> None:
    with trio.fail_after(30), pytest.raises(BaseExceptionGroup) as caught:
        async with websocket(demo, SAMPLE_HOST, headers=[]):
            pass
    rejected = caught.value.subgroup(ConnectionRejected)
    assert rejected is not None
