"""Queries: API keys."""

import json
from collections.abc import Iterable, Sequence

from sqlalchemy import RowMapping, bindparam, delete, func, select, update

from relay.auth import Membership, Principal, PrincipalKind, Role, Token, TokenKind, mint, parse
from relay.errors import ConflictError, NotFoundError
from relay.store.records import SYSTEM, Actor, ApiKey, Change
from relay.store.rows import Transaction, page_size, to_json
from relay.store.schema import api_keys, orgs


def create(tx: Transaction, org_id: str, *, name: str, role: Role, actor: Actor = SYSTEM) -> tuple[ApiKey, str]:
    """Makes an API key; the second value is the secret, which cannot be had again."""
    secret = mint(TokenKind.API_KEY)
    token = parse(secret)
    token_hash, version = tx.sealer.token_hash(token)
    details = {"name": name, "lastFour": token.last_four, "createdBy": actor.id}
    values = {
        "org_id": org_id,
        "role": role.value,
        "details": to_json(details),
        "token_hash": token_hash,
        "pepper_version": version,
        "created_at": tx.now,
    }
    key_id = tx.insert(api_keys, values)
    tx.record_event(Change(kind="api_key", id=key_id, org_id=org_id, name=name), "create", actor)
    return _require(tx, org_id, key_id), secret


def get(tx: Transaction, org_id: str, key_id: str) -> ApiKey | None:
    """The API key of that id in the org, None when there is none."""
    query = select(api_keys).where(api_keys.c.id == key_id, api_keys.c.org_id == org_id)
    row = tx.connection.execute(query).mappings().one_or_none()
    return None if row is None else _api_key(tx, row)


def find_all(tx: Transaction, org_id: str, *, limit: int = 100, after: str = "") -> Sequence[ApiKey]:
    """API keys of an org in order of creation, `limit` at most, those after the id `after`."""
    query = (
        select(api_keys)
        .where(api_keys.c.org_id == org_id, api_keys.c.id > after)
        .order_by(api_keys.c.id)
        .limit(page_size(limit))
    )
    return [_api_key(tx, row) for row in tx.connection.execute(query).mappings()]


def remove(tx: Transaction, org_id: str, key_id: str, *, actor: Actor = SYSTEM) -> ApiKey:
    """Revokes an API key; returns what it was.

    Raises NotFoundError, and ConflictError for the org's last admin key, which would lock everybody out.
    """
    key = _require(tx, org_id, key_id)
    if key.role is Role.ADMIN and count_admins(tx, org_id) == 1:
        raise ConflictError("this is the org's last admin key; create another one before deleting it")
    tx.connection.execute(delete(api_keys).where(api_keys.c.id == key_id))
    tx.record_event(Change(kind="api_key", id=key_id, org_id=org_id, name=key.name), "delete", actor)
    return key


def find_principal(tx: Transaction, token: Token) -> Principal | None:
    """Whom a presented API key stands for; None when it is unknown or revoked."""
    columns = (api_keys.c.id, api_keys.c.role, orgs.c.id.label("org_id"), orgs.c.name.label("org"))
    # The look-up compares keyed hashes, which tell a presenter nothing about the secret however long it takes.
    query = (
        select(*columns)
        .join(orgs, orgs.c.id == api_keys.c.org_id)
        .where(api_keys.c.token_hash.in_(tx.sealer.token_hashes(token)))
    )
    row = tx.connection.execute(query).mappings().one_or_none()
    if row is None:
        return None
    org = tx.sealer.unseal(row["org"], table="orgs", column="name", row_id=row["org_id"])
    membership = Membership(org_id=row["org_id"], org=org, role=Role(row["role"]))
    return Principal(kind=PrincipalKind.API_KEY, credential_id=row["id"], memberships=(membership,))


def record_used(tx: Transaction, key_ids: Iterable[str]) -> None:
    """Notes that these keys were used just now; those that are gone are passed over."""
    rows = [{"key_id": key_id} for key_id in key_ids]
    if rows:
        statement = update(api_keys).where(api_keys.c.id == bindparam("key_id")).values(last_used_at=tx.now)
        tx.connection.execute(statement, rows)


def count_admins(tx: Transaction, org_id: str) -> int:
    """How many API keys of the org are an admin's."""
    admins = (api_keys.c.org_id == org_id, api_keys.c.role == Role.ADMIN.value)
    return tx.connection.execute(select(func.count()).select_from(api_keys).where(*admins)).scalar_one()


def _require(tx: Transaction, org_id: str, key_id: str) -> ApiKey:
    key = get(tx, org_id, key_id)
    if key is None:
        raise NotFoundError(f"there is no API key with the id {key_id!r}")
    return key


def _api_key(tx: Transaction, row: RowMapping) -> ApiKey:
    values = tx.reveal(api_keys, row)
    details = json.loads(values["details"])
    return ApiKey(
        id=values["id"],
        org_id=values["org_id"],
        name=details["name"],
        role=Role(values["role"]),
        last_four=details["lastFour"],
        created_by=details["createdBy"],
        created_at=values["created_at"],
        last_used_at=values["last_used_at"],
    )
