"""Fills a relay's store with what would take the API too long: clusters with tokens, workspaces by the thousand."""

import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks.peers.site import ORG, Site
from relay import config
from relay.setup import open_unchanged
from relay.store import Cluster, Database, Endpoint, Org, WorkspaceSpec, cluster_tokens, clusters, orgs, workspaces
from relay.store.rows import Transaction, in_parts
from relay.store.schema import workspace_endpoints
from relay.store.schema import workspaces as workspaces_table
from relay.store.specs import endpoint_columns, workspace_columns

AT_A_TIME = 500
"""Of them in one transaction: the relay under test writes meanwhile."""


def add_clusters(site: Site, names: Sequence[str], *, tokens: Path) -> None:
    """Registers clusters; each one's token is in a file of its number in the new folder `tokens`."""
    tokens.mkdir(mode=0o700)

    with _store(site) as (database, org):
        made: list[str] = []
        for part in in_parts(names, AT_A_TIME):
            made += database.write_now(_add_clusters, org, part)
    for number, token in enumerate(made):
        (tokens / str(number)).write_text(token)


def add_workspaces(site: Site, placed: Sequence[tuple[str, str]], *, port: int) -> None:
    """Makes workspaces, each by its name and its cluster's, whose endpoint `web` leads to `port` of this machine."""
    with _store(site) as (database, org):
        for part in in_parts(placed, AT_A_TIME):
            database.write_now(_add_workspaces, org, part, port)


def _add_clusters(tx: Transaction, org: Org, names: Sequence[str]) -> list[str]:
    """Gives their tokens."""
    made = [clusters.put(tx, org.id, name)[0] for name in names]
    return [cluster_tokens.create(tx, cluster)[1] for cluster in made]


def _add_workspaces(tx: Transaction, org: Org, placed: Sequence[tuple[str, str]], port: int) -> None:
    found: dict[str, Cluster] = {name: clusters.require(tx, org.id, name) for name in {name for _, name in placed}}
    for workspace, name in placed:
        cluster = found[name]
        endpoint = Endpoint(name="web", target=f"http://127.0.0.1:{port}")
        spec = WorkspaceSpec(cluster=name, endpoints=(endpoint,))
        # Two rows and no notice each, where `workspaces.put` looks for others, writes events and tells everybody.
        values = {
            "org_id": org.id,
            "cluster_id": cluster.id,
            "name": workspace,
            "name_index": tx.index(workspaces_table.c.name_index, workspace),
            "routing_key": secrets.token_hex(workspaces.ROUTING_KEY_BYTES),
            "created_at": tx.now,
            "updated_at": tx.now,
        }
        workspace_id = tx.insert(workspaces_table, values | workspace_columns(spec))
        place = {"workspace_id": workspace_id, "position": 0}
        tx.insert(workspace_endpoints, place | endpoint_columns(endpoint))


@contextmanager
def _store(site: Site) -> Iterator[tuple[Database, Org]]:
    database = open_unchanged(config.load(site.config, os.environ))
    try:
        org = database.read_now(orgs.find, ORG)
        assert org is not None  # noqa: S101 - the peer made it
        yield database, org
    finally:
        database.close()
