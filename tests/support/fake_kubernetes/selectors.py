"""Label selectors, as queries and as objects write them, and field selectors."""

import re
from collections.abc import Callable, Mapping

from tests.support.fake_kubernetes.kinds import Kind
from tests.support.fake_kubernetes.wire import Object, bad_request

Matches = Callable[[Object], bool]
_SET = re.compile(r"(?P<key>[^\s!=,()]+)\s+(?P<how>in|notin)\s*\((?P<values>[^)]*)\)")
_EQUAL = re.compile(r"(?P<key>[^\s!=,()]+)\s*(?P<how>==|=|!=)\s*(?P<value>[^\s!=,()]*)")
_EXISTS = re.compile(r"(?P<no>!?)\s*(?P<key>[^\s!=,()]+)")
_COMMA_OUTSIDE = re.compile(r",(?![^(]*\))")
FIELDS = {
    "metadata.name": ("metadata", "name"),
    "metadata.namespace": ("metadata", "namespace"),
}
POD_FIELDS = {"status.phase": ("status", "phase"), "spec.nodeName": ("spec", "nodeName")}


def everything(_value: Object) -> bool:
    """The selector that leaves nothing out."""
    return True


def label_query(text: str) -> Matches:
    """`app=web,tier in (front, back),!old`. Raises Refusal."""
    checks = [_requirement(part.strip()) for part in _COMMA_OUTSIDE.split(text) if part.strip()]
    return (lambda value: all(check(labels(value)) for check in checks)) if checks else everything


def _requirement(text: str) -> Callable[[Mapping[str, str]], bool]:
    if match := _SET.fullmatch(text):
        values = {item.strip() for item in match["values"].split(",")}
        return _is_in(match["key"], values, wanted=match["how"] == "in")
    if match := _EQUAL.fullmatch(text):
        return _is_in(match["key"], {match["value"]}, wanted=match["how"] != "!=")
    if match := _EXISTS.fullmatch(text):
        key, wanted = match["key"], not match["no"]
        return lambda found: (key in found) is wanted
    raise bad_request(f"unable to parse requirement: found '{text}'")


def _is_in(key: str, values: set[str], *, wanted: bool) -> Callable[[Mapping[str, str]], bool]:
    # What has no such label is not in any set: `!=` and `notin` let it through.
    return lambda found: (found.get(key) in values) is wanted


def field_query(kind: Kind, text: str) -> Matches:
    """`metadata.name=web,status.phase!=Running`. Raises Refusal."""
    known = FIELDS | (POD_FIELDS if kind.plural == "pods" else {})
    checks: list[tuple[tuple[str, str], str, bool]] = []
    for part in filter(None, text.split(",")):
        match = re.fullmatch(r"([^!=]+)(==|=|!=)(.*)", part)
        if match is None:
            raise bad_request(f"invalid field selector: {part}")
        if match[1] not in known:
            raise bad_request(f"field label not supported: {match[1]}")
        checks.append((known[match[1]], match[3], match[2] != "!="))
    if not checks:
        return everything
    return lambda value: all(
        ((value.get(one) or {}).get(two, "") == wanted) is equal for (one, two), wanted, equal in checks
    )


def label_object(selector: Object | None) -> Matches:
    """A LabelSelector; None selects nothing, an empty one everything."""
    if selector is None:
        return lambda _value: False
    exact = dict(selector.get("matchLabels") or {})
    expressions = list(selector.get("matchExpressions") or ())

    def matches(value: Object) -> bool:
        found = labels(value)
        return exact.items() <= found.items() and all(_expression(item, found) for item in expressions)

    return matches


def _expression(item: Object, found: Mapping[str, str]) -> bool:
    key, values = item["key"], set(item.get("values") or ())
    match item["operator"]:
        case "In":
            return found.get(key) in values
        case "NotIn":
            return found.get(key) not in values
        case "Exists":
            return key in found
        case _:
            return key not in found


def labels(value: Object) -> dict[str, str]:
    """The labels of an object."""
    return value["metadata"].get("labels") or {}
