"""Bringing the schema of a database up to date."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from relay.errors import ConfigurationError, StoreUnavailableError
from relay.store.database import Database
from relay.store.engine import WRITES

_SCRIPTS = Path(__file__).parent / "migrations"


def upgrade(database: Database) -> None:
    """Runs the migrations that the database lacks, all in one transaction; does nothing when there are none.

    Blocks. Several processes may call it at once. Raises ConfigurationError when a newer relay made the database.
    """
    try:
        with database.engine.connect().execution_options(**{WRITES: True}) as connection, connection.begin():
            if schema_revision(connection) == latest_revision():
                return
            config = _config()
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    except CommandError as error:
        raise ConfigurationError("store.url: a newer version of the relay made this database") from error
    except DBAPIError as error:
        raise StoreUnavailableError(f"the schema cannot be brought up to date: {error.orig}") from error


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
