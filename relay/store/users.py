"""Queries: users, the people who sign in."""

from collections.abc import Iterable, Mapping

from sqlalchemy import RowMapping, select

from relay.store.records import User, UserProvider
from relay.store.rows import Transaction
from relay.store.schema import memberships, users


def put(tx: Transaction, *, provider: UserProvider, subject: str, login: str, signed_in: bool = False) -> User:
    """Makes the user known, or notes the name they go by now; `signed_in` notes that they signed in just now."""
    values: dict[str, object] = {"login": login}
    if signed_in:
        values["last_login_at"] = tx.now
    row = _row_by_subject(tx, provider, subject)
    if row is not None:
        tx.update(users, row["id"], values)
        return _require(tx, row["id"])
    text = _subject(provider, subject)
    index = tx.index(users.c.subject_index, text)
    values |= {"provider": provider, "subject": text, "subject_index": index, "created_at": tx.now}
    return _require(tx, tx.insert(users, values))


def get(tx: Transaction, user_id: str) -> User | None:
    """The user of that id, None when there is none."""
    row = tx.connection.execute(select(users).where(users.c.id == user_id)).mappings().one_or_none()
    return None if row is None else _user(tx, row)


def get_all(tx: Transaction, user_ids: Iterable[str]) -> Mapping[str, User]:
    """The users of those ids by id; those that are gone are left out."""
    query = select(users).where(users.c.id.in_(list(user_ids)))
    return {row["id"]: _user(tx, row) for row in tx.connection.execute(query).mappings()}


def find_local(tx: Transaction, name: str) -> User | None:
    """The local user of that name, None when there is none."""
    row = _row_by_subject(tx, "local", name)
    return None if row is None else _user(tx, row)


def find_by_github_id(tx: Transaction, github_id: int) -> User | None:
    """The user of that number at GitHub, None when they are not known here."""
    row = _row_by_subject(tx, "github", str(github_id))
    return None if row is None else _user(tx, row)


def find_by_login(tx: Transaction, org_id: str, login: str) -> User | None:
    """The user with a place in the org who goes by that name, whatever its case; None when there is none.

    Names are sealed and not indexed, for they change: all of the org's users are read. Of two with one name, one from
    GitHub and a local one, the one that joined first is meant.
    """
    query = (
        select(users)
        .join(memberships, memberships.c.user_id == users.c.id)
        .where(memberships.c.org_id == org_id)
        .order_by(memberships.c.active.desc(), memberships.c.id)
    )
    for row in tx.connection.execute(query).mappings():
        user = _user(tx, row)
        if user.login.lower() == login.lower():
            return user
    return None


def _row_by_subject(tx: Transaction, provider: UserProvider, subject: str) -> RowMapping | None:
    query = select(users).where(tx.matches(users.c.subject_index, _subject(provider, subject)))
    return tx.connection.execute(query).mappings().one_or_none()


def _subject(provider: UserProvider, subject: str) -> str:
    return f"{provider}|{subject}"


def _require(tx: Transaction, user_id: str) -> User:
    user = get(tx, user_id)
    if user is None:
        raise LookupError("a user that was written just now is not there")
    return user


def _user(tx: Transaction, row: RowMapping) -> User:
    values = tx.reveal(users, row)
    return User(
        id=values["id"],
        provider=values["provider"],
        subject=values["subject"].partition("|")[2],
        login=values["login"],
        created_at=values["created_at"],
        last_login_at=values["last_login_at"],
    )
