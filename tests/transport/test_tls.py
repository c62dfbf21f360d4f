"""TLS on the socket: both directions, half-close, ends, cancellation."""

import hashlib
import socket
import ssl
from functools import partial

import pytest
import trio
import trio.testing

from relay.transport import TlsStream, accept_tls, connect_tls
from relay.transport.tls import connect_tcp
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


async def test_an_end_by_force_is_no_end_in_order_for_the_peer() -> None:
    client, server = await tls_pair()
    await client.send_all(b"half an ans")
    await trio.aclose_forcefully(client)
    assert await server.receive_some() == b"half an ans"
    with pytest.raises(trio.BrokenResourceError):
        await server.receive_some()
    await server.aclose()


@pytest.mark.parametrize("server_side", [False, True])
async def test_a_cancelled_handshake_closes_the_connection(*, server_side: bool) -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:
                if server_side:
                    nursery.start_soon(accept_tls, ours, server_context(), ("", 0))
                else:
                    nursery.start_soon(start_tls, ours, client_context(), ("", 0), SERVER_NAME)
                await trio.testing.wait_all_tasks_blocked()
                scope.cancel()
        theirs.settimeout(5)
        while theirs.recv(65536):
            pass


class ResolverThatNeverAnswers(trio.abc.HostnameResolver):
    async def getaddrinfo(self, *_: object, **__: object) -> list[object]:  # type: ignore[override]
        await trio.sleep_forever()
        raise AssertionError

    async def getnameinfo(self, *_: object) -> tuple[str, str]:
        raise AssertionError


async def test_local_names_mean_this_machine_and_are_never_looked_up() -> None:
    trio.socket.set_custom_hostname_resolver(ResolverThatNeverAnswers())
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        for name in ("localhost", "tunnel.localhost", "Tunnel.LocalHost."):
            with trio.fail_after(5):
                connection, address = await connect_tcp(name, port)
            assert address == ("127.0.0.1", port)
            connection.close()


async def test_dialling_gives_up_in_time_whatever_it_waits_for(autojump_clock: trio.testing.MockClock) -> None:
    trio.socket.set_custom_hostname_resolver(ResolverThatNeverAnswers())
    began = trio.current_time()
    with pytest.raises(TimeoutError, match=r"relay\.example:443 did not answer within 10 s"):
        await connect_tls("relay.example", 443, context=client_context())
    assert 10 <= trio.current_time() - began < 11


async def test_a_server_that_accepts_and_says_nothing_is_given_up_and_closed() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        with pytest.raises(TimeoutError, match="did not answer"):
            await connect_tls("localhost", listener.getsockname()[1], context=client_context(), timeout_seconds=0.05)
        accepted, _ = listener.accept()
        accepted.settimeout(5)
        with accepted:
            while accepted.recv(65536):
                pass


async def test_cancelling_a_dial_closes_what_it_has_opened() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        async with trio.open_nursery() as nursery:
            port = listener.getsockname()[1]
            nursery.start_soon(partial(connect_tls, "localhost", port, context=client_context()))
            accepted, _ = await trio.to_thread.run_sync(listener.accept)
            await trio.testing.wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
        accepted.settimeout(5)
        with accepted:
            while accepted.recv(65536):
                pass


async def test_a_send_that_was_not_completed_is_no_end_in_order_for_the_peer() -> None:
    client, server = await tls_pair()
    while server.send_nowait(bytes(65536)):
        pass
    with pytest.raises(trio.BrokenResourceError, match="cut off"):
        await server.send_eof()
    await server.aclose()

    async def receive_all() -> None:
        while await client.receive_some():
            pass

    with pytest.raises(trio.BrokenResourceError):
        await receive_all()
    await client.aclose()
