"""Clones of Deployments, and the Services before them, as manifests. Pure."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

from client.kubernetes.controller.images import containers_of, retagged
from client.kubernetes.controller.wishes import Wish
from relay.kubernetes import CLONE_OF_LABEL, ORG_LABEL, WORKSPACE_API_VERSION, WORKSPACE_KIND, WORKSPACE_LABEL

Object = Mapping[str, Any]
Manifest = dict[str, Any]

CLONE_LABEL = "signadot.com/clone"
"""Its value is the clone's own name: what the clone's Deployment and Service select by."""
OWNER_ANNOTATION = "signadot.com/owner"
"""Namespace and name of the Workspace object."""
HASH_ANNOTATION = "signadot.com/hash"
"""Of the manifest that was applied: while it is the same nothing is written, and so nothing restarted."""
WORKSPACE_VARIABLE = "SIGNADOT_WORKSPACE_NAME"
ROUTING_KEY_VARIABLE = "SIGNADOT_ROUTING_KEY"
MAX_LABEL = 63
"""Of a label's value, and of a Service's name."""
HASH_CHARACTERS = 8
MIN_READY_SECONDS = 10
"""For how long a pod has to be ready at least: without a probe it is ready between two crashes, too."""
DROPPED_FIELDS = frozenset({"replicas", "selector", "template", "paused"})
"""Of the baseline's spec. One pod is enough to look at, and a baseline that is held back does not hold its clones."""

OWN_FIELDS = frozenset({"replicas", "paused"})
"""Of the baseline's spec what it may change by itself: autoscalers do so all day."""


def clone_name(wish: Wish, namespace: str, deployment: str) -> str:
    """The name of a clone and of its Service: readable, and no other clone's."""
    mark = _digest(f"{wish.owner}\n{namespace}/{deployment}")[:HASH_CHARACTERS]
    readable = f"{wish.name}-{deployment.replace('.', '-')}"  # begins with a letter, as a Service's name must
    return f"{readable[: MAX_LABEL - HASH_CHARACTERS - 1].rstrip('-')}-{mark}"


def owner_of(document: Object) -> str:
    """The Workspace object that a clone or its Service belongs to; empty for everything else."""
    return str((document["metadata"].get("annotations") or {}).get(OWNER_ANNOTATION, ""))


def hash_of(document: Object) -> str:
    """Of which manifest an object was made."""
    return str((document["metadata"].get("annotations") or {}).get(HASH_ANNOTATION, ""))


def is_same_baseline(old: Object | None, new: Object | None) -> bool:
    """Whether a Deployment or Service of others has changed in nothing that clones have of it."""
    if old is None or new is None:
        return False
    before, after = (
        {key: value for key, value in item["spec"].items() if key not in OWN_FIELDS} for item in (old, new)
    )
    return before == after


def clone_of(wish: Wish, baseline: Object) -> Manifest:
    """The Deployment that runs a workspace's version of another one."""
    namespace, deployment = baseline["metadata"]["namespace"], baseline["metadata"]["name"]
    name = clone_name(wish, namespace, deployment)
    labels = _labels(wish, name, deployment)
    template = json.loads(json.dumps(baseline["spec"]["template"]))  # a copy: the original is others' too
    annotations = (template.get("metadata") or {}).get("annotations") or {}
    # No label of the baseline's stays: whatever Service or policy selects by one of them must not meet the clone.
    template["metadata"] = {"labels": labels, "annotations": annotations | {OWNER_ANNOTATION: wish.owner}}
    for container in containers_of(template):
        _adapt(container, wish)
    if "imagePullSecrets" in template["spec"]:
        template["spec"]["imagePullSecrets"] = _single(template["spec"]["imagePullSecrets"], name="")
    spec = {key: value for key, value in baseline["spec"].items() if key not in DROPPED_FIELDS}
    spec |= {"replicas": 1, "selector": {"matchLabels": {CLONE_LABEL: name}}, "template": template}
    spec["minReadySeconds"] = max(spec.get("minReadySeconds", 0), MIN_READY_SECONDS)
    if "progressDeadlineSeconds" in spec:  # the API server wants it to be longer
        spec["progressDeadlineSeconds"] = max(spec["progressDeadlineSeconds"], spec["minReadySeconds"] + 1)
    metadata = _metadata(wish, namespace, name, labels)
    if namespace == wish.namespace:  # elsewhere the finalizer alone sees to its end
        metadata["ownerReferences"] = [_reference(WORKSPACE_API_VERSION, WORKSPACE_KIND, wish.object_name, wish.uid)]
    return _manifest("apps/v1", "Deployment", metadata, spec)


