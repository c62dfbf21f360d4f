"""What the API server itself does to an object before it is stored: defaults, and the checks that clients run into."""

import re
from collections.abc import Callable, Iterator
from typing import Any

from tests.support.fake_kubernetes import schemas
from tests.support.fake_kubernetes.kinds import Kind
from tests.support.fake_kubernetes.selectors import label_object
from tests.support.fake_kubernetes.wire import Object

Problem = tuple[str, str, str]
"""Reason, message, field."""
REQUIRED, INVALID = "FieldValueRequired", "FieldValueInvalid"
_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = rf"{_LABEL}(\.{_LABEL})*"
_SERVICE = "[a-z]([-a-z0-9]*[a-z0-9])?"
_LABEL_VALUE = "(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?"
_LABEL_KEY = rf"({_SUBDOMAIN}/)?([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
MOST_LABEL, MOST_SUBDOMAIN = 63, 253
_SUBDOMAIN_RULE = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and "
    f"end with an alphanumeric character (e.g. 'example.com', regex used for validation is '{_LABEL}(\\.{_LABEL})*')"
)
_SERVICE_RULE = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, "
    f"and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '{_SERVICE}')"
)
_VALUE_RULE = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', "
    f"regex used for validation is '{_LABEL_VALUE}')"
)


def with_defaults(kind: Kind, value: Object) -> Object:
    """The object with what the API server fills in; `value` may be changed."""
    if kind.custom:
        return schemas.prepared(kind.schema, value)
    fill = _DEFAULTS.get(kind.qualified)
    if fill is not None:
        fill(value)
    return value


def problems(kind: Kind, value: Object, before: Object | None) -> list[Problem]:
    """Why the object may not be stored."""
    found = [*_metadata_problems(kind, value["metadata"])]
    if kind.custom:
        found += schemas.problems(kind.schema, value)
    check = _CHECKS.get(kind.qualified)
    if check is not None:
        found += check(value, before)
    return found


def _metadata_problems(kind: Kind, metadata: Object) -> Iterator[Problem]:
    name = metadata["name"]
    if kind.plural in {"services", "namespaces"}:
        pattern, most, rule = (
            (_SERVICE, MOST_LABEL, _SERVICE_RULE)
            if kind.plural == "services"
            else (_LABEL, MOST_LABEL, _SUBDOMAIN_RULE)
        )
    elif kind.group == "rbac.authorization.k8s.io":
        pattern, most, rule = "[^/%]+", MOST_SUBDOMAIN, "may not contain '/'"
    else:
        pattern, most, rule = _SUBDOMAIN, MOST_SUBDOMAIN, _SUBDOMAIN_RULE
    if len(name) > most:
        yield INVALID, f'Invalid value: "{name}": must be no more than {most} characters', "metadata.name"
    elif not re.fullmatch(pattern, name):
        yield INVALID, f'Invalid value: "{name}": {rule}', "metadata.name"
    yield from _label_problems(metadata.get("labels") or {}, "metadata.labels")


def _label_problems(labels: dict[str, Any], where: str) -> Iterator[Problem]:
    for key, value in labels.items():
        if not re.fullmatch(_LABEL_KEY, key):
            yield INVALID, f'Invalid value: "{key}": name part must consist of alphanumeric characters', where
        if len(value) > MOST_LABEL:
            yield INVALID, f'Invalid value: "{value}": must be no more than {MOST_LABEL} bytes', where
        elif not re.fullmatch(_LABEL_VALUE, value):
            yield INVALID, f'Invalid value: "{value}": {_VALUE_RULE}', where


# --- defaults ---------------------------------------------------------------------------------------------------------


def _pod_spec(spec: Object) -> None:
    for name, value in {
        "restartPolicy": "Always",
        "terminationGracePeriodSeconds": 30,
        "dnsPolicy": "ClusterFirst",
        "securityContext": {},
        "schedulerName": "default-scheduler",
    }.items():
        spec.setdefault(name, value)
    for container in spec.get("containers") or ():
        tag = str(container.get("image", "")).rpartition("/")[2].partition(":")[2]
        container.setdefault("resources", {})
        container.setdefault("terminationMessagePath", "/dev/termination-log")
        container.setdefault("terminationMessagePolicy", "File")
        container.setdefault("imagePullPolicy", "Always" if tag in {"", "latest"} else "IfNotPresent")
        for port in container.get("ports") or ():
            port.setdefault("protocol", "TCP")


def _pod(value: Object) -> None:
    _pod_spec(value.setdefault("spec", {}))
    value.setdefault("status", {"phase": "Pending", "qosClass": "BestEffort"})


def _deployment(value: Object) -> None:
    spec = value.setdefault("spec", {})
    spec.setdefault("replicas", 1)
    rolling = {"maxUnavailable": "25%", "maxSurge": "25%"}
    spec.setdefault("strategy", {"type": "RollingUpdate", "rollingUpdate": rolling})
    spec.setdefault("revisionHistoryLimit", 10)
    spec.setdefault("progressDeadlineSeconds", 600)
    _pod_spec(spec.setdefault("template", {}).setdefault("spec", {}))
    value.setdefault("status", {})


