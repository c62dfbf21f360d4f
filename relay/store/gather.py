"""Questions that come at the same time share one query.

A look-up costs a hop to a worker thread, a transaction and a statement, whatever it asks for: most of the price when
thousands of agents come back at once.
"""

from collections.abc import Awaitable, Callable, Collection, Hashable, Mapping
from typing import Generic, TypeVar

import trio

from relay.errors import StoreUnavailableError

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class _Batch(Generic[K, V]):
    """Questions that are answered together; `found` stays None when the task that asks for all is cancelled."""

    __slots__ = ("answered", "error", "found", "keys")

    def __init__(self) -> None:
        self.keys: set[K] = set()
        self.answered = trio.Event()
        self.found: Mapping[K, V] | None = None
        self.error: Exception | None = None


class Gathered(Generic[K, V]):
    """Asks for one key at once; keys that come while that query is under way wait for the next one, all together.

    A query that has begun answers nobody who came later, so an answer is never older than its question.
    """

    def __init__(self, ask: Callable[[Collection[K]], Awaitable[Mapping[K, V]]]) -> None:
        """`ask` gives the values of those keys that have one."""
        self._ask = ask
        self._turn = trio.Lock()
        self._next: _Batch[K, V] = _Batch()

    async def get(self, key: K) -> V | None:
        """The value, None when there is none. Raises what `ask` raises."""
        while True:
            batch = self._next
            is_first = not batch.keys
            batch.keys.add(key)
            if is_first:
                await self._answer(batch)
            else:
                await batch.answered.wait()
            if batch.error is not None:
                return await self._get_alone(key, batch)
            if batch.found is not None:
                return batch.found.get(key)
            # The task that was asking for all has been cancelled: somebody else must.

    async def _get_alone(self, key: K, batch: _Batch[K, V]) -> V | None:
        """After an error: what is wrong with the row of another key must not be everybody's trouble."""
        assert batch.error is not None  # noqa: S101 - the caller has looked
        if len(batch.keys) == 1 or isinstance(batch.error, StoreUnavailableError):
            raise batch.error
        return (await self._ask([key])).get(key)

    async def _answer(self, batch: _Batch[K, V]) -> None:
        """Waits for the query under way, then asks for all that have come until then."""
        try:
            async with self._turn:
                self._next = _Batch()
                batch.found = await self._ask(batch.keys)
        except Exception as error:  # noqa: BLE001 - it is raised to all that wait for it
            batch.error = error
        finally:
            if self._next is batch:
                self._next = _Batch()
            batch.answered.set()
