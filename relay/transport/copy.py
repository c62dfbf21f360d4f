"""Copying between two byte streams, both ways, until both have finished or one has broken."""

import math
from typing import Final

import trio

from relay.errors import RelayError, StreamResetError
from relay.mux import ResetCode
from relay.transport.stream import MuxStream

CHUNK_BYTES: Final = 256 * 1024
"""What one read takes at most: TLS and the mux cost less per byte in large pieces."""


async def copy_both_ways(
    a: trio.abc.HalfCloseableStream, b: trio.abc.HalfCloseableStream, *, idle_seconds: float = math.inf
) -> tuple[int, int]:
    """Copies a to b and b to a. Returns the bytes that each direction carried, once both streams are closed.

    A finish of one direction is passed on while the other goes on. When a stream breaks, the other is ended at once:
    a MuxStream by a reset whose code says why, a socket by closing it. After `idle_seconds` without a byte either way
    both are ended. Broken streams are not raised: the counts say how far it came.
    """
    copy = _Copy(a, b, idle_seconds)
    try:
        async with trio.open_nursery() as nursery:
            copy.scope = nursery.cancel_scope
            copy.touch()
            nursery.start_soon(copy.one_way, 0)
            nursery.start_soon(copy.one_way, 1)
        if copy.scope.cancelled_caught and copy.failed is None:
            copy.code = ResetCode.TIMED_OUT  # nothing else cancels it
    finally:
        copy.end()
        # A socket is closed without waiting; a MuxStream has finished or was reset by now.
        with trio.CancelScope(shield=True):
            await trio.aclose_forcefully(a)
            await trio.aclose_forcefully(b)
    return copy.counts[0], copy.counts[1]


class _Copy:
    """What the two directions share."""

    def __init__(self, a: trio.abc.HalfCloseableStream, b: trio.abc.HalfCloseableStream, idle_seconds: float) -> None:
        self.streams = (a, b)
        self.counts = [0, 0]
        self.scope = trio.CancelScope()
        self.failed: int | None = None
        """Which stream broke."""
        self.code: int = ResetCode.CANCELLED
        """With which code the other one is reset."""
        self._idle_seconds = idle_seconds
        self._finished = 0

    def touch(self) -> None:
        """A byte moved."""
        if self._idle_seconds != math.inf:
            self.scope.deadline = trio.current_time() + self._idle_seconds

    async def one_way(self, source: int) -> None:
        """Copies from one stream to the other until its finish is passed on."""
        receive_from, send_to = self.streams[source], self.streams[1 - source]
        while True:
            try:
                data = await receive_from.receive_some(CHUNK_BYTES)
            except (RelayError, OSError, trio.BrokenResourceError, trio.ClosedResourceError) as error:
                self._fail(source, error)
                return
            try:
                if not data:
                    await send_to.send_eof()
                    self._finished += 1
                    return
                await send_to.send_all(data)
            except (RelayError, OSError, trio.BrokenResourceError, trio.ClosedResourceError) as error:
                self._fail(1 - source, error)
                return
            self.counts[source] += len(data)
            self.touch()

    def _fail(self, broken: int, error: Exception) -> None:
        if self.failed is None:
            self.failed = broken
            if isinstance(error, StreamResetError):
                self.code = error.wire_code
            elif isinstance(error, RelayError):
                self.code = ResetCode.CANCELLED
            else:
                self.code = ResetCode.TARGET_RESET
            self.scope.cancel()

    def end(self) -> None:
        """Resets what did not finish in order."""
        if self._finished < len(self.streams):
            for stream in self.streams:
                if isinstance(stream, MuxStream):
                    stream.reset(self.code)
