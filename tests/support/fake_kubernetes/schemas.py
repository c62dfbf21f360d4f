"""OpenAPI schemas of custom resources: pruning, defaults and validation, without CEL."""

import copy
import re
from collections.abc import Iterator
from typing import Any

from tests.support.fake_kubernetes.wire import Object

Schema = dict[str, Any]
Problem = tuple[str, str, str]
KEPT = ("apiVersion", "kind", "metadata")
"""The API server knows these itself, whatever a schema says."""


def prepared(schema: Schema, value: Object) -> Object:
    """The object without what the schema does not know, and with its defaults."""
    kept = {name: value[name] for name in KEPT if name in value}
    inner = {name: item for name, item in value.items() if name not in KEPT}
    known: Object = _prepared({"type": "object"} | schema, copy.deepcopy(inner))
    return kept | known


def _prepared(schema: Schema, value: Any) -> Any:
    if isinstance(value, list):
        return [_prepared(schema.get("items", {}), item) for item in value]
    if not isinstance(value, dict):
        return value
    known, others = schema.get("properties", {}), schema.get("additionalProperties")
    for name, inner in known.items():
        if "default" in inner and name not in value:
            value[name] = copy.deepcopy(inner["default"])
    keep_unknown = schema.get("x-kubernetes-preserve-unknown-fields", False) or bool(others)
    of_others = others if isinstance(others, dict) else {}
    return {
        name: _prepared(known.get(name, of_others), item) if name in known or of_others else item
        for name, item in value.items()
        if name in known or keep_unknown
    }


def problems(schema: Schema, value: Object) -> Iterator[Problem]:
    """Why the object does not fit the schema."""
    inner = {name: item for name, item in value.items() if name not in KEPT}
    required = [name for name in schema.get("required", ()) if name not in KEPT]
    yield from _problems({"type": "object"} | schema | {"required": required}, inner, "")


def _problems(schema: Schema, value: Any, where: str) -> Iterator[Problem]:
    if value is None and schema.get("nullable"):
        return
    wanted = schema.get("type")
    if schema.get("x-kubernetes-int-or-string"):
        if not isinstance(value, int | str) or isinstance(value, bool):
            yield _wrong_type(where, "integer,string", value)
        return
    if wanted is not None and not _is_a(value, wanted):
        yield _wrong_type(where, wanted, value)
        return
    if "enum" in schema and value not in schema["enum"]:
        supported = ", ".join(f'"{item}"' for item in schema["enum"])
        yield "FieldValueNotSupported", f'Unsupported value: "{value}": supported values: {supported}', where
    match value:
        case dict():
            yield from _object_problems(schema, value, where)
        case list():
            yield from _list_problems(schema, value, where)
        case str():
            yield from _text_problems(schema, value, where)
        case int() | float():
            yield from _number_problems(schema, value, where)


def _object_problems(schema: Schema, value: Object, where: str) -> Iterator[Problem]:
    for name in schema.get("required", ()):
        if name not in value:
            yield "FieldValueRequired", "Required value", _inside(where, name)
    if len(value) > schema.get("maxProperties", len(value)):
        yield "FieldValueTooMany", f"Too many: {len(value)}: must have at most {schema['maxProperties']} items", where
    known, others = schema.get("properties", {}), schema.get("additionalProperties")
    for name, item in value.items():
        inner = known.get(name, others if isinstance(others, dict) else None)
        if inner is not None:
            yield from _problems(inner, item, _inside(where, name))


def _list_problems(schema: Schema, value: list[Any], where: str) -> Iterator[Problem]:
    if len(value) > schema.get("maxItems", len(value)):
        yield "FieldValueTooMany", f"Too many: {len(value)}: must have at most {schema['maxItems']} items", where
    if len(value) < schema.get("minItems", 0):
        least = schema["minItems"]
        yield (
            "FieldValueInvalid",
            f"Invalid value: {len(value)}: {where} in body should have at least {least} items",
            where,
        )
    keys = schema.get("x-kubernetes-list-map-keys", ())
    seen = set()
    for number, item in enumerate(value):
        at = f"{where}[{number}]"
        yield from _problems(schema.get("items", {}), item, at)
        if keys and isinstance(item, dict):
            identity = tuple(item.get(key) for key in keys)
            if identity in seen:
                yield "FieldValueDuplicate", f"Duplicate value: {dict(zip(keys, identity, strict=True))}", at
            seen.add(identity)


def _text_problems(schema: Schema, value: str, where: str) -> Iterator[Problem]:
    if len(value) > schema.get("maxLength", len(value)):
        most = schema["maxLength"]
        yield "FieldValueTooLong", f"Too long: may not be more than {most} bytes", where
    if len(value) < schema.get("minLength", 0):
        least = schema["minLength"]
        yield _invalid(where, value, f"should be at least {least} chars long")
    if "pattern" in schema and not re.search(schema["pattern"], value):
        yield _invalid(where, value, f"should match '{schema['pattern']}'")


def _number_problems(schema: Schema, value: float, where: str) -> Iterator[Problem]:
    if value < schema.get("minimum", value):
        yield _invalid(where, value, f"should be greater than or equal to {schema['minimum']}")
    if value > schema.get("maximum", value):
        yield _invalid(where, value, f"should be less than or equal to {schema['maximum']}")


def _is_a(value: Any, wanted: str) -> bool:
    match wanted:
        case "object":
            return isinstance(value, dict)
        case "array":
            return isinstance(value, list)
        case "string":
            return isinstance(value, str)
        case "boolean":
            return isinstance(value, bool)
        case "integer":
            return isinstance(value, int) and not isinstance(value, bool)
        case _:
            return isinstance(value, int | float) and not isinstance(value, bool)


def _wrong_type(where: str, wanted: str, value: Any) -> Problem:
    names = {dict: "object", list: "array", str: "string", bool: "boolean", int: "integer", float: "number"}
    found = "null" if value is None else names[type(value)]
    shown = f'"{value}"' if isinstance(value, str) else f'"{found}"' if isinstance(value, dict | list) else value
    message = f'Invalid value: {shown}: {where} in body must be of type {wanted}: "{found}"'
    return "FieldValueTypeInvalid", message, where


def _invalid(where: str, value: Any, why: str) -> Problem:
    shown = f'"{value}"' if isinstance(value, str) else value
    return "FieldValueInvalid", f"Invalid value: {shown}: {where} in body {why}", where


def _inside(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name
