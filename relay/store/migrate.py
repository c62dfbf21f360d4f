"""Bringing the schema of a database up to date."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError
from sqlalchemy import Connection

from relay.errors import ConfigurationError
from relay.store import workspaces
from relay.store.database import Database

UPGRADE_SECONDS = 300.0
"""Migrations may copy tables, and the other processes wait for the first one."""
FIRST_REVISION = "0001"
"""There the time to live of a workspace stands in its sealed specification only, and no query finds it."""
_SCRIPTS = Path(__file__).parent / "migrations"


def upgrade(database: Database) -> None:
    """Runs the migrations that the database lacks, and makes its first sealing key, all in one transaction.

    Does nothing when nothing is missing. Blocks. Several processes may call it at once: it is a write, and writes come
    one after the other; on both engines changes of the schema are part of the transaction. Raises ConfigurationError
    when a newer relay made the database, or for a wrong master key, and StoreUnavailableError.
    """
    try:
        with database.backend.begin(writes=True, seconds=UPGRADE_SECONDS) as connection:
            before = schema_revision(connection)
            if before != latest_revision():
                migrate(connection)
            database.ring.begin(connection, database.clock())
            if before == FIRST_REVISION:
                workspaces.fill_expiry(database.bind(connection))
    except CommandError as error:
        raise ConfigurationError("store.url: a newer version of the relay made this database") from error
    database.read_ring()


def migrate(connection: Connection, revision: str = "head") -> None:
    """Changes the schema only, to a revision; see `upgrade`."""
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def schema_revision(connection: Connection) -> str | None:
    """The revision a database is at; None when it is empty."""
    return MigrationContext.configure(connection).get_current_revision()


def latest_revision() -> str:
    """The revision that this version of the relay needs."""
    head = ScriptDirectory.from_config(_config()).get_current_head()
    if head is None:
        raise ConfigurationError(f"{_SCRIPTS} holds no migrations: the installation is incomplete")
    return head


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config
