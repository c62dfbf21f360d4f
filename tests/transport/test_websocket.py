"""The transport over WebSocket: handshake, messages, ends. The peer is the library itself, or bytes by hand."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

import pytest
import trio
import trio.testing
import trio_websocket

from relay.transport import WebSocketStream, accept_websocket, connect_websocket
from relay.transport.websocket import MESSAGE_BYTES, PATH, SUBPROTOCOL

REQUEST = (
    "GET {path} HTTP/1.1\r\nHost: tunnel.localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Protocol: {subprotocol}\r\n\r\n"
)


@asynccontextmanager
async def websocket_pair() -> AsyncIterator[tuple[WebSocketStream, WebSocketStream]]:
    """(client, server)."""
    first, second = trio.testing.memory_stream_pair()
    servers: list[WebSocketStream] = []
    async with trio.open_nursery() as nursery:

        async def accept() -> None:
            servers.append(await accept_websocket(second, nursery=nursery))

        async with trio.open_nursery() as handshake:
            handshake.start_soon(accept)
            client = await connect_websocket(first, nursery=nursery, host="tunnel.localhost")
        yield client, servers[0]
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def accepting_library_client() -> AsyncIterator[tuple[trio_websocket.WebSocketConnection, WebSocketStream]]:
    """The library's own client, which may do what ours never does, and our server."""
    first, second = trio.testing.memory_stream_pair()
    servers: list[WebSocketStream] = []
    async with trio.open_nursery() as nursery:

        async def accept() -> None:
            servers.append(await accept_websocket(second, nursery=nursery))

        async with trio.open_nursery() as handshake:
            handshake.start_soon(accept)
            client = await trio_websocket.wrap_client_stream(
                nursery, cast("trio.SocketStream", first), "tunnel.localhost", PATH, subprotocols=["other", SUBPROTOCOL]
            )
        yield client, servers[0]
        nursery.cancel_scope.cancel()


async def test_it_is_a_stream_as_trio_defines_it_as_far_as_messages_allow() -> None:
    async with websocket_pair() as (client, server):
        await client.send_all(b"one")
        await client.send_all(memoryview(b"two"))
        assert await server.receive_some(2) == b"on"
        assert await server.receive_some() == b"e"
        assert await server.receive_some() == b"two"
        await server.send_all(bytearray(b"answer"))
        assert await client.receive_some() == b"answer"


async def test_bulk_arrives_whole_in_messages_of_bounded_length() -> None:
    async with websocket_pair() as (client, server):
        data = bytes(range(256)) * 4096
        lengths: list[int] = []
        received = b""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.send_all, data)
            while len(received) < len(data):
                part = await server.receive_some()
                lengths.append(len(part))
                received += part
        assert received == data
        assert max(lengths) == MESSAGE_BYTES


async def test_an_empty_message_is_not_taken_for_the_end() -> None:
    async with accepting_library_client() as (client, server):
        await client.send_message(b"")
        await client.send_message(b"after it")
        assert await server.receive_some() == b"after it"


async def test_a_text_message_breaks_the_stream_and_the_peer_is_told_why() -> None:
    async with accepting_library_client() as (client, server):
        await client.send_message("text")
        with pytest.raises(trio.BrokenResourceError, match="text message"):
            await server.receive_some()
        with pytest.raises(trio_websocket.ConnectionClosed) as caught:
            await client.get_message()
        assert caught.value.reason is not None
        assert caught.value.reason.code == 1003


async def test_closing_is_an_end_in_order_for_the_peer() -> None:
    async with websocket_pair() as (client, server):
        await client.send_all(b"last words")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.aclose)
            assert await server.receive_some() == b"last words"
            assert await server.receive_some() == b""
        with pytest.raises(trio.BrokenResourceError):
            await server.send_all(b"too late")


async def test_a_close_with_an_error_code_is_no_end_in_order() -> None:
    async with accepting_library_client() as (client, server), trio.open_nursery() as nursery:
        nursery.start_soon(client.aclose, 1011, "a fault")
        with pytest.raises(trio.BrokenResourceError, match="a fault"):
            await server.receive_some()


