"""Objects whose owners are gone go too, and so does what is in a namespace that is deleted."""

from collections.abc import Iterator
from dataclasses import dataclass

from tests.support.fake_kubernetes.kinds import NAMESPACES, Kind
from tests.support.fake_kubernetes.registry import FOREGROUND, ORPHAN, Registry
from tests.support.fake_kubernetes.values import with_metadata
from tests.support.fake_kubernetes.wire import Object


@dataclass(slots=True)
class Garbage:
    """The garbage collector and the namespace controller."""

    registry: Registry

    def run(self) -> None:
        """Deletes what is to go now."""
        self._orphan()
        self._collect()
        self._finish_foreground()
        self._empty_namespaces()

    def _everything(self) -> Iterator[tuple[Kind, Object]]:
        seen = set()
        for kind in self.registry.kinds.all():
            if (kind.group, kind.plural) not in seen:
                seen.add((kind.group, kind.plural))
                yield from ((kind, value) for value in self.registry.store.all(kind))

    def _collect(self) -> None:
        everything = list(self._everything())
        owners = {value["metadata"]["uid"]: value for _, value in everything}
        for kind, value in everything:
            references = value["metadata"].get("ownerReferences")
            if not references or "deletionTimestamp" in value["metadata"]:
                continue
            present = [owners[item["uid"]] for item in references if item["uid"] in owners]
            in_foreground = [owner for owner in present if _waits(owner, FOREGROUND)]
            if not present or in_foreground == present:
                uid = value["metadata"]["uid"]
                has_dependents = any(_blocks(item, uid) for _, item in everything)
                self._delete(kind, value, "Foreground" if in_foreground and has_dependents else "Background")

    def _finish_foreground(self) -> None:
        everything = list(self._everything())
        for kind, value in everything:
            if _waits(value, FOREGROUND):
                uid = value["metadata"]["uid"]
                dependents = (item for _, item in everything if _blocks(item, uid))
                if next(dependents, None) is None:
                    self._without_finalizer(kind, value, FOREGROUND)

    def _orphan(self) -> None:
        everything = list(self._everything())
        for kind, value in everything:
            if not _waits(value, ORPHAN):
                continue
            uid = value["metadata"]["uid"]
            for other_kind, other in everything:
                references = other["metadata"].get("ownerReferences") or []
                left = [item for item in references if item["uid"] != uid]
                if len(left) < len(references):
                    self.registry.put(other_kind, with_metadata(other, ownerReferences=left or None))
            self._without_finalizer(kind, value, ORPHAN)

    def _without_finalizer(self, kind: Kind, value: Object, finalizer: str) -> None:
        left = [item for item in value["metadata"]["finalizers"] if item != finalizer]
        value = with_metadata(value, finalizers=left or None)
        if self.registry.is_held(kind, value):
            self.registry.put(kind, value)
        else:
            self.registry.remove(kind, value)

    def _empty_namespaces(self) -> None:
        for namespace in self.registry.store.all(NAMESPACES):
            if "deletionTimestamp" not in namespace["metadata"]:
                continue
            name = namespace["metadata"]["name"]
            inside = [(kind, item) for kind, item in self._everything() if item["metadata"].get("namespace") == name]
            for kind, value in inside:
                if "deletionTimestamp" not in value["metadata"]:
                    self._delete(kind, value, "Background")
            if not inside and not namespace["metadata"].get("finalizers"):
                self.registry.remove(NAMESPACES, namespace)

    def _delete(self, kind: Kind, value: Object, policy: str) -> None:
        metadata = value["metadata"]
        namespace = metadata.get("namespace", "")
        if self.registry.store.get(kind, namespace, metadata["name"]) is not None:
            self.registry.delete(kind, namespace, metadata["name"], {"propagationPolicy": policy})


def _waits(value: Object, finalizer: str) -> bool:
    metadata = value["metadata"]
    return "deletionTimestamp" in metadata and finalizer in (metadata.get("finalizers") or ())


def _blocks(value: Object, uid: str) -> bool:
    references = value["metadata"].get("ownerReferences") or ()
    return any(item["uid"] == uid and item.get("blockOwnerDeletion") for item in references)
