"""Accepting connections: what is refused, what is counted, and what harms nobody else."""

import re
import socket
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
import structlog.testing
import trio
import trio.testing

from relay.transport import Handshakes, ListenerLimits, Refused, TlsStream, connect_tls, listen, serve_tls
from relay.transport.sockets import NOT_SENT_LOW_WATER_BYTES
from tests.transport.pair import SERVER_NAME, client_context, server_context


@dataclass
class Server:
    port: int
    nursery: trio.Nursery
    accepting: trio.CancelScope
    listeners: list[socket.socket]
    refused: list[str] = field(default_factory=list)
    streams: list[TlsStream] = field(default_factory=list)
    returned: trio.Event = field(default_factory=trio.Event)
    clients: list[trio.abc.AsyncResource] = field(default_factory=list)

    async def connect(self) -> TlsStream:
        stream = await connect_tls(SERVER_NAME, self.port, context=client_context())
        self.clients.append(stream)
        return stream

    async def connect_plain(self, from_address: str = "127.0.0.1") -> trio.SocketStream:
        stream = await trio.open_tcp_stream("127.0.0.1", self.port, local_address=from_address)
        self.clients.append(stream)
        return stream

    async def until_refused(self, count: int = 1) -> None:
        with trio.fail_after(10):
            while len(self.refused) < count:
                await trio.testing.wait_all_tasks_blocked(0.01)


async def echo(stream: TlsStream) -> None:
    while data := await stream.receive_some():
        await stream.send_all(data)


@asynccontextmanager
async def serving(
    handler: Callable[[TlsStream], Awaitable[None]] = echo, limits: ListenerLimits | None = None
) -> AsyncIterator[Server]:
    listeners = listen("127.0.0.1", 0)
    async with trio.open_nursery() as nursery:
        server = Server(listeners[0].getsockname()[1], nursery, trio.CancelScope(), listeners)

        async def handle(stream: TlsStream) -> None:
            server.streams.append(stream)
            await handler(stream)

        async def run(task_status: trio.TaskStatus[None]) -> None:
            await serve_tls(
                listeners,
                server_context,
                handle,
                limits=limits or ListenerLimits(),
                on_refused=server.refused.append,
                accepting=server.accepting,
                task_status=task_status,
            )
            server.returned.set()

        await nursery.start(run)
        try:
            yield server
        finally:
            with trio.CancelScope(shield=True):
                for client in server.clients:
                    await trio.aclose_forcefully(client)
            nursery.cancel_scope.cancel()
    assert all(listener.fileno() < 0 for listener in listeners)


async def exchange(stream: TlsStream, data: bytes = b"hello") -> None:
    await stream.send_all(data)
    assert await stream.receive_some() == data


async def closes(stream: trio.abc.ReceiveStream) -> bool:
    """Whether the other end closes, in order or not."""
    with trio.fail_after(10):
        try:
            while await stream.receive_some():
                pass
        except trio.BrokenResourceError:
            pass
        return True


async def test_name_protocol_and_address_of_a_connection_are_known() -> None:
    async with serving() as server:
        client = await server.connect()
        await exchange(client)
        (stream,) = server.streams
        assert stream.server_name == SERVER_NAME
        assert stream.alpn == "signadot-tunnel/1"
        assert stream.peer_address == client._connection.getsockname()
        await client.aclose()
        plain = client_context()
        plain.check_hostname = False
        plain.set_alpn_protocols(["http/1.1"])
        client = await connect_tls("127.0.0.1", server.port, context=plain)
        await exchange(client)
        assert server.streams[1].alpn == "http/1.1"
        assert server.streams[1].server_name is None
        await client.aclose()


async def test_small_messages_are_never_held_back_at_either_end() -> None:
    async with serving() as server:
        client = await server.connect()
        await exchange(client)
        for stream in (client, server.streams[0]):
            connection = stream._connection
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            assert connection.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 45_000
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT) == NOT_SENT_LOW_WATER_BYTES
        await client.aclose()


async def test_connections_of_one_address_are_limited_and_counted_down_again() -> None:
    async with serving(limits=ListenerLimits(connections_per_address=2)) as server:
        first, second = await server.connect(), await server.connect()
        await exchange(first)
        await exchange(second)
        assert await closes(await server.connect_plain())
        assert server.refused == [Refused.ADDRESS_LIMIT]
        await first.aclose()
        while server.streams[0]._connection.fileno() >= 0:
            await trio.testing.wait_all_tasks_blocked(0.01)
        await exchange(await server.connect())


async def test_handshakes_under_way_are_limited() -> None:
    async with serving(limits=ListenerLimits(handshakes=1)) as server:
        silent = await server.connect_plain()
        await trio.testing.wait_all_tasks_blocked(0.01)
        assert await closes(await server.connect_plain())
        assert server.refused == [Refused.HANDSHAKE_LIMIT]
        await silent.aclose()
        await server.until_refused(2)
        await exchange(await server.connect())


async def test_one_address_cannot_hold_all_handshakes() -> None:
    async with serving(limits=ListenerLimits(handshakes=3, handshakes_per_address=2)) as server:
        silent = [await server.connect_plain("127.0.0.2") for _ in range(2)]
        await trio.testing.wait_all_tasks_blocked(0.01)
        assert await closes(await server.connect_plain("127.0.0.2"))
        assert server.refused == [Refused.HANDSHAKE_LIMIT]
        await exchange(await server.connect())
        await silent[0].aclose()
        await server.until_refused(2)
        silent.append(await server.connect_plain("127.0.0.2"))
        await trio.testing.wait_all_tasks_blocked(0.01)
        assert len(server.refused) == 2


