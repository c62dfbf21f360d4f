"""Queries: GitHub's webhook deliveries, a queue that survives crashes, and their GUIDs, by which copies are known."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import RowMapping, delete, exists, select, update

from relay.auth import UnsealError
from relay.store.claims import claim, holds, is_free
from relay.store.claims import renew as renew_claim
from relay.store.rows import Transaction, page_size, to_json
from relay.store.schema import deliveries

QUEUED, DONE, FAILED = "queued", "done", "failed"
KEEP_DONE_SECONDS = 7 * 24 * 3600.0
"""How long a GUID is remembered after its work; GitHub offers to send a delivery again for three days."""
KEEP_FAILED_SECONDS = 30 * 24 * 3600.0
"""Failed ones are kept longer, for whoever looks into it."""
MAX_PROBLEM = 300
"""Characters of a reason that are kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """A delivery that was claimed for work."""

    id: str
    guid: str
    event: str
    payload: Mapping[str, Any] = field(repr=False)
    attempt: int
    """Which one this is, from 1 on."""
    received_at: float


def put(tx: Transaction, guid: str, event: str, payload: Mapping[str, Any]) -> bool:
    """Queues a delivery; False when its GUID is known, and then nothing is changed.

    One that failed is queued anew: GitHub's *Redeliver* keeps the GUID, and somebody may have mended the cause.
    """
    query = select(deliveries.c.id, deliveries.c.state).where(deliveries.c.guid == guid)
    known = tx.connection.execute(query).mappings().one_or_none()
    if known is not None and known["state"] != FAILED:
        return False
    values = {
        "guid": guid,
        "event": event,
        "payload": to_json(payload),
        "state": QUEUED,
        "attempts": 0,
        "received_at": tx.now,
        "due_at": tx.now,
    }
    if known is None:
        tx.insert(deliveries, values)
    else:
        tx.update(deliveries, known["id"], values | {"claimed_until": None, "problem": None})
    return True


def is_due(tx: Transaction) -> bool:
    """Whether there is anything to claim."""
    found = select(exists().where(deliveries.c.state == QUEUED, is_free(tx, deliveries)))
    return bool(tx.connection.execute(found).scalar_one())


def claim_due(tx: Transaction, *, limit: int, seconds: float, but_not: Collection[str] = ()) -> Sequence[Delivery]:
    """Claims deliveries that are due, those that wait longest first, for so many seconds; `but_not`: ids to leave.

    What cannot be unsealed any more fails at once: it must not stand in the way of the others.
    """
    query = (
        select(deliveries)
        .where(deliveries.c.state == QUEUED, is_free(tx, deliveries), deliveries.c.id.not_in(but_not))
        .order_by(deliveries.c.due_at, deliveries.c.id)
        .limit(page_size(limit))
    )
    claimed = []
    for row in tx.connection.execute(query).mappings().all():
        attempt = claim(tx, deliveries, row, seconds=seconds)
        if attempt is None:
            continue
        try:
            claimed.append(_delivery(tx.reveal(deliveries, row), attempt))
        except UnsealError as error:
            _end(tx, row["id"], attempt, FAILED, problem=str(error))
    return claimed


def renew(tx: Transaction, delivery: Delivery, *, seconds: float) -> bool:
    """Makes the claim last from now on; False when another process has the delivery."""
    return renew_claim(tx, deliveries, delivery.id, attempt=delivery.attempt, seconds=seconds)


def renew_all(tx: Transaction, held: Sequence[Delivery], *, seconds: float) -> None:
    """The same for many; those that another process has are left to it."""
    for delivery in held:
        renew(tx, delivery, seconds=seconds)


def finish(tx: Transaction, delivery: Delivery, *, note: str = "") -> None:
    """The work is done; what it needed is forgotten, the GUID is not."""
    _end(tx, delivery.id, delivery.attempt, DONE, problem=note)


def fail(tx: Transaction, delivery: Delivery, problem: str) -> None:
    """The work cannot be done; nobody tries again."""
    _end(tx, delivery.id, delivery.attempt, FAILED, problem=problem)


def retry(tx: Transaction, delivery: Delivery, *, due_at: float, problem: str) -> None:
    """To be tried again at `due_at`."""
    values = {"due_at": due_at, "claimed_until": None, "problem": problem[:MAX_PROBLEM]}
    if _is_held(tx, delivery.id, delivery.attempt):
        tx.update(deliveries, delivery.id, values)


def sweep(tx: Transaction) -> int:
    """Forgets deliveries whose work is over for long; gives how many."""
    gone = 0
    for state, seconds in ((DONE, KEEP_DONE_SECONDS), (FAILED, KEEP_FAILED_SECONDS)):
        old = deliveries.c.received_at < tx.now - seconds
        gone += tx.connection.execute(delete(deliveries).where(old, deliveries.c.state == state)).rowcount
    return gone


def _end(tx: Transaction, row_id: str, attempt: int, state: str, *, problem: str) -> None:
    if _is_held(tx, row_id, attempt):
        values = {"state": state, "claimed_until": None, "problem": problem[:MAX_PROBLEM] or None}
        tx.update(deliveries, row_id, values | ({"payload": None} if state == DONE else {}))


def _is_held(tx: Transaction, row_id: str, attempt: int) -> bool:
    # An update that changes nothing takes the row's lock, so that no other process claims it until the end.
    statement = update(deliveries).where(holds(deliveries, row_id, attempt), deliveries.c.state == QUEUED)
    return tx.connection.execute(statement.values(attempts=attempt)).rowcount == 1


def _delivery(values: dict[str, Any] | RowMapping, attempt: int) -> Delivery:
    return Delivery(
        id=values["id"],
        guid=values["guid"],
        event=values["event"],
        payload=json.loads(values["payload"]),
        attempt=attempt,
        received_at=values["received_at"],
    )
