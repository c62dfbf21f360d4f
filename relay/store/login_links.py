"""Queries: login links, each of which signs a local user in, once."""

from sqlalchemy import RowMapping, delete, select

from relay.auth import TokenKind, mint, parse
from relay.errors import UnauthenticatedError
from relay.store import logins, users
from relay.store.records import User
from relay.store.rows import Transaction
from relay.store.schema import login_links

LINK_SECONDS = 600.0
"""Long enough to carry it from a terminal to a browser."""


def create(tx: Transaction, user_id: str, *, seconds: float = LINK_SECONDS) -> str:
    """The secret of a new link for a user, which cannot be had again."""
    secret = mint(TokenKind.LOGIN_CODE)
    values = {"user_id": user_id, "token_hash": logins.secret_hash(secret), "expires_at": tx.now + seconds}
    tx.insert(login_links, values)
    return secret


def peek(tx: Transaction, secret: str) -> User | None:
    """Whom a link would sign in, without using it up; None when it is malformed, unknown, used or late."""
    row = _row(tx, secret)
    return None if row is None or row["expires_at"] <= tx.now else users.get(tx, row["user_id"])


def redeem(tx: Transaction, secret: str) -> User | None:
    """Whom a link signs in; None as `peek` has it. It is worth nothing afterwards."""
    row = _row(tx, secret)
    if row is None:
        return None
    removed = tx.connection.execute(delete(login_links).where(login_links.c.id == row["id"])).rowcount
    if removed != 1 or row["expires_at"] <= tx.now:
        return None
    return users.get(tx, row["user_id"])


def _row(tx: Transaction, secret: str) -> RowMapping | None:
    try:
        parse(secret, kind=TokenKind.LOGIN_CODE)
    except UnauthenticatedError:
        return None
    query = select(login_links).where(login_links.c.token_hash == logins.secret_hash(secret))
    return tx.connection.execute(query).mappings().one_or_none()
