"""Rows as frozen dataclasses, unsealed. Times are seconds since the epoch, UTC."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from relay.auth import Principal, Role
from relay.routing import HostHeader, Preflight, Visibility

OffsetFrom = Literal["createdAt", "updatedAt"]
"""From when a workspace's time to live counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who made a change."""

    kind: str
    """How it proved who it is, for example `api_key`; `system` for the relay itself."""
    id: str
    """Id of the credential's record."""
    last_four: str = ""
    """The last characters of the credential, by which people know it even when its record is gone."""

    @classmethod
    def of(cls, principal: Principal) -> "Actor":
        """The actor that a principal is."""
        return cls(kind=principal.kind.value, id=principal.credential_id)


SYSTEM = Actor(kind="system", id="relay")
"""The relay itself, or the operator at its command line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What a committed transaction changed; told to subscribers, so that caches forget it."""

    kind: Literal["org", "api_key", "cluster", "cluster_token", "workspace"]
    id: str
    """Id of the record."""
    org_id: str
    name: str = field(repr=False, default="")
    """Its name, where it has one."""
    deleted: bool = False
    """Whether it is gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Org:
    """A customer: owns clusters, workspaces and keys."""

    id: str
    name: str
    created_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """An API key; the secret itself is not stored."""

    id: str
    org_id: str
    name: str
    """What its maker called it; need not be unique."""
    role: Role
    last_four: str
    """The last characters of the secret."""
    created_by: str
    """Id of the credential that made it, or `relay`."""
    created_at: float
    last_used_at: float | None
    """Precise to about a minute."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """A registered Kubernetes cluster."""

    id: str
    org_id: str
    name: str
    created_at: float
    last_seen_at: float | None
    """When one of its tunnels was last known to be live; None before the first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterToken:
    """A cluster token; the secret itself is not stored."""

    id: str
    org_id: str
    cluster_id: str
    description: str
    last_four: str
    """The last characters of the secret."""
    created_by: str
    """Id of the credential that made it, or `relay`."""
    created_at: float
    last_used_at: float | None
    """Precise to about a minute."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """An image whose tag a workspace overrides."""

    name: str
    new_tag: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GithubSource:
    """The pull request, or branch, that a workspace shows."""

    repository: str
    """`owner/name`."""
    branch: str | None = None
    pull_request: int | None = None
    head_commit: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A named target of a workspace that has a preview URL."""

    name: str
    target: str
    """`http://host:port`; see `relay.routing.parse_target`."""
    visibility: Visibility = "org"
    host_header: HostHeader = "target"
    preflight: Preflight = "deny"
    routing_headers: tuple[tuple[str, str], ...] = ()
    """Further headers (name, value) of this endpoint's requests."""
    allowed_origins: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ttl:
    """When a workspace ends by itself."""

    duration: str
    """A number and a unit as the user wrote them, for example `3d`."""
    offset_from: OffsetFrom = "updatedAt"


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkspaceSpec:
    """What a user asks of a workspace."""

    cluster: str
    """The cluster's name."""
    description: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    images: tuple[Image, ...] = ()
    github: GithubSource | None = None
    endpoints: tuple[Endpoint, ...] = ()
    routing_headers: tuple[tuple[str, str], ...] = ()
    """Further headers (name, value) of every endpoint's requests."""
    ttl: Ttl | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Workspace:
    """One isolated preview environment in a cluster."""

    id: str
    org_id: str
    cluster_id: str
    name: str
    routing_key: str
    """Made once; the same over all updates."""
    spec: WorkspaceSpec
    created_at: float
    updated_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One change: who did what to which object, and when."""

    id: str
    org_id: str
    at: float
    actor: Actor
    action: str
    """`create`, `update` or `delete`."""
    object_kind: str
    object_id: str
    object_name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentIdentity:
    """Whom a cluster token stands for."""

    token_id: str
    org_id: str
    cluster_id: str
    cluster_name: str
