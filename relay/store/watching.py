"""Hearing what other processes change in the same database."""

import math
from collections.abc import Callable, Iterable
from typing import Protocol

import trio

from relay.errors import ConflictError, RelayError
from relay.store import changes
from relay.store.engines import Backend
from relay.store.records import Change

POLL_SECONDS = 0.4
"""A revocation is to take effect within a second on every process; one look-up by primary key costs little."""
LISTENING_SECONDS = 0.9
"""The same where notices come at once: a connection can be dead without a sign, and then this keeps the promise."""
RECONNECT_SECONDS = 1.0
"""Between attempts to listen; until one succeeds, looking often does."""
SWEEP_SECONDS = 60.0


class _Watched(Protocol):
    """What is watched: a `relay.store.Database`."""

    @property
    def backend(self) -> Backend: ...

    async def find_start(self) -> str: ...

    async def find_news(self, cursor: str) -> changes.News: ...

    async def sweep(self) -> None: ...


class Watcher:
    """Tells what others changed, in the order of their commits, and again from where it was after an outage.

    Args:
        database: what to watch.
        tell: gets the changes.
        on_error: hears of each time a look-up failed, as when the database did not answer. It is tried again.
    """

    def __init__(
        self,
        database: _Watched,
        *,
        tell: Callable[[Iterable[Change]], None],
        on_error: Callable[[RelayError], None],
    ) -> None:
        self._database = database
        self._tell = tell
        self._on_error = on_error
        self._own: set[str] = set()
        self._woken = trio.Event()
        self._listening = False
        self._swept_at = -math.inf

    def add_own(self, change_ids: Iterable[str]) -> None:
        """These notices are of this process, which has told of their changes already."""
        self._own.update(change_ids)

    async def run(self) -> None:
        """Watches for ever: no error of the database, its keys or its password ends it."""
        async with trio.open_nursery() as nursery:
            if self._database.backend.notifies:
                nursery.start_soon(self._listen)
            await self._look_again_and_again()

    async def _look_again_and_again(self) -> None:
        cursor: str | None = None
        while True:
            self._woken = trio.Event()
            try:
                if cursor is None:
                    cursor = await self._database.find_start()
                cursor = await self._look(cursor)
                await self._sweep()
            except RelayError as error:
                self._on_error(error)
            with trio.move_on_after(LISTENING_SECONDS if self._listening else POLL_SECONDS):
                await self._woken.wait()

    async def _look(self, cursor: str) -> str:
        while True:
            news = await self._database.find_news(cursor)
            if news.missed:
                self._tell([changes.EVERYTHING])
            self._tell(change for change_id, change in news.changes if change_id not in self._own)
            self._own.difference_update(change_id for change_id, _ in news.changes)
            cursor = news.cursor
            if not news.more:
                return cursor

    async def _sweep(self) -> None:
        now = trio.current_time()
        if now - self._swept_at >= SWEEP_SECONDS:
            self._swept_at = now
            try:
                await self._database.sweep()
            except ConflictError:
                return  # a token was hashed under a key just then; the next sweep will see

    async def _listen(self) -> None:
        while True:
            try:
                await self._listen_once()
            except RelayError as error:
                self._on_error(error)
            finally:
                self._listening = False
            await trio.sleep(RECONNECT_SECONDS)

    async def _listen_once(self) -> None:
        listener = await trio.to_thread.run_sync(self._database.backend.listen)
        try:
            self._listening = True
            while True:
                self._woken.set()  # the first time too: something may have come before we listened
                await listener.wait()
        finally:
            listener.close()
