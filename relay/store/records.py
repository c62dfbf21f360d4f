"""Rows as frozen dataclasses, unsealed. Times are seconds since the epoch, UTC."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from relay.auth import Principal, Role
from relay.routing import HostHeader, Preflight, Visibility

OffsetFrom = Literal["createdAt", "updatedAt"]
"""From when a workspace's time to live counts."""
WorkspaceOrigin = Literal["api", "template"]
"""Who decides about the specification: whoever applies it, or the repository's template."""
UserProvider = Literal["github", "local"]
"""Who says that a user is who they are: GitHub, or the operator of this relay."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who made a change."""

    kind: str
    """How it proved who it is, for example `api_key`; `system` for the relay itself."""
    id: str
    """Id of the credential's record."""
    last_four: str = ""
    """The last characters of the credential, by which people know it even when its record is gone."""
    name: str = ""
    """What people call a user who did it; empty for a program."""

    @classmethod
    def of(cls, principal: Principal) -> "Actor":
        """The actor that a principal is."""
        return cls(kind=principal.kind.value, id=principal.credential_id, name=principal.name)


SYSTEM = Actor(kind="system", id="relay")
"""The relay itself, or the operator at its command line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What a committed transaction changed; told to subscribers, so that caches forget it.

    An `org` without id: this process was away for so long that anything may have changed.
    """

    kind: Literal["org", "api_key", "cluster", "cluster_token", "workspace", "template", "member", "login", "keys"]
    """`member`: a user's place in an org, `id` is the user's; `keys`: the sealing keys."""
    id: str
    """Id of the record."""
    org_id: str
    """Empty for what belongs to no org."""
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
    github_account: str | None = None
    """The organisation or person on GitHub whose members may sign in, whose pull requests count."""
    github_account_id: int | None = None
    """Its number there: whoever takes the name after it is somebody else. None until the App is first seen there."""


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
class Fork:
    """A Deployment that a workspace runs a clone of."""

    namespace: str
    deployment: str


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
    """`http://host:port` or `fork://deployment/name:port`; see `relay.routing`."""
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
    forks: tuple[Fork, ...] = ()
    github: GithubSource | None = None
    endpoints: tuple[Endpoint, ...] = ()
    routing_headers: tuple[tuple[str, str], ...] = ()
    """Further headers (name, value) of every endpoint's requests."""
    ttl: Ttl | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Clone:
    """A clone that a cluster runs for a workspace."""

    fork: Fork
    service: str
    """The Service before it, in the fork's namespace; empty for a Deployment without ports."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InCluster:
    """What the agent's controller last said of a workspace."""

    revision: int
    """The workspace's revision that it is about."""
    ready: bool
    reason: str
    """One word, as in the condition `Ready` of the Workspace object."""
    message: str
    waiting: bool = False
    """If it is not ready: whether time may take care of it."""
    clones: tuple[Clone, ...] = ()


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
    origin: WorkspaceOrigin
    revision: int
    """Grows with each change of the specification."""
    in_cluster: InCluster | None = None
    """None until the cluster said something."""
    created_at: float
    updated_at: float
    expires_at: float | None
    """When its time to live is over; None without one."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """A person who signs in."""

    id: str
    provider: UserProvider
    subject: str
    """Their id at the provider; stays when they take another name there."""
    login: str
    """What people call them."""
    created_at: float
    last_login_at: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A user's place in an org."""

    user: User
    org_id: str
    org: str
    """Name of the org."""
    role: Role
    source: UserProvider
    """Who says that they belong to it."""
    active: bool
    """False when they no longer belong to it; the role is kept in case they come back."""
    checked_at: float
    """When that was last asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """A browser that is signed in."""

    id: str
    user: User
    created_at: float
    expires_at: float
    members: tuple[Member, ...]
    """The user's places in orgs, active ones only."""
    checked_at: float | None = None
    """When GitHub answered last about the one of the user's places that it answered about longest ago, active or not;
    None where it vouches for none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HandOver:
    """What a login code stands for: a login that goes on at a preview host."""

    login: Login
    return_to: str
    """The URL on that host where the visitor wanted to go."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GithubIdentity:
    """Whom GitHub says a browser belongs to."""

    id: int
    login: str
