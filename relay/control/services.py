"""What the API is given: the store, and the little it needs of other services."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import trio

from relay.auth import Principal
from relay.control.kubernetes import LogLimits
from relay.kubernetes import KubernetesClient
from relay.store import Database


class Principals(Protocol):
    """Tells whom an API key stands for."""

    async def principal(self, api_key: str) -> Principal:
        """Whom the key stands for. Raises UnauthenticatedError."""

    def principal_nowait(self, api_key: str) -> Principal | None:
        """The same if it is known without asking the store, else None."""

    def was_good(self, api_key: str) -> bool:
        """Whether the key was good when it was last looked at in this process."""


class ClusterStatus(Protocol):
    """Whether agents of a cluster are connected."""

    @property
    def online(self) -> bool:
        """Whether there is a live tunnel."""

    @property
    def tunnels(self) -> int:
        """How many there are."""

    @property
    def since(self) -> float | None:
        """Epoch seconds since when it is as it is; None when no agent was ever seen."""

    @property
    def agent_versions(self) -> tuple[str, ...]:
        """The different versions of the connected agents."""

    @property
    def capabilities(self) -> tuple[str, ...]:
        """What the connected agents can do."""

    @property
    def kubernetes_versions(self) -> tuple[str, ...]:
        """The versions of Kubernetes that they report."""

    @property
    def allowed_namespaces(self) -> tuple[str, ...]:
        """Those that they let be read; empty: all."""


class PreviewUrl(Protocol):
    """Prints where a preview is visited."""

    def __call__(self, endpoint: str, workspace: str, org: str | None) -> str:
        """The URL of an endpoint, with its port where that is not 443; `org` is named where it is given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """All that the API reaches beyond itself."""

    database: Database
    lookups: Principals
    cluster_status: Callable[[str], ClusterStatus]
    """By cluster id."""
    preview_url: PreviewUrl
    cluster_api: Callable[[str], KubernetesClient]
    """The Kubernetes of a cluster, by its id, whether or not it can be reached now."""
    log_limits: LogLimits = field(default_factory=LogLimits)
    requests_per_minute: int = 600
    """Of one credential."""
    clock: Callable[[], float] = trio.current_time
    """Seconds on a clock that never goes back."""
