"""Clusters and cluster tokens as the API speaks of them."""

from pydantic import Field

from relay.control.models.common import Answer, Description, LastFour, ListAnswer, RecordId, Request, Time


class ClusterRequest(Request):
    """The body of a PUT: a cluster has nothing to set yet. It may be left out."""


class ClusterStatusAnswer(Answer):
    """Whether agents of the cluster are connected."""

    online: bool = Field(examples=[True])
    tunnels: int = Field(examples=[1])
    """Live tunnels."""
    since: Time | None
    """Since when it is as it is; null when no agent was ever seen by this relay."""
    agent_versions: list[str] = Field(examples=[["0.1.0"]])
    """The different versions of the connected agents."""
    kubernetes_versions: list[str] = Field(examples=[["v1.33.1"]])
    """The versions of Kubernetes that they report; empty while none has access to it."""
    capabilities: list[str] = Field(examples=[["kubernetes", "pod-logs", "workspaces"]])
    """What the connected agents can do."""


class ClusterAnswer(Answer):
    """A registered cluster."""

    name: str = Field(examples=["c1"])
    created_at: Time
    last_seen_at: Time | None
    """When an agent was last known to be connected."""
    status: ClusterStatusAnswer


class ClusterList(ListAnswer):
    """The clusters of an org, oldest first."""

    items: list[ClusterAnswer]


class TokenRequest(Request):
    """The body of a POST; it may be left out."""

    description: Description = Field("", examples=["helm"])
    """For people, to tell tokens apart."""


class TokenAnswer(Answer):
    """A cluster token, without its secret."""

    id: RecordId
    description: str = Field(examples=["helm"])
    last_four: LastFour
    created_at: Time
    last_used_at: Time | None
    """Precise to about a minute; null when it was never used."""


class NewTokenAnswer(TokenAnswer):
    """A cluster token just made."""

    token: str = Field(examples=["sdt_…"])
    """The secret for the agent; shown this once."""


class TokenList(ListAnswer):
    """The tokens of a cluster, oldest first."""

    items: list[TokenAnswer]
