"""Forward proxies: whether one is to be used (HTTPS_PROXY, NO_PROXY), and CONNECT through it (RFC 9110 9.3.6)."""

import base64
import re
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit

import trio

from relay.errors import ConfigurationError
from relay.transport.sockets import is_local_name

ANSWER_HEAD_BYTES: Final = 16384
"""The longest answer head taken from a proxy; real ones have a few hundred bytes."""
_STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([0-9]{3})(?: ([^\r\n]*))?\r?\n")
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True, kw_only=True)
class ForwardProxy:
    """A proxy that opens TCP connections for others."""

    host: str
    port: int
    authorization: bytes | None = field(default=None, repr=False)
    """Value of Proxy-Authorization."""
    context: ssl.SSLContext | None = None
    """For a proxy that is itself reached over TLS (https://)."""


def parse_proxy(url: str, *, source: str = "HTTPS_PROXY") -> ForwardProxy:
    """Reads `[http://|https://][user:password@]host[:port]`. Raises ConfigurationError; never repeats the password."""
    malformed = ConfigurationError(
        f"{source}: must be http://[user:password@]host[:port], with what is special in a password percent-encoded"
    )
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        host, port = parts.hostname, parts.port
    except ValueError:
        raise malformed from None  # urllib's sentences quote what may be a password
    if parts.scheme not in _DEFAULT_PORTS:
        raise ConfigurationError(f"{source}: only http:// and https:// proxies are supported, not {parts.scheme}://")
    if not host or parts.path not in {"", "/"} or parts.query or parts.fragment:
        raise malformed
    return ForwardProxy(
        host=host,
        port=port if port is not None else _DEFAULT_PORTS[parts.scheme],
        authorization=_basic(parts),
        context=ssl.create_default_context() if parts.scheme == "https" else None,
    )


def _basic(parts: SplitResult) -> bytes | None:
    if parts.username is None:
        return None
    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return b"Basic " + base64.b64encode(pair.encode())  # RFC 7617 2


def proxy_for(host: str, port: int, environment: Mapping[str, str]) -> ForwardProxy | None:
    """The proxy that the environment names for a TLS connection to `host`, None for a direct one.

    HTTPS_PROXY, else ALL_PROXY; NO_PROXY is a list of names (with or without a leading dot, subdomains included),
    addresses, networks and `*`, each with an optional port. Names in lower case win, as with curl. This machine is
    always reached directly. Raises ConfigurationError for a proxy that cannot be read.
    """
    for name in ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        if url := environment.get(name, "").strip():
            break
    else:
        return None
    if is_local_name(host) or _is_loopback(host):
        return None
    exceptions = environment.get("no_proxy") or environment.get("NO_PROXY") or ""
    if any(_matches(entry.strip().lower(), host.rstrip(".").lower(), port) for entry in exceptions.split(",")):
        return None
    return parse_proxy(url, source=name)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _matches(entry: str, host: str, port: int) -> bool:
    if not entry:
        return False
    if entry == "*":
        return True
    try:
        return ip_address(host) in ip_network(entry.strip("[]"), strict=False)
    except ValueError:
        pass  # one of them is a name, or the entry has a port
    name, colon, wanted_port = entry.rpartition(":")
    if colon and wanted_port.isdecimal():
        if int(wanted_port) != port:
            return False
        entry = name.strip("[]")
    entry = entry.removeprefix("*").lstrip(".")
    return host == entry or host.endswith("." + entry)


async def open_through(proxy: ForwardProxy, connection: socket.socket, host: str, port: int) -> None:
    """Has the proxy at the other end of `connection` connect to a target; then the connection leads there.

    Raises ConnectionError with a sentence when the proxy refuses, or answers with something else.
    """
    await _send_all(connection, connect_request(proxy, host, port))
    # The answer's head is read to its exact end (hence MSG_PEEK): what follows belongs to the target.
    head = b""
    while True:
        await trio.lowlevel.wait_readable(connection)
        try:
            seen = connection.recv(ANSWER_HEAD_BYTES, socket.MSG_PEEK)
        except BlockingIOError:
            continue
        if not seen:
            raise ConnectionError(f"the forward proxy {proxy.host}:{proxy.port} closed the connection")
        # The end may straddle what was taken before and what is new.
        end = (head[-3:] + seen).find(b"\r\n\r\n")
        take = len(seen) if end < 0 else end + 4 - len(head[-3:])
        head += connection.recv(take)
        if end >= 0:
            break
        if len(head) > ANSWER_HEAD_BYTES:
            raise ConnectionError(f"the forward proxy {proxy.host}:{proxy.port} sent too long an answer")
    check_answer(proxy, head, host, port)


def connect_request(proxy: ForwardProxy, host: str, port: int) -> bytes:
    """The bytes of the CONNECT request."""
    authority = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    lines = [f"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n".encode("ascii")]
    if proxy.authorization is not None:
        lines.append(b"Proxy-Authorization: " + proxy.authorization + b"\r\n")
    return b"".join([*lines, b"\r\n"])


def check_answer(proxy: ForwardProxy, head: bytes, host: str, port: int) -> None:
    """Raises ConnectionError unless the proxy's answer is a success (2xx)."""
    found = _STATUS_LINE.match(head)
    where = f"the forward proxy {proxy.host}:{proxy.port}"
    if found is None:
        raise ConnectionError(f"{where} does not speak HTTP")
    if not found[1].startswith(b"2"):
        answer = b" ".join(part for part in found.groups() if part).decode("latin-1")
        if found[1] == b"407":
            answer += ": it wants other credentials"
        raise ConnectionError(f"{where} does not connect to {host}:{port}: {answer}")


async def _send_all(connection: socket.socket, data: bytes) -> None:
    while data:
        await trio.lowlevel.wait_writable(connection)
        try:
            data = data[connection.send(data) :]
        except BlockingIOError:
            continue
