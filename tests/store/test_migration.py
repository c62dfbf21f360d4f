"""A database of the first release, with data in it, goes on under this one."""

import secrets

import pytest
from sqlalchemy import Table, func, select, text, update

from relay.auth import MasterKey, Sealer
from relay.store import Database, Endpoint, Image, Lookups, Ttl, WorkspaceSpec, orgs, upgrade, workspaces
from relay.store.migrate import FIRST_REVISION, migrate, schema_revision
from relay.store.rows import Transaction
from relay.store.schema import (
    api_keys,
    cluster_tokens,
    clusters,
    events,
    metadata,
    workspace_endpoints,
    workspace_images,
)
from relay.store.schema import orgs as orgs_table
from relay.store.schema import workspaces as workspaces_table
from relay.store.specs import endpoint_columns, workspace_columns
from tests.store.conftest import OpenDatabase
from tests.store.support import Clock

FIRST_TABLES = (orgs_table, api_keys, clusters, cluster_tokens, workspaces_table, workspace_images, workspace_endpoints,
                events)  # fmt: skip
TTLS = {
    "by-creation": Ttl(duration="1h", offset_from="createdAt"),
    "by-update": Ttl(duration="2d", offset_from="updatedAt"),
    "for-ever": None,
    "damaged": Ttl(duration="1h", offset_from="createdAt"),
}


class FirstRelease:
    """Writes rows with the columns of then, sealed under the master key itself."""

    def __init__(self, tx: Transaction) -> None:
        self.tx = tx
        self.org_id = self._named(orgs_table)
        self.cluster_id = self._named(clusters, org_id=self.org_id)
        for table, parents in ((api_keys, {"role": "admin"}), (cluster_tokens, {"cluster_id": self.cluster_id})):
            token = {"token_hash": secrets.token_bytes(32), "pepper_version": tx.sealer.active.id, "created_at": tx.now}
            tx.insert(table, {"org_id": self.org_id, "details": "{}", **token, **parents})
        who = {"actor_kind": "system", "actor_id": "system", "actor_last_four": ""}
        what = {"action": "create", "object_kind": "org", "object_id": self.org_id, "object_name": "acme"}
        tx.insert(events, {"org_id": self.org_id, "at": tx.now, **who, **what})

    def _named(self, table: Table, name: str = "acme", **more: str) -> str:
        values = {"name": name, "name_index": self.tx.index(table.c.name_index, name), "created_at": self.tx.now}
        return self.tx.insert(table, values | more)

    def add_workspace(self, name: str, ttl: Ttl | None) -> str:
        columns = {"routing_key": secrets.token_hex(10), "updated_at": self.tx.now + 60}
        columns |= {"org_id": self.org_id, "cluster_id": self.cluster_id}
        spec = workspace_columns(WorkspaceSpec(cluster="acme", ttl=ttl))
        workspace_id = self._named(workspaces_table, name, **{**columns, **spec})  # type: ignore[arg-type]
        place = {"workspace_id": workspace_id, "position": 0}
        self.tx.insert(workspace_images, {**place, "name": "web", "new_tag": "sha-1"})
        self.tx.insert(workspace_endpoints, {**place, **endpoint_columns(ENDPOINT)})
        return workspace_id


ENDPOINT = Endpoint(name="web", target="http://web.shop.svc:8080")


@pytest.fixture
def old(open_database: OpenDatabase, master: MasterKey, clock: Clock) -> Database:
    """A database as the first release left it."""
    database = open_database()
    with database.backend.begin(writes=True) as connection:
        migrate(connection, FIRST_REVISION)
        made = FirstRelease(Transaction(connection=connection, sealer=Sealer(master), now=clock.now))
        ids = {name: made.add_workspace(name, ttl) for name, ttl in TTLS.items()}
        damaged = workspaces_table.c.id == ids["damaged"]
        connection.execute(update(workspaces_table).where(damaged).values(spec=b"\1\2\3"))
    return database


def count_rows(database: Database) -> dict[str, int]:
    with database.backend.begin(writes=False) as connection:
        return {
            table.name: connection.execute(select(func.count()).select_from(table)).scalar_one()
            for table in FIRST_TABLES
        }


def test_an_upgrade_loses_no_row_of_any_table(old: Database) -> None:
    with old.backend.begin(writes=False) as connection:
        assert schema_revision(connection) == FIRST_REVISION
        for table in set(metadata.tables.values()) - set(FIRST_TABLES):
            assert not connection.dialect.has_table(connection, table.name)
    before = count_rows(old)
    assert min(before.values()) > 0
    upgrade(old)
    assert count_rows(old) == before


async def test_workspaces_of_the_first_release_end_when_they_were_said_to(old: Database, clock: Clock) -> None:
    started = clock.now
    upgrade(old)
    org = await old.read(orgs.find, "acme")
    assert org is not None
    for name, ends in (("by-creation", 3600), ("by-update", 60 + 2 * 86400), ("for-ever", None)):
        workspace = await old.read(workspaces.require, org.id, name)
        assert workspace.expires_at == (None if ends is None else started + ends)
        assert (workspace.spec.ttl, workspace.revision, workspace.origin) == (TTLS[name], 1, "api")
        assert (workspace.spec.endpoints, workspace.spec.images) == ((ENDPOINT,), (Image(name="web", new_tag="sha-1"),))
    clock.now = started + 3600
    assert await old.write(workspaces.remove_expired) == 1
    assert await old.read(workspaces.get, org.id, "by-creation") is None
    assert await Lookups(old).org("acme") == org


async def test_a_second_upgrade_leaves_the_end_of_a_workspace_alone(old: Database) -> None:
    upgrade(old)
    with old.transaction(writes=True) as transaction:
        transaction.connection.execute(text("UPDATE workspaces SET expires_at = NULL"))
    upgrade(old)
    assert not await old.read(lambda tx: tx.connection.execute(
        select(func.count(workspaces_table.c.expires_at))).scalar_one())  # fmt: skip
