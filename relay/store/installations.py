"""Queries: where the GitHub App is installed, by org."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import RowMapping, delete, or_, select, update

from relay.store.records import SYSTEM, Change
from relay.store.rows import Transaction
from relay.store.schema import github_installations, memberships, users


@dataclass(frozen=True, slots=True, kw_only=True)
class OrgInstallation:
    """The App on the GitHub account of an org."""

    org_id: str
    installation_id: int
    suspended: bool


def put(tx: Transaction, org_id: str, installation_id: int, *, suspended: bool) -> bool:
    """Notes where the App is installed for an org; False when that was known.

    An org has one installation and an installation one org: what contradicts it is replaced.
    """
    found = find_by_org(tx, org_id)
    wanted = OrgInstallation(org_id=org_id, installation_id=installation_id, suspended=suspended)
    if found == wanted:
        return False
    table = github_installations
    tx.connection.execute(
        delete(table).where(or_(table.c.org_id == org_id, table.c.installation_id == installation_id))
    )
    values = {"org_id": org_id, "installation_id": installation_id, "suspended": suspended, "created_at": tx.now}
    tx.insert(table, values)
    return True


def find(tx: Transaction, installation_id: int) -> OrgInstallation | None:
    """The installation of that number, None when it is not known."""
    return _one(tx, github_installations.c.installation_id == installation_id)


def find_by_org(tx: Transaction, org_id: str) -> OrgInstallation | None:
    """The installation of an org, None when the App is not installed for it."""
    return _one(tx, github_installations.c.org_id == org_id)


def find_all(tx: Transaction) -> Sequence[OrgInstallation]:
    """All installations."""
    query = select(github_installations).order_by(github_installations.c.id)
    return [_installation(row) for row in tx.connection.execute(query).mappings()]


def remove(tx: Transaction, org_id: str) -> None:
    """The App is not installed for the org any more: whoever GitHub vouched for is no member now."""
    tx.connection.execute(delete(github_installations).where(github_installations.c.org_id == org_id))
    end_memberships(tx, org_id)


def end_memberships(tx: Transaction, org_id: str) -> None:
    """Ends the places in the org that GitHub vouches for; roles are kept for the case that they come back."""
    theirs = (
        memberships.c.org_id == org_id,
        memberships.c.source == "github",
        memberships.c.active.is_(True),
    )
    ids = tx.connection.execute(select(memberships.c.user_id).where(*theirs)).scalars().all()
    tx.connection.execute(update(memberships).where(*theirs).values(active=False, checked_at=tx.now))
    for user_id in ids:
        row = tx.connection.execute(select(users).where(users.c.id == user_id)).mappings().one()
        name = tx.reveal(users, row)["login"]
        tx.record_event(Change(kind="member", id=user_id, org_id=org_id, name=name), "update", SYSTEM)


def _one(tx: Transaction, condition: object) -> OrgInstallation | None:
    query = select(github_installations).where(condition)  # type: ignore[arg-type]
    row = tx.connection.execute(query).mappings().one_or_none()
    return None if row is None else _installation(row)


def _installation(row: RowMapping) -> OrgInstallation:
    return OrgInstallation(
        org_id=row["org_id"], installation_id=row["installation_id"], suspended=bool(row["suspended"])
    )
