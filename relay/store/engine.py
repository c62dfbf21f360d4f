"""Opening the database: SQLCipher (the whole file encrypted) under SQLAlchemy Core."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, QueuePool, create_engine, event
from sqlalchemy.exc import DatabaseError, OperationalError
from sqlcipher3 import dbapi2 as sqlcipher

from relay.auth import MasterKey
from relay.errors import ConfigurationError, StoreUnavailableError

BUSY_TIMEOUT_SECONDS = 5.0
"""How long a write waits for another process's write; those are short, so longer means something is stuck."""
CONNECTIONS = 5
"""Four readers and the writer; see `relay.store.database`."""
SQLITE_PREFIX = "sqlite:///"
WRITES = "relay_writes"
"""Execution option of a connection whose transaction is going to write."""


def open_engine(url: str, master: MasterKey, *, create: bool) -> Engine:
    """Opens the database at a `sqlite:///path` URL, making the file (mode 0600) where `create` allows it.

    Raises ConfigurationError in one sentence for a wrong key, a file that is no database or a missing file, and
    StoreUnavailableError when the database does not answer.
    """
    if not url.startswith(SQLITE_PREFIX):
        raise ConfigurationError(f"store.url: {url.partition(':')[0]!r} is not a known engine, sqlite:///PATH is")
    path = Path(url.removeprefix(SQLITE_PREFIX))
    _require_file(path, create=create)
    engine = create_engine(
        "sqlite+pysqlite://",
        module=sqlcipher,
        creator=_connector(path, master),
        poolclass=QueuePool,
        pool_size=CONNECTIONS,
        max_overflow=0,
        hide_parameters=True,  # statements are quoted in errors, values never
    )
    event.listen(engine, "begin", _begin)
    try:
        engine.connect().close()
    except OperationalError as error:
        raise StoreUnavailableError(f"the database {path} does not answer: {error.orig}") from error
    except DatabaseError as error:
        raise ConfigurationError(
            f"store.url: {path} cannot be read with the master key {master.id}: wrong key, or not our database"
        ) from error
    return engine


def _require_file(path: Path, *, create: bool) -> None:
    if path.is_file():
        return
    if not create:
        raise ConfigurationError(f"store.url: {path} does not exist (`signadot-relay init` makes it)")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        # SQLite gives the write-ahead log the mode of the file it belongs to.
        os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise ConfigurationError(f"store.url: {path} cannot be made: {error.strerror}") from error


def _connector(path: Path, master: MasterKey) -> Callable[[], Any]:
    # A raw key (x'…') skips SQLCipher's PBKDF2: ours has full entropy already.
    key = master.derive("sqlcipher").hex()

    def connect() -> Any:
        connection = sqlcipher.connect(
            str(path),
            timeout=BUSY_TIMEOUT_SECONDS,
            isolation_level=None,  # the driver must not begin transactions of its own accord: `_begin` does
            check_same_thread=False,  # the pool hands a connection to one thread at a time
        )
        try:
            connection.execute(
                "PRAGMA cipher_log_level = NONE"
            )  # it writes to standard error; we say it in one sentence
            connection.execute(f"PRAGMA key = \"x'{key}'\"")
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()  # the first read proves the key
            connection.execute("PRAGMA journal_mode = WAL")  # readers never wait for the writer
            connection.execute("PRAGMA synchronous = FULL")  # what is committed survives a loss of power
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute("PRAGMA temp_store = MEMORY")  # temporary files would not be encrypted
        except BaseException:
            connection.close()
            raise
        return connection

    return connect


def _begin(connection: Connection) -> None:
    # A writer takes the lock at once: a read lock that turns into a write lock can fail without waiting.
    writes = connection.get_execution_options().get(WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
