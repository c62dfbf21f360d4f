"""Queries: logins, the browsers that are signed in."""

import hashlib
import secrets
from collections.abc import Iterable

from sqlalchemy import ColumnElement, RowMapping, bindparam, delete, select, update

from relay.store import members, users
from relay.store.records import Change, Login
from relay.store.rows import Transaction
from relay.store.schema import login_codes, login_links, logins

SECRET_BYTES = 32
"""256 bits: a plain hash is enough to store, for nobody can try them all."""


def create(tx: Transaction, user_id: str, *, seconds: float) -> tuple[Login, str]:
    """Signs a user in for `seconds`; the second value is the secret for the browser, which cannot be had again."""
    secret = mint_secret()
    values = {
        "user_id": user_id,
        "token_hash": secret_hash(secret),
        "created_at": tx.now,
        "expires_at": tx.now + seconds,
    }
    login_id = tx.insert(logins, values)
    login = get(tx, login_id)
    if login is None:
        raise LookupError("a login that was written just now is not there")
    return login, secret


def find(tx: Transaction, secret: str) -> Login | None:
    """The login that a browser presents; None when it is unknown, ended or has run out."""
    # The look-up compares hashes of 256 random bits: its time tells nothing that helps to guess them.
    return _find(tx, logins.c.token_hash == secret_hash(secret))


def get(tx: Transaction, login_id: str) -> Login | None:
    """The login of that id; None when it has ended or run out."""
    return _find(tx, logins.c.id == login_id)


def remove(tx: Transaction, login_id: str) -> None:
    """Ends a login, on every preview host too. One that has ended already stays so."""
    _remove(tx, logins.c.id == login_id)


def remove_all(tx: Transaction, user_id: str) -> int:
    """Ends all logins of a user; returns how many there were."""
    return _remove(tx, logins.c.user_id == user_id)


def record_used(tx: Transaction, login_ids: Iterable[str]) -> None:
    """Notes that these logins were used just now; those that are gone are passed over."""
    rows = [{"login_id": login_id} for login_id in login_ids]
    if rows:
        statement = update(logins).where(logins.c.id == bindparam("login_id")).values(last_used_at=tx.now)
        tx.connection.execute(statement, rows)


def sweep(tx: Transaction) -> int:
    """Removes logins, login codes and login links that have run out; returns how many logins there were."""
    for table in (login_codes, login_links):
        tx.connection.execute(delete(table).where(table.c.expires_at <= tx.now))
    return _remove(tx, logins.c.expires_at <= tx.now)


def mint_secret() -> str:
    """256 random bits in base64url, without padding."""
    return secrets.token_urlsafe(SECRET_BYTES)


def secret_hash(secret: str) -> bytes:
    """The form in which such a secret is stored (SHA-256)."""
    # Anything may be presented: what is not ASCII hashes to what nothing is stored under.
    return hashlib.sha256(secret.encode("utf-8", "replace")).digest()


def _remove(tx: Transaction, condition: ColumnElement[bool]) -> int:
    login_ids = tx.connection.execute(select(logins.c.id).where(condition)).scalars().all()
    if login_ids:
        tx.connection.execute(delete(logins).where(condition))
    for login_id in login_ids:
        tx.changed(Change(kind="login", id=login_id, org_id="", deleted=True))
    return len(login_ids)


def _find(tx: Transaction, condition: ColumnElement[bool]) -> Login | None:
    query = select(logins).where(condition, logins.c.expires_at > tx.now)
    row = tx.connection.execute(query).mappings().one_or_none()
    return None if row is None else _login(tx, row)


def _login(tx: Transaction, row: RowMapping) -> Login | None:
    user = users.get(tx, row["user_id"])
    if user is None:
        return None
    places = members.find_of_user(tx, user.id)
    return Login(
        id=row["id"],
        user=user,
        created_at=row["created_at"],
        expires_at=row["expires_at"],
        members=tuple(member for member in places if member.active),
        checked_at=min((member.checked_at for member in places if member.source == "github"), default=None),
    )
