"""Deployments make replica sets, and replica sets make pods."""

import hashlib
import json
from dataclasses import dataclass, field

from tests.support.fake_kubernetes.kinds import DEPLOYMENTS, PODS, REPLICA_SETS, Kind
from tests.support.fake_kubernetes.registry import Registry
from tests.support.fake_kubernetes.values import (
    condition,
    generated,
    owned_by,
    owner_reference,
    with_metadata,
    with_times,
)
from tests.support.fake_kubernetes.wire import Object

HASH_LABEL = "pod-template-hash"
REVISION = "deployment.kubernetes.io/revision"
_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"


@dataclass(slots=True)
class Deployments:
    """The deployment controller and the replica set controller."""

    registry: Registry
    overdue: set[str] = field(default_factory=set)
    """Uids of deployments whose progress deadline is over."""

    def run(self) -> None:
        """Brings all of them one step on."""
        store = self.registry.store
        for deployment in store.all(DEPLOYMENTS):
            if "deletionTimestamp" not in deployment["metadata"]:
                self._roll(deployment)
        for replica_set in store.all(REPLICA_SETS):
            if "deletionTimestamp" not in replica_set["metadata"]:
                self._replicate(replica_set)

    def _roll(self, deployment: Object) -> None:
        owned = self._owned(REPLICA_SETS, deployment)
        mark = _hash(deployment["spec"]["template"])
        wanted = deployment["spec"]["replicas"]
        new = next((item for item in owned if item["metadata"]["labels"].get(HASH_LABEL) == mark), None)
        if new is None:
            new = self._create_replica_set(deployment, mark, len(owned) + 1)
        elif new["spec"]["replicas"] != wanted:
            new = self._scale(new, wanted)
        old = [item for item in owned if item["metadata"]["name"] != new["metadata"]["name"]]
        if new.get("status", {}).get("availableReplicas", 0) >= wanted:
            # The old ones go when the new ones can do their work: a broken image takes nothing down.
            for item in old:
                if item["spec"]["replicas"]:
                    self._scale(item, 0)
        self._write_status(deployment, new, old)

    def _create_replica_set(self, deployment: Object, mark: str, revision: int) -> Object:
        metadata, spec = deployment["metadata"], deployment["spec"]
        template = spec["template"]
        labels = (template.get("metadata") or {}).get("labels", {}) | {HASH_LABEL: mark}
        exact = (spec["selector"].get("matchLabels") or {}) | {HASH_LABEL: mark}
        return self.registry.create(
            REPLICA_SETS,
            metadata["namespace"],
            {
                "metadata": {
                    "name": f"{metadata['name']}-{mark}",
                    "labels": labels,
                    "annotations": {REVISION: str(revision)},
                    "ownerReferences": [owner_reference(DEPLOYMENTS, deployment)],
                },
                "spec": {
                    "replicas": spec["replicas"],
                    "selector": spec["selector"] | {"matchLabels": exact},
                    "template": template | {"metadata": (template.get("metadata") or {}) | {"labels": labels}},
                },
            },
        )

    def _scale(self, replica_set: Object, replicas: int) -> Object:
        changed = replica_set | {"spec": replica_set["spec"] | {"replicas": replicas}}
        return self._put(REPLICA_SETS, with_metadata(changed, generation=replica_set["metadata"]["generation"] + 1))

    def _write_status(self, deployment: Object, new: Object, old: list[Object]) -> None:
        wanted = deployment["spec"]["replicas"]
        counts = {name: _count([new, *old], name) for name in ("replicas", "readyReplicas", "availableReplicas")}
        updated = _count([new], "replicas")
        available = counts["availableReplicas"]
        complete = updated == wanted == counts["replicas"] == available
        status = {
            "observedGeneration": deployment["metadata"]["generation"],
            **{name: count for name, count in counts.items() if count},
            **({"updatedReplicas": updated} if updated else {}),
            **({"unavailableReplicas": wanted - available} if available < wanted else {}),
        }
        told = [
            condition("Available", "MinimumReplicasAvailable", "Deployment has minimum availability.")
            if available >= wanted
            else condition(
                "Available",
                "MinimumReplicasUnavailable",
                "Deployment does not have minimum availability.",
                met=False,
            ),
            self._progress(deployment, new, complete=complete),
        ]
        known = deployment.get("status", {}).get("conditions") or ()
        before = {item["type"]: item for item in known}
        status["conditions"] = [
            item | {"lastUpdateTime": self._updated(item, before.get(item["type"]))}
            for item in with_times(told, known, self.registry.time())
        ]
        self._put(DEPLOYMENTS, deployment | {"status": status})

    def _progress(self, deployment: Object, new: Object, *, complete: bool) -> Object:
        name = new["metadata"]["name"]
        if complete:
            self.overdue.discard(deployment["metadata"]["uid"])
            message = f'ReplicaSet "{name}" has successfully progressed.'
            return condition("Progressing", "NewReplicaSetAvailable", message)
        if deployment["metadata"]["uid"] in self.overdue:
            message = f'ReplicaSet "{name}" has timed out progressing.'
            return condition("Progressing", "ProgressDeadlineExceeded", message, met=False)
        return condition("Progressing", "ReplicaSetUpdated", f'ReplicaSet "{name}" is progressing.')

    def _updated(self, new: Object, old: Object | None) -> str:
        same = old is not None and all(old[key] == new[key] for key in ("status", "reason", "message"))
        return str(old["lastUpdateTime"]) if same and old else self.registry.time()

    def _replicate(self, replica_set: Object) -> None:
        metadata, spec = replica_set["metadata"], replica_set["spec"]
        pods = [pod for pod in self._owned(PODS, replica_set) if "deletionTimestamp" not in pod["metadata"]]
        for _ in range(len(pods), spec["replicas"]):
            made = self._create_pod(replica_set)
            pods.append(made)
        for pod in sorted(pods, key=_is_ready)[: max(len(pods) - spec["replicas"], 0)]:
            self.registry.delete(PODS, metadata["namespace"], pod["metadata"]["name"])
        alive = self._owned(PODS, replica_set)
        alive = [pod for pod in alive if "deletionTimestamp" not in pod["metadata"]]
        ready = sum(map(_is_ready, alive))
        status = {"replicas": len(alive), "observedGeneration": metadata["generation"]}
        if alive:
            status["fullyLabeledReplicas"] = len(alive)
        if ready:
            status |= {"readyReplicas": ready, "availableReplicas": ready}
        self._put(REPLICA_SETS, replica_set | {"status": status})

    def _create_pod(self, replica_set: Object) -> Object:
        metadata, template = replica_set["metadata"], replica_set["spec"]["template"]
        prefix = f"{metadata['name']}-"
        given = template.get("metadata") or {}
        made = given | {
            "name": generated(prefix),
            "generateName": prefix,
            "ownerReferences": [owner_reference(REPLICA_SETS, replica_set)],
        }
        spec = json.loads(json.dumps(template["spec"]))
        return self.registry.create(PODS, metadata["namespace"], {"metadata": made, "spec": spec})

    def _owned(self, kind: Kind, owner: Object) -> list[Object]:
        found = self.registry.store.all(kind, owner["metadata"]["namespace"])
        return [item for item in found if owned_by(item, owner)]

    def _put(self, kind: Kind, value: Object) -> Object:
        """Writes it where it differs."""
        metadata = value["metadata"]
        known = self.registry.store.get(kind, metadata["namespace"], metadata["name"])
        if known is None or known == value:
            return value
        return self.registry.put(kind, value)


def _hash(template: Object) -> str:
    """Ten letters for a template."""
    digest = hashlib.sha256(json.dumps(template, sort_keys=True).encode()).digest()
    return "".join(_ALPHABET[byte % len(_ALPHABET)] for byte in digest[:10])


def _count(replica_sets: list[Object], name: str) -> int:
    return sum(item.get("status", {}).get(name, 0) for item in replica_sets)


def _is_ready(pod: Object) -> bool:
    found = pod.get("status", {}).get("conditions") or ()
    return any(item["type"] == "Ready" and item["status"] == "True" for item in found)
