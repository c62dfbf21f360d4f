"""Queries: workspaces with their images and endpoints, and the routes they make."""

import secrets
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import RowMapping, Select, Table, delete, exists, select

from relay.auth import UnsealError
from relay.errors import ConflictError, InvalidError, NotFoundError
from relay.routing import Route, RouteTable, is_fork_target, parse_target
from relay.store import clusters, orgs
from relay.store.changes import EVERYTHING
from relay.store.clones import clone_address
from relay.store.records import (
    SYSTEM,
    Actor,
    Change,
    Endpoint,
    Image,
    InCluster,
    Workspace,
    WorkspaceOrigin,
    WorkspaceSpec,
)
from relay.store.rows import Transaction, in_parts, page_size
from relay.store.schema import clusters as clusters_table
from relay.store.schema import workspace_endpoints, workspace_images, workspaces
from relay.store.specs import (
    check_spec,
    endpoint_columns,
    expiry,
    in_cluster_column,
    read_endpoint,
    read_in_cluster,
    read_spec,
    stored_expiry,
    workspace_columns,
)

ROUTING_KEY_BYTES = 10
"""80 bits: not to be guessed, and short enough for a header on every request."""


FILLED_AT_A_TIME = 1000
EXPIRED_AT_A_TIME = 100
"""Workspaces that one transaction removes when their time is over: writers of the API wait no longer than for that."""


def put(
    tx: Transaction,
    org_id: str,
    name: str,
    spec: WorkspaceSpec,
    *,
    actor: Actor = SYSTEM,
    origin: WorkspaceOrigin = "api",
) -> tuple[Workspace, bool]:
    """Makes the workspace, or brings it to `spec`; the second value says whether it is new.

    Id, routing key and time of creation stay over updates; each call counts as an update, the revision grows only when
    the specification changes. Who called last is its origin. Raises InvalidError for a specification that breaks a
    rule or names an unknown cluster.
    """
    org = orgs.get(tx, org_id)
    if org is None:
        raise NotFoundError("the org does not exist any more")
    check_spec(org.name, name, spec)
    cluster = clusters.find(tx, org_id, spec.cluster)
    if cluster is None:
        raise InvalidError(f"spec.cluster: there is no cluster named {spec.cluster!r}")
    values = {"cluster_id": cluster.id, "origin": origin, "updated_at": tx.now, **workspace_columns(spec)}
    before = get(tx, org_id, name)
    if before is None:
        values["expires_at"] = expiry(spec, created_at=tx.now, updated_at=tx.now)
        workspace_id = tx.insert(workspaces, values | _first_values(tx, org_id, name))
    else:
        workspace_id = before.id
        values["expires_at"] = expiry(spec, created_at=before.created_at, updated_at=tx.now)
        values["revision"] = before.revision + (before.spec != spec)
        tx.update(workspaces, workspace_id, values)
    if before is None or before.spec != spec:
        _replace_parts(tx, workspace_id, spec)
    change = Change(kind="workspace", id=workspace_id, org_id=org_id, name=name)
    tx.record_event(change, "create" if before is None else "update", actor)
    return require(tx, org_id, name), before is None


def move_head(
    tx: Transaction, org_id: str, name: str, *, branch: str, head_commit: str, actor: Actor = SYSTEM
) -> Workspace:
    """Notes the new branch and head commit of the pull request that a workspace shows; the rest stays as it is.

    Raises NotFoundError where there is no such workspace, ConflictError where it shows nothing of GitHub.
    """
    before = require(tx, org_id, name)
    github = before.spec.github
    if github is None:
        raise ConflictError(f"the workspace {name!r} shows no pull request")
    if (github.branch, github.head_commit) == (branch, head_commit):
        return before
    values = {
        "branch": branch,
        "head_commit": head_commit,
        "updated_at": tx.now,
        "expires_at": expiry(before.spec, created_at=before.created_at, updated_at=tx.now),
        "revision": before.revision + 1,
    }
    tx.update(workspaces, before.id, values)
    tx.record_event(Change(kind="workspace", id=before.id, org_id=org_id, name=name), "update", actor)
    return require(tx, org_id, name)


def note_in_cluster(tx: Transaction, workspace: Workspace, state: InCluster) -> bool:
    """Notes what the cluster says of a workspace as it was read; False where that is known, or it has changed since.

    No event is written: nobody changed the specification. Subscribers are told.
    """
    found = get(tx, workspace.org_id, workspace.name)
    if found is None or (found.id, found.revision) != (workspace.id, state.revision) or found.in_cluster == state:
        return False
    tx.update(workspaces, found.id, {"in_cluster": in_cluster_column(state)})
    tx.changed(Change(kind="workspace", id=found.id, org_id=found.org_id, name=found.name))
    return True


