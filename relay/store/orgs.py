"""Queries: orgs."""

from collections.abc import Sequence

from sqlalchemy import RowMapping, select

from relay.auth import Role
from relay.errors import ConflictError, NotFoundError
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
    query = select(orgs).where(tx.matches(orgs.c.name_index, name))
    row = tx.connection.execute(query).mappings().one_or_none()
    return None if row is None else _org(tx, row)


def get(tx: Transaction, org_id: str) -> Org | None:
    """The org of that id, None when there is none."""
    row = tx.connection.execute(select(orgs).where(orgs.c.id == org_id)).mappings().one_or_none()
    return None if row is None else _org(tx, row)


def find_by_github_account(tx: Transaction, account: str) -> Org | None:
    """The org that is linked to an account on GitHub, None when there is none. Accounts have no case."""
    query = select(orgs).where(tx.matches(orgs.c.github_account_index, account.lower()))
    row = tx.connection.execute(query).mappings().one_or_none()
    return None if row is None else _org(tx, row)


def link_github_account(
    tx: Transaction, org_id: str, account: str, *, account_id: int | None = None, actor: Actor = SYSTEM
) -> None:
    """Links an org to an account on GitHub. Raises ConflictError when another org is linked to it.

    `account_id`: None where it is not known yet; that of the same name is kept then.
    """
    account = account.lower()
    found = find_by_github_account(tx, account)
    if found is not None and found.id != org_id:
        raise ConflictError(f"the org {found.name!r} is linked to the GitHub account {account!r}")
    values = {"github_account": account, "github_account_index": tx.index(orgs.c.github_account_index, account)}
    org = get(tx, org_id)
    if org is None:
        raise NotFoundError("the org does not exist any more")
    if account_id is None and org.github_account == account:
        account_id = org.github_account_id
    tx.update(orgs, org_id, values | {"github_account_id": account_id})
    tx.record_event(Change(kind="org", id=org_id, org_id=org_id, name=org.name), "update", actor)


def learn_github_account_id(tx: Transaction, org_id: str, account: str, account_id: int) -> int | None:
    """Notes the number of the account that an org is linked to, unless one is known; gives the one that counts.

    None where the org is linked to another account by now, or gone.
    """
    org = get(tx, org_id)
    if org is None or org.github_account != account:
        return None
    if org.github_account_id is None:
        tx.update(orgs, org_id, {"github_account_id": account_id})
    return org.github_account_id or account_id


def find_linked(tx: Transaction) -> Sequence[Org]:
    """All orgs that are linked to an account on GitHub."""
    query = select(orgs).where(orgs.c.github_account_index.is_not(None)).order_by(orgs.c.id)
    return [_org(tx, row) for row in tx.connection.execute(query).mappings()]


def find_all(tx: Transaction, *, limit: int = 100, after: str = "") -> Sequence[Org]:
    """Orgs in order of creation, `limit` at most, those after the id `after`."""
    query = select(orgs).where(orgs.c.id > after).order_by(orgs.c.id).limit(page_size(limit))
    return [_org(tx, row) for row in tx.connection.execute(query).mappings()]


def _org(tx: Transaction, row: RowMapping) -> Org:
    values = tx.reveal(orgs, row)
    return Org(
        id=values["id"],
        name=values["name"],
        created_at=values["created_at"],
        github_account=values["github_account"],
        github_account_id=values["github_account_id"],
    )
