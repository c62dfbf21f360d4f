"""Dialling over TCP and TLS, straight or through a forward proxy."""

import socket
import ssl
from collections.abc import Sequence
from typing import Final

import trio

from relay.transport.bridge import open_bridge
from relay.transport.proxy import ForwardProxy, open_through
from relay.transport.sockets import configure, is_local_name
from relay.transport.tls_stream import TlsStream, start_tls

__all__ = ["DEFAULT_TIMEOUT_SECONDS", "TlsStream", "connect_tcp", "connect_tls"]

LOOPBACK: Final = ("127.0.0.1", "::1")
DEFAULT_TIMEOUT_SECONDS: Final = 10.0
"""Name, TCP, proxy and TLS together: three lost SYNs (RFC 6298: 1, 2 and 4 s) and some."""


async def connect_tls(
    host: str,
    port: int,
    *,
    context: ssl.SSLContext,
    server_hostname: str | None = None,
    alpn: Sequence[str] | None = None,
    forward_proxy: ForwardProxy | None = None,
    timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS,
) -> TlsStream:
    """Dials and does the TLS handshake; the certificate must be good for `server_hostname` (`host` if not given).

    `alpn` is set on `context`. `localhost` and names below it mean this machine (RFC 6761 6.3). Raises OSError with a
    sentence: ssl.SSLError for TLS, TimeoutError after `timeout_seconds`, ConnectionError for a proxy that refuses.
    """
    if alpn is not None:
        context.set_alpn_protocols(list(alpn))
    try:
        with trio.fail_after(timeout_seconds):
            if forward_proxy is None:
                connection, address = await connect_tcp(host, port)
            else:
                connection, address = await _connect_through(forward_proxy, host, port)
            return await start_tls(connection, context, address, server_hostname or host)
    except trio.TooSlowError:
        raise TimeoutError(f"{host}:{port} did not answer within {timeout_seconds:g} s") from None


async def connect_tcp(host: str, port: int) -> tuple[socket.socket, tuple[str, int]]:
    """A configured, connected, non-blocking socket and the peer's address. Raises OSError."""
    if not is_local_name(host):
        return _take(await trio.open_tcp_stream(host, port))
    try:
        return _take(await trio.open_tcp_stream(LOOPBACK[0], port))
    except OSError:
        return _take(await trio.open_tcp_stream(LOOPBACK[1], port))


def _take(stream: trio.SocketStream) -> tuple[socket.socket, tuple[str, int]]:
    """The plain socket of a trio stream."""
    connection = socket.socket(fileno=stream.socket.detach())
    connection.settimeout(0)
    configure(connection)
    host, port = connection.getpeername()[:2]
    return connection, (host, port)


async def _connect_through(proxy: ForwardProxy, host: str, port: int) -> tuple[socket.socket, tuple[str, int]]:
    connection, address = await connect_tcp(proxy.host, proxy.port)
    if proxy.context is not None:
        connection = open_bridge(await start_tls(connection, proxy.context, address, proxy.host))
    try:
        await open_through(proxy, connection, host, port)
    except BaseException:
        connection.close()
        raise
    return connection, address
