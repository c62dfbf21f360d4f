"""Queries: what is to be said about commits on GitHub, and what of it GitHub has taken."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import RowMapping, delete, exists, select, update

from relay.auth import UnsealError
from relay.store.claims import claim, holds, is_free
from relay.store.rows import Transaction, page_size, to_json
from relay.store.schema import commit_statuses

StatusState = Literal["pending", "success", "failure"]
DESCRIPTION_CHARACTERS = 140
"""What GitHub takes at most."""
MAX_PROBLEM = 300
KEEP_SECONDS = 30 * 24 * 3600.0
"""How long what was said without a workspace is kept after it was said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Saying:
    """What is to be said about a commit in one context."""

    repository: str
    """`owner/name`."""
    commit: str
    context: str
    state: StatusState
    description: str
    target_url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitStatus:
    """A saying that was claimed for sending."""

    id: str
    org_id: str
    saying: Saying
    version: int
    attempt: int
    """Which one this is of this version, from 1 on, or more after crashes."""


def say(tx: Transaction, org_id: str, saying: Saying, *, workspace_id: str | None = None) -> bool:
    """Makes this what is to be said; False when it is so already.

    Success stays: a pending state that comes after it, with the same target, is a cluster's short absence and is not
    said. What was not yet sent is replaced, so that GitHub hears the newest only.
    """
    place = f"{saying.repository.lower()}|{saying.commit.lower()}|{saying.context}"
    same_place = tx.matches(commit_statuses.c.place_index, place)
    query = select(commit_statuses).where(commit_statuses.c.org_id == org_id, same_place)
    row = tx.connection.execute(query).mappings().one_or_none()
    description = _shortened(saying.description)
    values: dict[str, Any] = {
        "workspace_id": workspace_id,
        "state": saying.state,
        "details": to_json({"description": description, "target": saying.target_url}),
        "due_at": tx.now,
        "updated_at": tx.now,
    }
    if row is None:
        index = tx.index(commit_statuses.c.place_index, place)
        first = {"org_id": org_id, "place": place, "place_index": index, "version": 1, "sent_version": 0, "attempts": 0}
        tx.insert(commit_statuses, values | first)
        return True
    details = json.loads(tx.reveal(commit_statuses, row)["details"])
    same_target = details["target"] == saying.target_url
    if same_target and row["state"] == "success" and saying.state == "pending":
        return False
    if same_target and row["state"] == saying.state and details["description"] == description:
        return False
    # GitHub may have asked to wait; what is new does not shorten that.
    due_at = max(tx.now, row["due_at"] or 0.0)
    tx.update(commit_statuses, row["id"], values | {"version": row["version"] + 1, "due_at": due_at, "problem": None})
    return True


def find(tx: Transaction, org_id: str, repository: str, commit: str) -> Sequence[Saying]:
    """All that is said about a commit; reads every status of the org, for tests and people."""
    query = select(commit_statuses).where(commit_statuses.c.org_id == org_id).order_by(commit_statuses.c.id)
    found = [_saying(tx.reveal(commit_statuses, row)) for row in tx.connection.execute(query).mappings()]
    return [saying for saying in found if (saying.repository, saying.commit) == (repository.lower(), commit.lower())]


def is_due(tx: Transaction) -> bool:
    """Whether there is anything to send."""
    return bool(tx.connection.execute(select(exists().where(is_free(tx, commit_statuses)))).scalar_one())


def claim_due(tx: Transaction, *, limit: int, seconds: float) -> Sequence[CommitStatus]:
    """Claims statuses that are due for sending, the oldest first, for so many seconds."""
    query = (
        select(commit_statuses)
        .where(is_free(tx, commit_statuses))
        .order_by(commit_statuses.c.due_at, commit_statuses.c.id)
        .limit(page_size(limit))
    )
    claimed = []
    for row in tx.connection.execute(query).mappings().all():
        attempt = claim(tx, commit_statuses, row, seconds=seconds)
        if attempt is None:
            continue
        try:
            values = tx.reveal(commit_statuses, row)
        except UnsealError as error:
            tx.update(commit_statuses, row["id"], _ended(row["version"], str(error)))
            continue
        claimed.append(
            CommitStatus(
                id=values["id"],
                org_id=values["org_id"],
                saying=_saying(values),
                version=values["version"],
                attempt=attempt,
            )
        )
    return claimed


def finish(tx: Transaction, status: CommitStatus, *, problem: str = "") -> None:
    """GitHub took this version, or never will (`problem`). A newer one is due at once."""
    row = _held(tx, status)
    if row is None:
        return
    values = _ended(status.version, problem)
    if row["version"] != status.version:
        values |= {"due_at": tx.now, "problem": None}
    tx.update(commit_statuses, status.id, values)


def retry(tx: Transaction, status: CommitStatus, *, due_at: float, problem: str) -> None:
    """To be tried again at `due_at`; by then a newer version may be what is sent."""
    if _held(tx, status) is not None:
        values = {"due_at": due_at, "claimed_until": None, "problem": problem[:MAX_PROBLEM]}
        tx.update(commit_statuses, status.id, values)


def forget_workspace(tx: Transaction, workspace_id: str) -> None:
    """The workspace is gone: nothing more is said about its commits."""
    tx.connection.execute(delete(commit_statuses).where(commit_statuses.c.workspace_id == workspace_id))


def sweep(tx: Transaction) -> int:
    """Forgets what was said long ago about no workspace, which nothing else forgets; gives how many."""
    statement = delete(commit_statuses).where(
        commit_statuses.c.workspace_id.is_(None),
        commit_statuses.c.due_at.is_(None),
        commit_statuses.c.updated_at < tx.now - KEEP_SECONDS,
    )
    return tx.connection.execute(statement).rowcount


def _ended(version: int, problem: str) -> dict[str, Any]:
    return {
        "sent_version": version,
        "due_at": None,
        "claimed_until": None,
        "attempts": 0,
        "problem": problem[:MAX_PROBLEM] or None,
    }


def _held(tx: Transaction, status: CommitStatus) -> RowMapping | None:
    # The update that changes nothing takes the row's lock; see `relay.store.deliveries`.
    statement = update(commit_statuses).where(holds(commit_statuses, status.id, status.attempt))
    if tx.connection.execute(statement.values(attempts=status.attempt)).rowcount != 1:
        return None
    query = select(commit_statuses).where(commit_statuses.c.id == status.id)
    return tx.connection.execute(query).mappings().one_or_none()


def _saying(values: dict[str, Any]) -> Saying:
    repository, commit, context = values["place"].split("|", 2)
    details = json.loads(values["details"])
    return Saying(
        repository=repository,
        commit=commit,
        context=context,
        state=values["state"],
        description=details["description"],
        target_url=details["target"],
    )


def _shortened(description: str) -> str:
    if len(description) <= DESCRIPTION_CHARACTERS:
        return description
    return description[: DESCRIPTION_CHARACTERS - 1] + "…"
