"""Exactly what the relay may ask of the API server; docs/kubernetes.md has the same as a page. Pure.

A request that fits is taken apart and given as a value, from which the gateway builds another one. What does not fit is
refused, never repaired: the relay is not trusted, and every leniency here would be a second reading of something there.
"""

import re
from dataclasses import dataclass
from enum import Enum
from urllib.parse import unquote_to_bytes

from relay.errors import RelayError
from relay.kubernetes import APPLY_PATCH, JSON, JSON_PATCH, MERGE_PATCH, ApiRequest, Query

MAX_BODY_BYTES = 1024 * 1024
"""Below the 1.5 MiB that etcd takes of one object."""
MAX_NAME_LENGTH = 253
MAX_NAMESPACE_LENGTH = 63


class NotLetThroughError(RelayError):
    """The table does not allow a request; the message is the sentence that the relay is sent."""

    code = "not_let_through"
    status = 403


class Where(Enum):
    """The namespaces in which a rule holds."""

    ALLOWED = "allowed"
    OWN = "own"


class When(Enum):
    """Which option a rule needs, with what turns it on."""

    ALWAYS = "always"
    POD_LOGS = "--pod-logs"
    PREVIEWS = "--previews"


_CHART_VALUES = {When.POD_LOGS: "podLogs.enabled", When.PREVIEWS: "previews.enabled"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One row of the table."""

    verbs: frozenset[str]
    prefix: str
    """`/api/v1` or `/apis/GROUP/VERSION`."""
    resource: str
    subresource: str = ""
    where: Where = Where.ALLOWED
    when: When = When.ALWAYS


_READ = frozenset({"get", "list", "watch"})
_WRITE = frozenset({"create", "update", "patch", "delete"})

RULES = (
    Rule(verbs=_READ, prefix="/api/v1", resource="pods"),
    Rule(verbs=frozenset({"get"}), prefix="/api/v1", resource="pods", subresource="log", when=When.POD_LOGS),
    Rule(verbs=_READ, prefix="/api/v1", resource="services"),
    Rule(verbs=_READ, prefix="/apis/discovery.k8s.io/v1", resource="endpointslices"),
    Rule(verbs=_READ, prefix="/apis/apps/v1", resource="deployments"),
    Rule(verbs=_READ, prefix="/apis/apps/v1", resource="replicasets"),
    Rule(
        verbs=_READ | _WRITE, prefix="/apis/signadot.com/v1", resource="workspaces", where=Where.OWN, when=When.PREVIEWS
    ),
)
"""The table, but for `GET /version`, which is of no resource."""
VERSION_PATH = "/version"

_SELECTOR = r"[A-Za-z0-9_./=!,() -]{1,2048}"
# RFC 3339, in the letters that Kubernetes takes.
_TIME = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?(?:Z|[+-][0-9]{2}:[0-9]{2})"
_WRITER = {"fieldManager": r"[A-Za-z0-9._/-]{1,128}", "fieldValidation": r"Strict|Warn|Ignore"}
_COLLECTION = {
    "fieldSelector": _SELECTOR,
    "labelSelector": _SELECTOR,
    "resourceVersion": r"[0-9]{1,20}",
    "resourceVersionMatch": r"Exact|NotOlderThan",
}
PARAMETERS: dict[str, dict[str, str]] = {
    "get": {},
    "list": {**_COLLECTION, "continue": r"[A-Za-z0-9_=-]{1,4096}", "limit": r"[0-9]{1,6}"},
    "watch": {**_COLLECTION, "allowWatchBookmarks": r"true|false", "timeoutSeconds": r"[0-9]{1,6}", "watch": r"true"},
    "create": _WRITER,
    "update": _WRITER,
    "patch": {**_WRITER, "force": r"true|false"},
    "delete": {},
    "log": {
        "container": r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?",
        "follow": r"true|false",
        "limitBytes": r"[0-9]{1,12}",
        "previous": r"true|false",
        "sinceSeconds": r"[0-9]{1,9}",
        "sinceTime": _TIME,
        "tailLines": r"[0-9]{1,9}",
        "timestamps": r"true|false",
    },
}
"""By verb (`log`: get of pods/log): the query parameters that may be there, and the grammar of what they decode to."""
CONTENT_TYPES: dict[str, frozenset[str]] = {
    "create": frozenset({JSON}),
    "update": frozenset({JSON}),
    "patch": frozenset({MERGE_PATCH, JSON_PATCH, APPLY_PATCH}),
    "delete": frozenset({"", JSON}),
}
"""By verb: the types of body; "" stands for none, which is all that other verbs have."""
NO_BODY = frozenset({""})
ACCEPTED = frozenset({JSON, "text/plain", "*/*"})

_OBJECT_VERBS = {"GET": "get", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_COLLECTION_VERBS = {"GET": "list", "POST": "create"}

# RFC 1123, as Kubernetes uses it: a name is a DNS subdomain, a namespace a label.
_LABEL = r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?"
NAMESPACE = re.compile(_LABEL)
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_PATH = re.compile(
    r"(?P<prefix>/api/v1|/apis/[a-z0-9.]+/v1)(?:/namespaces/(?P<namespace>[^/]+))?"
    r"/(?P<resource>[a-z]+)(?:/(?P<name>[^/]+)(?:/(?P<subresource>[a-z]+))?)?"
)
# Unreserved characters (RFC 3986 2.3), or percent signs with upper-case digits: as the relay, and we, write it.
_PAIR = re.compile(r"([A-Za-z]+)=((?:[A-Za-z0-9._~*-]|%[0-9A-F]{2})+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What the operator of the cluster has decided."""

    namespace: str
    """The agent's own."""
    allow_namespaces: frozenset[str] = frozenset()
    """Those that may be read; empty: all."""
    pod_logs: bool = False
    previews: bool = False

    def has(self, when: When) -> bool:
        """Whether what a rule needs is turned on."""
        return {When.ALWAYS: True, When.POD_LOGS: self.pod_logs, When.PREVIEWS: self.previews}[when]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request as the relay sent it, after the head was read strictly."""

    method: str
    target: str
    content_type: str = ""
    """Empty where there is no body."""
    accept: str = JSON

    def refusal(self, why: str = "") -> NotLetThroughError:
        """The error that says what was asked for, and `why` not."""
        path = self.target.partition("?")[0]
        sentence = f"the agent does not let through {_shown(self.method)} {_shown(path)}"
        return NotLetThroughError(f"{sentence} {why}" if why else sentence)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """What a method and a path mean to Kubernetes."""

    verb: str
    """Empty for a method that has none there."""
    prefix: str
    resource: str
    subresource: str
    namespace: str
    name: str


def let_through(asked: Asked, scope: Scope) -> ApiRequest:
    """The request that the gateway may make, without its body.

    Raises:
        NotLetThroughError: there is no rule for it; the message says what it was and, for what an option withholds,
            which.
    """
    path, question_mark, query = asked.target.partition("?")
    if question_mark and not query:
        raise asked.refusal("with an empty query")
    if path == VERSION_PATH and asked.method == "GET":
        verb, allowed = "get", PARAMETERS["get"]
    else:
        place = _place(asked, path, query)
        rule = _rule(asked, place, scope)
        verb, allowed = place.verb, PARAMETERS["log" if rule.subresource == "log" else place.verb]
    if asked.content_type not in CONTENT_TYPES.get(verb, NO_BODY):
        given = f"of type {_shown(asked.content_type)}" if asked.content_type else "missing"
        raise asked.refusal(f"with a body {given}")
    if asked.accept not in ACCEPTED:
        raise asked.refusal(f"with Accept: {_shown(asked.accept)}")
    return ApiRequest(
        method=asked.method,
        path=path,
        query=_read_query(asked, query, allowed),
        content_type=asked.content_type,
        accept=asked.accept,
    )


def _place(asked: Asked, path: str, query: str) -> _Place:
    found = _PATH.fullmatch(path)
    if found is None:
        raise asked.refusal()
    namespace, name = found["namespace"] or "", found["name"] or ""
    if namespace and (len(namespace) > MAX_NAMESPACE_LENGTH or NAMESPACE.fullmatch(namespace) is None):
        raise asked.refusal("(the namespace is no name)")
    if name and (len(name) > MAX_NAME_LENGTH or _NAME.fullmatch(name) is None):
        raise asked.refusal("(the name is none)")
    verb = (_OBJECT_VERBS if name else _COLLECTION_VERBS).get(asked.method, "")
    # The parameter makes the verb, wherever it stands; its own grammar is checked with the others'.
    if verb == "list" and any(pair.startswith("watch=") for pair in query.split("&")):
        verb = "watch"
    return _Place(
        verb=verb,
        prefix=found["prefix"],
        resource=found["resource"],
        subresource=found["subresource"] or "",
        namespace=namespace,
        name=name,
    )


def _rule(asked: Asked, place: _Place, scope: Scope) -> Rule:
    """The row of the table that holds for a place."""
    wanted = (place.prefix, place.resource, place.subresource)
    rule = next((rule for rule in RULES if (rule.prefix, rule.resource, rule.subresource) == wanted), None)
    # An object without a namespace is of another resource; a collection without one is that of all namespaces.
    if rule is None or place.verb not in rule.verbs or (place.name and not place.namespace):
        raise asked.refusal()
    if not scope.has(rule.when):
        raise asked.refusal(f"unless it runs with {rule.when.value} (chart value {_CHART_VALUES[rule.when]})")
    if rule.where is Where.OWN:
        if place.namespace != scope.namespace:
            raise asked.refusal(f"(only in the namespace {scope.namespace})")
    elif scope.allow_namespaces and place.namespace not in scope.allow_namespaces:
        raise asked.refusal("(the operator of the cluster allows other namespaces only)")
    return rule


def _read_query(asked: Asked, query: str, parameters: dict[str, str]) -> Query:
    """The decoded pairs, each name once, each value as its grammar says."""
    pairs: dict[str, str] = {}
    for text in query.split("&") if query else ():
        found = _PAIR.fullmatch(text)
        # Bytes that are no ASCII decode to what no grammar has.
        value = "" if found is None else unquote_to_bytes(found[2]).decode("ascii", "replace")
        grammar = None if found is None else parameters.get(found[1])
        if found is None or grammar is None or found[1] in pairs or re.fullmatch(grammar, value) is None:
            raise asked.refusal(f"with the query parameter {_shown(text)}")
        pairs[found[1]] = value
    return tuple(pairs.items())


def _shown(text: str) -> str:
    return ascii(text[:200])[1:-1]
