"""The database engines: SQLite under SQLCipher in a file, and PostgreSQL; everything above speaks to a `Backend`."""

from collections.abc import Sequence

from relay.auth import MasterKey
from relay.errors import ConfigurationError
from relay.store.engines.backend import Backend, BackendOptions, Facts, Listener
from relay.store.engines.postgres_url import POSTGRES_PREFIX
from relay.store.engines.sqlite import SQLITE_PREFIX, SqliteBackend

__all__ = ["Backend", "BackendOptions", "Facts", "Listener", "open_backend"]


def open_backend(url: str, masters: Sequence[MasterKey], options: BackendOptions) -> Backend:
    """Opens the database at `sqlite:///PATH` or `postgresql://USER@HOST/DATABASE`; see docs/store.md.

    Raises ConfigurationError in one sentence for a URL, file, password, certificate or key that cannot be right, and
    StoreUnavailableError when the database does not answer. No message repeats a secret.
    """
    if url.startswith(SQLITE_PREFIX):
        return SqliteBackend(url.removeprefix(SQLITE_PREFIX), masters, options)
    if url.startswith(POSTGRES_PREFIX):
        # Its driver takes a while to load, and not every process has to do with it.
        from relay.store.engines.postgres import PostgresBackend  # noqa: PLC0415

        return PostgresBackend(url, options)
    raise ConfigurationError(
        f"store.url: {url.partition(':')[0]!r} is not a known engine, sqlite:///PATH and postgresql:// are"
    )
