"""Which clusters' Workspaces are kept: those whose agents let them through, each by a task of its own."""

from collections.abc import Iterable
from typing import Final, Protocol

import structlog
import trio

from relay.control.kubernetes.cluster import ClusterApi
from relay.control.kubernetes.reconciler import Reconciler
from relay.errors import RelayError, leaves
from relay.store import Change, Database, Org, clusters, orgs
from relay.store.rows import Transaction

LOOK_SECONDS: Final = 30.0
"""How late it is noticed that an agent came back with previews switched on, while another of its cluster stayed."""

log = structlog.get_logger("kubernetes")


class Access(Protocol):
    """How clusters are reached."""

    def workspaces_api(self, cluster_id: str) -> ClusterApi:
        """The API of the cluster with this id, by an agent that lets Workspace objects through."""

    def has_previews(self, cluster_id: str) -> bool:
        """Whether an agent of the cluster lets Workspace objects through now."""

    def with_previews(self) -> Iterable[str]:
        """Ids of all such clusters."""


class WorkspaceKeeper:
    """Keeps the Workspaces of all clusters that this process has tunnels to.

    Args:
        database: what is wanted, and where it is noted what clusters say.
        access: how clusters are reached.
    """

    def __init__(self, database: Database, access: Access) -> None:
        self._database = database
        self._access = access
        self._kept: dict[str, Reconciler | None] = {}
        self._came: set[str] = set()
        self._woken = trio.Event()
        self._scope = trio.CancelScope()
        database.subscribe(self._heard)

    def cluster_came_online(self, cluster_id: str) -> None:
        """To be called when the first tunnel of a cluster is there."""
        self._came.add(cluster_id)
        self._woken.set()

    def stop(self) -> None:
        """Ends `run`, whose watches would keep tunnels busy for ever."""
        self._scope.cancel()

    async def run(self) -> None:
        """Works until `stop`."""
        with self._scope:
            await self._run()

    async def _run(self) -> None:
        next_look = trio.current_time()
        async with trio.open_nursery() as nursery:
            while True:
                self._woken = trio.Event()
                if trio.current_time() >= next_look:
                    next_look = trio.current_time() + LOOK_SECONDS
                    self._came.update(self._access.with_previews())
                # Only those that came: when a relay is started anew, thousands of clusters come one by one.
                while self._came:
                    cluster_id = self._came.pop()
                    if cluster_id not in self._kept and self._access.has_previews(cluster_id):
                        self._kept[cluster_id] = None
                        nursery.start_soon(self._keep, cluster_id)
                with trio.move_on_at(next_look):
                    await self._woken.wait()

    async def _keep(self, cluster_id: str) -> None:
        try:
            org = await self._database.read(_org_of, cluster_id)
            if org is not None:
                reconciler = Reconciler(
                    self._database,
                    self._access.workspaces_api(cluster_id),
                    org,
                    is_open=lambda: self._access.has_previews(cluster_id),
                )
                self._kept[cluster_id] = reconciler
                await reconciler.run()
                self.cluster_came_online(cluster_id)  # it may have, while the last task ended
        # What failed is begun anew at the next look: no faster, as it may well fail again.
        except* RelayError as group:
            log.warning("workspaces_not_kept", cluster=cluster_id, problems=[str(error) for error in leaves(group)])
        except* Exception:
            log.exception("workspaces_not_kept", cluster=cluster_id)
        finally:
            del self._kept[cluster_id]

    def _heard(self, change: Change) -> None:
        everything = change.kind == "org" and not change.id
        if change.kind != "workspace" and not everything:
            return
        for reconciler in self._kept.values():
            if reconciler is not None and (everything or reconciler.org_id == change.org_id):
                reconciler.heard(change.name)


def _org_of(tx: Transaction, cluster_id: str) -> Org | None:
    cluster = clusters.get(tx, cluster_id)
    return None if cluster is None else orgs.get(tx, cluster.org_id)
