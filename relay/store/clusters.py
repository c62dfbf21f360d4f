"""Queries: clusters."""

from collections.abc import Iterable, Sequence

from sqlalchemy import RowMapping, bindparam, delete, func, select, update

from relay.errors import ConflictError, NotFoundError
from relay.routing import require_name
from relay.store import cluster_tokens
from relay.store.records import SYSTEM, Actor, Change, Cluster
from relay.store.rows import Transaction, page_size
from relay.store.schema import clusters, workspaces


def put(tx: Transaction, org_id: str, name: str, *, actor: Actor = SYSTEM) -> tuple[Cluster, bool]:
    """Registers a cluster unless there is one of that name; the second value says whether it is new.

    Raises InvalidError for a bad name.
    """
    require_name(name, field="cluster")
    found = find(tx, org_id, name)
    if found is not None:
        return found, False
    values = {
        "org_id": org_id,
        "name": name,
        "name_index": tx.index(clusters.c.name_index, name),
        "created_at": tx.now,
    }
    cluster_id = tx.insert(clusters, values)
    tx.record_event(Change(kind="cluster", id=cluster_id, org_id=org_id, name=name), "create", actor)
    return Cluster(id=cluster_id, org_id=org_id, name=name, created_at=tx.now, last_seen_at=None), True


def find(tx: Transaction, org_id: str, name: str) -> Cluster | None:
    """The org's cluster of that name, None when there is none."""
    query = select(clusters).where(clusters.c.org_id == org_id, tx.matches(clusters.c.name_index, name))
    row = tx.connection.execute(query).mappings().one_or_none()
    return None if row is None else _cluster(tx, row)


def require(tx: Transaction, org_id: str, name: str) -> Cluster:
    """The org's cluster of that name. Raises NotFoundError."""
    found = find(tx, org_id, name)
    if found is None:
        raise NotFoundError(f"there is no cluster named {name!r}")
    return found


def get(tx: Transaction, cluster_id: str) -> Cluster | None:
    """The cluster of that id, None when there is none."""
    row = tx.connection.execute(select(clusters).where(clusters.c.id == cluster_id)).mappings().one_or_none()
    return None if row is None else _cluster(tx, row)


def find_all(tx: Transaction, org_id: str, *, limit: int = 100, after: str = "") -> Sequence[Cluster]:
    """Clusters of an org in order of creation, `limit` at most, those after the id `after`."""
    query = (
        select(clusters)
        .where(clusters.c.org_id == org_id, clusters.c.id > after)
        .order_by(clusters.c.id)
        .limit(page_size(limit))
    )
    return [_cluster(tx, row) for row in tx.connection.execute(query).mappings()]


def remove(tx: Transaction, org_id: str, name: str, *, actor: Actor = SYSTEM) -> Cluster:
    """Removes a cluster with its tokens; returns what it was.

    Raises NotFoundError, and ConflictError while workspaces are in it.
    """
    cluster = require(tx, org_id, name)
    query = select(func.count()).select_from(workspaces).where(workspaces.c.cluster_id == cluster.id)
    if count := tx.connection.execute(query).scalar_one():
        raise ConflictError(f"the cluster {name!r} still has {count} workspace(s); delete them first")
    cluster_tokens.remove_all(tx, cluster, actor=actor)
    tx.connection.execute(delete(clusters).where(clusters.c.id == cluster.id))
    tx.record_event(Change(kind="cluster", id=cluster.id, org_id=org_id, name=name), "delete", actor)
    return cluster


def record_seen(tx: Transaction, cluster_ids: Iterable[str]) -> None:
    """Notes that tunnels of these clusters are live now; clusters that are gone are passed over."""
    rows = [{"cluster_id": cluster_id} for cluster_id in cluster_ids]
    if rows:
        statement = update(clusters).where(clusters.c.id == bindparam("cluster_id")).values(last_seen_at=tx.now)
        tx.connection.execute(statement, rows)


def _cluster(tx: Transaction, row: RowMapping) -> Cluster:
    values = tx.reveal(clusters, row)
    return Cluster(
        id=values["id"],
        org_id=values["org_id"],
        name=values["name"],
        created_at=values["created_at"],
        last_seen_at=values["last_seen_at"],
    )
