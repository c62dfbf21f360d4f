"""The driver: greeting, order, batching, deadlines, ends."""

import socket
from collections.abc import Awaitable, Callable

import pytest
import trio
import trio.testing

from relay.errors import StreamResetError, TunnelClosedError
from relay.mux import CloseCode, Limits, ResetCode, Role
from relay.transport import TlsStream, Tunnel, accept_tls
from relay.transport.tls_stream import start_tls
from tests.transport.pair import HELLO, SERVER_NAME, WELCOME, client_context, server_context, tls_pair, tunnel_pair


async def test_a_tunnel_carries_data_both_ways_after_the_greeting() -> None:
    async with tunnel_pair() as pair:
        assert pair.agent.id == "tunnel-1"
        assert pair.relay.hello is not None
        assert pair.relay.hello.instance_id == "agent-1"
        ours, theirs = await pair.stream()
        assert (theirs.kind, theirs.host, theirs.port) == ("tcp", "web.shop.svc", 8080)
        await ours.send_all(b"question")
        assert await theirs.receive_some() == b"question"
        await theirs.send_all(b"answer")
        assert await ours.receive_some() == b"answer"


async def test_a_megabyte_arrives_whole_over_tls() -> None:
    async with tunnel_pair(await tls_pair()) as pair:
        ours, theirs = await pair.stream()
        sent = bytes(range(256)) * 4096 * 8

        async def send() -> None:
            await ours.send_all(sent)
            await ours.send_eof()

        pair.nursery.start_soon(send)
        received = b"".join([data async for data in theirs])
        assert received == sent


async def test_frames_of_one_pass_leave_in_one_write() -> None:
    first, second = trio.testing.memory_stream_pair()
    writes: list[bytes] = []
    send_all = first.send_all

    async def recording(data: bytes | bytearray | memoryview) -> None:
        writes.append(bytes(data))
        await send_all(data)

    first.send_all = recording  # type: ignore[method-assign]
    async with tunnel_pair((first, second)) as pair:
        await trio.testing.wait_all_tasks_blocked()
        writes.clear()
        for number in range(20):
            pair.relay.open("tcp", "web", number + 1).send_nowait(b"request")
        await trio.testing.wait_all_tasks_blocked()
        assert len(writes) == 1


async def test_open_and_its_first_data_need_no_round_trip() -> None:
    async with tunnel_pair() as pair:
        stream = pair.relay.open("tcp", "web", 80)
        stream.send_nowait(b"early")
        await pair.arrived.wait()
        theirs = pair.incoming[0]
        assert await theirs.receive_some() == b"early"


async def test_wait_opened_returns_after_the_dial_and_raises_the_agents_reason() -> None:
    async with tunnel_pair() as pair:
        ours, theirs = await pair.stream(accept=False)
        theirs.accept()
        await ours.wait_opened()
        ours, theirs = await pair.stream(accept=False)
        theirs.reset(ResetCode.NOT_ALLOWED, "the policy forbids 10.0.0.1:22")
        with pytest.raises(StreamResetError, match="the policy forbids") as caught:
            await ours.wait_opened()
        assert caught.value.wire_code == ResetCode.NOT_ALLOWED
        assert caught.value.remote


async def test_a_reader_that_stops_stalls_only_its_own_stream() -> None:
    async with tunnel_pair() as pair:
        stalled, _ = await pair.stream()
        other, other_end = await pair.stream()

        async def fill() -> None:
            with pytest.raises(TunnelClosedError):
                await stalled.send_all(bytes(16 << 20))

        pair.nursery.start_soon(fill)
        await trio.testing.wait_all_tasks_blocked()
        for _ in range(50):
            await other.send_all(b"x" * 1000)
            received = b""
            while len(received) < 1000:
                received += await other_end.receive_some()
        statistics = pair.agent.session.statistics()
        assert statistics.buffered_bytes <= Limits().initial_window_bytes


async def test_the_end_of_the_transport_fails_every_stream_and_says_why() -> None:
    first, second = trio.testing.memory_stream_pair()
    async with tunnel_pair((first, second)) as pair:
        ours, _ = await pair.stream()
        await trio.aclose_forcefully(second)
        with pytest.raises(TunnelClosedError):
            await ours.receive_some()
        end = await pair.relay.closed()
        assert end.remote
        assert end.code is None
        with pytest.raises(TunnelClosedError):
            pair.relay.open("tcp", "web", 80)


