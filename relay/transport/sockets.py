"""TCP sockets as every connection of a relay or an agent wants them, and listening ones."""

import socket
from collections.abc import Sequence
from typing import Any, Final

KEEPALIVE_IDLE_SECONDS: Final = 30
"""Silence before the kernel probes: with the probes below a dead peer is known after about a minute."""
KEEPALIVE_INTERVAL_SECONDS: Final = 10
KEEPALIVE_PROBES: Final = 3
USER_TIMEOUT_SECONDS: Final = 45
"""How long sent data may stay unacknowledged (RFC 5482): keepalive says nothing while data is in flight."""
NOT_SENT_LOW_WATER_BYTES: Final = 128 * 1024
"""What the kernel may hold unsent before the socket stops being writable: a longer queue would undo the order in which
the mux sends, a shorter one would leave the link idle between two passes of the scheduler."""
BACKLOG: Final = 4096
"""Connections the kernel completes while the process is busy; the kernel cuts it to net.core.somaxconn."""


def configure(connection: socket.socket) -> None:
    """Sets what a connection that carries requests or a tunnel needs: no delay, dead peers found, a short queue."""
    if connection.family not in {socket.AF_INET, socket.AF_INET6}:
        return
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEPALIVE_IDLE_SECONDS)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, KEEPALIVE_INTERVAL_SECONDS)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, KEEPALIVE_PROBES)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, USER_TIMEOUT_SECONDS * 1000)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, NOT_SENT_LOW_WATER_BYTES)


def listen(host: str, port: int, *, share_port: bool = False, at_once: bool = True) -> list[socket.socket]:
    """Listening sockets for every address of `host`, which is a name or an address; port 0 picks one.

    `share_port` sets SO_REUSEPORT, so that several processes listen on one port and the kernel spreads connections.
    Without `at_once` they are bound and get no connections until `begin_listening`.
    Raises OSError, the port's being in use included.
    """
    found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    opened: list[socket.socket] = []
    try:
        for family, kind, protocol, _, address in found:
            listener = socket.socket(family, kind, protocol)
            opened.append(listener)
            _bind(listener, address, share_port=share_port)
        if at_once:
            begin_listening(opened)
    except BaseException:
        close_all(opened)
        raise
    return opened


def _bind(listener: socket.socket, address: Any, *, share_port: bool) -> None:
    listener.settimeout(0)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if share_port:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    if listener.family == socket.AF_INET6:
        # Each family has a socket of its own, whatever net.ipv6.bindv6only says.
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    listener.bind(address)


def begin_listening(sockets: Sequence[socket.socket]) -> None:
    """From now on the kernel gives them connections."""
    for opened in sockets:
        opened.listen(BACKLOG)


def close_all(sockets: Sequence[socket.socket]) -> None:
    """Closes sockets."""
    for opened in sockets:
        opened.close()


def is_local_name(host: str) -> bool:
    """Whether a name is `localhost` or below it: such names mean this machine and never ask DNS (RFC 6761 6.3)."""
    name = host.rstrip(".").lower()
    return name == "localhost" or name.endswith(".localhost")
