"""A small HTTP forward proxy that knows CONNECT and nothing else."""

import base64
import ssl
from dataclasses import dataclass, field
from functools import partial

import trio

from relay.transport import listen, serve_tls


@dataclass
class ForwardProxyServer:
    """What a running proxy saw, and what it answers."""

    credentials: str | None = None
    """`user:password` that it wants; None: anybody may connect."""
    context: ssl.SSLContext | None = None
    """Speaks TLS with it; None: plain."""
    status: bytes = b"200 Connection established"
    port: int = 0
    addresses: dict[str, str] = field(default_factory=dict)
    """Names that only the proxy can resolve, with their addresses."""
    asked: list[str] = field(default_factory=list)
    """Authorities it was asked for, in order."""

    @property
    def url(self) -> str:
        """As HTTPS_PROXY wants it."""
        credentials = "" if self.credentials is None else self.credentials + "@"
        scheme = "http" if self.context is None else "https"
        return f"{scheme}://{credentials}127.0.0.1:{self.port}"


async def serve_forward_proxy(
    server: ForwardProxyServer, *, task_status: trio.TaskStatus[ForwardProxyServer] = trio.TASK_STATUS_IGNORED
) -> None:
    """Serves on a free port of 127.0.0.1 until cancelled; started once `server.port` is known."""
    if (context := server.context) is not None:
        sockets = listen("127.0.0.1", 0)
        server.port = sockets[0].getsockname()[1]
        task_status.started(server)
        await serve_tls(sockets, lambda: context, partial(_serve, server))
        return
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    server.port = listeners[0].socket.getsockname()[1]
    task_status.started(server)
    await trio.serve_listeners(partial(_serve, server), listeners)


async def _serve(server: ForwardProxyServer, visitor: trio.abc.HalfCloseableStream) -> None:
    head = b""
    while b"\r\n\r\n" not in head:
        data = await visitor.receive_some(1)
        if not data:
            return
        head += data
    authority = head.split(b" ")[1].decode()
    server.asked.append(authority)
    if server.credentials is not None:
        wanted = b"Proxy-Authorization: Basic " + base64.b64encode(server.credentials.encode())
        if wanted not in head:
            await visitor.send_all(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
            return
    if not server.status.startswith(b"2"):
        await visitor.send_all(b"HTTP/1.1 " + server.status + b"\r\n\r\n")
        return
    host, _, port = authority.rpartition(":")
    address = "127.0.0.1" if host.endswith("localhost") else server.addresses.get(host, host)
    target = await trio.open_tcp_stream(address, int(port))
    async with target:
        await visitor.send_all(b"HTTP/1.1 " + server.status + b"\r\nVia: test\r\n\r\n")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_copy, visitor, target)
            nursery.start_soon(_copy, target, visitor)


async def _copy(source: trio.abc.ReceiveStream, sink: trio.abc.HalfCloseableStream) -> None:
    try:
        async for data in source:
            await sink.send_all(data)
        await sink.send_eof()
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        await trio.aclose_forcefully(sink)
