"""SQLite in one file, the whole of it encrypted by SQLCipher."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, QueuePool, create_engine, event, text
from sqlalchemy.exc import DBAPIError
from sqlcipher3 import dbapi2 as sqlcipher

from relay.auth import MasterKey
from relay.errors import ConfigurationError, StoreUnavailableError
from relay.store.engines.backend import CONNECTIONS, WRITES, Backend, BackendOptions, Facts
from relay.store.engines.file_key import candidate_keys, side_file, write_side_file

SQLITE_PREFIX = "sqlite:///"


class SqliteBackend(Backend):
    """An encrypted file."""

    name = "SQLite"
    notifies = False

    def __init__(self, path: str, masters: Sequence[MasterKey], options: BackendOptions) -> None:
        self._path = Path(path)
        _require_file(self._path, create=options.create)
        self._key = self._find_key(masters, options.query_seconds)
        engine = create_engine(
            "sqlite+pysqlite://",
            module=sqlcipher,
            creator=lambda: _connect(self._path, self._key, options.query_seconds),
            poolclass=QueuePool,
            pool_size=CONNECTIONS,
            max_overflow=0,
            pool_timeout=options.query_seconds,
            hide_parameters=True,  # statements are quoted in errors, values never
        )
        event.listen(engine, "begin", _begin)
        super().__init__(engine, options)

    def _find_key(self, masters: Sequence[MasterKey], timeout: float) -> bytes:
        """The file key that opens the file: of several master keys the file may still be under an earlier one."""
        error: Exception | None = None
        for key in candidate_keys(self._path, masters):
            try:
                _connect(self._path, key, timeout).close()
            except sqlcipher.OperationalError as caught:
                raise StoreUnavailableError(f"the database {self._path} does not answer: {caught}") from caught
            except sqlcipher.DatabaseError as caught:
                error = caught
            else:
                return key
        known = ", ".join(master.id for master in masters)
        raise ConfigurationError(
            f"store.url: {self._path} cannot be read with the master key {known}: wrong key, or not our database"
        ) from error

    def explain(self, error: DBAPIError) -> str:
        """See `Backend`."""
        return f"the database does not answer: {error.orig}"

    def facts(self, connection: Connection) -> Facts:
        """See `Backend`."""
        version, cipher, pages, page = (
            connection.execute(text(statement)).scalar_one()
            for statement in (
                "SELECT sqlite_version()",
                "PRAGMA cipher_version",
                "PRAGMA page_count",
                "PRAGMA page_size",
            )
        )
        return Facts(
            engine=self.name,
            version=version,
            protection=f"file encrypted by SQLCipher {cipher}",
            size_bytes=int(pages) * int(page),  # SQLCipher answers with the page size as text
        )

    def announce(self, connection: Connection) -> None:
        """See `Backend`. Nobody can listen: other processes look for themselves."""

    def hold_file_key(self, masters: Sequence[MasterKey]) -> None:
        """See `Backend`. Written beside the file and put into place in one step."""
        write_side_file(self._path, self._key, masters)

    def backup(self, target: Path) -> Callable[[], None]:
        """See `Backend`. The copy is encrypted like the file itself; readers and writers go on meanwhile."""
        for path in (target, side_file(target)):
            if path.exists():
                raise ConfigurationError(f"{path} exists; a backup goes into a new file")
        return lambda: self._copy(target)

    def _copy(self, target: Path) -> None:
        try:
            os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600))
        except OSError as error:
            raise ConfigurationError(f"{target} cannot be made: {error.strerror}") from error
        try:
            connection = _connect(self._path, self._key, self.query_seconds)
            try:
                connection.execute("VACUUM INTO ?", (str(target),))
            finally:
                connection.close()
            beside = side_file(self._path)
            if beside.exists():
                _write_private(side_file(target), beside.read_bytes())
        except (sqlcipher.DatabaseError, OSError) as error:
            target.unlink()
            raise StoreUnavailableError(f"the backup was not made: {error}") from error


def _write_private(path: Path, content: bytes) -> None:
    with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600), "wb") as file:
        file.write(content)


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


def _connect(path: Path, key: bytes, timeout: float) -> Any:
    connection = sqlcipher.connect(
        str(path),
        timeout=timeout,  # how long a write waits for another process's; those are short, so longer means it is stuck
        isolation_level=None,  # the driver must not begin transactions of its own accord: `_begin` does
        check_same_thread=False,  # the pool hands a connection to one thread at a time
    )
    try:
        connection.execute("PRAGMA cipher_log_level = NONE")  # it writes to standard error; we say it in one sentence
        # A raw key (x'…') skips SQLCipher's PBKDF2: ours has full entropy already.
        connection.execute(f"PRAGMA key = \"x'{key.hex()}'\"")
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()  # the first read proves the key
        connection.execute("PRAGMA journal_mode = WAL")  # readers never wait for the writer
        connection.execute("PRAGMA synchronous = FULL")  # what is committed survives a loss of power
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA temp_store = MEMORY")  # temporary files would not be encrypted
    except BaseException:
        connection.close()
        raise
    return connection


def _begin(connection: Connection) -> None:
    # A writer takes the lock at once: a read lock that turns into a write lock can fail without waiting.
    writes = connection.get_execution_options().get(WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
