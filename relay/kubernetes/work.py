"""Names that are to be looked at: each by one task at a time, and again after a pause when that failed."""

import random
from collections.abc import Awaitable, Callable

import trio

from relay.errors import RelayError
from relay.kubernetes.errors import TooManyRequestsError
from relay.kubernetes.pauses import pause_seconds

NEWS_SECONDS = 5.0
"""After a failure a name is not looked at sooner, whatever is heard: what was mended shall count soon, and what stays
broken shall not cost an attempt for each change in the cluster."""


class WorkQueue:
    """Only levels count: a name that is added ten times before its turn is worked on once.

    A name that failed rests for its pause. What is heard of it meanwhile shortens the pause to `NEWS_SECONDS`, but not
    one that the API server asked for.

    Args:
        work: looks at a name; what it raises as RelayError makes the name come again.
        at_a_time: how many names are worked on at once.
        on_failure: hears of what went wrong, whatever it was; nothing ends the queue.
    """

    def __init__(
        self,
        work: Callable[[str], Awaitable[None]],
        *,
        at_a_time: int,
        on_failure: Callable[[str, Exception], None],
    ) -> None:
        self._work = work
        self._at_a_time = at_a_time
        self._on_failure = on_failure
        self._waiting: dict[str, None] = {}
        self._busy: set[str] = set()
        self._resting: dict[str, trio.Event] = {}
        self._failures: dict[str, int] = {}
        self._changed = trio.Event()

    def add(self, name: str) -> None:
        """The name is to be looked at, once more if that is going on just now, and later if it rests."""
        self._waiting[name] = None
        if name in self._resting:
            self._resting[name].set()
        self._changed.set()

    async def run(self) -> None:
        """Works for ever."""
        async with trio.open_nursery() as nursery:
            while True:
                self._changed = trio.Event()
                for name in [name for name in self._waiting if name not in self._busy and name not in self._resting]:
                    if len(self._busy) >= self._at_a_time:
                        break
                    del self._waiting[name]
                    self._busy.add(name)
                    nursery.start_soon(self._serve, name, nursery)
                await self._changed.wait()

    async def _serve(self, name: str, nursery: trio.Nursery) -> None:
        try:
            await self._work(name)
        except Exception as error:  # noqa: BLE001 - whoever made the queue is told
            failures = self._failures[name] = self._failures.get(name, 0) + 1
            self._on_failure(name, error)
            # A fault of ours is no reason to hammer the API server either.
            known = isinstance(error, RelayError)
            pause = pause_seconds(failures if known else 16, random.random(), error)
            self._resting[name] = trio.Event()
            if name in self._waiting:  # heard while it was worked on
                self._resting[name].set()
            nursery.start_soon(self._rest, name, pause, isinstance(error, TooManyRequestsError))
        else:
            self._failures.pop(name, None)
        finally:
            self._busy.discard(name)
            self._changed.set()

    async def _rest(self, name: str, seconds: float, asked: bool) -> None:  # noqa: FBT001
        with trio.move_on_after(seconds):
            await trio.sleep(seconds if asked else NEWS_SECONDS)
            await self._resting[name].wait()
        del self._resting[name]
        self.add(name)
