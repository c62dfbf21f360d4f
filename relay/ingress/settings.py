"""What ingress is told: the served names, its limits, and the little it needs of other services."""

from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from relay.http1 import HeadLimits
from relay.transport import Tunnel

RESERVED_PATHS = b"/.signadot/"
"""What the relay's own paths on preview hosts begin with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hosts:
    """The names of one relay, in lower case, without port."""

    preview: str
    """Previews are one label below this domain."""
    api: str
    app: str
    tunnel: str
    proxy: str


@dataclass(frozen=True, slots=True, kw_only=True)
class IngressLimits:
    """Limits on visitors; docs/limits.md gives the reasons."""

    head: HeadLimits = field(default_factory=HeadLimits)
    head_seconds: float = 10
    body_idle_seconds: float = 30
    write_stalled_seconds: float = 30
    keep_alive_idle_seconds: float = 75
    response_head_seconds: float = 60
    response_idle_seconds: float = 300
    upgraded_idle_seconds: float = 3600
    requests_per_cluster: int = 2048
    public_requests_per_address: int = 64
    api_body_bytes: int = 1024 * 1024
    api_bodies_bytes: int = 16 * 1024 * 1024


class ClusterStatus(Protocol):
    """Whether a cluster has live tunnels."""

    @property
    def since(self) -> float | None:
        """Epoch seconds since when it is as it is; None if it never had a tunnel."""


class Tunnels(Protocol):
    """The live tunnels of this process."""

    def pick(self, cluster_id: str) -> Tunnel | None:
        """A live tunnel of the cluster, None when it has none."""

    def status(self, cluster_id: str) -> ClusterStatus:
        """Whether the cluster is online and since when."""


Message = MutableMapping[str, Any]
AsgiApp = Callable[[Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]]
"""An ASGI 3 application."""
