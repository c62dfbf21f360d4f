"""Queries: members, the places of users in orgs."""

from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import ColumnElement, RowMapping, delete, func, select, update

from relay.auth import Role
from relay.errors import ConflictError, NotFoundError
from relay.store import api_keys, orgs, users
from relay.store.records import SYSTEM, Actor, Change, Member, User, UserProvider
from relay.store.rows import Transaction, page_size
from relay.store.schema import memberships


def put(
    tx: Transaction,
    org_id: str,
    user_id: str,
    *,
    source: UserProvider,
    role: Role | None = None,
    actor: Actor = SYSTEM,
) -> Member:
    """Gives a user a place in an org, or says that they still have it, as of now.

    `role`: None keeps the present one; a new member is `member` then. Raises NotFoundError, and ConflictError where
    nobody would be left who may administer the org.
    """
    row = _row(tx, org_id, user_id)
    if row is None:
        return _insert(tx, org_id, user_id, source=source, role=role or Role.MEMBER, actor=actor)
    before = Role(row["role"])
    after = role or before
    if row["active"]:
        _keep_an_admin(tx, org_id, user_id, before=before, after=after)
    values = {"role": after.value, "source": source, "active": True, "checked_at": tx.now}
    tx.update(memberships, row["id"], values)
    member = _require(tx, org_id, user_id)
    if (before, row["source"], bool(row["active"])) != (after, source, True):
        tx.record_event(_change(member), "update", actor)
    return member


def confirm(tx: Transaction, user_id: str, answers: Mapping[str, bool]) -> None:
    """Writes down GitHub's answers by org id: whether the user still belongs to it, as of now.

    Only places that GitHub vouches for are touched; nobody gets a new place by it.
    """
    for row in _rows(tx, memberships.c.user_id == user_id, memberships.c.source == "github"):
        answer = answers.get(row["org_id"])
        if answer is None:
            continue
        tx.update(memberships, row["id"], {"active": answer, "checked_at": tx.now})
        if bool(row["active"]) != answer:
            member = _require(tx, row["org_id"], user_id)
            tx.record_event(_change(member), "update", SYSTEM)


def set_role(tx: Transaction, org_id: str, user_id: str, role: Role, *, actor: Actor = SYSTEM) -> Member:
    """Changes a member's role.

    Raises NotFoundError, and ConflictError where nobody would be left who may administer the org.
    """
    member = _require(tx, org_id, user_id)
    if member.role is role:
        return member
    if member.active:
        _keep_an_admin(tx, org_id, user_id, before=member.role, after=role)
    statement = update(memberships).where(memberships.c.org_id == org_id, memberships.c.user_id == user_id)
    tx.connection.execute(statement.values(role=role.value))
    tx.record_event(_change(member), "update", actor)
    return _require(tx, org_id, user_id)


def remove(tx: Transaction, org_id: str, user_id: str, *, actor: Actor = SYSTEM) -> Member:
    """Ends a user's place in an org; returns what it was. Whoever GitHub vouches for gets it back by signing in.

    Raises NotFoundError, and ConflictError where nobody would be left who may administer the org.
    """
    member = _require(tx, org_id, user_id)
    if member.active:
        _keep_an_admin(tx, org_id, user_id, before=member.role, after=None)
    tx.connection.execute(delete(memberships).where(memberships.c.org_id == org_id, memberships.c.user_id == user_id))
    tx.record_event(_change(member), "delete", actor)
    return member


def get(tx: Transaction, org_id: str, user_id: str) -> Member | None:
    """A user's place in an org, None when there is none; active or not."""
    row = _row(tx, org_id, user_id)
    return None if row is None else _members(tx, [row])[0]


def find_all(tx: Transaction, org_id: str, *, limit: int = 100, after: str = "") -> Sequence[Member]:
    """Members of an org by the age of their users' records, `limit` at most, those after the user id `after`.

    Those that are no longer active are among them.
    """
    query = (
        select(memberships)
        .where(memberships.c.org_id == org_id, memberships.c.user_id > after)
        .order_by(memberships.c.user_id)
        .limit(page_size(limit))
    )
    return _members(tx, tx.connection.execute(query).mappings().all())


def find_of_user(tx: Transaction, user_id: str) -> Sequence[Member]:
    """A user's places in all orgs, the oldest first; active or not."""
    return _members(tx, _rows(tx, memberships.c.user_id == user_id))


def require(tx: Transaction, org_id: str, login: str) -> Member:
    """The member who goes by that name, active or not. Raises NotFoundError."""
    user = users.find_by_login(tx, org_id, login)
    member = None if user is None else get(tx, org_id, user.id)
    if member is None:
        raise NotFoundError(f"the org has no member {login!r}")
    return member


def _insert(tx: Transaction, org_id: str, user_id: str, *, source: UserProvider, role: Role, actor: Actor) -> Member:
    if orgs.get(tx, org_id) is None:
        raise NotFoundError("the org does not exist any more")
    if users.get(tx, user_id) is None:
        raise NotFoundError("the user does not exist any more")
    values = {
        "org_id": org_id,
        "user_id": user_id,
        "role": role.value,
        "source": source,
        "active": True,
        "checked_at": tx.now,
        "created_at": tx.now,
    }
    tx.insert(memberships, values)
    member = _require(tx, org_id, user_id)
    tx.record_event(_change(member), "create", actor)
    return member


def _keep_an_admin(tx: Transaction, org_id: str, user_id: str, *, before: Role, after: Role | None) -> None:
    """Refuses what would lock everybody out of an org: neither an admin member nor an admin key left."""
    if before is not Role.ADMIN or after is Role.ADMIN or api_keys.count_admins(tx, org_id):
        return
    others = (
        memberships.c.org_id == org_id,
        memberships.c.user_id != user_id,
        memberships.c.role == Role.ADMIN.value,
        memberships.c.active.is_(True),
    )
    if not tx.connection.execute(select(func.count()).select_from(memberships).where(*others)).scalar_one():
        raise ConflictError("this is the org's last admin, and it has no admin key: make another one an admin first")


def _row(tx: Transaction, org_id: str, user_id: str) -> RowMapping | None:
    rows = _rows(tx, memberships.c.org_id == org_id, memberships.c.user_id == user_id)
    return rows[0] if rows else None


def _rows(tx: Transaction, *conditions: ColumnElement[bool]) -> Sequence[RowMapping]:
    query = select(memberships).where(*conditions).order_by(memberships.c.id)
    return tx.connection.execute(query).mappings().all()


def _require(tx: Transaction, org_id: str, user_id: str) -> Member:
    member = get(tx, org_id, user_id)
    if member is None:
        raise NotFoundError("the org has no such member")
    return member


def _change(member: Member) -> Change:
    return Change(kind="member", id=member.user.id, org_id=member.org_id, name=member.user.login)


def _members(tx: Transaction, rows: Iterable[RowMapping]) -> Sequence[Member]:
    rows = list(rows)
    people = users.get_all(tx, {row["user_id"] for row in rows})
    names = {org_id: orgs.get(tx, org_id) for org_id in {row["org_id"] for row in rows}}
    members = []
    for row in rows:
        user, org = people.get(row["user_id"]), names[row["org_id"]]
        if user is not None and org is not None:  # foreign keys see to it
            members.append(_member(row, user, org.name))
    return members


def _member(row: RowMapping, user: User, org: str) -> Member:
    return Member(
        user=user,
        org_id=row["org_id"],
        org=org,
        role=Role(row["role"]),
        source=row["source"],
        active=bool(row["active"]),
        checked_at=row["checked_at"],
    )