def find_in_cluster(tx: Transaction, cluster_id: str, *, limit: int = 100, after: str = "") -> Sequence[Workspace]:
    """Workspaces in a cluster in order of creation, `limit` at most, those after the id `after`."""
    query = (
        select(workspaces)
        .where(workspaces.c.cluster_id == cluster_id, workspaces.c.id > after)
        .order_by(workspaces.c.id)
        .limit(page_size(limit))
    )
    return _fetch(tx, query)


def find_ids(
    tx: Transaction, *, org_id: str | None = None, cluster_id: str | None = None, limit: int = 100, after: str = ""
) -> Sequence[str]:
    """Ids of an org's workspaces, or of those in a cluster, in order of creation; nothing has to be unsealed."""
    query = select(workspaces.c.id).where(workspaces.c.id > after).order_by(workspaces.c.id).limit(page_size(limit))
    if org_id is not None:
        query = query.where(workspaces.c.org_id == org_id)
    if cluster_id is not None:
        query = query.where(workspaces.c.cluster_id == cluster_id)
    return tx.connection.execute(query).scalars().all()


def get_all(tx: Transaction, ids: Sequence[str]) -> Sequence[Workspace]:
    """The workspaces of those ids in order of creation; those that are gone are left out. Raises UnsealError."""
    return _fetch(tx, select(workspaces).where(workspaces.c.id.in_(ids)).order_by(workspaces.c.id))


def has_expired(tx: Transaction) -> bool:
    """Whether the time of any workspace is over."""
    return bool(tx.connection.execute(select(exists().where(workspaces.c.expires_at <= tx.now))).scalar_one())


def remove_expired(tx: Transaction) -> int:
    """Deletes workspaces whose time is over, EXPIRED_AT_A_TIME at most; gives how many.

    One that is damaged goes like the others, its event without a name where that cannot be read.
    """
    query = (
        select(workspaces)
        .where(workspaces.c.expires_at <= tx.now)
        .order_by(workspaces.c.expires_at)
        .limit(EXPIRED_AT_A_TIME)
    )
    rows = tx.connection.execute(query).mappings().all()
    for row in rows:
        name = _name_if_readable(tx, row)
        tx.connection.execute(delete(workspaces).where(workspaces.c.id == row["id"]))
        tx.record_event(Change(kind="workspace", id=row["id"], org_id=row["org_id"], name=name), "delete", SYSTEM)
        if not name:
            tx.changed(EVERYTHING)  # what is remembered under its name cannot be told
    return len(rows)


def fill_expiry(tx: Transaction) -> None:
    """Notes when the time of each workspace is over, for those made before that was a column of its own.

    A workspace that is damaged keeps for ever, as it did; the migration must not fail for one row.
    """
    last = ""
    while True:
        query = select(workspaces).where(workspaces.c.id > last).order_by(workspaces.c.id).limit(FILLED_AT_A_TIME)
        rows = tx.connection.execute(query).mappings().all()
        for row in rows:
            try:
                document = tx.reveal_one(workspaces.c.spec, row)
            except UnsealError:
                continue
            end = stored_expiry(document, created_at=row["created_at"], updated_at=row["updated_at"])
            if end is not None:
                tx.update(workspaces, row["id"], {"expires_at": end})
        if len(rows) < FILLED_AT_A_TIME:
            return
        last = rows[-1]["id"]


def _name_if_readable(tx: Transaction, row: RowMapping) -> str:
    try:
        name: str = tx.reveal_one(workspaces.c.name, row)
    except UnsealError:
        return ""
    return name


def get(tx: Transaction, org_id: str, name: str) -> Workspace | None:
    """The org's workspace of that name, None when there is none."""
    named = tx.matches(workspaces.c.name_index, name)
    found = _fetch(tx, select(workspaces).where(workspaces.c.org_id == org_id, named))
    return found[0] if found else None


def require(tx: Transaction, org_id: str, name: str) -> Workspace:
    """The org's workspace of that name. Raises NotFoundError."""
    workspace = get(tx, org_id, name)
    if workspace is None:
        raise NotFoundError(f"there is no workspace named {name!r}")
    return workspace


def find_all(tx: Transaction, org_id: str, *, limit: int = 100, after: str = "") -> Sequence[Workspace]:
    """Workspaces of an org in order of creation, `limit` at most, those after the id `after`."""
    query = (
        select(workspaces)
        .where(workspaces.c.org_id == org_id, workspaces.c.id > after)
        .order_by(workspaces.c.id)
        .limit(page_size(limit))
    )
    return _fetch(tx, query)


def remove(tx: Transaction, org_id: str, name: str, *, actor: Actor = SYSTEM) -> Workspace:
    """Deletes a workspace; returns what it was. Raises NotFoundError."""
    workspace = require(tx, org_id, name)
    tx.connection.execute(delete(workspaces).where(workspaces.c.id == workspace.id))
    tx.record_event(Change(kind="workspace", id=workspace.id, org_id=org_id, name=name), "delete", actor)
    return workspace


