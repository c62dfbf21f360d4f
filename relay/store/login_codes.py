"""Queries: login codes, each of which carries a login from the app host to one preview host, once."""

import hmac
import json

from sqlalchemy import delete, select

from relay.auth import nonce_hash as hash_of
from relay.store import logins
from relay.store.records import HandOver
from relay.store.rows import Transaction, to_json
from relay.store.schema import login_codes

CODE_SECONDS = 60.0
"""A redirect takes a second; whoever finds a code in a browser's history finds it dead."""


def create(tx: Transaction, login_id: str, *, host: str, return_to: str, nonce_hash: bytes) -> str:
    """A new code for a login, good for one preview host (`host`, without port) and one browser.

    `nonce_hash` is SHA-256 of the nonce that this host has given the browser.
    """
    code = logins.mint_secret()
    values = {
        "login_id": login_id,
        "code_hash": logins.secret_hash(code),
        "nonce_hash": nonce_hash,
        "details": to_json({"host": host, "returnTo": return_to}),
        "expires_at": tx.now + CODE_SECONDS,
    }
    tx.insert(login_codes, values)
    return code


def exists(tx: Transaction, code: str) -> bool:
    """Whether there is such a code, good or not."""
    query = select(login_codes.c.id).where(login_codes.c.code_hash == logins.secret_hash(code))
    return tx.connection.execute(query).first() is not None


def redeem(tx: Transaction, code: str, *, host: str, nonce: str | None) -> HandOver | None:
    """What a code that is presented at `host` by a browser with `nonce` stands for.

    None when it is unknown, was used, is late, belongs to another host or another browser, or the login has ended, and
    always for a browser without nonce.
    Whatever the outcome, the code is worth nothing afterwards.
    """
    query = select(login_codes).where(login_codes.c.code_hash == logins.secret_hash(code))
    row = tx.connection.execute(query).mappings().one_or_none()
    if row is None:
        return None
    removed = tx.connection.execute(delete(login_codes).where(login_codes.c.id == row["id"])).rowcount
    values = tx.reveal(login_codes, row)
    details = json.loads(values["details"])
    fits = hmac.compare_digest(details["host"].encode(), host.encode())
    fits &= nonce is not None and hmac.compare_digest(values["nonce_hash"], hash_of(nonce))
    if not fits or removed != 1 or values["expires_at"] <= tx.now:
        return None
    login = logins.get(tx, values["login_id"])
    return None if login is None else HandOver(login=login, return_to=details["returnTo"])
