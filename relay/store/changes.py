"""Queries: notices of changes, by which processes on one database hear of each other."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import RowMapping, delete, func, select

from relay.auth import UnsealError
from relay.store.ids import first_id
from relay.store.records import Change
from relay.store.rows import Transaction
from relay.store.schema import changes

KEEP_SECONDS = 3600.0
"""Longer than most outages, after which a process then hears exactly what it missed."""
START_SECONDS = 60.0
"""A process that starts hears of this much of the past, which covers the time between its first look-up and now."""
PAGE = 1000
"""Notices read at a time."""

EVERYTHING = Change(kind="org", id="", org_id="")
"""Told when notices were missed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """What was changed since a look-up before."""

    changes: Sequence[tuple[str, Change]]
    """With the ids of their notices, in the order of the commits."""
    cursor: str
    """Where the next look-up goes on."""
    more: bool
    """Whether there was more than one page."""
    missed: bool = False
    """Whether notices had been swept away before they were read, or were damaged."""


def find_start(tx: Transaction) -> str:
    """The cursor to begin with: the last notice of more than a minute ago."""
    query = select(func.max(changes.c.id)).where(changes.c.id < first_id(tx.now - START_SECONDS))
    return tx.connection.execute(query).scalar_one() or ""


def find_news(tx: Transaction, cursor: str) -> News:
    """What was committed after the notice `cursor`, whichever process did it."""
    query = select(changes).where(changes.c.id > cursor).order_by(changes.c.id).limit(PAGE)
    rows = tx.connection.execute(query).mappings().all()
    found = [(row["id"], change) for row in rows if (change := _read(tx, row)) is not None]
    # `sweep` leaves the last notice: if ours is gone, others that came after it may be gone too.
    swept = bool(cursor) and tx.connection.execute(select(changes.c.id).where(changes.c.id == cursor)).first() is None
    return News(
        changes=found,
        cursor=rows[-1]["id"] if rows else cursor,
        more=len(rows) == PAGE,
        missed=swept or len(found) < len(rows),
    )


def _read(tx: Transaction, row: RowMapping) -> Change | None:
    """The change that a notice tells of; None for a damaged one, which must not stop those that come after it."""
    try:
        values = tx.reveal(changes, row)
    except UnsealError:
        return None
    return Change(
        kind=values["kind"],
        id=values["object_id"],
        org_id=values["org_id"],
        name=values["name"],
        deleted=values["deleted"],
    )


def sweep(tx: Transaction) -> None:
    """Removes old notices, all but the last: the ids of later ones grow from it."""
    last = tx.connection.execute(select(func.max(changes.c.id))).scalar_one()
    if last is not None:
        old = changes.c.id < min(last, first_id(tx.now - KEEP_SECONDS))
        tx.connection.execute(delete(changes).where(old))