async def test_a_silent_connection_is_given_up_after_the_handshake_time() -> None:
    async with serving(limits=ListenerLimits(handshake_seconds=0.05)) as server:
        assert await closes(await server.connect_plain())
        assert server.refused == [Refused.HANDSHAKE_TIMEOUT]


@pytest.mark.parametrize(
    "garbage",
    [b"GET / HTTP/1.1\r\n\r\n", b"\x00" * 100, b"\x16\x03\x01\xff\xff" + b"\xff" * 600, b""],
    ids=["http", "zeros", "overlong record", "nothing"],
)
async def test_garbage_instead_of_a_handshake_is_counted_and_harms_nobody(garbage: bytes) -> None:
    async with serving() as server:
        with structlog.testing.capture_logs() as logs:
            stream = await server.connect_plain()
            if garbage:
                await stream.send_all(garbage)
            else:
                await stream.send_eof()
            assert await closes(stream)
            await server.until_refused()
        assert server.refused == [Refused.HANDSHAKE]
        assert [entry["log_level"] for entry in logs] == ["debug"]
        assert not server.streams
        await exchange(await server.connect())


async def test_a_handler_that_crashes_is_logged_and_harms_nobody() -> None:
    async def crash_on_request(stream: TlsStream) -> None:
        data = await stream.receive_some()
        if data == b"crash":
            raise RuntimeError("a fault of the program")
        await stream.send_all(data)

    async with serving(crash_on_request) as server:
        healthy, doomed = await server.connect(), await server.connect()
        with structlog.testing.capture_logs() as logs:
            await doomed.send_all(b"crash")
            with pytest.raises(trio.BrokenResourceError):  # not an end in order
                await doomed.receive_some()
        assert [(entry["event"], entry["log_level"]) for entry in logs] == [("connection handler failed", "error")]
        await exchange(healthy)
        await exchange(await server.connect())


async def test_a_handler_that_returns_closes_its_connection() -> None:
    async def greet(stream: TlsStream) -> None:
        await stream.send_all(b"bye")

    async with serving(greet) as server:
        client = await server.connect()
        assert await client.receive_some() == b"bye"
        assert await client.receive_some() == b""


async def test_cancelling_accepting_closes_the_listeners_and_lets_connections_go_on() -> None:
    async with serving() as server:
        client = await server.connect()
        await exchange(client)
        server.accepting.cancel()
        while server.listeners[0].fileno() >= 0:
            await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(OSError, match="all attempts to connect"):
            await server.connect_plain()
        await exchange(client, b"still here")
        assert not server.returned.is_set()
        await client.aclose()
        with trio.fail_after(10):
            await server.returned.wait()


async def test_a_handshake_under_way_is_finished_after_accepting_has_ended() -> None:
    async with serving() as server:
        plain = socket.create_connection(("127.0.0.1", server.port))
        await trio.testing.wait_all_tasks_blocked(0.01)
        server.accepting.cancel()
        await trio.testing.wait_all_tasks_blocked(0.01)
        with client_context().wrap_socket(plain, server_hostname=SERVER_NAME, do_handshake_on_connect=False) as client:
            await trio.to_thread.run_sync(client.do_handshake)
            await trio.to_thread.run_sync(client.sendall, b"in time")
            assert await trio.to_thread.run_sync(client.recv, 100) == b"in time"


async def test_cancelling_the_server_ends_everything() -> None:
    async with serving() as server:
        client = await server.connect()
        await exchange(client)
        silent = await server.connect_plain()
        await trio.testing.wait_all_tasks_blocked(0.01)
        server.nursery.cancel_scope.cancel()
        with trio.CancelScope(shield=True):
            assert await closes(client)
            assert await closes(silent)


async def test_a_process_without_free_descriptors_waits_and_serves_again() -> None:
    process = await trio.lowlevel.open_process(
        [sys.executable, "-m", "tests.transport.exhaustion"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        with trio.fail_after(30):
            head = b""
            while b"END CERTIFICATE-----\n" not in head:
                head += await process.stdout.receive_some()
            port, certificate = head.decode().split("\n", 1)
            crowd = [await trio.open_tcp_stream("127.0.0.1", int(port)) for _ in range(40)]
            complaint = b""
            while b"cannot accept" not in complaint:
                complaint += await process.stderr.receive_some()
            for stream in crowd:
                await stream.aclose()
            client = await connect_tls(
                SERVER_NAME, int(port), context=ssl.create_default_context(cadata=certificate), timeout_seconds=20
            )
            await exchange(client)
            await client.aclose()
        assert not re.search(rb"Traceback", complaint)
        assert process.poll() is None
    finally:
        process.kill()
        await process.wait()
        await process.stdout.aclose()
        await process.stderr.aclose()


async def test_whoever_drains_can_wait_for_handshakes_under_way(autojump_clock: trio.testing.MockClock) -> None:
    handshakes = Handshakes()
    with trio.fail_after(1):
        await handshakes.over()
    handshakes.begin()
    handshakes.begin()
    handshakes.end()
    with trio.move_on_after(1) as scope:
        await handshakes.over()
    assert scope.cancelled_caught
    async with trio.open_nursery() as nursery:
        nursery.start_soon(handshakes.over)
        await trio.testing.wait_all_tasks_blocked()
        handshakes.end()