def service_of(wish: Wish, baseline: Object, services: Iterable[Object], clone: Object) -> Manifest | None:
    """The Service before a clone: the ports of all Services before its baseline, and those of its containers.

    None for a Deployment without any ports. `clone` is the clone as it is in the cluster: its owner, so that neither
    stays without the other.
    """
    namespace, deployment = baseline["metadata"]["namespace"], baseline["metadata"]["name"]
    name = clone_name(wish, namespace, deployment)
    ports = _ports(baseline, services)
    if not ports:
        return None
    spec = {"type": "ClusterIP", "selector": {CLONE_LABEL: name}, "ports": ports}
    metadata = _metadata(wish, namespace, name, _labels(wish, name, deployment))
    metadata["ownerReferences"] = [_reference("apps/v1", "Deployment", name, clone["metadata"]["uid"])]
    return _manifest("v1", "Service", metadata, spec)


def _adapt(container: dict[str, Any], wish: Wish) -> None:
    image = retagged(container.get("image", ""), wish.images)
    if image is not None:
        container["image"] = image
    ours = {WORKSPACE_VARIABLE: wish.name, ROUTING_KEY_VARIABLE: wish.routing_key}
    others = [variable for variable in container.get("env") or () if variable["name"] not in ours]
    # In front, so that the others may refer to them.
    container["env"] = [{"name": name, "value": value} for name, value in ours.items()] + _single(others, name="")
    if "ports" in container:
        container["ports"] = _single(container["ports"], containerPort=0, protocol="TCP")


def _single(items: Iterable[dict[str, Any]] | None, **keys: Any) -> list[dict[str, Any]]:
    """Of items with the same keys (which have these defaults) the last.

    An API server takes several in what is created, where the last one counts, and fails at them in what is applied.
    """
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for item in items or ():
        key = tuple(item.get(name, default) for name, default in keys.items())
        found.pop(key, None)  # its place is the last one's: variables refer to those before them
        found[key] = item
    return list(found.values())


def _ports(baseline: Object, services: Iterable[Object]) -> list[dict[str, Any]]:
    template = baseline["spec"]["template"]
    labels = (template.get("metadata") or {}).get("labels") or {}
    namespace = baseline["metadata"]["namespace"]
    found: dict[tuple[int, str], dict[str, Any]] = {}
    for service in sorted(services, key=lambda service: str(service["metadata"]["name"])):
        selector = service["spec"].get("selector") or {}
        if service["metadata"]["namespace"] != namespace or not selector or not selector.items() <= labels.items():
            continue
        for port in service["spec"].get("ports") or ():
            kept = {key: port[key] for key in ("appProtocol", "name", "port", "protocol", "targetPort") if key in port}
            found.setdefault((port["port"], port.get("protocol", "TCP")), kept)
    for container in template["spec"].get("containers") or ():
        for port in container.get("ports") or ():
            number, protocol = port["containerPort"], port.get("protocol", "TCP")
            kept = {"port": number, "protocol": protocol, "targetPort": number}
            found.setdefault((number, protocol), kept | ({"name": port["name"]} if "name" in port else {}))
    return _named(list(found.values()))


def _named(ports: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Ports with a name each, none twice: their own where they can keep it, since meshes read protocols from it."""
    taken: set[str] = set()
    for port in ports:
        if port.get("name", "") in {"", *taken}:
            port["name"] = f"{port.get('protocol', 'TCP').lower()}-{port['port']}"
        taken.add(port["name"])
    return ports


def _labels(wish: Wish, name: str, deployment: str) -> dict[str, str]:
    value = deployment
    if len(value) > MAX_LABEL:
        value = f"{value[: MAX_LABEL - HASH_CHARACTERS - 1]}-{_digest(value)[:HASH_CHARACTERS]}"
    labels = {WORKSPACE_LABEL: wish.name, CLONE_OF_LABEL: value, CLONE_LABEL: name}
    return labels | ({ORG_LABEL: wish.org} if wish.org else {})


def _metadata(wish: Wish, namespace: str, name: str, labels: dict[str, str]) -> dict[str, Any]:
    return {"name": name, "namespace": namespace, "labels": labels, "annotations": {OWNER_ANNOTATION: wish.owner}}


def _reference(api_version: str, kind: str, name: str, uid: str) -> dict[str, Any]:
    return {"apiVersion": api_version, "kind": kind, "name": name, "uid": uid, "controller": True}


def _manifest(api_version: str, kind: str, metadata: dict[str, Any], spec: dict[str, Any]) -> Manifest:
    manifest: Manifest = {"apiVersion": api_version, "kind": kind, "metadata": metadata, "spec": spec}
    metadata["annotations"] = metadata["annotations"] | {HASH_ANNOTATION: _digest(json.dumps(manifest, sort_keys=True))}
    return manifest


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]
