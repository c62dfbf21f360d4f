"""Queries: the sealing keys, and bringing what is sealed from one to the next."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, LargeBinary, Table, exists, func, or_, select, update

from relay.auth import SealingKey
from relay.store import keyring
from relay.store.keyring import ACTIVE, RETIRED, RETIRING, KeyRing
from relay.store.records import Change
from relay.store.rows import Transaction
from relay.store.schema import api_keys, cluster_tokens, metadata, sealing_keys

SCAN_ROWS = 1000
"""Rows looked at in one transaction that only reads."""
KEEP_SECONDS = 3600.0
"""How long a retired key is kept at least: cookies that it signed live an hour at most."""
HASHED_TABLES = (api_keys, cluster_tokens)
"""Tables whose tokens are hashed with a key's pepper."""
_KEY_ID_START, _KEY_ID_BYTES = 2, 4  # in a sealed value, after its format; see relay.auth.sealing


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyFacts:
    """What may be known of a sealing key."""

    id: str
    state: str
    """`active`, `retiring` or `retired`."""
    master_id: str
    """The master key that it is wrapped under."""
    created_at: float
    values: int
    """Values that are sealed under it."""
    tokens: int
    """Tokens whose hashes were made with its pepper."""


def sealed_columns(table: Table) -> list[Column[Any]]:
    """The columns of a table that hold sealed values."""
    return [column for column in table.columns if column.info.get("sealed")]


SEALED_TABLES = tuple(table for table in metadata.sorted_tables if sealed_columns(table))
"""Tables that have such columns."""


def find_all(tx: Transaction) -> Sequence[KeyFacts]:
    """All sealing keys, the oldest first. Reads every row of the database."""
    values, tokens = count_values(tx), _count_tokens(tx)
    query = select(sealing_keys).order_by(sealing_keys.c.created_at, sealing_keys.c.id)
    return [
        KeyFacts(
            id=row["id"],
            state=row["state"],
            master_id=row["master_id"],
            created_at=row["created_at"],
            values=values[row["id"]],
            tokens=tokens[row["id"]],
        )
        for row in tx.connection.execute(query).mappings()
    ]


def find_masters(tx: Transaction) -> Sequence[tuple[str, str]]:
    """For each sealing key the master key that it is wrapped under, both by id."""
    query = select(sealing_keys.c.id, sealing_keys.c.master_id).order_by(sealing_keys.c.created_at)
    return [(row[0], row[1]) for row in tx.connection.execute(query)]


def count_values(tx: Transaction) -> Counter[str]:
    """How many values are sealed under which key. Reads every row of the database."""
    counts: Counter[str] = Counter()
    for table in SEALED_TABLES:
        for column in sealed_columns(table):
            key_id = func.substr(column, _KEY_ID_START, _KEY_ID_BYTES, type_=LargeBinary)
            query = select(key_id, func.count()).where(column.is_not(None)).group_by(key_id)
            for raw, count in tx.connection.execute(query):
                counts[bytes(raw).hex()] += count
    return counts


def _count_tokens(tx: Transaction) -> Counter[str]:
    counts: Counter[str] = Counter()
    for table in HASHED_TABLES:
        query = select(table.c.pepper_version, func.count()).group_by(table.c.pepper_version)
        for version, count in tx.connection.execute(query):
            counts[version] += count
    return counts


def start_rotation(tx: Transaction, ring: KeyRing) -> tuple[str, bool]:
    """Makes a new key the active one, unless a rotation is under way: gives the active key's id, and whether it is new.

    From the commit on, every process seals under it.
    """
    states = _states(tx)
    if RETIRING in states.values():
        return next(key_id for key_id, state in states.items() if state == ACTIVE), False
    key = SealingKey.mint()
    ring.add(tx.connection, key, tx.now)
    tx.changed(Change(kind="keys", id=key.id, org_id=""))
    return key.id, True


def find_stale(tx: Transaction, table: Table, after: str) -> tuple[Sequence[str], str]:
    """Ids of rows with values under another key than the active one, among the next rows after the id `after`.

    The second value is where to go on; empty at the end of the table.
    """
    columns = sealed_columns(table)
    query = select(table.c.id, *columns).where(table.c.id > after).order_by(table.c.id).limit(SCAN_ROWS)
    rows = tx.connection.execute(query).all()
    stale = [row[0] for row in rows if not all(_is_active(tx, value) for value in row[1:])]
    return stale, rows[-1][0] if len(rows) == SCAN_ROWS else ""


