"""Queries: cluster tokens."""

import json
from collections.abc import Iterable, Sequence

from sqlalchemy import RowMapping, bindparam, delete, select, update

from relay.auth import Token, TokenKind, mint, parse
from relay.errors import NotFoundError
from relay.store.records import SYSTEM, Actor, AgentIdentity, Change, Cluster, ClusterToken
from relay.store.rows import Transaction, in_parts, page_size, to_json
from relay.store.schema import cluster_tokens, clusters


def create(
    tx: Transaction, cluster: Cluster, *, description: str = "", actor: Actor = SYSTEM
) -> tuple[ClusterToken, str]:
    """Makes a token for a cluster; the second value is the secret, which cannot be had again."""
    secret = mint(TokenKind.CLUSTER_TOKEN)
    token = parse(secret)
    token_hash, version = tx.sealer.token_hash(token)
    details = {"description": description, "lastFour": token.last_four, "createdBy": actor.id}
    values = {
        "org_id": cluster.org_id,
        "cluster_id": cluster.id,
        "details": to_json(details),
        "token_hash": token_hash,
        "pepper_version": version,
        "created_at": tx.now,
    }
    token_id = tx.insert(cluster_tokens, values)
    tx.record_event(_change(cluster, token_id), "create", actor)
    return _require(tx, cluster, token_id), secret


def get(tx: Transaction, cluster: Cluster, token_id: str) -> ClusterToken | None:
    """The cluster's token of that id, None when there is none."""
    query = select(cluster_tokens).where(cluster_tokens.c.id == token_id, cluster_tokens.c.cluster_id == cluster.id)
    row = tx.connection.execute(query).mappings().one_or_none()
    return None if row is None else _cluster_token(tx, row)


def find_all(tx: Transaction, cluster: Cluster, *, limit: int = 100, after: str = "") -> Sequence[ClusterToken]:
    """Tokens of a cluster in order of creation, `limit` at most, those after the id `after`."""
    query = (
        select(cluster_tokens)
        .where(cluster_tokens.c.cluster_id == cluster.id, cluster_tokens.c.id > after)
        .order_by(cluster_tokens.c.id)
        .limit(page_size(limit))
    )
    return [_cluster_token(tx, row) for row in tx.connection.execute(query).mappings()]


def remove(tx: Transaction, cluster: Cluster, token_id: str, *, actor: Actor = SYSTEM) -> ClusterToken:
    """Revokes a token; returns what it was. Raises NotFoundError."""
    token = _require(tx, cluster, token_id)
    tx.connection.execute(delete(cluster_tokens).where(cluster_tokens.c.id == token_id))
    tx.record_event(_change(cluster, token_id), "delete", actor)
    return token


def remove_all(tx: Transaction, cluster: Cluster, *, actor: Actor = SYSTEM) -> None:
    """Revokes every token of a cluster."""
    query = select(cluster_tokens.c.id).where(cluster_tokens.c.cluster_id == cluster.id)
    for token_id in tx.connection.execute(query).scalars().all():
        tx.record_event(_change(cluster, token_id), "delete", actor)
    tx.connection.execute(delete(cluster_tokens).where(cluster_tokens.c.cluster_id == cluster.id))


def find_identity(tx: Transaction, token: Token) -> AgentIdentity | None:
    """Which cluster a presented token stands for; None when it is unknown or revoked."""
    return find_identities(tx, [token]).get(token)


def find_identities(tx: Transaction, tokens: Iterable[Token]) -> dict[Token, AgentIdentity]:
    """The same for many tokens; those that are unknown or revoked are left out."""
    by_hash = {token_hash: token for token in tokens for token_hash in tx.sealer.token_hashes(token)}
    found: dict[Token, AgentIdentity] = {}
    for hashes in in_parts(by_hash):
        query = (
            select(
                cluster_tokens.c.id,
                cluster_tokens.c.org_id,
                cluster_tokens.c.cluster_id,
                cluster_tokens.c.token_hash,
                clusters.c.name,
            )
            .join(clusters, clusters.c.id == cluster_tokens.c.cluster_id)
            .where(cluster_tokens.c.token_hash.in_(hashes))
        )
        for row in tx.connection.execute(query).mappings():
            found[by_hash[bytes(row["token_hash"])]] = AgentIdentity(
                token_id=row["id"],
                org_id=row["org_id"],
                cluster_id=row["cluster_id"],
                cluster_name=tx.sealer.unseal(row["name"], table="clusters", column="name", row_id=row["cluster_id"]),
            )
    return found


def record_used(tx: Transaction, token_ids: Iterable[str]) -> None:
    """Notes that these tokens were used just now; those that are gone are passed over."""
    rows = [{"token_id": token_id} for token_id in token_ids]
    if rows:
        statement = update(cluster_tokens).where(cluster_tokens.c.id == bindparam("token_id"))
        tx.connection.execute(statement.values(last_used_at=tx.now), rows)


def _change(cluster: Cluster, token_id: str) -> Change:
    return Change(kind="cluster_token", id=token_id, org_id=cluster.org_id, name=cluster.name)


def _require(tx: Transaction, cluster: Cluster, token_id: str) -> ClusterToken:
    token = get(tx, cluster, token_id)
    if token is None:
        raise NotFoundError(f"the cluster {cluster.name!r} has no token with the id {token_id!r}")
    return token


def _cluster_token(tx: Transaction, row: RowMapping) -> ClusterToken:
    values = tx.reveal(cluster_tokens, row)
    details = json.loads(values["details"])
    return ClusterToken(
        id=values["id"],
        org_id=values["org_id"],
        cluster_id=values["cluster_id"],
        description=details["description"],
        last_four=details["lastFour"],
        created_by=details["createdBy"],
        created_at=values["created_at"],
        last_used_at=values["last_used_at"],
    )
