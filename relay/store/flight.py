"""A cache that asks once: look-ups that miss at the same time share one load."""

import time
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

import trio
from cachetools import LRUCache, TTLCache

from relay.errors import StoreUnavailableError

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

RELOADS = 3
"""Loads that may be overtaken by a change before the last one is returned uncached."""
OUTAGE_SECONDS = 900.0
"""How long a value that has run out still serves while the database is down: long enough to bring it back, and a
bound on what other processes may have changed meanwhile."""
PAUSE_SECONDS = 5.0
"""How long such a value serves before the database is asked again: each request must not wait for its silence."""


class _Flight(Generic[V]):
    """One load on its way; `outcome` stays empty when its task is cancelled."""

    __slots__ = ("error", "landed", "outcome")

    def __init__(self) -> None:
        self.landed = trio.Event()
        self.outcome: tuple[V | None] | None = None
        self.error: Exception | None = None


class _Entry(Generic[V]):
    """A value with its two ends, on the clock of the cache."""

    __slots__ = ("fresh_until", "spare_until", "value")

    def __init__(self, value: V, *, fresh_until: float, spare_until: float) -> None:
        self.value = value
        self.fresh_until = fresh_until
        self.spare_until = spare_until


class FlightCache(Generic[K, V]):
    """Values by key, None for "there is none", both kept for a time and up to a number.

    What was found and what was not are kept apart, so that guesses cannot push out what is in use. While the database
    is down, a value whose time is over goes on for OUTAGE_SECONDS, unless a change said that it is gone.

    Args:
        found: how many values are kept, the least recently used goes first.
        found_seconds: for how long.
        missing: how many keys without value are kept.
        missing_seconds: for how long.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        *,
        found: int,
        found_seconds: float,
        missing: int,
        missing_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._found: LRUCache[K, _Entry[V]] = LRUCache(found)
        self._found_seconds = found_seconds
        self._clock = clock
        self._missing: TTLCache[K, bool] = TTLCache(missing, missing_seconds, timer=clock)
        self._flights: dict[K, _Flight[V]] = {}
        self._changes = 0
        self.loads = 0
        """Loads begun so far."""

    def get_nowait(self, key: K) -> V | None:
        """The value if it is cached; None does not tell whether there is one."""
        entry = self._found.get(key)
        return entry.value if entry is not None and self._clock() < entry.fresh_until else None

    def has_had(self, key: K) -> bool:
        """Whether there was a value when the key was last loaded, though its time may be over."""
        return key in self._found

    async def get(self, key: K, load: Callable[[], Awaitable[V | None]]) -> V | None:
        """The value, loaded if need be; None when there is none. Raises what `load` raises, to all who wait for it."""
        while True:
            value = self.get_nowait(key)
            if value is not None or key in self._missing:
                return value
            flight = self._flights.get(key)
            if flight is None:
                return await self._lead(key, load)
            await flight.landed.wait()
            if flight.error is not None:
                raise flight.error
            if flight.outcome is not None:
                return flight.outcome[0]
            # The task that was loading has been cancelled: somebody else must load.

    def forget(self, key: K) -> None:
        """Drops what is known of a key; loads on their way are made again."""
        self._changes += 1
        self._found.pop(key, None)
        self._missing.pop(key, None)

    def forget_if(self, condition: Callable[[V], bool]) -> None:
        """Drops the values for which `condition` holds; loads on their way are made again."""
        self._changes += 1
        for key in [key for key, entry in self._found.items() if condition(entry.value)]:
            self._found.pop(key, None)

    def expire(self, key: K) -> None:
        """Has a key loaded anew when it is next asked for; its value still serves while the database is down."""
        self._changes += 1
        self._missing.pop(key, None)
        if (entry := self._found.get(key)) is not None:
            entry.fresh_until = self._clock()

    def clear(self) -> None:
        """Drops everything."""
        self._changes += 1
        self._found.clear()
        self._missing.clear()

    async def _lead(self, key: K, load: Callable[[], Awaitable[V | None]]) -> V | None:
        flight = self._flights[key] = _Flight()
        try:
            value = await self._load(key, load)
            flight.outcome = (value,)
        except StoreUnavailableError as error:
            spare = self._spare(key)
            if spare is None:
                flight.error = error
                raise
            value = spare
            flight.outcome = (value,)
        except Exception as error:
            flight.error = error
            raise
        finally:
            del self._flights[key]
            flight.landed.set()
        return value

    async def _load(self, key: K, load: Callable[[], Awaitable[V | None]]) -> V | None:
        """Loads until no change came between, and keeps the value; one that may be stale is not kept."""
        value: V | None = None
        for _ in range(RELOADS):
            changes = self._changes
            self.loads += 1
            value = await load()
            if changes == self._changes:
                self._keep(key, value)
                break
        return value

    def _keep(self, key: K, value: V | None) -> None:
        if value is None:
            self._found.pop(key, None)
            self._missing[key] = True
        else:
            now = self._clock()
            fresh_until = now + self._found_seconds
            self._found[key] = _Entry(value, fresh_until=fresh_until, spare_until=fresh_until + OUTAGE_SECONDS)

    def _spare(self, key: K) -> V | None:
        """The value to go on with while the database is down, for a moment without asking again."""
        entry, now = self._found.get(key), self._clock()
        if entry is None or now >= entry.spare_until:
            return None
        entry.fresh_until = min(now + PAUSE_SECONDS, entry.spare_until)
        return entry.value
