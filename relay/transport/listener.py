"""Accepting TLS connections: handshakes in their own tasks, limits per address, and nothing that ends the listener."""

import errno
import socket
import ssl
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import structlog
import trio

from relay.transport.sockets import configure
from relay.transport.tls_stream import TlsStream, accept_tls

RETRY_SECONDS: Final = 0.1
"""Pause when the process is out of file descriptors or memory: connections wait in the kernel's backlog meanwhile."""
EXHAUSTED: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS})
ACCEPTS_PER_PASS: Final = 64
"""Connections taken before other tasks run: a burst must not hold up those already served."""

log = structlog.get_logger("listener")


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerLimits:
    """How patient a listener is."""

    handshake_seconds: float = 10.0
    """From accept to the end of the TLS handshake."""
    connections_per_address: int = 1024
    """Open connections of one peer address; many visitors may share one behind a NAT."""
    handshakes: int = 1024
    """Handshakes under way at once; further connections are refused."""
    handshakes_per_address: int = 256
    """The same for one peer address: whoever connects and says nothing must not keep everybody else out."""


class Refused:
    """Reasons given to `on_refused`."""

    HANDSHAKE = "handshake"
    HANDSHAKE_TIMEOUT = "handshake_timeout"
    ADDRESS_LIMIT = "address_limit"
    HANDSHAKE_LIMIT = "handshake_limit"


DEFAULT_LIMITS: Final = ListenerLimits()


class Handshakes:
    """Counts handshakes under way: connections that were accepted and that no handler has seen yet."""

    def __init__(self) -> None:
        self.under_way = 0
        self._changed = trio.Event()

    def begin(self) -> None:
        """One more."""
        self.under_way += 1

    def end(self) -> None:
        """One less; its connection is given to the handler before anybody who waits hears of it."""
        self.under_way -= 1
        if not self.under_way:
            self._changed.set()
            self._changed = trio.Event()

    async def over(self) -> None:
        """Waits until there is none."""
        while self.under_way:
            await self._changed.wait()


async def serve_tls(
    listeners: Sequence[socket.socket],
    context: Callable[[], ssl.SSLContext],
    handler: Callable[[TlsStream], Awaitable[None]],
    *,
    limits: ListenerLimits = DEFAULT_LIMITS,
    on_refused: Callable[[str], None] = lambda _: None,
    accepting: trio.CancelScope | None = None,
    handshakes: Handshakes | None = None,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Accepts on listening sockets (see `sockets.listen`) for ever, and runs `handler` for each connection.

    Cancelling `accepting` closes the listeners and lets open connections go on; it returns with the last of them.

    `context` is asked for each connection. `on_refused` counts, with a slug of `Refused`, what never reached the
    handler. A handler that raises is logged and harms nobody else. The listeners are closed at the end. `handshakes`
    may be shared by several calls; its count is what `ListenerLimits.handshakes` bounds.
    """
    server = _Server(context, handler, limits, on_refused)
    if handshakes is not None:
        server.handshakes = handshakes
    try:
        async with trio.open_nursery() as handlers:
            with accepting or trio.CancelScope():
                async with trio.open_nursery() as loops:
                    for listener in listeners:
                        loops.start_soon(server.accept, listener, handlers)
                    task_status.started()
            for listener in listeners:
                listener.close()
    finally:
        for listener in listeners:
            listener.close()


class _Server:
    """What the accept loops share."""

    def __init__(
        self,
        context: Callable[[], ssl.SSLContext],
        handler: Callable[[TlsStream], Awaitable[None]],
        limits: ListenerLimits,
        on_refused: Callable[[str], None],
    ) -> None:
        self._context = context
        self._handler = handler
        self._limits = limits
        self._on_refused = on_refused
        self._open: Counter[str] = Counter()
        self.handshakes = Handshakes()
        self._handshakes_of: Counter[str] = Counter()

    async def accept(self, listener: socket.socket, nursery: trio.Nursery) -> None:
        """The accept loop of one socket."""
        listener.settimeout(0)
        while True:
            await trio.lowlevel.wait_readable(listener)
            try:
                for _ in range(ACCEPTS_PER_PASS):
                    self._admit(*listener.accept(), nursery)
            except BlockingIOError:
                continue
            except OSError as error:
                # Other errors belong to the one connection that is gone already (accept(2), "Error handling").
                if error.errno in EXHAUSTED:
                    log.warning("cannot accept", reason=error.strerror)
                    await trio.sleep(RETRY_SECONDS)

    def _admit(self, connection: socket.socket, address: tuple[Any, ...], nursery: trio.Nursery) -> None:
        host: str = address[0]
        if self._open[host] >= self._limits.connections_per_address:
            self._refuse(connection, Refused.ADDRESS_LIMIT)
        elif (
            self.handshakes.under_way >= self._limits.handshakes
            or self._handshakes_of[host] >= self._limits.handshakes_per_address
        ):
            self._refuse(connection, Refused.HANDSHAKE_LIMIT)
        else:
            self._open[host] += 1
            self.handshakes.begin()
            self._handshakes_of[host] += 1
            nursery.start_soon(self._serve, connection, (host, address[1]))

    def _refuse(self, connection: socket.socket, reason: str) -> None:
        connection.close()
        self._on_refused(reason)

    async def _serve(self, connection: socket.socket, address: tuple[str, int]) -> None:
        host = address[0]
        try:
            stream = await self._handshake(connection, address)
            if stream is not None:
                await self._handle(stream)
        finally:
            _leave(self._open, host)

    async def _handshake(self, connection: socket.socket, address: tuple[str, int]) -> TlsStream | None:
        try:
            with trio.fail_after(self._limits.handshake_seconds):
                configure(connection)
                return await accept_tls(connection, self._context(), address)
        except trio.TooSlowError:
            self._on_refused(Refused.HANDSHAKE_TIMEOUT)
        except OSError as error:
            connection.close()
            log.debug("handshake failed", peer=address[0], reason=str(error))
            self._on_refused(Refused.HANDSHAKE)
        finally:
            self.handshakes.end()
            _leave(self._handshakes_of, address[0])
        return None

    async def _handle(self, stream: TlsStream) -> None:
        try:
            await self._handler(stream)
        except Exception:  # the boundary between one connection and the rest of the process
            log.exception("connection handler failed", peer=stream.peer_address[0])
            await trio.aclose_forcefully(stream)  # its peer must not take this for an end in order
        finally:
            with trio.CancelScope(shield=True):
                await stream.aclose()


def _leave(counts: Counter[str], host: str) -> None:
    """Counts one down, and forgets an address that has none left."""
    counts[host] -= 1
    if not counts[host]:
        del counts[host]
