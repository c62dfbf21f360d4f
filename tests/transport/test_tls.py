"""TLS on the socket: both directions, half-close, ends, cancellation."""

import hashlib
import socket
import ssl

import pytest
import trio
import trio.testing

from relay.transport import TlsStream, accept_tls
from relay.transport.tls_stream import start_tls
from tests.transport.pair import SERVER_NAME, client_context, server_context, tls_pair


async def test_what_was_agreed_is_known_at_both_ends() -> None:
    client, server = await tls_pair()
    assert client.version == "TLSv1.3"
    assert (client.alpn, server.alpn) == ("signadot-tunnel/1", "signadot-tunnel/1")
    assert server.server_name == SERVER_NAME
    assert server.peer_address == ("192.0.2.1", 4000)
    await client.aclose()
    await server.aclose()


async def test_bulk_goes_both_ways_at_once_unharmed() -> None:
    client, server = await tls_pair()
    data = hashlib.sha256(b"seed").digest() * 200_000
    digests: list[bytes] = []

    async def send(stream: TlsStream) -> None:
        await stream.send_all(data)
        await stream.send_eof()

    async def receive(stream: TlsStream) -> None:
        digest = hashlib.sha256()
        while part := await stream.receive_some(262144):
            digest.update(part)
        digests.append(digest.digest())

    async with trio.open_nursery() as nursery:
        for stream in (client, server):
            nursery.start_soon(send, stream)
            nursery.start_soon(receive, stream)
    assert digests == [hashlib.sha256(data).digest()] * 2
    await client.aclose()
    await server.aclose()


async def test_half_close_lets_the_other_direction_go_on_and_loses_nothing_in_flight() -> None:
    client, server = await tls_pair()
    # What the peer sent lies unread in the socket while close_notify is made.
    await server.send_all(b"in flight")
    await client.send_all(b"last words")
    await client.send_eof()
    assert await server.receive_some() == b"last words"
    assert await server.receive_some() == b""
    assert await client.receive_some() == b"in flight"
    await server.send_all(b"late answer")
    assert await client.receive_some() == b"late answer"
    await server.send_eof()
    assert await client.receive_some() == b""
    assert await server.receive_some() == b""
    with pytest.raises(trio.ClosedResourceError):
        await client.send_all(b"x")
    await client.aclose()
    await server.aclose()


async def test_half_close_works_while_another_task_waits_to_receive() -> None:
    client, server = await tls_pair()
    received: list[bytes] = []

    async def receive() -> None:
        received.append(await client.receive_some())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(receive)
        await trio.testing.wait_all_tasks_blocked()
        await client.send_eof()
        assert await server.receive_some() == b""
        await server.send_all(b"answer")
    assert received == [b"answer"]
    await client.aclose()
    await server.aclose()


async def test_an_end_without_close_notify_is_a_broken_stream() -> None:
    client, server = await tls_pair()
    server._connection.shutdown(socket.SHUT_RDWR)
    with pytest.raises(trio.BrokenResourceError):
        await client.receive_some()
    await client.aclose()
    server._connection.close()


async def test_closing_says_so_to_the_peer_and_to_waiting_tasks() -> None:
    client, server = await tls_pair()

    async def waits() -> None:
        with pytest.raises(trio.ClosedResourceError):
            await client.receive_some()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(waits)
        await trio.testing.wait_all_tasks_blocked()
        await client.aclose()
    assert await server.receive_some() == b""
    with pytest.raises(trio.ClosedResourceError):
        await client.send_all(b"x")
    await client.aclose()
    await server.aclose()


async def test_a_second_task_of_a_kind_is_refused() -> None:
    client, server = await tls_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(client.receive_some)
        nursery.start_soon(client.send_all, bytes(16 << 20))
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(trio.BusyResourceError):
            await client.receive_some()
        with pytest.raises(trio.BusyResourceError):
            await client.send_all(b"x")
        with pytest.raises(trio.BusyResourceError):
            await client.send_eof()
        nursery.cancel_scope.cancel()
    await client.aclose()
    await server.aclose()


async def test_a_cancelled_receive_loses_nothing_and_a_cancelled_send_ends_sending() -> None:
    client, server = await tls_pair()
    with trio.move_on_after(0.001):
        await client.receive_some()
    await server.send_all(b"still here")
    assert await client.receive_some() == b"still here"
    with trio.move_on_after(0.05):
        await client.send_all(bytes(16 << 20))
    with pytest.raises(trio.BrokenResourceError, match="cut off"):
        await client.send_all(b"x")
    await client.aclose()
    await server.aclose()


async def test_an_always_ready_stream_lets_others_run() -> None:
    client, server = await tls_pair()
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            await trio.lowlevel.checkpoint()
            turns += 1

    async with trio.open_nursery() as nursery:
        nursery.start_soon(count)
        for _ in range(500):
            await client.send_all(b"x" * 10)
            await server.receive_some()
        assert turns >= 5
        nursery.cancel_scope.cancel()
    await client.aclose()
    await server.aclose()


async def test_a_certificate_for_another_name_or_of_a_stranger_is_refused() -> None:
    for context, name in ((client_context(), "evil.example"), (ssl.create_default_context(), SERVER_NAME)):
        ours, theirs = socket.socketpair()

        async def accept(theirs: socket.socket = theirs) -> None:
            # With TLS 1.3 the server's handshake may end before the client looks at the certificate.
            try:
                stream = await accept_tls(theirs, server_context(), ("", 0))
            except ssl.SSLError:
                return
            with pytest.raises(trio.BrokenResourceError):
                await stream.receive_some()
            await stream.aclose()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(accept)
            with pytest.raises(ssl.SSLCertVerificationError):
                await start_tls(ours, context, ("", 0), name)
