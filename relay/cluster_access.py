"""How services reach the Kubernetes of a cluster: over a stream to one of its agents."""

from collections.abc import Iterable
from functools import partial

import trio

from relay.control.kubernetes import ClusterApi
from relay.errors import ClusterOfflineError, TunnelClosedError
from relay.kubernetes import CAPABILITY_KUBERNETES, CAPABILITY_WORKSPACES, STREAM_ADDRESS, STREAM_KIND, UnavailableError
from relay.transport import MuxStream
from relay.tunnels import Registry


class ClusterAccess:
    """Gives a `ClusterApi` for each cluster, whether or not it is online at the time."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def api(self, cluster_id: str) -> ClusterApi:
        """The API of the cluster with this id."""
        return ClusterApi(cluster_id, open_stream=self.open_stream, own_namespace=self.own_namespace)

    def workspaces_api(self, cluster_id: str) -> ClusterApi:
        """The same by agents that let Workspace objects through, should others of the cluster not do so (yet)."""
        open_stream = partial(self.open_stream, capability=CAPABILITY_WORKSPACES)
        return ClusterApi(cluster_id, open_stream=open_stream, own_namespace=self.own_namespace)

    async def open_stream(self, cluster_id: str, *, capability: str = CAPABILITY_KUBERNETES) -> MuxStream:
        """A stream of kind `kubernetes` to an agent of the cluster that announced a capability.

        Raises:
            ClusterOfflineError: no agent is connected.
            UnavailableError: none of those that are has access to Kubernetes, or takes a stream now.
        """
        await trio.lowlevel.checkpoint()
        tunnel = self._registry.pick_capable(cluster_id, capability)
        if tunnel is None:
            raise self._missing(cluster_id)
        try:
            return tunnel.open(STREAM_KIND, *STREAM_ADDRESS)
        except TunnelClosedError as error:
            raise UnavailableError(f"the agent takes no new streams now: {error}") from error

    def own_namespace(self, cluster_id: str) -> str:
        """The namespace of the cluster's agent. Raises as `open_stream`."""
        namespace = self._registry.status(cluster_id).kubernetes_namespace
        if not namespace:
            raise self._missing(cluster_id)
        return namespace

    def has_previews(self, cluster_id: str) -> bool:
        """Whether an agent of the cluster lets Workspace objects through now."""
        return CAPABILITY_WORKSPACES in self._registry.status(cluster_id).capabilities

    def with_previews(self) -> Iterable[str]:
        """Ids of all such clusters."""
        identities = {
            self._registry.identity(tunnel)
            for tunnel in self._registry
            if tunnel.hello is not None and CAPABILITY_WORKSPACES in tunnel.hello.capabilities
        }
        found = {identity.cluster_id for identity in identities if identity is not None}
        return [cluster_id for cluster_id in found if self.has_previews(cluster_id)]

    def _missing(self, cluster_id: str) -> ClusterOfflineError | UnavailableError:
        status = self._registry.status(cluster_id)
        if not status.online:
            return ClusterOfflineError("no agent of this cluster is connected", since=status.since)
        return UnavailableError("the agent of this cluster has no access to Kubernetes (see --kubernetes)")