def find_routes(tx: Transaction, org_id: str, name: str) -> RouteTable | None:
    """The routes of the org's workspace of that name, None when there is no such workspace."""
    return find_all_routes(tx, [(org_id, name)]).get((org_id, name))


def find_all_routes(tx: Transaction, wanted: Iterable[tuple[str, str]]) -> dict[tuple[str, str], RouteTable]:
    """The routes of many workspaces, by org's id and name; those that do not exist are left out."""
    names_of: dict[str, list[str]] = defaultdict(list)
    for org_id, name in wanted:
        names_of[org_id].append(name)
    found: dict[tuple[str, str], RouteTable] = {}
    for org_id, all_names in names_of.items():
        org = orgs.get(tx, org_id)
        if org is None:
            continue
        for names in in_parts(all_names):
            named = tx.matches(workspaces.c.name_index, *names)
            for workspace in _fetch(tx, select(workspaces).where(workspaces.c.org_id == org_id, named)):
                routes = [_route(org.name, workspace, endpoint) for endpoint in workspace.spec.endpoints]
                found[org_id, workspace.name] = RouteTable(routes)
    return found


def _first_values(tx: Transaction, org_id: str, name: str) -> dict[str, Any]:
    return {
        "org_id": org_id,
        "name": name,
        "name_index": tx.index(workspaces.c.name_index, name),
        "routing_key": secrets.token_hex(ROUTING_KEY_BYTES),
        "created_at": tx.now,
    }


def _replace_parts(tx: Transaction, workspace_id: str, spec: WorkspaceSpec) -> None:
    for table in (workspace_images, workspace_endpoints):
        tx.connection.execute(delete(table).where(table.c.workspace_id == workspace_id))
    for position, image in enumerate(spec.images):
        place = {"workspace_id": workspace_id, "position": position}
        tx.insert(workspace_images, place | {"name": image.name, "new_tag": image.new_tag})
    for position, endpoint in enumerate(spec.endpoints):
        place = {"workspace_id": workspace_id, "position": position}
        tx.insert(workspace_endpoints, place | endpoint_columns(endpoint))


def _fetch(tx: Transaction, query: Select[Any]) -> list[Workspace]:
    rows = [tx.reveal(workspaces, row) for row in tx.connection.execute(query).mappings()]
    ids = [values["id"] for values in rows]
    names = _cluster_names(tx, {values["cluster_id"] for values in rows})
    images = _parts(tx, workspace_images, ids)
    endpoints = _parts(tx, workspace_endpoints, ids)
    return [
        Workspace(
            id=values["id"],
            org_id=values["org_id"],
            cluster_id=values["cluster_id"],
            name=values["name"],
            routing_key=values["routing_key"],
            spec=read_spec(
                names[values["cluster_id"]],
                values,
                (Image(name=image["name"], new_tag=image["new_tag"]) for image in images[values["id"]]),
                (read_endpoint(endpoint) for endpoint in endpoints[values["id"]]),
            ),
            origin=values["origin"],
            revision=values["revision"],
            in_cluster=read_in_cluster(values["in_cluster"]),
            created_at=values["created_at"],
            updated_at=values["updated_at"],
            expires_at=values["expires_at"],
        )
        for values in rows
    ]


def _parts(tx: Transaction, table: Table, workspace_ids: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
    """Rows of a table of parts, by workspace and in their order."""
    query = (
        select(table).where(table.c.workspace_id.in_(workspace_ids)).order_by(table.c.workspace_id, table.c.position)
    )
    parts: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in tx.connection.execute(query).mappings():
        parts[row["workspace_id"]].append(tx.reveal(table, row))
    return parts


def _cluster_names(tx: Transaction, cluster_ids: set[str]) -> dict[str, str]:
    rows: Sequence[RowMapping] = (
        tx.connection.execute(select(clusters_table).where(clusters_table.c.id.in_(cluster_ids))).mappings().all()
    )
    return {row["id"]: tx.reveal(clusters_table, row)["name"] for row in rows}


def _route(org: str, workspace: Workspace, endpoint: Endpoint) -> Route:
    if is_fork_target(endpoint.target):
        host, port = clone_address(workspace, endpoint.target)
    else:
        host, port = parse_target(endpoint.target)
    # The endpoint's own header wins over the workspace's of the same name.
    headers = {name.lower(): value for name, value in (*workspace.spec.routing_headers, *endpoint.routing_headers)}
    return Route(
        org_id=workspace.org_id,
        org=org,
        cluster_id=workspace.cluster_id,
        cluster=workspace.spec.cluster,
        workspace=workspace.name,
        endpoint=endpoint.name,
        target_host=host,
        target_port=port,
        routing_key=workspace.routing_key,
        host_header=endpoint.host_header,
        visibility=endpoint.visibility,
        preflight=endpoint.preflight,
        routing_headers=tuple(headers.items()),
        allowed_origins=endpoint.allowed_origins,
    )
