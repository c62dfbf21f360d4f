"""The three patches of a client: JSON patch (RFC 6902), JSON merge patch (RFC 7386) and Kubernetes' strategic merge."""

import copy
from typing import Any

from tests.support.fake_kubernetes.wire import Object, Refusal, bad_request, failure

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
APPLY_PATCHES = ("application/apply-patch+yaml", "application/apply-patch+cbor")

MERGE_KEYS: dict[str, tuple[str, ...]] = {
    "containers": ("name",),
    "initContainers": ("name",),
    "ephemeralContainers": ("name",),
    "env": ("name",),
    "volumes": ("name",),
    "volumeMounts": ("mountPath",),
    "volumeDevices": ("devicePath",),
    "imagePullSecrets": ("name",),
    "hostAliases": ("ip",),
    "ownerReferences": ("uid",),
    "conditions": ("type",),
    "secrets": ("name",),
    "topologySpreadConstraints": ("topologyKey",),
}
"""Lists of objects that merge, by what tells their items apart; other lists are replaced as a whole."""
PRIMITIVE_LISTS = ("finalizers",)
"""Lists of text that merge as sets."""


def merge_key(path: tuple[str, ...]) -> str | None:
    """What tells the items of a list apart in a strategic merge; `path` ends in the list's name."""
    name = path[-1]
    if name == "ports":
        return "containerPort" if "containers" in path or "initContainers" in path else "port"
    keys = MERGE_KEYS.get(name)
    return keys[0] if keys else None


# --- JSON patch -------------------------------------------------------------------------------------------------------


def json_patch(value: Object, operations: Any) -> Any:
    """Applies RFC 6902 operations. Raises Refusal."""
    if not isinstance(operations, list):
        raise bad_request("error decoding patch: json: cannot unmarshal object into Go value of type jsonpatch.Patch")
    root: Object = {"": value}
    for operation in operations:
        _operate(root, operation)
    return root[""]


def _operate(root: Object, operation: Object) -> None:
    what = operation.get("op")
    path = _pointer(operation.get("path", ""))
    match what:
        case "add":
            _add(root, path, copy.deepcopy(operation.get("value")))
        case "remove":
            _take(root, path, operation)
        case "replace":
            _take(root, path, operation)
            _add(root, path, copy.deepcopy(operation.get("value")))
        case "move":
            _add(root, path, _take(root, _pointer(operation.get("from", "")), operation))
        case "copy":
            _add(root, path, copy.deepcopy(_look(root, _pointer(operation.get("from", "")), operation)))
        case "test":
            if _look(root, path, operation) != operation.get("value"):
                raise _unprocessable(f"testing value {operation.get('path')} failed")
        case _:
            raise bad_request(f"Unexpected kind: {what}")


def _pointer(text: str) -> list[str]:
    return [part.replace("~1", "/").replace("~0", "~") for part in text.split("/")]


def _look(root: Object, path: list[str], operation: Object) -> Any:
    at: Any = root
    for part in path:
        try:
            at = at[int(part)] if isinstance(at, list) else at[part]
        except (KeyError, IndexError, ValueError, TypeError) as error:
            raise _missing(operation) from error
    return at


def _add(root: Object, path: list[str], value: Any) -> None:
    at = _look(root, path[:-1], {"op": "add", "path": "/".join(path)})
    if isinstance(at, list):
        at.insert(len(at) if path[-1] == "-" else int(path[-1]), value)
    elif isinstance(at, dict):
        at[path[-1]] = value
    else:
        raise _missing({"op": "add", "path": "/".join(path)})


def _take(root: Object, path: list[str], operation: Object) -> Any:
    value = _look(root, path, operation)
    at = _look(root, path[:-1], operation)
    at.pop(int(path[-1]) if isinstance(at, list) else path[-1])
    return value


def _missing(operation: Object) -> Refusal:
    told = (
        f"{operation.get('op')} operation does not apply: doc is missing path: {operation.get('path')}: missing value"
    )
    return _unprocessable(told)


def _unprocessable(message: str) -> Refusal:
    return Refusal(
        failure(422, "Invalid", f"the server rejected our request due to an error in our request: {message}", {})
    )


# --- merge patch ------------------------------------------------------------------------------------------------------


def merge_patch(value: Any, patch: Any) -> Any:
    """Applies an RFC 7386 patch."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    merged = dict(value) if isinstance(value, dict) else {}
    for name, item in patch.items():
        if item is None:
            merged.pop(name, None)
        else:
            merged[name] = merge_patch(merged.get(name), item)
    return merged


# --- strategic merge --------------------------------------------------------------------------------------------------


def strategic_patch(value: Any, patch: Any, path: tuple[str, ...] = ()) -> Any:
    """Applies a strategic merge patch: lists of containers, of environment variables and the like merge by key."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    if patch.get("$patch") == "replace":
        return {name: copy.deepcopy(item) for name, item in patch.items() if name != "$patch"}
    merged = dict(value) if isinstance(value, dict) else {}
    retained = patch.get("$retainKeys")
    if retained is not None:
        merged = {name: item for name, item in merged.items() if name in retained}
    for name, item in patch.items():
        if name.startswith("$"):
            _directive(merged, name, item, path)
        elif item is None:
            merged.pop(name, None)
        elif isinstance(item, list):
            merged[name] = _strategic_list(merged.get(name) or [], item, (*path, name))
        else:
            merged[name] = strategic_patch(merged.get(name), item, (*path, name))
    for name, order in patch.items():
        if name.startswith("$setElementOrder/") and name.partition("/")[2] in merged:
            listed = name.partition("/")[2]
            merged[listed] = _ordered(merged[listed], order, merge_key((*path, listed)))
    return merged


def _directive(merged: Object, name: str, item: Any, path: tuple[str, ...]) -> None:
    what, _, listed = name.partition("/")
    if what == "$deleteFromPrimitiveList":
        merged[listed] = [element for element in merged.get(listed, []) if element not in item]


def _strategic_list(value: list[Any], patch: list[Any], path: tuple[str, ...]) -> list[Any]:
    key = merge_key(path)
    if path[-1] in PRIMITIVE_LISTS:
        return value + [item for item in patch if item not in value]
    if key is None or not all(isinstance(item, dict) for item in patch):
        return copy.deepcopy(patch)
    if any(item.get("$patch") == "replace" for item in patch):
        return [copy.deepcopy(item) for item in patch if "$patch" not in item]
    merged = list(value)
    for item in patch:
        at = next((number for number, known in enumerate(merged) if known.get(key) == item.get(key)), None)
        if item.get("$patch") == "delete":
            if at is not None:
                merged.pop(at)
        elif at is None:
            merged.append(strategic_patch({}, item, path))
        else:
            merged[at] = strategic_patch(merged[at], item, path)
    return merged


def _ordered(value: list[Any], order: list[Any], key: str | None) -> list[Any]:
    wanted = [item.get(key) if key and isinstance(item, dict) else item for item in order]

    def place(item: Any) -> int:
        name = item.get(key) if key and isinstance(item, dict) else item
        return wanted.index(name) if name in wanted else len(wanted)

    return sorted(value, key=place)