async def test_a_refusal_reaches_the_agent_with_code_and_sentence() -> None:
    first, second = trio.testing.memory_stream_pair()
    relay = Tunnel(first, Role.RELAY)
    agent = Tunnel(second, Role.AGENT, hello=HELLO, on_stream=lambda _: None)

    async def run_agent() -> None:
        with pytest.raises(TunnelClosedError, match="token is revoked"):
            await agent.run()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(run_agent)
        await nursery.start(relay.run)
        relay.goaway(CloseCode.UNAUTHENTICATED, "the token is revoked", retry_after_seconds=30)
        end = await agent.closed()
    assert end.code == CloseCode.UNAUTHENTICATED
    assert end.remote
    assert end.retry_after_seconds == 30


async def test_garbage_instead_of_a_hello_ends_the_tunnel() -> None:
    first, second = trio.testing.memory_stream_pair()
    relay = Tunnel(first, Role.RELAY)
    async with trio.open_nursery() as nursery:

        async def run() -> None:
            with pytest.raises(TunnelClosedError):
                await relay.run()

        nursery.start_soon(run)
        await second.send_all(b"GET / HTTP/1.1\r\n\r\n")
        end = await relay.closed()
        assert end.code is not None
        assert not end.remote


async def test_a_silent_peer_is_given_up_after_the_handshake_time(autojump_clock: trio.testing.MockClock) -> None:
    first, _second = trio.testing.memory_stream_pair()
    relay = Tunnel(first, Role.RELAY)
    with pytest.raises(TunnelClosedError, match="handshake"):
        await relay.run()
    assert 10 <= trio.current_time() < 13


