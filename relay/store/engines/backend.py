"""What the store needs of a database engine: transactions that end in time, and news of what others wrote."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from relay.auth import MasterKey
from relay.errors import ConfigurationError, ConflictError, StoreUnavailableError
from relay.store.engines.deadlines import Guard

CONNECTIONS = 5
"""Four readers and the writer; see `relay.store.database`."""
WRITES = "relay_writes"
"""Execution option of a connection whose transaction is going to write."""

SECONDS = "relay_seconds"
"""Execution option: how long that transaction may take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendOptions:
    """How a database is opened."""

    create: bool = False
    """Makes the file of an embedded database where there is none."""
    password_file: Path | None = None
    """Holds the password of the database's user; read at each connection, so a new one needs no restart."""
    query_seconds: float = 5.0
    """How long one transaction may take before it is given up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What an engine says about itself; no secrets."""

    engine: str
    version: str
    protection: str
    """How what is stored, or what is on the wire, is encrypted."""
    size_bytes: int


def out_of_means(error: OSError) -> StoreUnavailableError:
    """What to raise when this machine does not give what a connection takes, such as file descriptors."""
    return StoreUnavailableError(f"the database cannot be connected to: {error.strerror or type(error).__name__}")


class Listener(ABC):
    """A connection over which the database says at once that something was committed. Used from trio's thread."""

    @abstractmethod
    async def wait(self) -> None:
        """Returns when something was committed since the last call. Raises StoreUnavailableError when it is lost."""

    @abstractmethod
    def close(self) -> None:
        """Ends the connection."""


class Backend(ABC):
    """An open database.

    Whatever the engine: a reading transaction sees one state, and transactions that write come one after the other,
    each seeing all that was committed before it.
    """

    name: ClassVar[str]
    """Of the engine."""
    notifies: ClassVar[bool]
    """Whether `listen` works."""

    def __init__(self, sql: Engine, options: BackendOptions) -> None:
        self.sql = sql
        self.query_seconds = options.query_seconds

    @contextmanager
    def begin(self, *, writes: bool, seconds: float | None = None) -> Iterator[Connection]:
        """One transaction: committed at the end of the block, rolled back when the block raises.

        It may take `query_seconds`, unless `seconds` says otherwise. Raises ConflictError when another write came
        between, and StoreUnavailableError, whose sentence tells when nobody knows whether it was committed.
        """
        connection: Connection | None = None
        committing = False
        seconds = self.query_seconds if seconds is None else seconds
        guard: Guard | None = None
        try:
            with self._in_time(seconds) as guard:
                try:
                    connection = self._start(writes=writes, seconds=seconds)
                except OSError as error:  # not one of the caller's block
                    raise out_of_means(error) from error
                try:
                    yield connection
                except BaseException:
                    connection.rollback()
                    raise
                committing = writes
                connection.commit()
        except IntegrityError as error:
            raise ConflictError("another change came between; please try again") from self._cause(error)
        except PoolTimeoutError as error:
            raise StoreUnavailableError("the database does not answer: all connections are in use") from error
        except DBAPIError as error:
            expired = guard is not None and guard.expired
            problem = f"the database does not answer within {seconds:.1f} s" if expired else self.explain(error)
            unknown = "; it is not known whether the change was made" if committing and self._is_lost(error) else ""
            raise StoreUnavailableError(problem + unknown) from self._cause(error)
        finally:
            if connection is not None:
                connection.close()

    def _start(self, *, writes: bool, seconds: float) -> Connection:
        """A connection in a new transaction."""
        connection = self.sql.connect().execution_options(**{WRITES: writes, SECONDS: seconds})
        try:
            connection.begin()
        except BaseException:
            connection.close()
            raise
        return connection

    def _in_time(self, seconds: float) -> AbstractContextManager[Guard | None]:
        """A guard where there is something to end: ends what waits for the database in this thread after `seconds`."""
        del seconds
        return nullcontext()

    @abstractmethod
    def explain(self, error: DBAPIError) -> str:
        """What is wrong, in one sentence without values or secrets."""

    @abstractmethod
    def facts(self, connection: Connection) -> Facts:
        """What `db status` shows."""

    def _cause(self, error: DBAPIError) -> DBAPIError | None:
        """The error, for tracebacks; None where its words may quote values."""
        return error

    def _is_lost(self, error: DBAPIError) -> bool:
        """Whether the connection was lost, so that the database's answer never came."""
        return error.connection_invalidated

    @abstractmethod
    def announce(self, connection: Connection) -> None:
        """Tells listeners, once this transaction is committed, that there are changes to read."""

    def listen(self) -> Listener:
        """Connects a listener; blocks. Raises StoreUnavailableError."""
        raise StoreUnavailableError(f"{self.name} does not tell of changes")

    @abstractmethod
    def hold_file_key(self, masters: Sequence[MasterKey]) -> None:
        """Makes the database open with any of these master keys, the first being the one in use."""

    def backup(self, target: Path) -> Callable[[], None]:
        """Gives what copies the database, as it is now, into new files. Raises ConfigurationError where it cannot."""
        raise ConfigurationError(f"{self.name} has tools of its own for {target}: see docs/store.md")

    def close(self) -> None:
        """Closes all connections; nothing may be running."""
        self.sql.dispose()
