"""Clusters and cluster tokens as the API speaks of them."""

from pydantic import Field

from relay.control.models.common import Answer, Description, Request


class ClusterRequest(Request):
    """The body of a PUT: a cluster has nothing to set yet. It may be left out."""


class ClusterStatusAnswer(Answer):
    """Whether agents of the cluster are connected."""

    online: bool
    tunnels: int
    """Live tunnels."""
    since: str | None
    """Since when it is as it is; null when no agent was ever seen by this relay."""
    agent_versions: list[str]


class ClusterAnswer(Answer):
    """A registered cluster."""

    name: str = Field(examples=["c1"])
    created_at: str = Field(examples=["2026-11-23T20:29:00.000Z"])
    last_seen_at: str | None
    """When an agent was last known to be connected."""
    status: ClusterStatusAnswer


class ClusterList(Answer):
    """The clusters of an org, oldest first."""

    items: list[ClusterAnswer]


class TokenRequest(Request):
    """The body of a POST; it may be left out."""

    description: Description = ""


class TokenAnswer(Answer):
    """A cluster token, without its secret."""

    id: str
    description: str
    last_four: str = Field(examples=["x7Qa"])
    created_at: str = Field(examples=["2026-11-23T20:29:00.000Z"])
    last_used_at: str | None


class NewTokenAnswer(TokenAnswer):
    """A cluster token just made."""

    token: str = Field(examples=["sdt_…"])
    """The secret for the agent; shown this once."""


class TokenList(Answer):
    """The tokens of a cluster, oldest first."""

    items: list[TokenAnswer]
