"""Targets in the clone of a Deployment: `fork://deployment/web:8080`."""

import re
from dataclasses import dataclass

from relay.errors import InvalidError
from relay.routing.targets import MAX_PORT

SCHEME = "fork://"
MAX_DEPLOYMENT = 253
"""Longest name of an object, RFC 1123 subdomain."""

_NAMESPACE = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_DEPLOYMENT = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?")
_TARGET = re.compile(
    r"fork://deployment/(?:(?P<namespace>[a-z0-9-]{1,63})/)?(?P<deployment>[a-z0-9.-]{1,253}):(?P<port>[0-9]{1,5})/?"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ForkTarget:
    """A port of the Service before a clone."""

    namespace: str
    """Of the Deployment and its clone; empty where the target does not name it."""
    deployment: str
    port: int


def is_fork_target(target: str) -> bool:
    """Whether a target means to name a clone."""
    return target.startswith(SCHEME)


def parse_fork_target(target: str, *, field: str = "target") -> ForkTarget:
    """Reads `fork://deployment/[NAMESPACE/]NAME:PORT`. Raises InvalidError that names `field` and the rule."""
    match = _TARGET.fullmatch(target)
    if match is None:
        raise InvalidError(
            f"{field}: {target!r} must be fork://deployment/[NAMESPACE/]NAME:PORT, "
            "for example fork://deployment/web:8080"
        )
    port = int(match["port"])
    if not 1 <= port <= MAX_PORT:
        raise InvalidError(f"{field}: the port of {target!r} must be from 1 to {MAX_PORT}")
    namespace = match["namespace"] or ""
    if namespace:
        require_namespace(namespace, field=field)
    require_deployment(match["deployment"], field=field)
    return ForkTarget(namespace=namespace, deployment=match["deployment"], port=port)


def require_namespace(name: str, *, field: str) -> None:
    """Raises InvalidError unless it can be a namespace (RFC 1123 label)."""
    if _NAMESPACE.fullmatch(name) is None:
        raise InvalidError(f"{field}: {name!r} is no name of a namespace")


def require_deployment(name: str, *, field: str) -> None:
    """Raises InvalidError unless it can be a Deployment's name (RFC 1123 subdomain)."""
    if len(name) > MAX_DEPLOYMENT or _DEPLOYMENT.fullmatch(name) is None:
        raise InvalidError(f"{field}: {name!r} is no name of a Deployment")
