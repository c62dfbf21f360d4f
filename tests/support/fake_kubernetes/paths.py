"""From a request's path to what is asked for, and its verb as RBAC names it."""

from dataclasses import dataclass
from urllib.parse import unquote

from tests.support.fake_kubernetes.access import Attempt
from tests.support.fake_kubernetes.kinds import NAMESPACES, Kind, Kinds
from tests.support.fake_kubernetes.wire import Request, method_not_allowed

SELF_REVIEW = ("authorization.k8s.io", "v1", "selfsubjectaccessreviews")
_OBJECT_VERBS = {"GET": "get", "HEAD": "get", "PUT": "update", "PATCH": "patch", "DELETE": "delete", "POST": "create"}
_COLLECTION_VERBS = {"GET": "list", "HEAD": "list", "POST": "create", "DELETE": "deletecollection"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A collection, an object, or a part of one."""

    group: str
    version: str
    resource: str
    kind: Kind | None
    """None: nothing is served there."""
    namespace: str = ""
    name: str = ""
    subresource: str = ""


def target_of(path: str, kinds: Kinds) -> Target | None:
    """What a path names; None for one that is no resource."""
    parts = [unquote(part) for part in path.strip("/").split("/")]
    match parts:
        case ["api", version, first, *rest]:
            group = ""
        case ["apis", group, version, first, *rest]:
            pass
        case _:
            return None
    namespace = ""
    if first == "namespaces" and len(rest) > 1 and rest[1] not in {"status", "finalize"}:
        namespace, first, *rest = rest
    name, subresource = (*rest, "", "")[:2]
    kind = kinds.find(group, version, first)
    if kind is NAMESPACES:
        namespace = ""
    return Target(
        group=group, version=version, resource=first, kind=kind, namespace=namespace, name=name, subresource=subresource
    )


def verb_of(request: Request, target: Target) -> str:
    """`get`, `list`, `watch`, ... Raises Refusal."""
    verbs = _OBJECT_VERBS if target.name else _COLLECTION_VERBS
    if request.method not in verbs:
        raise method_not_allowed()
    verb = verbs[request.method]
    if verb in {"list", "get"} and request.flag("watch"):
        return "watch"
    return verb


def attempt_of(target: Target, verb: str) -> Attempt:
    """What RBAC is asked."""
    # A namespace is looked at as in itself: a Role in it may let somebody read it.
    inside = target.name if target.kind is NAMESPACES else target.namespace
    return Attempt(
        verb=verb,
        group=target.group,
        resource=target.resource,
        subresource=target.subresource,
        namespace=inside,
        name=target.name,
    )
