"""A plain socket that leads into a stream."""

import socket

import pytest
import trio
import trio.testing

from relay.transport.bridge import open_bridge


async def receive(connection: socket.socket) -> bytes:
    with trio.fail_after(5):
        await trio.lowlevel.wait_readable(connection)
    return connection.recv(65536)


async def test_bytes_pass_both_ways() -> None:
    outer, peer = trio.testing.memory_stream_pair()
    with open_bridge(outer) as ours:
        ours.send(b"question")
        assert await peer.receive_some() == b"question"
        await peer.send_all(b"answer")
        assert await receive(ours) == b"answer"


async def test_closing_the_socket_ends_the_stream_though_its_peer_says_nothing() -> None:
    outer, peer = trio.testing.memory_stream_pair()
    with open_bridge(outer) as ours:
        ours.send(b"last words")
    with trio.fail_after(5):
        assert await peer.receive_some() == b"last words"
        assert await peer.receive_some() == b""
        await trio.testing.wait_all_tasks_blocked()
    with pytest.raises(trio.BrokenResourceError):
        await peer.send_all(b"to nobody")


async def test_the_end_of_the_stream_ends_the_socket_after_the_last_byte() -> None:
    outer, peer = trio.testing.memory_stream_pair()
    with open_bridge(outer) as ours:
        await peer.send_all(b"last words")
        await peer.aclose()
        assert await receive(ours) == b"last words"
        assert await receive(ours) == b""
