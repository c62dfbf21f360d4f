"""The live tunnels of this process, by cluster."""

import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import trio

from relay.mux import CloseCode
from relay.routing.choice import pick_of_two
from relay.transport import Tunnel
from relay.tunnels.identity import AgentIdentity

DRAIN_SECONDS: Final = 30.0
"""How long streams may go on after the process was asked to end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterStatus:
    """Whether a cluster can be reached through this process."""

    online: bool
    tunnels: int
    since: float | None
    """Since when it is as it is, epoch seconds; None if this process has never had a tunnel of it."""
    agent_versions: tuple[str, ...]
    """Of the live tunnels, sorted, each once."""
    capabilities: tuple[str, ...] = ()
    """What at least one agent can do, sorted."""
    kubernetes_versions: tuple[str, ...] = ()
    """As the agents say, sorted, each once; several for a moment while a cluster is upgraded."""
    kubernetes_namespace: str = ""
    """The agents' own namespace; empty where none has access to Kubernetes."""
    allowed_namespaces: tuple[str, ...] = ()
    """Those that the agents let be read; empty: all."""


class _Cluster:
    __slots__ = ("since", "tunnels")

    def __init__(self) -> None:
        self.tunnels: list[Tunnel] = []
        self.since: float | None = None


class Registry:
    """Which tunnels live, whose they are, and which one a new stream gets."""

    def __init__(
        self, *, clock: Callable[[], float] = time.time, random_number: Callable[[], float] = random.random
    ) -> None:
        self._clock = clock
        self._random = random_number
        self._clusters: dict[str, _Cluster] = {}
        self._identities: dict[Tunnel, AgentIdentity] = {}
        # A login may be looked up at the moment its token is revoked; ids are never used again.
        self._revoked: set[str] = set()
        self._online: list[Callable[[str], None]] = []

    def __len__(self) -> int:
        return len(self._identities)

    def __iter__(self) -> Iterator[Tunnel]:
        return iter(tuple(self._identities))

    @property
    def online_clusters(self) -> int:
        """Clusters with at least one live tunnel."""
        return sum(1 for cluster in self._clusters.values() if cluster.tunnels)

    @property
    def open_streams(self) -> int:
        """Over all tunnels."""
        return sum(tunnel.open_streams for tunnel in self._identities)

    def on_online(self, callback: Callable[[str], None]) -> None:
        """Calls `callback` with the id of each cluster whose first tunnel comes; it must not block or raise."""
        self._online.append(callback)

    def identity(self, tunnel: Tunnel) -> AgentIdentity | None:
        """Whose tunnel it is; None once it is removed."""
        return self._identities.get(tunnel)

    def add(self, tunnel: Tunnel, identity: AgentIdentity) -> None:
        """Registers a tunnel. An older one of the same agent process takes no new streams from now on."""
        cluster = self._clusters.setdefault(identity.cluster_id, _Cluster())
        comes_online = not cluster.tunnels
        if comes_online:
            cluster.since = self._clock()
        instance = None if tunnel.hello is None else tunnel.hello.instance_id
        for older in tuple(cluster.tunnels):
            if older.hello is not None and older.hello.instance_id == instance:
                # Its streams finish, but nobody waits for it: the agent says it is here now.
                cluster.tunnels.remove(older)
                older.goaway(CloseCode.REPLACED, "the same agent has logged in again")
        cluster.tunnels.append(tunnel)
        self._identities[tunnel] = identity
        if comes_online:
            for callback in self._online:
                callback(identity.cluster_id)

    def remove(self, tunnel: Tunnel) -> None:
        """Forgets a tunnel that has ended; one that is not registered is fine."""
        identity = self._identities.pop(tunnel, None)
        if identity is None:
            return
        cluster = self._clusters[identity.cluster_id]
        if tunnel in cluster.tunnels:
            cluster.tunnels.remove(tunnel)
            if not cluster.tunnels:
                cluster.since = self._clock()

    def pick(self, cluster_id: str) -> Tunnel | None:
        """A tunnel for a new stream: of two drawn at random the one with fewer open streams. None if there is none.

        Tunnels whose agents have hinted that they will stop get streams only when there are no others.
        """
        cluster = self._clusters.get(cluster_id)
        if cluster is None:
            return None
        tunnels = cluster.tunnels
        if len(tunnels) == 1:
            return tunnels[0] if tunnels[0].takes_streams else None
        return self._pick_among(tunnels)

    def pick_capable(self, cluster_id: str, capability: str) -> Tunnel | None:
        """As `pick`, among the tunnels of agents that announced a capability."""
        cluster = self._clusters.get(cluster_id)
        tunnels = () if cluster is None else cluster.tunnels
        return self._pick_among(
            [tunnel for tunnel in tunnels if tunnel.hello is not None and capability in tunnel.hello.capabilities]
        )

    def _pick_among(self, tunnels: Sequence[Tunnel]) -> Tunnel | None:
        takers = [tunnel for tunnel in tunnels if tunnel.takes_streams]
        staying = [tunnel for tunnel in takers if not tunnel.is_leaving]
        return pick_of_two(staying or takers, _load, self._random)

    def status(self, cluster_id: str) -> ClusterStatus:
        """What is known of a cluster."""
        cluster = self._clusters.get(cluster_id)
        if cluster is None:
            return ClusterStatus(online=False, tunnels=0, since=None, agent_versions=())
        hellos = [tunnel.hello for tunnel in cluster.tunnels if tunnel.hello is not None]
        kubernetes = [hello.kubernetes for hello in hellos if hello.kubernetes is not None]
        return ClusterStatus(
            online=bool(cluster.tunnels),
            tunnels=len(cluster.tunnels),
            since=cluster.since,
            agent_versions=tuple(sorted({hello.agent_version for hello in hellos})),
            capabilities=tuple(sorted({name for hello in hellos for name in hello.capabilities})),
            kubernetes_versions=tuple(sorted({known.version for known in kubernetes if known.version})),
            # The newest login counts, should an agent have moved.
            kubernetes_namespace=kubernetes[-1].namespace if kubernetes else "",
            allowed_namespaces=kubernetes[-1].allowed_namespaces if kubernetes else (),
        )

    def is_revoked(self, token_id: str) -> bool:
        """Whether `close_by_token` was called for a token."""
        return token_id in self._revoked

    def close_by_token(self, token_id: str) -> int:
        """Ends every tunnel that logged in with a token, at once; returns how many there were."""
        self._revoked.add(token_id)
        return self._close(lambda identity: identity.token_id == token_id, "the cluster token was revoked")

    def close_by_cluster(self, cluster_id: str) -> int:
        """Ends every tunnel of a cluster, at once: the cluster was deleted."""
        return self._close(lambda identity: identity.cluster_id == cluster_id, "the cluster was deleted")

    def _close(self, matches: Callable[[AgentIdentity], bool], reason: str) -> int:
        found = [tunnel for tunnel, identity in self._identities.items() if matches(identity)]
        for tunnel in found:
            self.remove(tunnel)
            tunnel.close(CloseCode.UNAUTHENTICATED, reason)
        return len(found)

    async def drain(self, *, retry_window_seconds: float, deadline_seconds: float = DRAIN_SECONDS) -> None:
        """Tells every agent that this process ends, and returns once their streams have finished, or at the deadline.

        Agents spread their next login over `retry_window_seconds`. Cancelling gives up waiting.
        """
        tunnels = tuple(self._identities)
        for tunnel in tunnels:
            tunnel.goaway(
                CloseCode.SHUTDOWN,
                "this relay process is ending",
                retry_after_seconds=retry_window_seconds,
                drain_deadline_seconds=deadline_seconds,
            )
        with trio.move_on_after(deadline_seconds):
            for tunnel in tunnels:
                await tunnel.drained()
        for tunnel in tunnels:
            # Both announcements name the window: an agent may read them at once and heed the later one.
            tunnel.close(CloseCode.SHUTDOWN, "this relay process has ended", retry_after_seconds=retry_window_seconds)


def _load(tunnel: Tunnel) -> float:
    return tunnel.open_streams