async def test_an_end_of_the_connection_below_is_no_end_in_order() -> None:
    first, second = trio.testing.memory_stream_pair()
    async with trio.open_nursery() as nursery:
        await first.send_all(REQUEST.format(path=PATH, subprotocol=SUBPROTOCOL).encode())
        server = await accept_websocket(second, nursery=nursery)
        await first.send_eof()
        with pytest.raises(trio.BrokenResourceError):
            await server.receive_some()
        nursery.cancel_scope.cancel()


async def test_a_peer_that_never_answers_the_close_is_left(autojump_clock: trio.testing.MockClock) -> None:
    first, second = trio.testing.memory_stream_pair()
    async with trio.open_nursery() as nursery:
        await first.send_all(REQUEST.format(path=PATH, subprotocol=SUBPROTOCOL).encode())
        server = await accept_websocket(second, nursery=nursery)
        began = trio.current_time()
        await server.aclose()
        assert trio.current_time() - began <= 3
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("share", [0.01, 0.5, 1])
async def test_bytes_read_before_the_handshake_count(share: float) -> None:
    first, second = trio.testing.memory_stream_pair()
    request = REQUEST.format(path=PATH, subprotocol=SUBPROTOCOL).encode()
    cut = int(len(request) * share)
    async with trio.open_nursery() as nursery:
        await first.send_all(request[cut:])
        await accept_websocket(second, nursery=nursery, initial=request[:cut])
        assert (await first.receive_some()).startswith(b"HTTP/1.1 101 ")
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("path", "subprotocol", "status"),
    [("/v1/other", SUBPROTOCOL, b"404"), (PATH, "signadot-tunnel.v9", b"400"), (PATH + "/", SUBPROTOCOL, b"404")],
)
async def test_another_path_or_protocol_is_answered_and_refused(path: str, subprotocol: str, status: bytes) -> None:
    first, second = trio.testing.memory_stream_pair()
    async with trio.open_nursery() as nursery:
        await first.send_all(REQUEST.format(path=path, subprotocol=subprotocol).encode())
        with pytest.raises(ConnectionError, match="was asked for"):
            await accept_websocket(second, nursery=nursery)
        assert (await first.receive_some()).startswith(b"HTTP/1.1 " + status)
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("request_bytes", [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01garbage\r\n\r\n"])
async def test_what_is_no_websocket_handshake_is_refused(request_bytes: bytes) -> None:
    first, second = trio.testing.memory_stream_pair()
    async with trio.open_nursery() as nursery:
        await first.send_all(request_bytes)
        await first.send_eof()
        with pytest.raises(ConnectionError, match="handshake failed"):
            await accept_websocket(second, nursery=nursery)
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", "status 403"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "status 200"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "tunnel.localhost"),
        (b"", "tunnel.localhost"),
    ],
)
async def test_a_client_says_what_refused_it(answer: bytes, problem: str) -> None:
    first, second = trio.testing.memory_stream_pair()
    async with trio.open_nursery() as nursery:
        await second.send_all(answer)
        await second.send_eof()
        with pytest.raises(ConnectionError, match=problem):
            await connect_websocket(first, nursery=nursery, host="tunnel.localhost")
        nursery.cancel_scope.cancel()


async def test_a_server_that_agrees_on_no_subprotocol_is_refused() -> None:
    first, second = trio.testing.memory_stream_pair()
    async with trio.open_nursery() as nursery:

        async def accept() -> None:
            request = await trio_websocket.wrap_server_stream(nursery, second)
            await request.accept()

        nursery.start_soon(accept)
        with pytest.raises(ConnectionError, match="does not speak"):
            await connect_websocket(first, nursery=nursery, host="tunnel.localhost")
        nursery.cancel_scope.cancel()


async def test_a_second_task_of_a_kind_is_refused() -> None:
    async with websocket_pair() as (client, _), trio.open_nursery() as nursery:
        nursery.start_soon(client.receive_some)
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(trio.BusyResourceError):
            await client.receive_some()
        nursery.cancel_scope.cancel()


async def test_a_cancelled_receive_loses_nothing() -> None:
    async with websocket_pair() as (client, server):
        with trio.move_on_after(0.001):
            await server.receive_some()
        await client.send_all(b"still here")
        assert await server.receive_some() == b"still here"
