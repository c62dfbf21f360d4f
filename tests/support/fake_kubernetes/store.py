"""The objects of the cluster and the history of their changes: what etcd and the watch cache are to Kubernetes."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from tests.support.fake_kubernetes.kinds import Kind
from tests.support.fake_kubernetes.wire import Object

Where = tuple[str, str]
"""Group and plural: an object is the same in all versions of its kind."""
Name = tuple[str, str]
"""Namespace (empty where there is none) and name; lists are in this order."""
MOST_CHANGES = 20_000
"""History that is kept; about what a busy cluster's watch cache holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One write."""

    version: int
    where: Where
    name: Name
    type: Literal["ADDED", "MODIFIED", "DELETED"]
    value: Object
    """The object after the change; of a deleted one the last state, with the deletion's resourceVersion."""
    before: Object | None


class Store:
    """Stored objects are never changed in place: a write puts a new one.

    All methods but `changed` want `lock` held.
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.changed = threading.Condition(self.lock)
        self.version = 1
        self.oldest = 1
        """Changes after this version are known."""
        self._objects: dict[Where, dict[Name, Object]] = {}
        self._changes: list[Change] = []

    def get(self, kind: Kind, namespace: str, name: str) -> Object | None:
        """One object; not to be changed."""
        return self._objects.get(_where(kind), {}).get((namespace if kind.namespaced else "", name))

    def all(self, kind: Kind, namespace: str = "") -> list[Object]:
        """Those of a kind, in one namespace or in all, in order."""
        found = self._objects.get(_where(kind), {})
        return [found[name] for name in sorted(found) if namespace in {"", name[0]}]

    def put(self, kind: Kind, value: Object) -> Object:
        """Writes an object and gives it its resourceVersion."""
        name = name_of(kind, value)
        objects = self._objects.setdefault(_where(kind), {})
        before = objects.get(name)
        stored = self._stamped(value)
        objects[name] = stored
        self._note(kind, "ADDED" if before is None else "MODIFIED", stored, before)
        return stored

    def remove(self, kind: Kind, value: Object) -> Object:
        """Takes an object away; gives its last state."""
        before = self._objects[_where(kind)].pop(name_of(kind, value))
        last = self._stamped(value)
        self._note(kind, "DELETED", last, before)
        return last

    def since(self, kind: Kind, version: int) -> Iterator[Change]:
        """The changes of a kind after a version."""
        at = len(self._changes)
        while at and self._changes[at - 1].version > version:
            at -= 1
        where = _where(kind)
        for change in self._changes[at:]:
            if change.where == where:
                yield change

    def at(self, kind: Kind, version: int) -> dict[Name, Object]:
        """The objects of a kind as they were at a version, which has to be known still."""
        found = dict(self._objects.get(_where(kind), {}))
        for change in reversed(list(self.since(kind, version))):
            if change.before is None:
                found.pop(change.name, None)
            else:
                found[change.name] = change.before
        return found

    def forget(self) -> None:
        """Forgets the history, as etcd does when it compacts."""
        self._changes.clear()
        self.version += 1  # so that even the newest version that was told is too old
        self.oldest = self.version
        self.changed.notify_all()

    def _stamped(self, value: Object) -> Object:
        self.version += 1
        return value | {"metadata": value["metadata"] | {"resourceVersion": str(self.version)}}

    def _note(
        self, kind: Kind, what: Literal["ADDED", "MODIFIED", "DELETED"], value: Object, before: Object | None
    ) -> None:
        name = name_of(kind, value)
        self._changes.append(
            Change(version=self.version, where=_where(kind), name=name, type=what, value=value, before=before)
        )
        if len(self._changes) > MOST_CHANGES:
            self.oldest = self._changes[MOST_CHANGES // 2 - 1].version
            del self._changes[: MOST_CHANGES // 2]
        self.changed.notify_all()


def name_of(kind: Kind, value: Object) -> Name:
    """Where an object stands among those of its kind."""
    metadata = value["metadata"]
    return (metadata.get("namespace", "") if kind.namespaced else "", metadata["name"])


def _where(kind: Kind) -> Where:
    return (kind.group, kind.plural)
