"""What a write means: names, defaults, checks, conflicts, generations, finalizers, deletion."""

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.support.fake_kubernetes import rules
from tests.support.fake_kubernetes.fields import How, merged, require_single, tracked
from tests.support.fake_kubernetes.kinds import DEPLOYMENTS, NAMESPACES, PODS, REPLICA_SETS, Kind, Kinds
from tests.support.fake_kubernetes.store import Store
from tests.support.fake_kubernetes.values import generated, new_uid, timestamp, with_metadata
from tests.support.fake_kubernetes.wire import Object, Refusal, bad_request, failure, success

FOREGROUND, ORPHAN = "foregroundDeletion", "orphan"
_OWN_METADATA = (
    "uid",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "generation",
    "namespace",
)
"""Metadata that clients cannot change."""


PLAIN = How()


@dataclass(slots=True)
class Registry:
    """Reads and writes objects; its methods want the store's lock held, and raise Refusal."""

    store: Store
    kinds: Kinds
    now: Callable[[], float]
    after: list[Callable[[Kind, Object], None]] = field(default_factory=list)
    """Told of each write, so that definitions take effect at once."""

    def time(self) -> str:
        """Now, as objects write it."""
        return timestamp(self.now())

    def require(self, kind: Kind, namespace: str, name: str) -> Object:
        """One object; not to be changed."""
        found = self.store.get(kind, namespace, name)
        if found is None:
            raise kind.not_found(name)
        return found

    def create(self, kind: Kind, namespace: str, value: Object, how: How = PLAIN) -> Object:
        """Stores a new object; `value` becomes the registry's."""
        metadata = self._own_metadata(kind, namespace, value)
        if not metadata.get("name"):
            if not metadata.get("generateName"):
                problem = ("FieldValueRequired", "Required value: name or generateName is required", "metadata.name")
                raise kind.invalid("", problem)
            metadata["name"] = generated(metadata["generateName"])
        if metadata.get("resourceVersion"):
            raise bad_request("resourceVersion should not be set on objects to be created")
        if kind.namespaced:
            self._require_namespace(kind, namespace, metadata["name"])
        if kind.has_status:
            value.pop("status", None)
        metadata |= {"uid": new_uid(), "creationTimestamp": self.time()} | (
            {"generation": 1} if kind.generation else {}
        )
        for name in ("deletionTimestamp", "deletionGracePeriodSeconds", "managedFields", "selfLink"):
            metadata.pop(name, None)
        value = self._checked(kind, value, None)
        if self.store.get(kind, namespace, metadata["name"]) is not None:
            raise kind.exists(metadata["name"])
        value = tracked(kind, None, value, how, now=self.time())
        return value if how.dry_run else self.put(kind, value)

    def update(self, kind: Kind, namespace: str, name: str, value: Object, *, how: How = PLAIN) -> Object:
        """Replaces an object, or its status alone; `value` becomes the registry's."""
        before = self.require(kind, namespace, name)
        metadata = self._own_metadata(kind, namespace, value)
        if metadata.setdefault("name", name) != name:
            message = f"the name of the object ({metadata['name']}) does not match the name on the URL ({name})"
            raise bad_request(message)
        self._require_same(kind, before, metadata)
        value = self._merged(kind, before, value, how.subresource)
        value = self._checked(kind, value, before)
        if kind.generation and _content(value) != _content(before):
            value = with_metadata(value, generation=before["metadata"]["generation"] + 1)
        value = tracked(kind, before, value, how, now=self.time())
        if how.dry_run or _same(value, before):
            return value
        if value["metadata"].get("deletionTimestamp") and not self.is_held(kind, value):
            self.remove(kind, value)
            return value
        return self.put(kind, value)

    def patch(
        self, kind: Kind, namespace: str, name: str, change: Callable[[Object], Any], *, how: How = PLAIN
    ) -> Object:
        """Replaces an object by what `change` makes of a copy."""
        value = change(copy.deepcopy(self.require(kind, namespace, name)))
        if not isinstance(value, dict) or not isinstance(value.get("metadata"), dict):
            raise bad_request("the patch leaves no object")
        return self.update(kind, namespace, name, value, how=how)

    def apply(self, kind: Kind, namespace: str, name: str, how: How) -> tuple[Object, bool]:
        """Server-side apply of `how.applied`; gives the object, and whether it is new."""
        config = copy.deepcopy(how.applied or {})
        metadata = self._own_metadata(kind, namespace, config)
        if metadata.setdefault("name", name) != name:
            message = f"name in patch ({metadata['name']}) does not match the name on the URL ({name})"
            raise bad_request(message)
        if metadata.get("managedFields"):
            raise bad_request("metadata.managedFields must be nil")
        require_single(kind, config)
        before = self.store.get(kind, namespace, name)
        if before is None:
            if how.subresource:
                raise kind.not_found(name)
            return self.create(kind, namespace, config, how), True
        value = merged(kind, copy.deepcopy(before), how)
        value = with_metadata(
            value, resourceVersion=metadata.get("resourceVersion", before["metadata"]["resourceVersion"])
        )
        return self.update(kind, namespace, name, value, how=how), False

    def delete(
        self, kind: Kind, namespace: str, name: str, options: Object | None = None, *, dry_run: bool = False
    ) -> Object:
        """Deletes an object, or marks it where finalizers hold it; gives the answer of the API."""
        before, options = self.require(kind, namespace, name), options or {}
        self._require_preconditions(kind, before, options.get("preconditions") or {})
        if not self.is_held(kind, before, options):
            if not dry_run:
                before = self.remove(kind, before)
            return before if kind is PODS else success(kind.details(name, uid=before["metadata"]["uid"]))
        metadata = before["metadata"]
        marked = with_metadata(
            before,
            finalizers=_finalizers(before, options) or None,
            deletionTimestamp=metadata.get("deletionTimestamp", self.time()),
            deletionGracePeriodSeconds=_grace_seconds(kind, before, options),
        )
        if kind is NAMESPACES:
            marked["status"] = marked.get("status", {}) | {"phase": "Terminating"}
        if "generation" in metadata and "deletionTimestamp" not in metadata:
            marked = with_metadata(marked, generation=metadata["generation"] + 1)
        return marked if dry_run or _same(marked, before) else self.put(kind, marked)

    def is_held(self, kind: Kind, value: Object, options: Object | None = None) -> bool:
        """Whether a deletion only marks it: for finalizers, or because it ends in its own time."""
        graceful = kind is PODS and value["spec"].get("nodeName") and _grace_seconds(kind, value, options or {})
        return bool(_finalizers(value, options or {}) or graceful or kind is NAMESPACES)

    def put(self, kind: Kind, value: Object) -> Object:
        """Stores an object as it is: what controllers and the methods above end in."""
        stored = self.store.put(kind, value)
        for tell in self.after:
            tell(kind, stored)
        return stored

    def remove(self, kind: Kind, value: Object) -> Object:
        """Takes an object away as it is."""
        last = self.store.remove(kind, value)
        for tell in self.after:
            tell(kind, last)
        return last

    def _own_metadata(self, kind: Kind, namespace: str, value: Object) -> Object:
        """Checks that the object is meant for this place; gives its metadata."""
        api_version, name = value.setdefault("apiVersion", kind.api_version), value.setdefault("kind", kind.name)
        if api_version != kind.api_version and kind.custom:
            raise bad_request(
                f"the API version in the data ({api_version}) does not match the expected API version "
                f"({kind.api_version})"
            )
        if api_version != kind.api_version:
            raise bad_request(
                f'{name} in version "{kind.version}" cannot be handled as a {kind.name}: '
                f'no kind "{name}" is registered for version "{api_version}"'
            )
        if name != kind.name:
            raise bad_request(f"{name} in version {api_version} cannot be handled as a {kind.name}")
        metadata: Object = value.setdefault("metadata", {})
        if kind.namespaced and metadata.setdefault("namespace", namespace) != namespace:
            raise bad_request("the namespace of the provided object does not match the namespace sent on the request")
        if not kind.namespaced:
            metadata.pop("namespace", None)
        return metadata

    def _require_namespace(self, kind: Kind, namespace: str, name: str) -> None:
        found = self.store.get(NAMESPACES, "", namespace)
        if found is None:
            raise NAMESPACES.not_found(namespace)
        if "deletionTimestamp" in found["metadata"]:
            message = (
                f'{kind.qualified} "{name}" is forbidden: unable to create new content in namespace {namespace} '
                "because it is being terminated"
            )
            cause = {"reason": "NamespaceTerminating", "field": "metadata.namespace"}
            cause |= {"message": f"namespace {namespace} is being terminated"}
            raise Refusal(failure(403, "Forbidden", message, kind.details(name, causes=[cause])))

    def _require_same(self, kind: Kind, before: Object, metadata: Object) -> None:
        known, name = before["metadata"], metadata["name"]
        if (uid := metadata.get("uid")) and uid != known["uid"]:
            raise kind.conflict(
                name, f"Precondition failed: UID in precondition: {uid}, UID in object meta: {known['uid']}"
            )
        version = metadata.get("resourceVersion")
        if version and version != known["resourceVersion"]:
            raise kind.conflict(name)
        if kind.custom and not version:
            problem = (
                "FieldValueInvalid",
                "Invalid value: 0: must be specified for an update",
                "metadata.resourceVersion",
            )
            raise kind.invalid(name, problem)

    def _require_preconditions(self, kind: Kind, before: Object, wanted: Object) -> None:
        known = before["metadata"]
        told = {"uid": ("UID", "deleted and then recreated"), "resourceVersion": ("ResourceVersion", "modified")}
        for key, (field_name, what) in told.items():
            if key in wanted and wanted[key] != known[key]:
                why = (
                    f"the {field_name} in the precondition ({wanted[key]}) does not match the {field_name} in record "
                    f"({known[key]}). The object might have been {what}"
                )
                raise kind.conflict(known["name"], why, named=kind.qualified_name)

    def _merged(self, kind: Kind, before: Object, value: Object, subresource: str) -> Object:
        """The new object, made of what this path may write and of what it may not."""
        known = before["metadata"]
        if subresource == "status":
            return {**before, "status": value.get("status", {})}
        kept = {name: known.get(name) for name in (*_OWN_METADATA, "resourceVersion")}
        value = with_metadata(value, **kept, selfLink=None)
        if kind.has_status:
            value = {name: item for name, item in value.items() if name != "status"}
            value |= {"status": before["status"]} if "status" in before else {}
        if kind.plural == "services" and not kind.group:  # given once, never taken back by a client that leaves it out
            given = {name: before["spec"][name] for name in ("clusterIP", "clusterIPs") if name in before["spec"]}
            value["spec"] = given | value.get("spec", {})
        if "deletionTimestamp" in known:
            new = set(value["metadata"].get("finalizers") or ()) - set(known.get("finalizers") or ())
            if new:
                listed = ", ".join(f'"{item}"' for item in sorted(new))
                message = (
                    "Forbidden: no new finalizers can be added if the object is being deleted, "
                    f"found new finalizers []string{{{listed}}}"
                )
                raise kind.invalid(known["name"], ("FieldValueForbidden", message, "metadata.finalizers"))
        return value

    def _checked(self, kind: Kind, value: Object, before: Object | None) -> Object:
        value = rules.with_defaults(kind, value)
        found = rules.problems(kind, value, before)
        if found:
            raise kind.invalid(value["metadata"]["name"], *found)
        return value


