"""The listening sockets of a slot, which outlive its workers: what waits in their queues is served by the next one."""

import socket
from collections.abc import Sequence
from typing import Final

from relay import config
from relay.errors import ConfigurationError
from relay.transport import close_all, listen

MAX_PORT: Final = 65535


class SlotSockets:
    """One slot's share of the public port, and its own port for tunnels."""

    def __init__(self, public: list[socket.socket], tunnels: list[socket.socket]) -> None:
        self.public = public
        self.tunnels = tunnels
        host, port = public[0].getsockname()[:2]
        self.address: tuple[str, int] = (host, port)
        """Host and port of the first public socket."""

    @property
    def tunnel_port(self) -> int:
        """The port for tunnels to this slot."""
        return int(self.tunnels[0].getsockname()[1])

    def leave(self) -> None:
        """Leaves the public port to the other slots; connections that wait in this one's queue are reset."""
        close_all(self.public)
        self.public = []

    def join(self) -> None:
        """Takes part in the public port again after `leave`. Raises OSError."""
        if not self.public:
            self.public = listen(*self.address, share_port=True)

    def close(self) -> None:
        """Closes this process' copies."""
        close_all([*self.public, *self.tunnels])


def open_slots(settings: config.Listen, count: int) -> list[SlotSockets]:
    """The sockets of all slots. Raises ConfigurationError with the key of an address that cannot be had."""
    host, port = config.split_address(settings.public)
    # Without sharing at first: another relay that shares the port must not lose half of its visitors to this one.
    close_all(bound(host, port, key="listen.public"))
    opened: list[SlotSockets] = []
    try:
        for slot in range(count):
            if opened:
                host, port = opened[0].address
            public = bound(host, port, key="listen.public", share_port=True)
            opened.append(SlotSockets(public, []))
            opened[-1].tunnels = _tunnels_of(slot, settings.tunnels)
    except BaseException:
        for sockets in opened:
            sockets.close()
        raise
    return opened


def _tunnels_of(slot: int, address: str) -> list[socket.socket]:
    host, first = config.split_address(address)
    port = first + slot if first else 0
    if port > MAX_PORT:
        raise ConfigurationError(f"listen.tunnels: worker {slot} would need port {port}; begin with a lower one")
    return bound(host, port, key="listen.tunnels")


def bound(host: str, port: int, *, key: str, share_port: bool = False) -> list[socket.socket]:
    """Listening sockets. Raises ConfigurationError that names the configuration's key."""
    try:
        return listen(host, port, share_port=share_port)
    except OSError as error:
        raise ConfigurationError(f"{key}: cannot listen on {host}:{port}: {error.strerror}") from error


def descriptors(sockets: Sequence[socket.socket]) -> tuple[int, ...]:
    """Their file descriptors."""
    return tuple(opened.fileno() for opened in sockets)
