"""PostgreSQL, by psycopg in worker threads."""

import math
from collections.abc import Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

import psycopg
import trio
from sqlalchemy import Connection, QueuePool, create_engine, event, text
from sqlalchemy.exc import DBAPIError

from relay.auth import MasterKey
from relay.errors import ConfigurationError, StoreUnavailableError
from relay.store.engines.backend import (
    CONNECTIONS,
    SECONDS,
    WRITES,
    Backend,
    BackendOptions,
    Facts,
    Listener,
    out_of_means,
)
from relay.store.engines.deadlines import Deadlines, Guard
from relay.store.engines.postgres_errors import explain, explain_at_start
from relay.store.engines.postgres_url import connection_parameters, read_password

CHANNEL = "signadot_relay_changes"
WRITE_LOCK = 0x5349474E41444F54
"""Number of the lock of writers, in this database only; any will do that nobody else takes."""
LEAST_CONNECT_SECONDS = 2
"""psycopg waits this long at least."""

_READ = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; "
# Writes of a control plane are few, and one after the other they need no retries and keep what SQLite promises: each
# sees all before it, so looking whether a name is taken and taking it are one step. READ COMMITTED, because there each
# statement sees what is committed when it begins; REPEATABLE READ would show the state of before the wait for the lock.
_WRITE = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; "
_LOCK = f"SELECT pg_advisory_xact_lock({WRITE_LOCK})"
_TIMEOUTS = ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout")


class PostgresBackend(Backend):
    """A database on a PostgreSQL server."""

    name = "PostgreSQL"
    notifies = True

    def __init__(self, url: str, options: BackendOptions) -> None:
        self._deadlines = Deadlines()
        self._parameters = connection_parameters(url, options)
        self._read_password = partial(read_password, url, options.password_file)
        self._read_password()
        self.query_seconds = options.query_seconds
        engine = create_engine(
            "postgresql+psycopg://",
            creator=self._connect,
            poolclass=QueuePool,
            pool_size=CONNECTIONS,
            max_overflow=0,
            pool_timeout=options.query_seconds,
            hide_parameters=True,  # statements are quoted in errors, values never
            use_native_hstore=False,  # saves a question at each connection
        )
        event.listen(engine, "checkout", self._watch)
        event.listen(engine, "begin", self._begin)
        super().__init__(engine, options)
        try:
            with self.begin(writes=False):
                pass
        except StoreUnavailableError as error:
            self.close()
            raise explain_at_start(error) from error

    def close(self) -> None:
        """See `Backend`."""
        super().close()
        self._deadlines.close()

    def _connect(self) -> "psycopg.Connection[Any]":
        guard = self._deadlines.current
        seconds = self.query_seconds if guard is None else guard.remaining_seconds
        connection = psycopg.connect(
            **self._parameters,  # type: ignore[arg-type]
            password=self._password(),
            connect_timeout=max(LEAST_CONNECT_SECONDS, math.floor(seconds)),
            autocommit=True,  # the driver must not begin transactions of its own accord: `_begin` does
        )
        try:
            self._deadlines.watch(connection.fileno())
        except OSError:
            connection.close()
            raise
        return connection

    def _password(self) -> str | None:
        try:
            return self._read_password()
        except ConfigurationError as error:
            # It was there when the relay started: somebody is putting a new one into its place.
            raise StoreUnavailableError(f"the database cannot be connected to: {error}") from error

    def _watch(self, connection: Any, *_record: object) -> None:
        if not connection.closed:
            self._deadlines.watch(connection.fileno())

    def _in_time(self, seconds: float) -> AbstractContextManager[Guard | None]:
        return self._deadlines.within(seconds)

    def _start(self, *, writes: bool, seconds: float) -> Connection:
        """A connection in a new transaction; a second try where the first one met a connection that had died unused."""
        try:
            return super()._start(writes=writes, seconds=seconds)
        except DBAPIError as error:
            guard = self._deadlines.current
            if not error.connection_invalidated or guard is None or guard.expired:
                raise
            # SQLAlchemy drops all older connections once one is found dead, so this one is new.
            return super()._start(writes=writes, seconds=seconds)

    def _begin(self, connection: Connection) -> None:
        # All in one message, so that it costs one round trip.
        options = connection.get_execution_options()
        writes, seconds = options.get(WRITES, False), options.get(SECONDS, 0.0)
        longer = ""
        if seconds > self.query_seconds:
            longer = "".join(f"SET LOCAL {name} = {round(seconds * 1000)}; " for name in _TIMEOUTS)
        connection.exec_driver_sql(_WRITE + longer + _LOCK if writes else _READ + longer)

    def explain(self, error: DBAPIError) -> str:
        """See `Backend`."""
        return explain(error.orig)

    def _cause(self, error: DBAPIError) -> DBAPIError | None:
        # What libpq says of a connection is harmless; the server quotes the values of a row that it refuses.
        return None if isinstance(error.orig, psycopg.Error) and error.orig.sqlstate else error

    def facts(self, connection: Connection) -> Facts:
        """See `Backend`."""
        version = connection.execute(text("SHOW server_version")).scalar_one()
        size = connection.execute(text("SELECT pg_database_size(current_database())")).scalar_one()
        row = connection.execute(
            text("SELECT ssl, version, cipher FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
        ).one_or_none()
        tls = f"{row[1]} {row[2]}" if row is not None and row[0] else "no TLS"
        return Facts(engine=self.name, version=version, protection=tls, size_bytes=size)

    def announce(self, connection: Connection) -> None:
        """See `Backend`. The notice is empty: what changed is in the table of changes, sealed."""
        connection.exec_driver_sql(f"NOTIFY {CHANNEL}")

    def hold_file_key(self, masters: Sequence[MasterKey]) -> None:
        """See `Backend`. There is no file of ours, so no key of it."""

    def listen(self) -> Listener:
        """See `Backend`."""
        with self._deadlines.within(self.query_seconds):
            try:
                connection = self._connect()
            except psycopg.Error as error:
                raise StoreUnavailableError(explain(error)) from error
            except OSError as error:
                raise out_of_means(error) from error
            try:
                connection.execute(f"LISTEN {CHANNEL}")
            except psycopg.Error as error:
                connection.close()
                raise StoreUnavailableError(explain(error)) from error
        return _PostgresListener(connection)


class _PostgresListener(Listener):
    def __init__(self, connection: "psycopg.Connection[Any]") -> None:
        self._connection = connection

    async def wait(self) -> None:
        while True:
            try:
                await trio.lowlevel.wait_readable(self._connection.fileno())
                self._connection.pgconn.consume_input()
            except psycopg.Error as error:
                raise StoreUnavailableError(explain(error)) from error
            except OSError as error:
                raise out_of_means(error) from error
            heard = False
            while self._connection.pgconn.notifies() is not None:
                heard = True
            if heard:
                return

    def close(self) -> None:
        self._connection.close()
