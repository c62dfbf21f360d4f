"""A plain TCP stream: whole bytes, half-close, faults as trio names them, and no starving of others."""

import socket
from collections.abc import AsyncIterator

import pytest
import trio
import trio.testing

from relay.transport import TcpStream
from relay.transport.tcp_stream import BUDGET_BYTES


@pytest.fixture
async def pair() -> AsyncIterator[tuple[TcpStream, TcpStream]]:
    ours, theirs = socket.socketpair()
    streams = TcpStream(ours), TcpStream(theirs)
    yield streams
    for stream in streams:
        await stream.aclose()


async def test_bulk_goes_both_ways_at_once_unharmed(pair: tuple[TcpStream, TcpStream]) -> None:
    data = bytes(range(256)) * 20_000
    received: dict[int, bytes] = {}

    async def send(stream: TcpStream) -> None:
        await stream.send_all(data)
        await stream.send_eof()

    async def receive(number: int) -> None:
        parts = []
        while part := await pair[number].receive_some():
            parts.append(part)
        received[number] = b"".join(parts)

    async with trio.open_nursery() as nursery:
        for number, stream in enumerate(pair):
            nursery.start_soon(send, stream)
            nursery.start_soon(receive, number)
    assert received == {0: data, 1: data}


async def test_half_close_lets_the_other_direction_go_on(pair: tuple[TcpStream, TcpStream]) -> None:
    ours, theirs = pair
    await ours.send_all(b"question")
    await ours.send_eof()
    await ours.send_eof()
    assert await theirs.receive_some() == b"question"
    assert await theirs.receive_some() == b""
    await theirs.send_all(b"answer")
    assert await ours.receive_some() == b"answer"
    with pytest.raises(trio.ClosedResourceError):
        await ours.send_all(b"more")


async def test_a_finish_right_behind_data_is_seen(pair: tuple[TcpStream, TcpStream]) -> None:
    ours, theirs = pair
    await theirs.send_all(b"last")
    await theirs.aclose()
    with trio.fail_after(5):
        assert await ours.receive_some() == b"last"
        assert await ours.receive_some() == b""
        assert await ours.receive_some() == b""


async def test_a_broken_connection_is_a_broken_resource() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    client = socket.create_connection(listener.getsockname())
    server, _ = listener.accept()
    listener.close()
    stream = TcpStream(client)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    server.close()
    with pytest.raises(trio.BrokenResourceError):
        await stream.receive_some()
    await stream.aclose()


async def test_closing_wakes_whoever_waits_and_ends_later_calls(pair: tuple[TcpStream, TcpStream]) -> None:
    ours, _ = pair
    async with trio.open_nursery() as nursery:

        async def wait() -> None:
            with pytest.raises(trio.ClosedResourceError):
                await ours.receive_some()

        nursery.start_soon(wait)
        await trio.testing.wait_all_tasks_blocked()
        await ours.aclose()
    with pytest.raises(trio.ClosedResourceError):
        await ours.receive_some()
    with pytest.raises(trio.ClosedResourceError):
        await ours.send_all(b"x")


async def test_a_second_receiver_or_sender_is_refused(pair: tuple[TcpStream, TcpStream]) -> None:
    ours, _ = pair
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ours.receive_some)
        nursery.start_soon(ours.send_all, bytes(10_000_000))
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(trio.BusyResourceError):
            await ours.receive_some()
        with pytest.raises(trio.BusyResourceError):
            await ours.send_all(b"x")
        with pytest.raises(trio.BusyResourceError):
            await ours.send_eof()
        nursery.cancel_scope.cancel()


async def test_a_cancelled_receive_loses_nothing(pair: tuple[TcpStream, TcpStream]) -> None:
    ours, theirs = pair
    with trio.move_on_after(0):
        await ours.receive_some()
    await theirs.send_all(b"data")
    assert await ours.receive_some() == b"data"


async def test_a_socket_that_is_always_ready_lets_others_run(pair: tuple[TcpStream, TcpStream]) -> None:
    ours, theirs = pair
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await trio.lowlevel.checkpoint()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(count)
        moved = 0
        while moved < 4 * BUDGET_BYTES:
            await theirs.send_all(bytes(65536))
            moved += 65536
            got = 0
            while got < 65536:
                got += len(await ours.receive_some())
        nursery.cancel_scope.cancel()
    assert turns >= 4
