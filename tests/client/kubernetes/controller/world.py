"""A cluster with Deployments, and controllers that come and go in it."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import trio

from client.kubernetes.api import KubeApi
from client.kubernetes.controller import Controller
from client.kubernetes.settings import InCluster
from relay.kubernetes import EVERYWHERE, WORKSPACES, Events, KubernetesClient, Resource, Where
from tests.support.fake_kubernetes import FakeKubernetes
from tests.support.rights import agent_token

DEFINITION = Path("deploy/crds/workspaces.signadot.com.yaml")
OWN = "signadot"
SECONDS = 30.0

Object = dict[str, Any]


class World:
    """What a test does to the cluster, and what it finds there."""

    def __init__(self, fake: FakeKubernetes, *namespaces: str) -> None:
        self.fake = fake
        self.namespaces = frozenset(namespaces)
        for name in (OWN, "shop", *namespaces):
            fake.add_namespace(name)
        fake.create_all(DEFINITION)
        folder = fake.write_service_account_files(fake.folder / "account", OWN, agent_token(fake, *namespaces))
        self.cluster = InCluster(
            host="127.0.0.1",
            port=fake.port,
            token_file=folder / "token",
            ca_file=folder / "ca.crt",
            namespace=OWN,
        )

    @asynccontextmanager
    async def controller(self, api: type[KubeApi] = KubeApi) -> AsyncIterator[None]:
        """A controller runs; at the end of the block it is gone in the middle of whatever it does."""
        async with trio.open_nursery() as nursery:
            controller = Controller(api(self.cluster), namespace=OWN, allow_namespaces=self.namespaces)
            nursery.start_soon(controller.run)
            yield
            nursery.cancel_scope.cancel()

    async def until(self, check: Callable[[], Any], what: str) -> Any:
        """Waits for something in the cluster."""
        return await trio.to_thread.run_sync(lambda: self.fake.wait_for(check, what, seconds=SECONDS))

    def wish(self, name: str = "pr-1", **spec: Any) -> Object:
        """Makes a Workspace as a relay does."""
        return self.fake.create(workspace(name, **spec))

    def condition(self, name: str = "pr-1") -> Object:
        """Its condition Ready, empty while there is none; the generation that it is about is the newest."""
        found = self.fake.find("Workspace", name, OWN)
        status = {} if found is None else found.get("status", {})
        if found is None or status.get("observedGeneration") != found["metadata"]["generation"]:
            return {}
        conditions: dict[str, Object] = {item["type"]: item for item in status.get("conditions", ())}
        return conditions.get("Ready", {})

    async def until_reason(self, reason: str, name: str = "pr-1") -> Object:
        """Waits until the condition has that reason."""
        await self.until(lambda: self.condition(name).get("reason") == reason, f"{name} to be {reason}")
        return self.condition(name)

    def clones(self, kind: str = "Deployment", name: str = "pr-1") -> list[Object]:
        """What runs for a workspace."""
        return self.fake.list(kind, labels=f"signadot.com/workspace={name}")

    async def until_gone(self, name: str = "pr-1") -> None:
        """Waits until nothing is left of a workspace."""
        await self.until(lambda: self.fake.find("Workspace", name, OWN) is None, f"{name} to be gone")
        kinds = ("Deployment", "Service", "Pod")
        await self.until(lambda: not any(self.clones(kind, name) for kind in kinds), f"the clones of {name} to be gone")

    def writes(self) -> list[tuple[str, str]]:
        """Method and path of all that the agent changed."""
        calls = self.fake.calls(user=f"system:serviceaccount:{OWN}:agent")
        return [(call.method, call.path) for call in calls if call.method != "GET"]


class LateWatch(KubernetesClient):
    """To be mixed into a client: its watch of Workspaces is late for ever, the others are not."""

    @asynccontextmanager
    async def watch(
        self, resource: Resource, where: Where = EVERYWHERE, *, resource_version: str, timeout_seconds: int = 300
    ) -> AsyncIterator[Events]:
        if resource == WORKSPACES:
            await trio.sleep_forever()
        asked = super().watch(resource, where, resource_version=resource_version, timeout_seconds=timeout_seconds)
        async with asked as events:
            yield events


def workspace(name: str, **spec: Any) -> Object:
    metadata = {"name": name, "namespace": OWN, "labels": {"signadot.com/org": "acme"}}
    return {
        "apiVersion": "signadot.com/v1",
        "kind": "Workspace",
        "metadata": metadata,
        "spec": {"name": name, "routingKey": f"key{name.replace('-', '')}"} | spec,
    }
