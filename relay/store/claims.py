"""Queues in tables: a row is claimed for a while by one process, and is free again when that process dies.

Nothing of it is particular to a database: the claim is an UPDATE that names the state it was decided on, and of two
processes that try it one changes no row. The number of attempts tells a claim from those before and after it.
"""

from typing import Any

from sqlalchemy import ColumnElement, Table, or_, update

from relay.store.rows import Transaction


def is_free(tx: Transaction, table: Table) -> ColumnElement[bool]:
    """The condition that a row is due, and claimed by nobody now."""
    due: ColumnElement[bool] = table.c.due_at <= tx.now
    return due & or_(table.c.claimed_until.is_(None), table.c.claimed_until <= tx.now)


def claim(tx: Transaction, table: Table, row: Any, *, seconds: float) -> int | None:
    """Claims a row that was found free; gives the number of this attempt, None where another process was quicker."""
    attempt: int = row["attempts"] + 1
    statement = update(table).where(table.c.id == row["id"], table.c.attempts == row["attempts"], is_free(tx, table))
    claimed = tx.connection.execute(statement.values(attempts=attempt, claimed_until=tx.now + seconds))
    return attempt if claimed.rowcount == 1 else None


def renew(tx: Transaction, table: Table, row_id: str, *, attempt: int, seconds: float) -> bool:
    """Makes a claim last from now on; False when it is lost: it had run out, and another process has the row."""
    statement = update(table).where(
        table.c.id == row_id, table.c.attempts == attempt, table.c.claimed_until.is_not(None)
    )
    return tx.connection.execute(statement.values(claimed_until=tx.now + seconds)).rowcount == 1


def holds(table: Table, row_id: str, attempt: int) -> ColumnElement[bool]:
    """The condition that a row is still at this attempt."""
    same: ColumnElement[bool] = table.c.id == row_id
    return same & (table.c.attempts == attempt)