def _finalizers(value: Object, options: Object) -> list[str]:
    """Those of an object, and the one that the options of its deletion add."""
    found = list(value["metadata"].get("finalizers") or ())
    policy = options.get("propagationPolicy") or ("Orphan" if options.get("orphanDependents") else "")
    more = {"Foreground": FOREGROUND, "Orphan": ORPHAN}.get(policy)
    return found if more is None or more in found else [*found, more]


def _grace_seconds(kind: Kind, value: Object, options: Object) -> int:
    if kind is not PODS:
        return 0
    wanted = options.get("gracePeriodSeconds")
    if wanted is None:
        wanted = value["metadata"].get("deletionGracePeriodSeconds")
    return int(value["spec"].get("terminationGracePeriodSeconds", 30) if wanted is None else wanted)


def _content(value: Object) -> Object:
    return {name: item for name, item in value.items() if name not in {"apiVersion", "kind", "metadata", "status"}}


def _same(one: Object, other: Object) -> bool:
    return with_metadata(one, resourceVersion=None) == with_metadata(other, resourceVersion=None)


def scale_of(kind: Kind, value: Object) -> Object:
    """The scale of a deployment or replica set."""
    names = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    exact = (value["spec"].get("selector") or {}).get("matchLabels") or {}
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {name: value["metadata"][name] for name in names if name in value["metadata"]},
        "spec": {"replicas": value["spec"]["replicas"]},
        "status": {
            "replicas": value.get("status", {}).get("replicas", 0),
            "selector": ",".join(f"{key}={item}" for key, item in sorted(exact.items())),
        },
    }


def scalable(kind: Kind) -> bool:
    """Whether it has a scale."""
    return kind in {DEPLOYMENTS, REPLICA_SETS}