class CuttableStream(trio.abc.Stream):
    """A link that can be cut without either end being told."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self.stream = stream
        self.cut = False

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        if not self.cut:
            await self.stream.send_all(data)

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        data = await self.stream.receive_some(max_bytes)
        if self.cut:
            await trio.sleep_forever()
        return data

    async def wait_send_all_might_not_block(self) -> None:
        await self.stream.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        await self.stream.aclose()


async def test_a_dead_peer_is_noticed_by_heartbeat(autojump_clock: trio.testing.MockClock) -> None:
    first, second = (CuttableStream(stream) for stream in trio.testing.memory_stream_pair())
    async with tunnel_pair((first, second)) as pair:
        ours, _ = await pair.stream()
        began = trio.current_time()
        first.cut = second.cut = True
        with pytest.raises(TunnelClosedError, match="does not answer"):
            await ours.receive_some()
        assert 30 <= trio.current_time() - began <= 60
        assert (await pair.relay.closed()).code in {None, CloseCode.TIMEOUT}


async def test_idle_tunnels_live_on_by_heartbeat(autojump_clock: trio.testing.MockClock) -> None:
    async with tunnel_pair() as pair:
        await trio.sleep(3600)
        assert pair.relay.end is None
        assert pair.agent.end is None


async def test_cancelling_run_says_goodbye_first() -> None:
    first, second = trio.testing.memory_stream_pair()
    relay = Tunnel(first, Role.RELAY)
    agent = Tunnel(second, Role.AGENT, hello=HELLO, on_stream=lambda _: None)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(agent.run)
        async with trio.open_nursery() as inner:
            await inner.start(relay.run)
            relay.accept(WELCOME)
            await agent.greeted()
            inner.cancel_scope.cancel()
        assert await agent.goaway_arrived() is not None
        await agent.closed()


async def test_a_drained_tunnel_lets_open_streams_finish() -> None:
    async with tunnel_pair() as pair:
        ours, theirs = await pair.stream()
        pair.relay.goaway(CloseCode.SHUTDOWN, "restarting")
        assert (await pair.agent.goaway_arrived()) is not None
        with pytest.raises(TunnelClosedError):
            pair.relay.open("tcp", "web", 80)
        await ours.send_all(b"late")
        assert await theirs.receive_some() == b"late"
        await ours.send_eof()
        await theirs.send_eof()
        assert await ours.receive_some() == b""
        await pair.relay.drained()


async def test_a_sender_that_is_cancelled_cuts_no_frame() -> None:
    async with tunnel_pair() as pair:
        ours, _ = await pair.stream()
        with trio.move_on_after(0) as scope:
            scope.cancel()
            await ours.send_all(b"a" * 1_000_000)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ours.send_all, b"a" * 3_000_000)
            await trio.testing.wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
        other, other_end = await pair.stream()
        await other.send_all(b"sound")
        assert await other_end.receive_some() == b"sound"


async def returns(verb: Callable[[], Awaitable[object]]) -> bool:
    """Whether a verb returns without anything else having to happen."""
    done = False

    async def run() -> None:
        nonlocal done
        await verb()
        done = True

    async with trio.open_nursery() as nursery:
        nursery.start_soon(run)
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    return done


async def test_a_tunnel_without_streams_is_drained_at_once() -> None:
    async with tunnel_pair() as pair:
        pair.relay.goaway(CloseCode.DRAIN)
        assert not await returns(pair.relay.drained)  # a hint alone ends nothing
        pair.relay.goaway(CloseCode.SHUTDOWN)
        assert await returns(pair.relay.drained)
        assert await returns(pair.agent.drained)


async def test_a_tunnel_without_streams_is_drained_though_its_peer_reads_nothing(
    autojump_clock: trio.testing.MockClock,
) -> None:
    first, second = trio.testing.memory_stream_pair()
    async with tunnel_pair((first, second)) as pair:
        await trio.testing.wait_all_tasks_blocked()
        first.send_stream.send_all_hook = trio.sleep_forever
        pair.relay.goaway(CloseCode.SHUTDOWN)
        assert await returns(pair.relay.drained)


async def test_a_tunnel_is_not_drained_before_the_last_byte_has_left() -> None:
    async with tunnel_pair() as pair:
        ours, theirs = await pair.stream()
        await ours.send_eof()
        assert await theirs.receive_some() == b""
        # More than the window: the rest can only leave when the relay's program reads.
        while theirs.send_nowait(bytes(65536)):
            await trio.testing.wait_all_tasks_blocked()
        await theirs.send_eof()
        pair.agent.goaway(CloseCode.SHUTDOWN)
        assert not await returns(pair.agent.drained)
        async for _ in ours:
            pass
        assert await returns(pair.agent.drained)


async def test_a_hint_to_drain_is_known_and_refuses_nothing() -> None:
    async with tunnel_pair() as pair:
        leaving = [pair.relay.is_leaving]
        pair.agent.goaway(CloseCode.DRAIN, "stopping soon")
        assert await pair.relay.goaway_arrived() is not None
        leaving.append(pair.relay.is_leaving)
        assert leaving == [False, True]
        assert pair.relay.takes_streams
        ours, theirs = await pair.stream()
        await ours.send_all(b"served")
        assert await theirs.receive_some() == b"served"


class GatedStream(trio.abc.Stream):
    """A transport whose reader is held up while `gate` is not set."""

    def __init__(self, stream: TlsStream) -> None:
        self.stream = stream
        self.gate = trio.Event()
        self.gate.set()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        await self.gate.wait()
        return await self.stream.receive_some(max_bytes)

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await self.stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self.stream.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        await self.stream.aclose()


async def test_what_was_sent_before_the_end_arrives_however_late_the_peer_reads() -> None:
    theirs, ours = await tcp_tls_pair()
    gated = GatedStream(ours)
    async with tunnel_pair((gated, theirs)) as pair:
        stream, target = await pair.stream()
        await stream.send_eof()
        gated.gate = trio.Event()
        await target.send_all(bytes(250_000))
        await target.send_eof()
        pair.agent.goaway(CloseCode.SHUTDOWN)
        await pair.agent.drained()
        pair.agent.close()
        # Bytes for a socket that is closed by then would make the kernel drop what it has not yet sent.
        for _ in range(3):
            pair.relay.goaway(CloseCode.DRAIN)
            await trio.testing.wait_all_tasks_blocked(0.01)
        gated.gate.set()
        assert sum([len(data) async for data in stream]) == 250_000


async def tcp_tls_pair() -> tuple[TlsStream, TlsStream]:
    """(client, server) over TCP; the server's receive buffer is short."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        plain = socket.create_connection(listener.getsockname())
        accepted, _ = listener.accept()
    servers: list[TlsStream] = []

    async def accept() -> None:
        servers.append(await accept_tls(accepted, server_context(), ("127.0.0.1", 4000)))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(accept)
        client = await start_tls(plain, client_context(), ("127.0.0.1", 8443), SERVER_NAME)
    return client, servers[0]


async def test_a_hint_to_drain_ends_idle_streams_and_no_others() -> None:
    async with tunnel_pair() as pair:
        idle, idle_end = await pair.stream()
        busy, busy_end = await pair.stream()
        idle.idle = True
        pair.agent.goaway(CloseCode.DRAIN, "stopping soon")
        with pytest.raises(StreamResetError):
            await idle_end.receive_some()
        assert not busy.reusable
        await busy_end.send_all(b"goes on")
        assert await busy.receive_some() == b"goes on"
