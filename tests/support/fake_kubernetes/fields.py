"""Who owns which field of an object: metadata.managedFields, and server-side apply.

A field is a path of elements as FieldsV1 writes them: `f:spec`, `k:{"name":"web"}`, `v:"a"`, and `.` for an item of a
list itself.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.support.fake_kubernetes.kinds import Kind
from tests.support.fake_kubernetes.patches import MERGE_KEYS
from tests.support.fake_kubernetes.values import with_metadata
from tests.support.fake_kubernetes.wire import Object, Refusal, failure

Path = tuple[str, ...]
Entry = tuple[str, str, str]
"""Manager, operation, subresource."""
_UNOWNED = {
    "name", "namespace", "uid", "resourceVersion", "generation", "creationTimestamp", "deletionTimestamp",
    "deletionGracePeriodSeconds", "managedFields", "selfLink", "generateName",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class How:
    """What a write says beside the object."""

    subresource: str = ""
    dry_run: bool = False
    manager: str = "unknown"
    applied: Object | None = None
    """The configuration of a server-side apply; None for other writes."""
    force: bool = False
    """Whether an apply takes fields from other managers."""


def tracked(kind: Kind, before: Object | None, value: Object, how: How, *, now: str) -> Object:
    """The object with managedFields as they are after the write."""
    old, new = leaves(kind, before or {}), leaves(kind, value)
    changed = {path for path, item in new.items() if path not in old or old[path] != item}
    operation = "Update" if how.applied is None else "Apply"
    mine = (how.manager, operation, how.subresource)
    owners = {entry: (fields & new.keys(), time) for entry, (fields, time) in _owners(before).items()}
    known, last = owners.pop(mine, (set[Path](), now))
    owned = known | changed if how.applied is None else set(leaves(kind, how.applied)) & new.keys()
    if how.applied is None and not changed:
        owned = known
    owners = {entry: (fields - changed, time) for entry, (fields, time) in owners.items()}
    owners[mine] = (owned, now if changed or owned != known else last)
    entries = [_entry(kind, entry, *held) for entry, held in owners.items() if held[0]]
    return with_metadata(value, managedFields=entries or None)


def merged(kind: Kind, before: Object, how: How) -> Object:
    """The object that a server-side apply makes of another. Raises Refusal where another manager has a field."""
    config = how.applied or {}
    wanted, live, owners = leaves(kind, config), leaves(kind, before), _owners(before)
    mine = (how.manager, "Apply", how.subresource)
    known, _ = owners.pop(mine, (set[Path](), ""))
    differing = {path for path, item in wanted.items() if path in live and live[path] != item}
    taken = sorted({(entry[0], path) for entry, (fields, _) in owners.items() for path in fields & differing})
    if taken and not how.force:
        raise _conflicts(kind, before, taken)
    value: Object = _merged(kind, (), before, config)
    kept: set[Path] = set(wanted).union(*(fields for fields, _ in owners.values()))
    # Whole items of lists first: without the field that names it, an item would not be found.
    for path in sorted(known - kept, key=lambda path: (path[-1] != ".", path)):
        _remove(value, path)
    return value


def require_single(kind: Kind, config: Object) -> None:
    """Raises Refusal where a list of what is applied has two items that nothing tells apart."""
    found: set[Path] = set()
    for path, _ in _leaves(kind, (), {name: item for name, item in config.items() if name in {"spec", "data"}}):
        if path[-1] == "." and path in found:
            message = f"failed to create typed patch object: {'.'.join(path[:-1])}: duplicate entries for key"
            raise Refusal(failure(500, "InternalError", message))
        found.add(path)


def leaves(kind: Kind, value: Object) -> dict[Path, Any]:
    """The fields of an object that can be owned, with their values."""
    metadata = {name: item for name, item in value.get("metadata", {}).items() if name not in _UNOWNED}
    content = {name: item for name, item in value.items() if name not in {"apiVersion", "kind", "metadata"}}
    return dict(_leaves(kind, (), content | ({"metadata": metadata} if metadata else {})))


def _leaves(kind: Kind, path: Path, value: Any) -> Iterator[tuple[Path, Any]]:
    keys = _keys(kind, path) if isinstance(value, list) else None
    if isinstance(value, dict) and value:
        for name, item in value.items():
            yield from _leaves(kind, (*path, f"f:{name}"), item)
    elif isinstance(value, list) and keys is not None:
        for item in value:
            at = (*path, _element(keys, item))
            yield (*at, "."), {}
            if keys:
                for name, inner in item.items():
                    yield from _leaves(kind, (*at, f"f:{name}"), inner)
    else:
        yield path, value


def _keys(kind: Kind, path: Path) -> tuple[str, ...] | None:
    """What tells the items of a list apart: nothing for a set, None for a list that is owned as a whole."""
    names = [part[2:] for part in path if part.startswith("f:")]
    if names == ["metadata", "finalizers"]:
        return ()
    if kind.custom and names[0] != "metadata":
        return _schema_keys(kind.schema, names)
    if names[-1] == "ports":
        return ("containerPort", "protocol") if {"containers", "initContainers"} & {*names} else ("port", "protocol")
    return MERGE_KEYS.get(names[-1])


def _schema_keys(schema: Any, names: list[str]) -> tuple[str, ...] | None:
    for name in names:
        inner = schema.get("items", schema)
        schema = inner.get("properties", {}).get(name) or inner.get("additionalProperties") or {}
    match schema.get("x-kubernetes-list-type"):
        case "map":
            return tuple(schema["x-kubernetes-list-map-keys"])
        case "set":
            return ()
        case _:
            return None


def _element(keys: tuple[str, ...], item: Any) -> str:
    if not keys:
        return f"v:{json.dumps(item)}"
    defaults = {"protocol": "TCP"}
    return "k:" + json.dumps({key: item.get(key, defaults.get(key)) for key in sorted(keys)}, separators=(",", ":"))


def _merged(kind: Kind, path: Path, live: Any, config: Any) -> Any:
    if isinstance(config, dict) and isinstance(live, dict):
        inner = {name: _merged(kind, (*path, f"f:{name}"), live.get(name), item) for name, item in config.items()}
        return {**live, **inner}
    keys = _keys(kind, path) if isinstance(config, list) and isinstance(live, list) else None
    if keys is None:
        return config
    items = {_element(keys, item): item for item in live}
    for item in config:
        name = _element(keys, item)
        items[name] = _merged(kind, (*path, name), items.get(name), item)
    return list(items.values())


def _remove(value: Any, path: Path) -> None:
    """Takes a field away that nobody owns any more, an item of a list where all of it is gone."""
    head, rest = path[0], path[1:]
    if head.startswith("f:"):
        name = head[2:]
        if not isinstance(value, dict) or name not in value:
            return
        if rest:
            value[name] = value[name].copy()
            _remove(value[name], rest)
        if not rest or value[name] in ({}, []):
            del value[name]
        return
    for number, item in enumerate(value):
        if head == _element(_named_keys(head), item):
            if rest in {(), (".",)}:
                del value[number]
            else:
                value[number] = item.copy()
                _remove(value[number], rest)
            return


def _named_keys(element: str) -> tuple[str, ...]:
    return tuple(json.loads(element[2:])) if element.startswith("k:") else ()


def _conflicts(kind: Kind, before: Object, taken: list[tuple[str, Path]]) -> Refusal:
    told = [(f'conflict with "{manager}"', _shown(path)) for manager, path in taken]
    managers = sorted({manager for manager, _ in taken})
    count = f"{len(taken)} conflict{'s' if len(taken) > 1 else ''}"
    listed = "\n".join(f"- {where}" for _, where in told)
    message = f'Apply failed with {count}: conflict{"s" if len(taken) > 1 else ""} with "{managers[0]}": {told[0][1]}'
    if len(taken) > 1:
        message = f'Apply failed with {count}: conflicts with "{managers[0]}":\n{listed}'
    listed_causes = [{"reason": "FieldManagerConflict", "message": why, "field": where} for why, where in told]
    details = kind.details(before["metadata"]["name"], causes=listed_causes)
    return Refusal(failure(409, "Conflict", message, details))


def _shown(path: Path) -> str:
    shown = ""
    for part in path:
        if part.startswith("f:"):
            shown += f".{part[2:]}"
        elif part.startswith("k:"):
            inner = ",".join(f"{key}={json.dumps(item)}" for key, item in json.loads(part[2:]).items())
            shown += f"[{inner}]"
        elif part.startswith("v:"):
            shown += f"[={part[2:]}]"
    return shown


# --- FieldsV1 ---------------------------------------------------------------------------------------------------------


def _owners(value: Object | None) -> dict[Entry, tuple[set[Path], str]]:
    listed = (value or {}).get("metadata", {}).get("managedFields") or ()
    return {
        (item["manager"], item["operation"], item.get("subresource", "")): (
            set(_decoded(item["fieldsV1"], ())),
            item["time"],
        )
        for item in listed
    }


def _entry(kind: Kind, entry: Entry, owned: set[Path], time: str) -> Object:
    manager, operation, subresource = entry
    encoded: Object = {}
    for path in sorted(owned):
        at = encoded
        for part in path:
            at = at.setdefault(part, {})
    told = {"manager": manager, "operation": operation, "apiVersion": kind.api_version, "time": time}
    more = {"subresource": subresource} if subresource else {}
    return told | {"fieldsType": "FieldsV1", "fieldsV1": encoded} | more


def _decoded(encoded: Object, path: Path) -> Iterator[Path]:
    if not encoded:
        yield path
    for part, inner in encoded.items():
        yield from _decoded(inner, (*path, part))
