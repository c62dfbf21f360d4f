"""A relay's keeper, its database, and a cluster that it reaches directly, or not."""

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import trio

from client.kubernetes.api import KubeApi
from relay.control.kubernetes import ClusterApi, WorkspaceKeeper
from relay.errors import ClusterOfflineError
from relay.kubernetes import Answer, ApiRequest
from relay.store import Database, Endpoint, Fork, Image, Workspace, WorkspaceSpec, clusters, orgs, workspaces
from tests.client.kubernetes.controller.world import OWN, World

SPEC = WorkspaceSpec(
    cluster="c1",
    images=(Image(name="acme/web", new_tag="2"),),
    endpoints=(Endpoint(name="web", target="fork://deployment/web:8080"),),
)
SECONDS = 30.0


class DirectApi(ClusterApi):
    """The cluster's API server without a tunnel before it."""

    def __init__(self, cluster_id: str, relay: "Relay") -> None:
        self.cluster_id = cluster_id
        self._relay = relay
        self._kube = KubeApi(relay.world.cluster)

    @property
    def namespace(self) -> str:
        if not self._relay.online:
            raise ClusterOfflineError("no agent of this cluster is connected", since=None)
        return OWN

    @asynccontextmanager
    async def exchange(self, request: ApiRequest) -> AsyncIterator[Answer]:
        _ = self.namespace
        async with self._kube.exchange(request) as answer:
            yield answer


class Relay:
    """What a test does to the database, and what it finds in the cluster and there."""

    online = True
    api: type[DirectApi] = DirectApi

    def __init__(self, world: World, database: Database) -> None:
        self.world = world
        self.database = database
        self.org_id = self.cluster_id = ""

    async def seed(self) -> None:
        """The org `acme` with the clusters c1, which is the one at hand, and c2."""
        self.org_id = (await self.database.write(orgs.create, "acme")).id
        self.cluster_id = (await self.database.write(clusters.put, self.org_id, "c1"))[0].id
        await self.database.write(clusters.put, self.org_id, "c2")

    def workspaces_api(self, cluster_id: str) -> ClusterApi:
        return self.api(cluster_id, self)

    def has_previews(self, cluster_id: str) -> bool:
        return self.online and cluster_id == self.cluster_id

    def with_previews(self) -> Iterable[str]:
        return [self.cluster_id] if self.online else []

    @asynccontextmanager
    async def keeper(self) -> AsyncIterator[WorkspaceKeeper]:
        """A keeper runs; at the end of the block it is gone in the middle of whatever it does."""
        async with trio.open_nursery() as nursery:
            keeper = WorkspaceKeeper(self.database, self)
            nursery.start_soon(keeper.run)
            yield keeper
            nursery.cancel_scope.cancel()

    async def put(self, name: str = "pr-1", spec: WorkspaceSpec = SPEC, **changes: Any) -> Workspace:
        return (await self.database.write(workspaces.put, self.org_id, name, replace(spec, **changes)))[0]

    async def remove(self, name: str = "pr-1") -> None:
        await self.database.write(workspaces.remove, self.org_id, name)

    def there(self, name: str = "pr-1") -> Any:
        """The Workspace object, if there is one."""
        return self.world.fake.find("Workspace", name, OWN)

    async def until_there(self, name: str = "pr-1") -> None:
        await self.until(lambda: self.there(name), f"the Workspace {name}")

    async def until_gone(self, name: str = "pr-1") -> None:
        await self.until(lambda: self.there(name) is None, f"the Workspace {name} to be gone")

    async def until(self, check: Callable[[], Any], what: str) -> None:
        await self.world.until(check, what)

    async def until_said(self, reason: str, name: str = "pr-1") -> Workspace:
        """Waits until the database has what the cluster says, of the newest specification."""
        told = trio.Event()
        self.database.subscribe(lambda _: told.set())
        with trio.fail_after(SECONDS):
            while True:
                found = await self.database.read(workspaces.require, self.org_id, name)
                state = found.in_cluster
                if state is not None and (state.reason, state.revision) == (reason, found.revision):
                    return found
                await told.wait()
                told = trio.Event()


WEB = Fork(namespace="shop", deployment="web")
