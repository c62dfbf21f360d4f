"""What may be said of a database: engine, schema, rows, keys; no secrets."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import func, select

from relay.store import keys
from relay.store.database import Database
from relay.store.engines import Facts
from relay.store.keys import KeyFacts
from relay.store.migrate import latest_revision, schema_revision
from relay.store.schema import metadata

STATUS_SECONDS = 300.0
"""Counting reads everything there is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """The state of a database."""

    facts: Facts
    revision: str | None
    """Of its schema; None where it is empty."""
    latest: str
    """The revision that this relay makes."""
    rows: Mapping[str, int]
    """By table; empty unless the schema is up to date, as is `keys`."""
    keys: Sequence[KeyFacts]


def find_status(database: Database) -> Status:
    """Looks at everything there is; blocks. Raises StoreUnavailableError."""
    latest = latest_revision()
    with database.backend.begin(writes=False, seconds=STATUS_SECONDS) as connection:
        facts = database.backend.facts(connection)
        revision = schema_revision(connection)
        if revision != latest:
            return Status(facts=facts, revision=revision, latest=latest, rows={}, keys=())
        rows = {
            table.name: connection.execute(select(func.count()).select_from(table)).scalar_one()
            for table in metadata.sorted_tables
        }
        found = keys.find_all(database.bind(connection))
        return Status(facts=facts, revision=revision, latest=latest, rows=rows, keys=found)
