"""Tables, as kubectl asks for them: a row for each object, the columns by kind."""

import re
from collections.abc import Iterable
from typing import Any

from tests.support.fake_kubernetes.kinds import DEPLOYMENTS, PODS, Kind
from tests.support.fake_kubernetes.values import seconds_of
from tests.support.fake_kubernetes.wire import Object

Column = tuple[str, str]
"""Name and type."""
_STEP = re.compile(r"\.([A-Za-z0-9_]+)|\[\?\(@\.([A-Za-z0-9_]+)==[\"']([^\"']*)[\"']\)\]|\[(\*|[0-9]+)\]|\['([^']+)'\]")


def wanted(accept: str) -> bool:
    """Whether an Accept header asks for a table first."""
    return "as=Table" in accept.partition(",")[0]


def table(kind: Kind, values: Iterable[Object], metadata: Object, now: float) -> Object:
    """A Table of meta.k8s.io/v1."""
    columns, cells = _layout(kind)
    definitions = [
        {"name": name, "type": what, "format": "name" if name == "Name" else "", "description": "", "priority": 0}
        for name, what in columns
    ]
    rows = [{"cells": cells(value, now), "object": _partial(value)} for value in values]
    told = {"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": metadata}
    return told | {"columnDefinitions": definitions, "rows": rows}


def _partial(value: Object) -> Object:
    return {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": value["metadata"]}


def _layout(kind: Kind) -> tuple[list[Column], Any]:
    if kind == PODS:
        columns = [
            ("Name", "string"),
            ("Ready", "string"),
            ("Status", "string"),
            ("Restarts", "integer"),
            ("Age", "string"),
        ]
        return columns, _pod_cells
    if kind == DEPLOYMENTS:
        columns = [
            ("Name", "string"),
            ("Ready", "string"),
            ("Up-to-date", "integer"),
            ("Available", "integer"),
            ("Age", "string"),
        ]
        return columns, _deployment_cells
    if kind.columns:
        shown = [item for item in kind.columns if not item.get("priority")]
        columns = [("Name", "string"), *((item["name"], item["type"]) for item in shown)]
        return columns, lambda value, now: [value["metadata"]["name"], *(_cell(item, value, now) for item in shown)]
    return [("Name", "string"), ("Age", "string")], lambda value, now: [value["metadata"]["name"], _age(value, now)]


def _pod_cells(value: Object, now: float) -> list[Any]:
    statuses = value.get("status", {}).get("containerStatuses") or []
    waiting = [item["state"]["waiting"]["reason"] for item in statuses if "waiting" in item["state"]]
    ready = f"{sum(item['ready'] for item in statuses)}/{len(value['spec']['containers'])}"
    shown = "Terminating" if "deletionTimestamp" in value["metadata"] else (waiting or [value["status"]["phase"]])[0]
    return [value["metadata"]["name"], ready, shown, sum(item["restartCount"] for item in statuses), _age(value, now)]


def _deployment_cells(value: Object, now: float) -> list[Any]:
    status = value.get("status", {})
    ready = f"{status.get('readyReplicas', 0)}/{value['spec']['replicas']}"
    counts = [status.get("updatedReplicas", 0), status.get("availableReplicas", 0)]
    return [value["metadata"]["name"], ready, *counts, _age(value, now)]


def _cell(column: Object, value: Object, now: float) -> Any:
    found = json_path(value, column["jsonPath"])
    if not found:
        return None
    if column["type"] == "date":
        return _since(str(found[0]), now)
    return found[0] if len(found) == 1 else ",".join(map(str, found))


def json_path(value: Object, path: str) -> list[Any]:
    """The values at a path of the simple kind that printer columns use."""
    found: list[Any] = [value]
    for name, key, wanted_value, index, quoted in _STEP.findall(path):
        if name or quoted:
            found = [item[name or quoted] for item in found if isinstance(item, dict) and (name or quoted) in item]
        elif key:
            lists = (item for item in found if isinstance(item, list))
            found = [one for items in lists for one in items if str(one.get(key)) == wanted_value]
        elif index == "*":
            found = [one for items in found if isinstance(items, list) for one in items]
        else:
            found = [items[int(index)] for items in found if isinstance(items, list) and int(index) < len(items)]
    return found


def _age(value: Object, now: float) -> str:
    return _since(value["metadata"]["creationTimestamp"], now)


def _since(text: str, now: float) -> str:
    seconds = max(int(now - seconds_of(text)), 0)
    for unit, size, until in (("s", 1, 120), ("m", 60, 7200), ("h", 3600, 172800)):
        if seconds < until:
            return f"{seconds // size}{unit}"
    return f"{seconds // 86400}d"
