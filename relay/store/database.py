"""The database from trio's side: query functions run in worker threads, each in a transaction of its own."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Concatenate, ParamSpec, Self, TypeVar

import trio
from sqlalchemy import Connection, Engine, inspect

from relay.auth import MasterKey, Sealer
from relay.errors import ConfigurationError, RelayError, StoreUnavailableError
from relay.store import changes, keys
from relay.store.engines import Backend, BackendOptions, open_backend
from relay.store.keyring import KeyRing, WrongMasterKeyError
from relay.store.records import Change
from relay.store.rows import Transaction
from relay.store.schema import sealing_keys
from relay.store.watching import Watcher

P = ParamSpec("P")
T = TypeVar("T")

READERS = 4
"""Reads at a time. They spend most of their time unsealing and in the database, so more would fight for the cores."""
QUERY_SECONDS = 5.0
"""How long the database may take; `limits.query_seconds`."""


class Database:
    """The open database. Use from one trio run.

    `read` and `write` take a query function, whose first argument is the transaction, and that function's arguments:
    `await database.read(workspaces.get, org_id, name)`.
    """

    def __init__(self, backend: Backend, ring: KeyRing, *, clock: Callable[[], float] = time.time) -> None:
        self.backend = backend
        self.ring = ring
        self.clock = clock
        self._readers = trio.Semaphore(READERS)
        # There is one writer at a time; waiting here rather than in the database keeps the order of arrival.
        self._writer = trio.Semaphore(1)
        self._threads = trio.CapacityLimiter(READERS + 1)
        self._subscribers: list[Callable[[Change], None]] = []
        self._watcher: Watcher | None = None

    @classmethod
    def open(
        cls,
        url: str,
        master: MasterKey | Sequence[MasterKey],
        *,
        create: bool = False,
        password_file: Path | None = None,
        query_seconds: float = QUERY_SECONDS,
        masters_again: Callable[[], Sequence[MasterKey]] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> Self:
        """Opens the database at `url` (blocks for milliseconds). Run `relay.store.upgrade` before the first query.

        `master`: the master key, or several with the one in use first; `masters_again` reads them once more when a key
        turns up that is wrapped under another one. Raises ConfigurationError for a missing file (unless `create`), a
        wrong key, a file that is no database or a URL that cannot be right, and StoreUnavailableError.
        """
        masters = (master,) if isinstance(master, MasterKey) else tuple(master)
        options = BackendOptions(create=create, password_file=password_file, query_seconds=query_seconds)
        database = cls(open_backend(url, masters, options), KeyRing(masters, masters_again), clock=clock)
        try:
            database.read_ring()
        except BaseException:
            database.close()
            raise
        return database

    def close(self) -> None:
        """Closes all connections; nothing may be running."""
        self.backend.close()

    @property
    def engine(self) -> Engine:
        """SQLAlchemy's engine."""
        return self.backend.sql

    @property
    def sealer(self) -> Sealer:
        """The keys as last seen; ask again each time, as they change while the process runs."""
        return self.ring.sealer

    async def refresh_keys(self) -> Sealer:
        """The keys as the database has them now. Raises StoreUnavailableError."""
        return await self.read(lambda tx: tx.sealer)

    def read_ring(self) -> None:
        """Reads the sealing keys if there are any yet; blocks.

        Raises ConfigurationError for a wrong master key, StoreUnavailableError.
        """
        try:
            with self.backend.begin(writes=False) as connection:
                if inspect(connection).has_table(sealing_keys.name) and not self.ring.is_empty(connection):
                    self.ring.at(connection)
        except WrongMasterKeyError as error:
            raise ConfigurationError(f"keys.master: {error}") from error

    async def read(self, function: Callable[Concatenate[Transaction, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Runs a function that only reads, in a transaction that sees one state of the database.

        Raises StoreUnavailableError, within `query_seconds`, and what the function raises.
        """
        return (await self._run_in_turn(lambda tx: function(tx, *args, **kwargs), writes=False))[0]

    async def write(self, function: Callable[Concatenate[Transaction, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Runs a function that writes, commits, then tells the subscribers what it changed.

        Not cancelled half way: once begun, the outcome is known to the caller. Raises ConflictError when another
        write came between, StoreUnavailableError within `query_seconds`, and what the function raises; in each case
        nothing was written, unless the error's sentence says that this is not known.
        """
        result, transaction = await self._run_in_turn(lambda tx: function(tx, *args, **kwargs), writes=True)
        if self._watcher is not None:
            self._watcher.add_own(transaction.change_ids)
        self._tell(transaction.changes)
        return result

    def subscribe(self, callback: Callable[[Change], None]) -> None:
        """Calls `callback` in the trio thread for each change, after its commit and before `write` returns.

        It must not block or raise.
        """
        self._subscribers.append(callback)

    async def watch(self, *, on_error: Callable[[RelayError], None]) -> None:
        """Tells the subscribers, for ever, what other processes change in the same database; see `Watcher`.

        `on_error` hears of each time a look-up failed, as when the database did not answer.
        """
        self._watcher = Watcher(self, tell=self._tell, on_error=on_error)
        try:
            await self._watcher.run()
        finally:
            self._watcher = None

    async def find_start(self) -> str:
        """For `Watcher`: where to begin."""
        return await self.read(changes.find_start)

    async def find_news(self, cursor: str) -> changes.News:
        """For `Watcher`: what was changed since."""
        return await self.read(changes.find_news, cursor)

    async def sweep(self) -> None:
        """Removes what nobody needs any more: notices that all have heard, keys that nothing refers to."""
        await self.write(changes.sweep)
        if await self.read(keys.find_unused):
            await self.write(keys.remove_unused)

    def _tell(self, told: Iterable[Change]) -> None:
        for change in told:
            for subscriber in self._subscribers:
                subscriber(change)

    def read_now(self, function: Callable[Concatenate[Transaction, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """`read` for programs without a trio run; blocks."""
        return self._run(lambda tx: function(tx, *args, **kwargs), writes=False)[0]

    def write_now(self, function: Callable[Concatenate[Transaction, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """`write` for programs without a trio run, and so without subscribers; blocks."""
        return self._run(lambda tx: function(tx, *args, **kwargs), writes=True)[0]

    async def _run_in_turn(self, call: Callable[[Transaction], T], *, writes: bool) -> tuple[T, Transaction]:
        seconds = self.backend.query_seconds
        semaphore = self._writer if writes else self._readers
        # A database that hangs holds up nobody for longer than a query may take, waiting for the others included.
        with trio.move_on_after(seconds) as waiting:
            await semaphore.acquire()
        if waiting.cancelled_caught:
            raise StoreUnavailableError("the database does not answer: others are waiting for it too")
        try:
            left = waiting.deadline - trio.current_time()
            run = partial(self._run, call, writes=writes, seconds=left)
            return await trio.to_thread.run_sync(run, limiter=self._threads)
        finally:
            semaphore.release()

    def _run(
        self, call: Callable[[Transaction], T], *, writes: bool, seconds: float | None = None
    ) -> tuple[T, Transaction]:
        with self.transaction(writes=writes, seconds=seconds) as transaction:
            result = call(transaction)
        return result, transaction

    @contextmanager
    def transaction(self, *, writes: bool, seconds: float | None = None) -> Iterator[Transaction]:
        """A transaction of the calling thread, under the sealing keys that it sees; see `Backend.begin`."""
        with self.backend.begin(writes=writes, seconds=seconds) as connection:
            transaction = self.bind(connection)
            yield transaction
            if transaction.changes:
                self.backend.announce(connection)

    def bind(self, connection: Connection) -> Transaction:
        """What queries need, on a connection in a transaction."""
        return Transaction(connection=connection, sealer=self.ring.at(connection), now=self.clock())
