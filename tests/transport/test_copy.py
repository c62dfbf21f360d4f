"""Copying both ways between a stream of a tunnel and a socket."""

import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
import trio
import trio.testing

from relay.errors import StreamResetError, TunnelClosedError
from relay.mux import ResetCode
from relay.transport import MuxStream, copy_both_ways
from tests.transport.pair import Pair, tunnel_pair


@dataclass
class Copying:
    """A visitor's end of a stream, and the target behind the agent that copies."""

    visitor: MuxStream
    target: trio.StapledStream[trio.testing.MemorySendStream, trio.testing.MemoryReceiveStream]
    pair: Pair
    scope: trio.CancelScope
    ended: trio.Event
    counts: tuple[int, int] = (0, 0)


@asynccontextmanager
async def copying(idle_seconds: float | None = None) -> AsyncIterator[Copying]:
    async with tunnel_pair() as pair:
        visitor, theirs = await pair.stream()
        dialled, target = trio.testing.memory_stream_pair()
        copying = Copying(visitor, target, pair, trio.CancelScope(), trio.Event())

        async def run() -> None:
            with copying.scope:
                if idle_seconds is None:
                    copying.counts = await copy_both_ways(theirs, dialled)
                else:
                    copying.counts = await copy_both_ways(theirs, dialled, idle_seconds=idle_seconds)
            copying.ended.set()

        pair.nursery.start_soon(run)
        yield copying


async def everything(stream: trio.abc.ReceiveStream) -> bytes:
    return b"".join([bytes(data) async for data in stream])


async def test_a_visitor_that_finishes_first_still_gets_the_answer() -> None:
    async with copying() as copy:
        await copy.visitor.send_all(b"question")
        await copy.visitor.send_eof()
        assert await everything(copy.target) == b"question"
        await copy.target.send_all(b"the answer")
        await copy.target.send_eof()
        assert await everything(copy.visitor) == b"the answer"
        await copy.ended.wait()
        assert copy.counts == (8, 10)


async def test_a_target_that_finishes_first_still_gets_the_rest() -> None:
    async with copying() as copy:
        await copy.target.send_all(b"greeting")
        await copy.target.send_eof()
        assert await everything(copy.visitor) == b"greeting"
        await copy.visitor.send_all(b"upload")
        assert await copy.target.receive_some() == b"upload"
        assert not copy.ended.is_set()
        await copy.visitor.send_eof()
        assert await everything(copy.target) == b""
        await copy.ended.wait()
        assert copy.counts == (6, 8)
        assert copy.pair.relay.open_streams == 0


async def test_bulk_passes_both_ways_at_once() -> None:
    async with copying() as copy:
        data = bytes(range(256)) * 16384

        async def send(stream: trio.abc.HalfCloseableStream) -> None:
            await stream.send_all(data)
            await stream.send_eof()

        async def receive(stream: trio.abc.ReceiveStream) -> None:
            assert await everything(stream) == data

        async with trio.open_nursery() as nursery:
            for stream in (copy.visitor, copy.target):
                nursery.start_soon(send, stream)
                nursery.start_soon(receive, stream)
        await copy.ended.wait()
        assert copy.counts == (len(data), len(data))


@pytest.mark.parametrize("code", [ResetCode.CANCELLED, ResetCode.TIMED_OUT, 4711])
async def test_a_visitor_that_leaves_is_felt_at_the_target_at_once(code: int) -> None:
    async with copying() as copy:
        await copy.visitor.send_all(b"question")
        await copy.target.receive_some()
        copy.visitor.reset(code)
        await copy.ended.wait()
        with pytest.raises(trio.BrokenResourceError):
            await copy.target.send_all(b"too late")


async def test_a_broken_target_resets_the_stream_and_never_finishes_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        dialled = await trio.open_tcp_stream(*listener.getsockname())
        target, _ = listener.accept()
    async with tunnel_pair() as pair:
        visitor, theirs = await pair.stream()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(copy_both_ways, theirs, dialled)
            target.sendall(b"half an ans")
            assert await visitor.receive_some() == b"half an ans"
            target.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            target.close()  # with a RST, as a process that crashes does
            with pytest.raises(StreamResetError) as caught:
                await visitor.receive_some()
    assert caught.value.wire_code == ResetCode.TARGET_RESET
    assert caught.value.remote


async def test_a_reset_passes_from_one_tunnel_into_another_with_its_code() -> None:
    async with tunnel_pair() as first, tunnel_pair() as second:
        visitor, incoming = await first.stream()
        outgoing, target = await second.stream()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(copy_both_ways, incoming, outgoing)
            await trio.testing.wait_all_tasks_blocked()
            target.reset(ResetCode.REFUSED, "connection refused")
            with pytest.raises(StreamResetError) as caught:
                await visitor.receive_some()
        assert caught.value.wire_code == ResetCode.REFUSED


async def test_the_end_of_one_tunnel_cancels_the_stream_in_the_other() -> None:
    async with tunnel_pair() as first, tunnel_pair() as second:
        visitor, incoming = await first.stream()
        outgoing, target = await second.stream()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(copy_both_ways, incoming, outgoing)
            await trio.testing.wait_all_tasks_blocked()
            first.agent.close()
            with pytest.raises(StreamResetError) as caught:
                await target.receive_some()
            assert caught.value.wire_code == ResetCode.CANCELLED
            with pytest.raises(TunnelClosedError):
                await visitor.receive_some()


async def test_a_copy_without_a_byte_either_way_is_ended(autojump_clock: trio.testing.MockClock) -> None:
    async with copying(idle_seconds=60) as copy:
        began = trio.current_time()
        for _ in range(3):
            await trio.sleep(50)
            await copy.target.send_all(b"tick")
            assert await copy.visitor.receive_some() == b"tick"
        with pytest.raises(StreamResetError) as caught:
            await copy.visitor.receive_some()
        assert caught.value.wire_code == ResetCode.TIMED_OUT
        assert 205 <= trio.current_time() - began <= 215
        assert await everything(copy.target) == b""
        await copy.ended.wait()
        assert copy.counts == (0, 12)


async def test_a_cancelled_copy_resets_the_stream_and_closes_the_socket() -> None:
    async with copying() as copy:
        await copy.target.send_all(b"half")
        assert await copy.visitor.receive_some() == b"half"
        copy.scope.cancel()
        with pytest.raises(StreamResetError) as caught:
            await copy.visitor.receive_some()
        assert caught.value.wire_code == ResetCode.CANCELLED
        assert await everything(copy.target) == b""
