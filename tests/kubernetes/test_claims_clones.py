"""What the controller writes is taken by an API server as it is meant: held against the fake and against a real one."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import trio
import yaml

from client.kubernetes.api import KubeApi
from client.kubernetes.controller import Controller
from client.kubernetes.settings import InCluster
from tests.kubernetes.asking import HOST, Api, deployment, until
from tests.kubernetes.test_claims_definitions import CRDS, WORKSPACES
from tests.support.rights import rules

ROLLED_OUT = {"replicas": 1, "updatedReplicas": 1, "readyReplicas": 1, "availableReplicas": 1}


def workspaces(api: Api) -> str:
    """The path of the Workspaces of the namespace, once they are served."""
    made = api.ask("POST", CRDS, yaml.safe_load(WORKSPACES.read_text()))
    assert made.status in {201, 409}, made.body
    path = f"/apis/signadot.com/v1/namespaces/{api.namespace}/workspaces"
    until(lambda: api.ask("GET", path).status == 200)
    return path


def workspace(name: str, tag: str = "2") -> dict[str, Any]:
    spec = {"name": name, "routingKey": "k1", "images": [{"name": "acme/web", "newTag": tag}]}
    return {"apiVersion": "signadot.com/v1", "kind": "Workspace", "metadata": {"name": name}, "spec": spec}


@asynccontextmanager
async def controller(api: Api, folder: Path) -> AsyncIterator[None]:
    """A controller with the documented rights in the namespace, which ends in the middle of whatever it does."""
    token = folder / "token"
    if not token.exists():
        account = await trio.to_thread.run_sync(lambda: api.account("agent", [*rules("allowed"), *rules("own")]))
        token.write_text(account.token or "")
    cluster = InCluster(
        host=HOST,
        port=api.server.port,
        token_file=token,
        ca_file=api.server.ca_file,
        namespace=api.namespace,
    )
    async with trio.open_nursery() as nursery:
        made = Controller(KubeApi(cluster), namespace=api.namespace, allow_namespaces=frozenset({api.namespace}))
        nursery.start_soon(made.run)
        yield
        nursery.cancel_scope.cancel()


async def eventually(check: Any) -> Any:
    return await trio.to_thread.run_sync(until, check)


def clones(api: Api, name: str, kind: str = "deployments") -> list[dict[str, Any]]:
    home = api.apps if kind == "deployments" else api.core
    items: list[dict[str, Any]] = api.get(f"{home}/{kind}", label_selector=f"signadot.com/workspace={name}")["items"]
    return items


def reason(api: Api, path: str, name: str) -> str:
    status = api.get(f"{path}/{name}").get("status", {})
    return "".join(item["reason"] for item in status.get("conditions", ()))


def finish_rollout(api: Api, name: str) -> None:
    """What the deployment controller does; beside the real API server there is none."""
    (clone,) = clones(api, name)
    generation = clone["metadata"]["generation"]
    path = f"{api.apps}/deployments/{clone['metadata']['name']}/status"
    api.patch(path, {"status": ROLLED_OUT | {"observedGeneration": generation}})


async def test_a_clone_is_made_becomes_ready_is_left_alone_changes_and_goes(api: Api, tmp_path: Path) -> None:
    path = workspaces(api)
    api.create(f"{api.apps}/deployments", deployment("web", ports=[{"containerPort": 8080}], env=[{"name": "A"}]))
    front = {"selector": {"app": "web"}, "ports": [{"name": "http", "port": 80, "targetPort": 8080}]}
    api.create(f"{api.core}/services", {"metadata": {"name": "web"}, "spec": front})
    api.create(path, workspace("pr-1"))
    async with controller(api, tmp_path):
        await eventually(lambda: clones(api, "pr-1", "services"))
        finish_rollout(api, "pr-1")
        await eventually(lambda: reason(api, path, "pr-1") == "Ready")
    before = clones(api, "pr-1") + clones(api, "pr-1", "services")
    assert [port["port"] for port in before[1]["spec"]["ports"]] == [80, 8080]

    api.create(path, workspace("pr-2"))
    async with controller(api, tmp_path):
        await eventually(lambda: clones(api, "pr-2", "services"))
        assert clones(api, "pr-1") + clones(api, "pr-1", "services") == before

        api.patch(f"{path}/pr-1", {"spec": workspace("pr-1", tag="3")["spec"]})
        await eventually(lambda: clones(api, "pr-1")[0]["metadata"]["generation"] == 2)
        finish_rollout(api, "pr-1")
        await eventually(lambda: reason(api, path, "pr-1") == "Ready")
        (clone,) = clones(api, "pr-1")
        (container,) = clone["spec"]["template"]["spec"]["containers"]
        assert container["image"] == "acme/web:3"
        assert [variable["name"] for variable in container["env"]] == [
            "SIGNADOT_WORKSPACE_NAME",
            "SIGNADOT_ROUTING_KEY",
            "A",
        ]

        for name in ("pr-1", "pr-2"):
            assert api.ask("DELETE", f"{path}/{name}").status == 200
        await eventually(lambda: api.get(path)["items"] == [])
    assert not [name for name in ("pr-1", "pr-2") if clones(api, name) or clones(api, name, "services")]
