"""Idle streams of one visitor connection, kept for its next request.

They are never shared between connections: whatever one visitor could do to a stream's state stays with that visitor.
"""

from collections import deque
from typing import NamedTuple

from relay.mux import ResetCode
from relay.transport import MuxStream

MAX_IDLE = 4  # a connection serves one hostname, so more than one appears only when its route changes
FRESH_SECONDS = 1.0  # a target may close an idle connection at any time; common servers wait 2 s or more


MAX_LEAVING = 256  # of one process, a quarter of what one tunnel carries: a target that never finishes holds no more


class PoolKey(NamedTuple):
    """Streams are interchangeable only between requests for the same of all these."""

    cluster_id: str
    workspace: str
    host: str
    port: int


class Leaving:
    """Streams that ended in order on this side, until their targets have finished too.

    A reset would end them at once, but of resets a tunnel carries only so many a second. When there are too many, the
    oldest is reset all the same.
    """

    def __init__(self, most: int = MAX_LEAVING) -> None:
        self._most = most
        self._streams: deque[MuxStream] = deque()

    def add(self, stream: MuxStream) -> None:
        """Ends a stream whose exchange is over: all that was asked for has been received."""
        stream.close()
        stream.idle = True  # so that a tunnel that is to end does not wait for it
        self._streams.append(stream)
        if len(self._streams) > self._most:
            self._streams.popleft().reset(ResetCode.NO_ERROR)


class StreamPool:
    """Idle streams by where they lead."""

    def __init__(self, leaving: Leaving) -> None:
        self._leaving = leaving
        self._idle: dict[PoolKey, tuple[MuxStream, float]] = {}

    def take(self, key: PoolKey, *, now: float, repeatable: bool) -> MuxStream | None:
        """An idle stream that still looks alive. A request that must not be sent twice gets only a fresh one."""
        found = self._idle.pop(key, None)
        if found is None:
            return None
        stream, since = found
        stream.idle = False
        if stream.reusable and (repeatable or now - since < FRESH_SECONDS):
            return stream
        self._leaving.add(stream)
        return None

    def put(self, key: PoolKey, stream: MuxStream, *, now: float, keep: bool) -> None:
        """Takes a stream whose last exchange was accounted for to the byte on both sides; ends it unless `keep`."""
        if not keep or len(self._idle) >= MAX_IDLE or key in self._idle:
            self._leaving.add(stream)
            return
        stream.idle = True
        self._idle[key] = (stream, now)

    def give_up(self) -> None:
        """Ends all idle streams at once, for the memory that they hold."""
        for stream, _ in self._idle.values():
            stream.reset(ResetCode.NO_ERROR)
        self._idle.clear()

    def close(self) -> None:
        """Ends all idle streams in order."""
        for stream, _ in self._idle.values():
            self._leaving.add(stream)
        self._idle.clear()
