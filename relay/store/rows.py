"""Transactions as queries see them: a connection that seals what the schema marks as sealed, and reads it back."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from sqlalchemy import Column, ColumnElement, Connection, RowMapping, Table, func, insert, select, update

from relay.auth import Sealer
from relay.store.ids import id_after, new_id
from relay.store.records import Actor, Change
from relay.store.schema import changes as changes_table
from relay.store.schema import events

T = TypeVar("T")

DELETE = "delete"
"""The action of an event after which the record is gone."""
MAX_PAGE = 1001
"""Longest page, bounding memory and time of a read transaction: what the API shows, and one that tells of more."""
MAX_VALUES = 500
"""Most values that one statement looks for: databases bound its parameters, and with several sealing keys each value is
looked for several times."""


@dataclass(slots=True, kw_only=True)
class Transaction:
    """What a query function gets: one open transaction of one connection."""

    connection: Connection
    sealer: Sealer
    now: float
    """When the transaction began, seconds since the epoch."""
    changes: list[Change] = field(default_factory=list)
    """What subscribers are told after the commit."""
    change_ids: list[str] = field(default_factory=list)
    """Ids of the rows by which other processes are told."""
    inserted: int = 0
    """Rows inserted so far."""

    def index(self, column: Column[bytes], value: str) -> bytes:
        """The blind index to store in `column`; to look a value up, use `matches`."""
        return self.sealer.blind_index(value, table=column.table.name, column=column.name)

    def matches(self, column: Column[bytes], *values: str) -> ColumnElement[bool]:
        """The condition that a row's blind index in `column` is that of one of `values`, whichever key made it."""
        place = {"table": column.table.name, "column": column.name}
        return column.in_([index for value in values for index in self.sealer.blind_indexes(value, **place)])

    def insert(self, table: Table, values: Mapping[str, Any]) -> str:
        """Inserts a row under a new id, sealing what is to be sealed; returns the id."""
        row_id = new_id(self.now, self.inserted)
        self.inserted += 1
        self.connection.execute(insert(table), {"id": row_id, **self._sealed(table, row_id, values)})
        return row_id

    def update(self, table: Table, row_id: str, values: Mapping[str, Any]) -> None:
        """Changes columns of the row with that id, sealing what is to be sealed."""
        self.connection.execute(update(table).where(table.c.id == row_id), self._sealed(table, row_id, values))

    def reveal(self, table: Table, row: RowMapping) -> dict[str, Any]:
        """The columns of a row of `table`, unsealed. Raises UnsealError."""
        row_id: str = row["id"]
        return {column.name: self._revealed(column, row_id, row[column.name]) for column in table.columns}

    def reveal_one(self, column: Column[Any], row: RowMapping) -> Any:
        """One column of a row, unsealed, whatever is in the others. Raises UnsealError."""
        return self._revealed(column, row["id"], row[column.name])

    def _revealed(self, column: Column[Any], row_id: str, value: Any) -> Any:
        if value is None or not column.info.get("sealed"):
            return value
        return self.sealer.unseal(value, table=column.table.name, column=column.name, row_id=row_id)

    def _sealed(self, table: Table, row_id: str, values: Mapping[str, Any]) -> dict[str, Any]:
        return {
            name: self.sealer.seal(value, table=table.name, column=name, row_id=row_id)
            if value is not None and table.c[name].info.get("sealed")
            else value
            for name, value in values.items()
        }

    def changed(self, change: Change) -> None:
        """Tells subscribers, on every process once this is committed, that a record was changed or removed."""
        self.changes.append(change)
        # Writers come one after the other, so ids that only grow are in the order of the commits, whatever clocks
        # say: whoever reads on from the last id that they know misses nothing.
        last = self.connection.execute(select(func.max(changes_table.c.id))).scalar_one()
        row_id = max(new_id(self.now, 0), id_after(last) if last else "")
        values = {
            "kind": change.kind,
            "object_id": change.id,
            "org_id": change.org_id,
            "name": change.name,
            "deleted": change.deleted,
        }
        sealed = self._sealed(changes_table, row_id, values)
        self.connection.execute(insert(changes_table), {"id": row_id, **sealed})
        self.change_ids.append(row_id)

    def record_event(self, change: Change, action: str, actor: Actor) -> None:
        """Writes the audit event of a change, and tells subscribers of it after the commit."""
        self.changed(replace(change, deleted=action == DELETE))
        values = {
            "org_id": change.org_id,
            "at": self.now,
            "actor_kind": actor.kind,
            "actor_id": actor.id,
            "actor_last_four": actor.last_four,
            "actor_name": actor.name or None,
            "action": action,
            "object_kind": change.kind,
            "object_id": change.id,
            "object_name": change.name,
        }
        self.insert(events, values)


def to_json(value: Any) -> str:
    """JSON without white space, as sealed documents hold it."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def page_size(limit: int) -> int:
    """`limit` brought between 1 and MAX_PAGE."""
    return max(1, min(limit, MAX_PAGE))


def in_parts(values: Iterable[T], size: int = MAX_VALUES) -> Iterator[Sequence[T]]:
    """The values again, some at a time, as one statement may look for them."""
    every = list(values)
    return (every[start : start + size] for start in range(0, len(every), size))
