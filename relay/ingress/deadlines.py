"""One sweep over all visitor connections instead of a timer per read and write.

A trio deadline costs about as much as parsing a head, several times per request. Here a phase costs two attribute
writes, with the time of the last sweep; the sweep is a comparison per connection and runs twice a second. A limit is
never cut short, and ends at most a second late.
"""

from enum import Enum
from typing import Protocol

import trio

SWEEP_SECONDS = 0.5


class Phase(Enum):
    """What a visitor's connection is waiting for; it tells what an expired deadline means."""

    IDLE = "keep_alive_idle"
    HEAD = "head_timeout"
    BODY = "body_timeout"
    RESPONSE_HEAD = "target_timeout"
    RESPONSE = "response_idle"
    WRITE = "write_stalled"
    UPGRADED = "upgraded_idle"


class Watched(Protocol):
    """What the sweep sees of a connection."""

    deadline: float

    def sweep(self, now: float) -> None:
        """Called at each sweep; ends the connection when `now` is past its deadline."""


class Watchdog:
    """Sweeps the connections that are registered with it."""

    def __init__(self) -> None:
        self.now = trio.current_time()
        """The time of the last sweep, at most `SWEEP_SECONDS` old: exact enough for limits of seconds, and free."""
        self.connections: set[Watched] = set()
        self._emptied: trio.Event | None = None

    def discard(self, connection: Watched) -> None:
        """Watches a connection no longer."""
        self.connections.discard(connection)
        if not self.connections and self._emptied is not None:
            self._emptied.set()

    async def empty(self) -> None:
        """Waits until no connection is watched."""
        while self.connections:
            self._emptied = trio.Event()
            await self._emptied.wait()

    async def run(self) -> None:
        """Sweeps for ever."""
        while True:
            await trio.sleep(SWEEP_SECONDS)
            self.now = now = trio.current_time()
            for connection in tuple(self.connections):
                connection.sweep(now)
