"""Queries: orgs."""

from collections.abc import Sequence

from sqlalchemy import RowMapping, select

from relay.auth import Role
from relay.errors import ConflictError
from relay.routing import require_name
from relay.store import api_keys
from relay.store.records import SYSTEM, Actor, ApiKey, Change, Org
from relay.store.rows import Transaction, page_size
from relay.store.schema import orgs


def create(tx: Transaction, name: str, *, actor: Actor = SYSTEM) -> Org:
    """Makes an org. Raises InvalidError for a bad name, ConflictError for one that is taken."""
    require_name(name, field="org")
    if find(tx, name) is not None:
        raise ConflictError(f"an org named {name!r} exists")
    values = {"name": name, "name_index": tx.index(orgs.c.name_index, name), "created_at": tx.now}
    org = Org(id=tx.insert(orgs, values), name=name, created_at=tx.now)
    tx.record_event(Change(kind="org", id=org.id, org_id=org.id, name=name), "create", actor)
    return org


def create_with_admin_key(tx: Transaction, name: str) -> tuple[Org, ApiKey, str]:
    """Makes an org and its first admin API key in one transaction; the last value is the key's secret."""
    org = create(tx, name)
    key, secret = api_keys.create(tx, org.id, name="admin", role=Role.ADMIN)
    return org, key, secret


def find(tx: Transaction, name: str) -> Org | None:
    """The org of that name, None when there is none."""
    query = select(orgs).where(orgs.c.name_index == tx.index(orgs.c.name_index, name))
    row = tx.connection.execute(query).mappings().one_or_none()
    return None if row is None else _org(tx, row)


def get(tx: Transaction, org_id: str) -> Org | None:
    """The org of that id, None when there is none."""
    row = tx.connection.execute(select(orgs).where(orgs.c.id == org_id)).mappings().one_or_none()
    return None if row is None else _org(tx, row)


def find_all(tx: Transaction, *, limit: int = 100, after: str = "") -> Sequence[Org]:
    """Orgs in order of creation, `limit` at most, those after the id `after`."""
    query = select(orgs).where(orgs.c.id > after).order_by(orgs.c.id).limit(page_size(limit))
    return [_org(tx, row) for row in tx.connection.execute(query).mappings()]


def _org(tx: Transaction, row: RowMapping) -> Org:
    values = tx.reveal(orgs, row)
    return Org(id=values["id"], name=values["name"], created_at=values["created_at"])
