"""`signadot port-forward`: a local port that leads to a service in a cluster, by CONNECT on the proxy host."""

import json
import os
import re
import ssl
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Annotated

import trio
import typer

from client.cli.api import tls_context
from client.cli.context import settings_of
from client.cli.errors import ApiError, UnreachableError
from client.cli.settings import Settings
from relay.errors import ConfigurationError, RelayError
from relay.transport import TlsStream, connect_tls, copy_both_ways, proxy_for

MAX_HEAD_BYTES = 32768  # the relay's own limit for heads
ANSWER_SECONDS = 90.0  # longer than the relay waits for an agent's dial
_STATUS_LINE = re.compile(rb"HTTP/1\.1 ([0-9]{3})(?: [^\r\n]*)?\r\n")
_CONTENT_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]{1,5}) *\r\n", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Forward:
    """One local port and where it leads."""

    local_port: int
    """0 takes a free one."""
    host: str
    port: int


def parse_forward(text: str) -> Forward:
    """Reads `[LOCAL:]HOST:PORT`. Raises ConfigurationError."""
    match = re.fullmatch(r"(?:([0-9]{1,5}):)?([A-Za-z0-9][A-Za-z0-9.-]{0,252}|\[[0-9a-fA-F:.]+\]):([0-9]{1,5})", text)
    if match is None or not 0 < int(match[3]) < 2**16 or not int(match[1] or 0) < 2**16:
        raise ConfigurationError(f"{text}: must be [LOCAL_PORT:]HOST:PORT, for example 5432:db.shop.svc:5432")
    return Forward(local_port=int(match[1] or match[3]), host=match[2], port=int(match[3]))


def port_forward(
    context: typer.Context,
    target: Annotated[str, typer.Argument(metavar="[LOCAL_PORT:]HOST:PORT", help="For example 5432:db.shop.svc:5432.")],
    cluster: Annotated[str, typer.Option("--cluster", help="The cluster that HOST is in.", show_default=False)],
    address: Annotated[str, typer.Option("--address", help="The local address to listen on.")] = "127.0.0.1",
) -> None:
    """Listen on a local port and carry each connection to a service in a cluster, until Ctrl-C."""
    if not re.fullmatch(r"[a-z0-9-]+", cluster):
        raise ConfigurationError(f"--cluster {cluster}: is not the name of a cluster")
    settings = settings_of(context)
    forwarder = Forwarder(settings, cluster, parse_forward(target), tls_context(settings))
    trio.run(forwarder.serve, address)


class Forwarder:
    """Carries local connections to one target."""

    def __init__(self, settings: Settings, cluster: str, forward: Forward, context: ssl.SSLContext) -> None:
        self._settings = settings
        self._cluster = cluster
        self._forward = forward
        self._context = context

    async def serve(self, address: str) -> None:
        """Listens for ever. Raises UnreachableError when the port cannot be had."""
        try:
            listeners = await trio.open_tcp_listeners(self._forward.local_port, host=address)
        except OSError as error:
            problem = error.__cause__ or error
            reason = problem.strerror if isinstance(problem, OSError) and problem.strerror else str(error)
            raise UnreachableError(f"cannot listen on {address}:{self._forward.local_port}: {reason}") from error
        port = listeners[0].socket.getsockname()[1]
        typer.echo(
            f"{address}:{port} leads to {self._forward.host}:{self._forward.port} in {self._cluster}; Ctrl-C ends it"
        )
        sys.stdout.flush()
        await trio.serve_listeners(self._carry, listeners)

    async def _carry(self, local: trio.SocketStream) -> None:
        try:
            remote = await self._connect()
        except (RelayError, OSError, trio.BrokenResourceError) as error:
            typer.echo(f"signadot: {error}", err=True)
            await local.aclose()
            return
        await copy_both_ways(local, remote)

    async def _connect(self) -> TlsStream:
        """A stream that has been connected through. Raises RelayError, OSError, BrokenResourceError."""
        proxy = self._settings.proxy
        stream = await connect_tls(
            proxy.host,
            proxy.port,
            context=self._context,
            alpn=("http/1.1",),
            forward_proxy=proxy_for(proxy.host, proxy.port, os.environ),
        )
        try:
            with trio.fail_after(ANSWER_SECONDS):
                await stream.send_all(self._request())
                await check_answer(partial(stream.receive_some, 1))
        except trio.TooSlowError:
            await trio.aclose_forcefully(stream)
            raise UnreachableError(f"{proxy} did not answer within {ANSWER_SECONDS:.0f} s") from None
        except BaseException:
            await trio.aclose_forcefully(stream)
            raise
        return stream

    def _request(self) -> bytes:
        target = f"{self._forward.host}:{self._forward.port}"
        return (
            f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\nsignadot-cluster: {self._cluster}\r\n"
            f"Proxy-Authorization: Bearer {self._settings.api_key}\r\n\r\n"
        ).encode("ascii")


async def check_answer(receive_byte: Callable[[], Awaitable[bytes]]) -> None:
    """Reads the answer to a CONNECT, byte by byte: what follows a good one belongs to the target already.

    Raises ApiError with the relay's own sentence, UnreachableError when the connection ends.
    """
    head = await _read_until(receive_byte, b"\r\n\r\n", MAX_HEAD_BYTES)
    match = _STATUS_LINE.match(head)
    if match is None:
        raise ApiError("the proxy host does not answer in HTTP; is proxy_address right?")
    if match[1] == b"200":
        return
    length = _CONTENT_LENGTH.search(head)
    body = await _read_until(receive_byte, b"", int(length[1])) if length else b""
    raise ApiError(_sentence(match[1].decode(), body))


async def _read_until(receive_byte: Callable[[], Awaitable[bytes]], end: bytes, limit: int) -> bytes:
    """Bytes up to and with `end`, or `limit` bytes when `end` is empty."""
    data = bytearray()
    while not (end and data.endswith(end)) and len(data) < limit:
        byte = await receive_byte()
        if not byte:
            raise UnreachableError("the relay closed the connection without an answer")
        data += byte
    return bytes(data)


def _sentence(status: str, body: bytes) -> str:
    try:
        document = json.loads(body)
        return f"{document['error']} (status {status}, request {document['requestId']})"
    except (ValueError, KeyError, TypeError):
        return f"the relay refused with status {status}"
