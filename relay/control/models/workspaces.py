"""Workspaces as the API speaks of them."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, JsonValue

from relay.control.models.common import Answer, Description, Line, ListAnswer, Request, Time

MAX_LABELS = 64
"""Labels are for filtering by people and programs; more than this is data that belongs elsewhere."""


class RoutingHeader(Request):
    """A header set on each request to a target."""

    name: str = Field(examples=["x-shop-variant"])
    """Not one that the relay sets itself, nor one that concerns a single connection."""
    value: str = Field(examples=["pr-42"])
    """Visible ASCII."""


class Image(Request):
    """An image that the workspace runs in place of the one in its cluster."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._:/-]{0,254}$")] = Field(examples=["acme/web"])
    """Without tag."""
    new_tag: Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$")] = Field(examples=["sha-1"])
    """The tag to run (OCI distribution specification, section Pulling manifests)."""


class Fork(Request):
    """A Deployment that the workspace runs a clone of, with those of its images that the Deployment uses."""

    namespace: Annotated[str, Field(max_length=63)] = Field(examples=["shop"])
    """The Deployment's, and the clone's."""
    deployment: Annotated[str, Field(max_length=253)] = Field(examples=["web"])
    """Its name."""


Repository = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,39}/[A-Za-z0-9._-]{1,100}$")]
Branch = Annotated[Line, Field(min_length=1, max_length=255)]
Commit = Annotated[str, Field(pattern=r"^[0-9A-Za-z]{1,64}$")]


class PullRequestGithub(Request):
    """What of GitHub the workspace of a pull request shows; what the path says may be left out."""

    repository: Repository | None = Field(None, examples=["acme/shop"])
    """`owner/name`."""
    branch: Branch | None = Field(None, examples=["feat"])
    pull_request: Annotated[int, Field(ge=1, le=2**31 - 1)] | None = Field(None, examples=[42])
    head_commit: Commit | None = Field(None, examples=["9fceb02d0ae598e95dc970b74767f19372d61af8"])


class Github(PullRequestGithub):
    """Where on GitHub the workspace comes from."""

    repository: Repository = Field(examples=["acme/shop"])
    """`owner/name`."""


class Endpoint(Request):
    """A named target that has a preview URL."""

    name: str = Field(examples=["web"])
    """The first part of the preview's hostname."""
    target: str = Field(examples=["http://web.shop.svc:8080"])
    """What the agent dials in the cluster: `http://HOST[:PORT]`, or `fork://deployment/[NAMESPACE/]NAME:PORT` for the
    workspace's clone of that Deployment."""
    visibility: Literal["org", "public"] = "org"
    """Who may visit: members of the org, or anybody."""
    host_header: Literal["target", "visitor"] = "target"
    """Whose Host the target sees."""
    preflight: Literal["pass", "deny"] = "deny"
    """Whether a CORS preflight without credential reaches the target."""
    routing_headers: list[RoutingHeader] = Field(default_factory=list)
    """Headers for this endpoint, beside the workspace's."""
    allowed_origins: list[str] = Field(default_factory=list, examples=[["https://app.example.com"]])
    """Origins whose pages may send requests that change something."""


class Ttl(Request):
    """How long the workspace lives."""

    duration: Annotated[str, Field(pattern=r"^[1-9][0-9]{0,4}[mhdw]$")] = Field(examples=["3d"])
    """Minutes, hours, days or weeks: `90m`, `12h`, `3d`, `2w`."""
    offset_from: Literal["createdAt", "updatedAt"] = "updatedAt"
    """From when it is counted."""


LabelKey = Annotated[str, Field(pattern=r"^[A-Za-z0-9]([A-Za-z0-9._/-]{0,251}[A-Za-z0-9])?$")]
LabelValue = Annotated[Line, Field(max_length=255)]


class PullRequestSpec(Request):
    """What the workspace of a pull request should be."""

    cluster: Line = Field(examples=["c1"])
    """The cluster it lives in; it must exist."""
    description: Description = Field("", examples=["checkout with vouchers"])
    """For people."""
    labels: dict[LabelKey, LabelValue] = Field(default_factory=dict, max_length=MAX_LABELS, examples=[{"team": "shop"}])
    """For people and programs, to tell workspaces apart."""
    images: list[Image] = Field(default_factory=list)
    """What it runs in place of what the cluster runs: each Deployment that uses one of them is cloned."""
    forks: list[Fork] = Field(default_factory=list)
    """Deployments to clone, whatever images they use."""
    github: PullRequestGithub | None = None
    """The pull request, or the branch, that it shows."""
    endpoints: list[Endpoint] = Field(default_factory=list)
    """What of it can be visited."""
    routing_headers: list[RoutingHeader] = Field(default_factory=list)
    """Headers set on requests to every endpoint."""
    ttl: Ttl | None = None
    """Without it, it lives until it is deleted."""


class WorkspaceSpec(PullRequestSpec):
    """What a workspace should be."""

    github: Github | None = None
    """The pull request, or the branch, that it shows."""


SPEC_EXAMPLE: dict[str, JsonValue] = {
    "cluster": "c1",
    "description": "checkout with vouchers",
    "labels": {"team": "shop"},
    "images": [{"name": "acme/web", "newTag": "sha-1"}],
    "github": {"repository": "acme/shop", "branch": "feat", "pullRequest": 42, "headCommit": "9fceb02"},
    "endpoints": [{"name": "web", "target": "http://web.shop.svc:8080", "visibility": "org"}],
    "routingHeaders": [],
    "ttl": {"duration": "3d", "offsetFrom": "updatedAt"},
}


class WorkspaceRequest(Request):
    """The body of a PUT."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"spec": SPEC_EXAMPLE}]})

    spec: WorkspaceSpec


class Status(Answer):
    """Whether the previews of a workspace can be reached now."""

    ready: bool = Field(examples=[True])
    reason: str = Field(examples=["Ready"])
    """One word: `Ready`, `ClusterOffline`, `Starting`, `ImagePullBackOff`, …"""
    message: str = Field(examples=["cluster 'c1' is online"])


class EndpointAnswer(Answer):
    """An endpoint and where to visit it."""

    name: str = Field(examples=["web"])
    target: str = Field(examples=["http://web.shop.svc:8080"])
    visibility: str = Field(examples=["org"])
    url: str = Field(examples=["https://web--shop-42.preview.signadot.com/"])


class WorkspaceAnswer(Answer):
    """A workspace as it is."""

    name: str = Field(examples=["shop-42"])
    spec: WorkspaceSpec
    routing_key: str = Field(examples=["x4kq9zt2m1"])
    """The opaque id that is injected into requests; stable over updates."""
    created_at: Time
    updated_at: Time
    expires_at: Time | None
    """When its time to live is over; null without one."""
    status: Status
    endpoints: list[EndpointAnswer]


class WorkspaceList(ListAnswer):
    """The workspaces of an org, oldest first."""

    items: list[WorkspaceAnswer]