def reseal(tx: Transaction, table: Table, row_ids: Iterable[str]) -> int:
    """Seals the values of these rows under the active key and makes their blind indexes anew; gives how many values."""
    columns = sealed_columns(table)
    blind = {column: column.info["blind_of"] for column in table.columns if "blind_of" in column.info}
    resealed = 0
    query = select(table).where(table.c.id.in_(list(row_ids)))
    for row in tx.connection.execute(query).mappings().all():
        stale = {column.name for column in columns if not _is_active(tx, row[column.name])}
        if not stale:
            continue
        clear = tx.reveal(table, row)
        values = {name: clear[name] for name in stale}
        values |= {index.name: tx.index(index, clear[of]) for index, of in blind.items() if clear[of] is not None}
        tx.update(table, row["id"], values)
        resealed += len(stale)
    return resealed


def finish_rotation(tx: Transaction, active: str) -> Sequence[str] | None:
    """Notes that nothing is sealed under earlier keys than `active` any more; gives their ids.

    The caller has counted so while that was the active key. Where it is so no longer, a later rotation is under way and
    the count is worth nothing: gives None, and nothing is changed.
    """
    states = _states(tx)
    if states.get(active) != ACTIVE:
        return None
    retiring = [key_id for key_id, state in states.items() if state == RETIRING]
    keyring.retire(tx.connection, retiring)
    tx.changed(Change(kind="keys", id=tx.sealer.active.id, org_id=""))
    return retiring


def find_unused(tx: Transaction) -> Sequence[str]:
    """Retired keys that seal nothing, hashed no token that is left, and can have signed no cookie that still counts.

    Where there are such keys, reads every row of the database.
    """
    rows = tx.connection.execute(select(sealing_keys.c.id, sealing_keys.c.state, sealing_keys.c.created_at)).all()
    retired = [row[0] for row in rows if row[1] == RETIRED]
    active_since = max(row[2] for row in rows)
    if not retired or tx.now - active_since < KEEP_SECONDS:
        return []
    hashed = _count_tokens(tx)
    return [key_id for key_id in retired if not hashed[key_id] and not _seals_anything(tx, key_id)]


def _seals_anything(tx: Transaction, wanted: str) -> bool:
    raw = bytes.fromhex(wanted)
    return any(
        tx.connection.execute(
            select(
                exists().where(
                    or_(
                        *(
                            func.substr(column, _KEY_ID_START, _KEY_ID_BYTES, type_=LargeBinary) == raw
                            for column in sealed_columns(table)
                        )
                    )
                )
            )
        ).scalar_one()
        for table in SEALED_TABLES
    )


def remove_unused(tx: Transaction) -> Sequence[str]:
    """Deletes what `find_unused` finds, looking anew; gives their ids."""
    unused = find_unused(tx)
    keyring.remove(tx.connection, unused)
    for key_id in unused:
        tx.changed(Change(kind="keys", id=key_id, org_id="", deleted=True))
    return unused


def rehash(tx: Transaction, table: Table, hashes: Iterable[tuple[str, Sequence[bytes]]]) -> None:
    """Stores tokens of `table` under the active pepper that were found under an earlier one.

    Each token comes as the id of the pepper that was active when it was presented and its hashes, that one's first.
    """
    for version, (active, *earlier) in hashes:
        if version == tx.sealer.active.id and earlier:  # otherwise: a newer key has come, a newer hash will
            values = {"token_hash": active, "pepper_version": version}
            tx.connection.execute(update(table).where(table.c.token_hash.in_(earlier)).values(values))


def _states(tx: Transaction) -> dict[str, str]:
    return {row[0]: row[1] for row in tx.connection.execute(select(sealing_keys.c.id, sealing_keys.c.state))}


def _is_active(tx: Transaction, value: bytes | None) -> bool:
    start = _KEY_ID_START - 1
    return value is None or bytes(value[start : start + _KEY_ID_BYTES]).hex() == tx.sealer.active.id
