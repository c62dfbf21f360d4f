"""Where a preview hostname goes: routes, and the immutable table of one workspace's routes."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

HostHeader = Literal["target", "visitor"]
"""Whose Host the target sees."""
Visibility = Literal["org", "public"]
"""Who may visit: members of the org, or anybody."""
Preflight = Literal["pass", "deny"]
"""What becomes of a CORS preflight without credential."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One endpoint of one workspace: all that forwarding an exchange needs to know."""

    org_id: str
    """Id of the org that owns the workspace."""
    org: str
    """Name of that org."""
    cluster_id: str
    """Id of the cluster whose tunnel takes the stream."""
    cluster: str
    """Name of that cluster."""
    workspace: str
    """Name of the workspace."""
    endpoint: str
    """Name of the endpoint."""
    target_host: str
    """What the agent dials: a DNS name or an IP address, without brackets. Empty while a clone has no Service yet."""
    target_port: int
    """The port the agent dials."""
    routing_key: str
    """The opaque id of the workspace, injected as headers."""
    host_header: HostHeader = "target"
    """Whose Host is sent to the target."""
    visibility: Visibility = "org"
    """Who may visit."""
    preflight: Preflight = "deny"
    """Whether a CORS preflight without credential is passed on."""
    routing_headers: tuple[tuple[str, str], ...] = ()
    """Further headers (name in lower case, value) to set on each request."""
    allowed_origins: tuple[str, ...] = ()
    """Origins whose cross-site requests may change state; serialised as RFC 6454 section 6.2 has it."""


class RouteTable:
    """The routes of one workspace by endpoint; never changes, so that it can be cached and shared."""

    __slots__ = ("_routes",)

    def __init__(self, routes: Iterable[Route]) -> None:
        self._routes = MappingProxyType({route.endpoint: route for route in routes})

    def lookup(self, endpoint: str) -> Route | None:
        """The route of an endpoint, None when the workspace has no such endpoint."""
        return self._routes.get(endpoint)

    def __iter__(self) -> Iterator[Route]:
        return iter(self._routes.values())

    def __len__(self) -> int:
        return len(self._routes)