def _replica_set(value: Object) -> None:
    spec = value.setdefault("spec", {})
    spec.setdefault("replicas", 1)
    _pod_spec(spec.setdefault("template", {}).setdefault("spec", {}))
    value.setdefault("status", {"replicas": 0})


def _service(value: Object) -> None:
    spec = value.setdefault("spec", {})
    spec.setdefault("type", "ClusterIP")
    spec.setdefault("sessionAffinity", "None")
    spec.setdefault("internalTrafficPolicy", "Cluster")
    for port in spec.get("ports") or ():
        port.setdefault("protocol", "TCP")
        port.setdefault("targetPort", port.get("port"))
    value.setdefault("status", {"loadBalancer": {}})


def _namespace(value: Object) -> None:
    value["metadata"].setdefault("labels", {}).setdefault("kubernetes.io/metadata.name", value["metadata"]["name"])
    value.setdefault("spec", {"finalizers": ["kubernetes"]})
    value.setdefault("status", {"phase": "Active"})


def _crd(value: Object) -> None:
    names = value["spec"]["names"]
    names.setdefault("singular", names["kind"].lower())
    names.setdefault("listKind", f"{names['kind']}List")
    value["spec"].setdefault("conversion", {"strategy": "None"})


_DEFAULTS: dict[str, Callable[[Object], None]] = {
    "pods": _pod,
    "deployments.apps": _deployment,
    "replicasets.apps": _replica_set,
    "services": _service,
    "namespaces": _namespace,
    "customresourcedefinitions.apiextensions.k8s.io": _crd,
}

# --- checks -----------------------------------------------------------------------------------------------------------


def _container_problems(spec: Object, where: str) -> Iterator[Problem]:
    containers = spec.get("containers") or []
    if not containers:
        yield REQUIRED, "Required value", f"{where}.containers"
    seen = set()
    for number, container in enumerate(containers):
        at, name = f"{where}.containers[{number}]", container.get("name", "")
        if not name:
            yield REQUIRED, "Required value", f"{at}.name"
        elif name in seen:
            yield "FieldValueDuplicate", f'Duplicate value: "{name}"', f"{at}.name"
        if not container.get("image"):
            yield REQUIRED, "Required value", f"{at}.image"
        seen.add(name)


def _pod_problems(value: Object, before: Object | None) -> Iterator[Problem]:
    yield from _container_problems(value["spec"], "spec")


def _workload_problems(value: Object, before: Object | None) -> Iterator[Problem]:
    spec = value["spec"]
    selector, template = spec.get("selector"), spec["template"]
    found = (template.get("metadata") or {}).get("labels") or {}
    if not selector:
        yield REQUIRED, "Required value", "spec.selector"
    elif not label_object(selector)({"metadata": {"labels": found}}):
        shown = _go_map(found)
        yield (
            INVALID,
            f"Invalid value: {shown}: `selector` does not match template `labels`",
            "spec.template.metadata.labels",
        )
    yield from _label_problems(found, "spec.template.labels")
    yield from _container_problems(template["spec"], "spec.template.spec")
    if before is not None and before["spec"].get("selector") != selector:
        yield INVALID, f"Invalid value: {_go_map(selector or {})}: field is immutable", "spec.selector"


def _service_problems(value: Object, before: Object | None) -> Iterator[Problem]:
    spec = value["spec"]
    headless = spec.get("clusterIP") == "None"
    if not spec.get("ports") and not headless and spec["type"] != "ExternalName":
        yield REQUIRED, "Required value", "spec.ports"
    names = [port.get("name", "") for port in spec.get("ports") or ()]
    if len(names) > 1 and "" in names:
        yield REQUIRED, "Required value", f"spec.ports[{names.index('')}].name"
    if (
        before is not None
        and before["spec"].get("clusterIP") != spec.get("clusterIP")
        and before["spec"]["type"] != "ExternalName"
    ):
        yield INVALID, f'Invalid value: "{spec.get("clusterIP", "")}": field is immutable', "spec.clusterIP"


def _crd_problems(value: Object, before: Object | None) -> Iterator[Problem]:
    spec = value["spec"]
    wanted = f"{spec['names']['plural']}.{spec['group']}"
    if value["metadata"]["name"] != wanted:
        yield (
            INVALID,
            f'Invalid value: "{value["metadata"]["name"]}": must be spec.names.plural+"."+spec.group',
            "metadata.name",
        )
    for number, version in enumerate(spec["versions"]):
        if "openAPIV3Schema" not in (version.get("schema") or {}):
            yield REQUIRED, "Required value: schemas are required", f"spec.versions[{number}].schema.openAPIV3Schema"


def _go_map(value: dict[str, Any]) -> str:
    inner = ",".join(f'"{key}":"{item}"' for key, item in sorted(value.items()))
    return f"{{{inner}}}"


_CHECKS: dict[str, Callable[[Object, Object | None], Iterator[Problem]]] = {
    "pods": _pod_problems,
    "deployments.apps": _workload_problems,
    "replicasets.apps": _workload_problems,
    "services": _service_problems,
    "customresourcedefinitions.apiextensions.k8s.io": _crd_problems,
}
