"""The database from trio's side: query functions run in worker threads, each in a transaction of its own."""

import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import Concatenate, ParamSpec, Self, TypeVar

import trio
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from relay.auth import MasterKey, Sealer
from relay.errors import ConflictError, StoreUnavailableError
from relay.store import events
from relay.store.engine import WRITES, open_engine
from relay.store.records import Change
from relay.store.rows import Transaction

WATCH_SECONDS = 0.4
"""A revocation is to take effect within a second on every process; one look-up by primary key costs little."""
WATCH_OVERLAP_SECONDS = 5.0
"""How far events may be late: a transaction lasts, and a clock may be set back, that long at most."""

P = ParamSpec("P")
T = TypeVar("T")

READERS = 4
"""Reads at a time. They spend most of their time unsealing and in SQLite, so more would only fight for the cores."""


class Database:
    """The open database. Use from one trio run.

    `read` and `write` take a query function, whose first argument is the transaction, and that function's arguments:
    `await database.read(workspaces.get, org_id, name)`.
    """

    def __init__(self, engine: Engine, sealer: Sealer, *, clock: Callable[[], float] = time.time) -> None:
        self.engine = engine
        self.sealer = sealer
        self._clock = clock
        self._readers = trio.CapacityLimiter(READERS)
        # SQLite has one writer at a time; waiting here rather than in the database keeps the order of arrival.
        self._writer = trio.CapacityLimiter(1)
        self._subscribers: list[Callable[[Change], None]] = []

    @classmethod
    def open(cls, url: str, master: MasterKey, *, create: bool = False, clock: Callable[[], float] = time.time) -> Self:
        """Opens the database at `url` (blocks for milliseconds). Run `relay.store.upgrade` before the first query.

        Raises ConfigurationError for a missing file (unless `create`), a wrong key or a file that is no database.
        """
        return cls(open_engine(url, master, create=create), Sealer(master), clock=clock)

    def close(self) -> None:
        """Closes all connections; nothing may be running."""
        self.engine.dispose()

    async def read(self, function: Callable[Concatenate[Transaction, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Runs a function that only reads, in a transaction that sees one state of the database.

        Raises StoreUnavailableError, and what the function raises.
        """
        return await trio.to_thread.run_sync(partial(self.read_now, function, *args, **kwargs), limiter=self._readers)

    async def write(self, function: Callable[Concatenate[Transaction, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Runs a function that writes, commits, then tells the subscribers what it changed.

        Not cancelled half way: once begun, the outcome is known to the caller. Raises ConflictError when another
        write came between, StoreUnavailableError, and what the function raises; in each case nothing was written.
        """
        result, changes = await trio.to_thread.run_sync(
            partial(self._write, function, *args, **kwargs), limiter=self._writer
        )
        self._tell(changes)
        return result

    def subscribe(self, callback: Callable[[Change], None]) -> None:
        """Calls `callback` in the trio thread for each change, after its commit and before `write` returns.

        It must not block or raise.
        """
        self._subscribers.append(callback)

    async def watch(
        self, *, on_error: Callable[[StoreUnavailableError], None], interval_seconds: float = WATCH_SECONDS
    ) -> None:
        """Tells the subscribers, for ever, what other processes change in the same database.

        Changes made here may be told twice. `on_error` hears of each time the database did not answer.
        """
        heard: set[str] = set()
        since = self._clock()
        while True:
            await trio.sleep(interval_seconds)
            now = self._clock()
            try:
                recent = await self.read(events.find_changes, since - WATCH_OVERLAP_SECONDS)
            except StoreUnavailableError as error:
                on_error(error)
                continue
            self._tell(change for event_id, change in recent if event_id not in heard)
            heard = {event_id for event_id, _ in recent}
            since = now

    def _tell(self, changes: Iterable[Change]) -> None:
        for change in changes:
            for subscriber in self._subscribers:
                subscriber(change)

    def read_now(self, function: Callable[Concatenate[Transaction, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """`read` for programs without a trio run; blocks."""
        return self._run(False, function, *args, **kwargs)[0]  # noqa: FBT003 - the flag is positional beside *args

    def write_now(self, function: Callable[Concatenate[Transaction, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """`write` for programs without a trio run, and so without subscribers; blocks."""
        return self._write(function, *args, **kwargs)[0]

    def _write(
        self, function: Callable[Concatenate[Transaction, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> tuple[T, list[Change]]:
        return self._run(True, function, *args, **kwargs)  # noqa: FBT003 - the flag is positional beside *args

    def _run(
        self,
        writes: bool,  # noqa: FBT001 - private, and beside *args only a positional flag can be typed
        function: Callable[Concatenate[Transaction, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> tuple[T, list[Change]]:
        try:
            with self.engine.connect().execution_options(**{WRITES: writes}) as connection, connection.begin():
                transaction = Transaction(connection=connection, sealer=self.sealer, now=self._clock())
                result = function(transaction, *args, **kwargs)
        except IntegrityError as error:
            raise ConflictError("another change came between; please try again") from error
        except (DBAPIError, PoolTimeoutError) as error:
            reason = error.orig if isinstance(error, DBAPIError) else "all connections are in use"
            raise StoreUnavailableError(f"the database does not answer: {reason}") from error
        return result, transaction.changes
