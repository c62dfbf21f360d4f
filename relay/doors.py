"""Where connections come in: sockets that a process opens for itself, or those a supervisor gave it."""

import socket
from collections.abc import Callable

import structlog
import trio

from relay import config
from relay.parts import Parts
from relay.telemetry import Telemetry
from relay.transport import close_all, listen
from relay.workers import Post

log = structlog.get_logger()


class OwnDoors:
    """Of a process that is alone: one port for everybody, one for operators."""

    def __init__(self, settings: config.Listen) -> None:
        """Listens. Raises OSError that names the configuration's key."""
        self._public = _listen(settings.public, "listen.public")
        try:
            self._operations = _listen(settings.metrics, "listen.metrics")
        except OSError:
            close_all(self._public)
            raise
        self._accepting = trio.CancelScope()
        self.public_address: tuple[str, int] = self._public[0].getsockname()[:2]
        self.metrics_address: tuple[str, int] = self._operations[0].getsockname()[:2]

    def begin(self, parts: Parts, nursery: trio.Nursery) -> None:
        """Accepts, and says where: port 0 in the configuration takes a free one."""
        nursery.start_soon(parts.serve_operations, self._operations)
        nursery.start_soon(parts.accept, self._public, self._accepting)
        log.info(
            "listening",
            public=config.print_address(self.public_address),
            metrics=config.print_address(self.metrics_address),
        )

    def close(self) -> None:
        """Accepts nothing more."""
        self._accepting.cancel()

    async def end(self) -> None:
        """After the drain: nothing is left to do."""


class WorkerDoors:
    """Of a worker: its slot's share of the public port, and a port of its own for tunnels."""

    def __init__(self, post: Post, telemetry: Telemetry, *, stop: Callable[[], None]) -> None:
        self.stop = stop
        self.public_address: tuple[str, int] = post.public[0].getsockname()[:2]
        self.metrics_address = ("", 0)
        """The supervisor has it."""
        self._post = post
        self._telemetry = telemetry
        self._visitors = trio.CancelScope()
        self._agents = trio.CancelScope()
        self._parts: Parts | None = None
        self._nursery: trio.Nursery | None = None
        self._is_open = False

    def begin(self, parts: Parts, nursery: trio.Nursery) -> None:
        """Takes tunnels, and visitors unless a predecessor still has them."""
        self._parts, self._nursery = parts, nursery
        nursery.start_soon(parts.accept_agents, self._post.tunnels, self._agents)
        if not self._post.assignment.held:
            self.open()
        nursery.start_soon(self._post.serve, self)

    def open(self) -> None:
        """Takes visitors."""
        if not self._is_open and self._parts is not None and self._nursery is not None:
            self._is_open = True
            self._nursery.start_soon(self._parts.accept, self._post.public, self._visitors)

    def give_way(self) -> None:
        """Sends agents to the successor; what they carry at present goes on."""
        self._agents.cancel()
        if self._parts is not None:
            self._parts.give_way()

    def close(self) -> None:
        """Accepts nothing more."""
        self._visitors.cancel()
        self._agents.cancel()

    async def end(self) -> None:
        """Gives the final counts to the supervisor."""
        self._telemetry.flush()
        await self._post.end(self._telemetry.exposition())

    def exposition(self) -> bytes:
        """The metrics of this process."""
        return self._telemetry.exposition()

    def online_clusters(self) -> int:
        """How many clusters have a tunnel here."""
        return 0 if self._parts is None else self._parts.online_clusters

    async def readiness(self) -> str:
        """Empty, or why it is not ready."""
        return "starting" if self._parts is None else await self._parts.readiness()


def _listen(address: str, key: str) -> list[socket.socket]:
    host, port = config.split_address(address)
    try:
        return listen(host, port)
    except OSError as error:
        raise OSError(f"{key}: cannot listen on {address}: {error.strerror or error}") from error
