"""Queries: the audit events, which other queries write (`Transaction.record_event`)."""

from collections.abc import Sequence

from sqlalchemy import RowMapping, select

from relay.store.records import Actor, Event
from relay.store.rows import Transaction, page_size
from relay.store.schema import events


def find_all(tx: Transaction, org_id: str, *, limit: int = 100, before: str | None = None) -> Sequence[Event]:
    """Events of an org, the newest first, `limit` at most, those older than the event with the id `before`."""
    query = select(events).where(events.c.org_id == org_id)
    if before is not None:
        query = query.where(events.c.id < before)
    query = query.order_by(events.c.id.desc()).limit(page_size(limit))
    return [_event(tx, row) for row in tx.connection.execute(query).mappings()]


def _event(tx: Transaction, row: RowMapping) -> Event:
    values = tx.reveal(events, row)
    return Event(
        id=values["id"],
        org_id=values["org_id"],
        at=values["at"],
        actor=Actor(
            kind=values["actor_kind"],
            id=values["actor_id"],
            last_four=values["actor_last_four"],
            name=values["actor_name"] or "",
        ),
        action=values["action"],
        object_kind=values["object_kind"],
        object_id=values["object_id"],
        object_name=values["object_name"],
    )
