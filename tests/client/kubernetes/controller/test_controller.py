"""The controller against an API server with RBAC: it brings the cluster to what Workspaces ask for."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from relay.kubernetes import pauses
from tests.client.kubernetes.controller.world import OWN, World
from tests.support.fake_kubernetes import FakeKubernetes

TAG: dict[str, Any] = {"images": [{"name": "acme/web", "newTag": "pr-1"}]}
FORK: dict[str, Any] = {"forks": [{"namespace": "shop", "deployment": "web"}]}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with FakeKubernetes(tmp_path) as fake:
        world = World(fake)
        fake.add_deployment("web", "shop", image="acme/web:1", replicas=3, port=8080)
        fake.add_deployment("api", "shop", image="acme/api:1")
        yield world


def env(deployment: dict[str, Any]) -> dict[str, str]:
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    return {item["name"]: item["value"] for item in container["env"]}


async def test_each_deployment_that_runs_a_named_image_is_cloned_with_the_new_tag(world: World) -> None:
    world.wish(**TAG)
    async with world.controller():
        condition = await world.until_reason("Ready")
    assert condition["status"] == "True"
    (clone,) = world.clones()
    assert clone["metadata"]["namespace"] == "shop"
    assert clone["spec"]["replicas"] == 1
    assert clone["spec"]["template"]["spec"]["containers"][0]["image"] == "acme/web:pr-1"
    assert env(clone) == {"SIGNADOT_WORKSPACE_NAME": "pr-1", "SIGNADOT_ROUTING_KEY": "keypr1"}
    (pod,) = world.clones("Pod")
    assert pod["metadata"]["labels"]["signadot.com/org"] == "acme"
    assert pod["metadata"]["labels"]["signadot.com/clone-of"] == "web"
    (told,) = world.fake.get("Workspace", "pr-1", OWN)["status"]["forks"]
    assert told == {
        "deployment": "web",
        "namespace": "shop",
        "clone": clone["metadata"]["name"],
        "service": clone["metadata"]["name"],
        "ready": True,
    }


async def test_no_service_but_the_clones_own_leads_to_the_clone(world: World) -> None:
    world.wish(**TAG)
    async with world.controller():
        await world.until_reason("Ready")
    (pod,) = world.clones("Pod")
    (service,) = world.clones("Service")
    assert [(port["name"], port["port"]) for port in service["spec"]["ports"]] == [("http", 8080)]
    behind = {
        item["metadata"]["labels"]["kubernetes.io/service-name"]
        for item in world.fake.list("EndpointSlice")
        if pod["metadata"]["name"] in [end["targetRef"]["name"] for end in item["endpoints"]]
    }
    assert behind == {service["metadata"]["name"]}


async def test_a_fork_by_name_is_cloned_as_it_is(world: World) -> None:
    world.wish(**FORK)
    async with world.controller():
        await world.until_reason("Ready")
    (clone,) = world.clones()
    assert clone["spec"]["template"]["spec"]["containers"][0]["image"] == "acme/web:1"


async def test_a_workspace_without_forks_is_ready(world: World) -> None:
    world.wish()
    async with world.controller():
        condition = await world.until_reason("Ready")
    assert condition["message"] == "nothing is forked"
    assert world.clones() == []


async def test_a_deleted_workspace_leaves_nothing(world: World) -> None:
    world.wish(**TAG)
    async with world.controller():
        await world.until_reason("Ready")
        world.fake.delete("Workspace", "pr-1", OWN)
        await world.until_gone()
    assert len(world.fake.pods_of("web", "shop")) == 3


async def test_a_workspace_stays_until_its_clones_are_gone(world: World) -> None:
    world.wish(**TAG)
    async with world.controller():
        await world.until_reason("Ready")
    world.fake.delete("Workspace", "pr-1", OWN)
    assert world.fake.find("Workspace", "pr-1", OWN) is not None
    assert world.clones() != []
    async with world.controller():
        await world.until_gone()


async def test_a_new_tag_reaches_the_clone_and_what_is_no_longer_asked_for_goes(world: World) -> None:
    world.wish(images=[{"name": "acme/web", "newTag": "a"}, {"name": "acme/api", "newTag": "a"}])
    async with world.controller():
        await world.until_reason("Ready")
        names = {item["metadata"]["name"] for item in world.clones()}
        change = {"spec": {"images": [{"name": "acme/web", "newTag": "b"}]}}
        world.fake.patch("Workspace", "pr-1", change, OWN)
        await world.until_reason("Ready")
        await world.until(lambda: len(world.clones("Service")) == 1, "one Service to be left")
    (clone,) = world.clones()
    assert clone["spec"]["template"]["spec"]["containers"][0]["image"] == "acme/web:b"
    assert clone["metadata"]["name"] in names


async def test_a_clone_follows_its_baseline(world: World) -> None:
    world.wish(**TAG)
    async with world.controller():
        await world.until_reason("Ready")

        def add_variable(deployment: dict[str, Any]) -> dict[str, Any]:
            container = deployment["spec"]["template"]["spec"]["containers"][0]
            container["env"] = [{"name": "COLOUR", "value": "red"}]
            return deployment

        world.fake.patch("Deployment", "web", add_variable, "shop")
        await world.until(lambda: "COLOUR" in env(world.clones()[0]), "the variable to arrive")
        world.fake.patch("Service", "web", {"spec": {"ports": [{"name": "http", "port": 80}]}}, "shop")
        await world.until(
            lambda: {port["port"] for port in world.clones("Service")[0]["spec"]["ports"]} == {80, 8080},
            "the port to arrive",
        )
        await world.until_reason("Ready")
    assert world.clones()[0]["spec"]["template"]["spec"]["containers"][0]["image"] == "acme/web:pr-1"


async def test_a_scaled_baseline_does_not_touch_its_clones(world: World) -> None:
    world.wish(**TAG)
    world.wish("pr-2")
    async with world.controller():
        await world.until_reason("Ready")
        (before,) = world.clones()
        world.fake.patch("Deployment", "web", {"spec": {"replicas": 5}}, "shop")
        world.fake.patch("Workspace", "pr-2", {"spec": {"routingKey": "another"}}, OWN)
        await world.until_reason("Ready", "pr-2")  # the change before it has been seen by then
    assert world.clones() == [before]


async def test_what_is_wrong_with_the_image_is_said_and_mended(world: World) -> None:
    world.fake.break_image("acme/web:pr-1")
    world.wish(**TAG)
    async with world.controller():
        condition = await world.until_reason("ImagePullBackOff")
        assert condition["status"] == "False"
        assert condition["message"] == "shop/web: the image acme/web:pr-1 cannot be pulled"
        world.fake.mend_image("acme/web:pr-1")
        await world.until_reason("Ready")


async def test_it_is_starting_until_its_pod_is_ready_and_late_after_the_deadline(world: World) -> None:
    held = "signadot.com/workspace=pr-1"
    world.fake.hold_readiness(held)
    world.wish(**TAG)
    async with world.controller():
        await world.until_reason("Starting")
        await world.until(lambda: len(world.clones("Pod")) == 1, "the pod")
        world.fake.pass_progress_deadline(world.clones()[0]["metadata"]["name"], "shop")
        await world.until_reason("ProgressDeadlineExceeded")
        world.fake.release_readiness(held)
        await world.until_reason("Ready")


async def test_a_baseline_that_is_not_there_is_named_and_cloned_when_it_comes(world: World) -> None:
    world.wish(forks=[{"namespace": "shop", "deployment": "pay"}])
    async with world.controller():
        condition = await world.until_reason("BaselineNotFound")
        assert condition["message"].startswith("shop/pay: ")
        world.fake.add_deployment("pay", "shop")
        await world.until_reason("Ready")


async def test_a_named_fork_outlives_its_baseline(world: World) -> None:
    world.wish(**FORK)
    async with world.controller():
        await world.until_reason("Ready")
        (before,) = world.clones()
        world.fake.delete("Deployment", "web", "shop")
        await world.until_reason("BaselineNotFound")
    assert [clone["metadata"]["uid"] for clone in world.clones()] == [before["metadata"]["uid"]]


async def test_an_image_that_nothing_runs_is_named(world: World) -> None:
    world.wish(images=[{"name": "acme/wep", "newTag": "1"}])
    async with world.controller():
        condition = await world.until_reason("ImageNotUsed")
    assert condition["message"].startswith("acme/wep: ")


async def test_namespaces_that_are_not_allowed_are_left_alone(tmp_path: Path) -> None:
    with FakeKubernetes(tmp_path) as fake:
        world = World(fake, "shop")
        fake.add_deployment("web", "shop", image="acme/web:1")
        fake.add_namespace("pay")
        fake.add_deployment("web", "pay", image="acme/web:1")
        world.wish(**TAG)
        async with world.controller():
            await world.until_reason("Ready")
        assert [clone["metadata"]["namespace"] for clone in world.clones()] == ["shop"]
        assert not [call for call in fake.calls(user=f"system:serviceaccount:{OWN}:agent") if call.status == 403]


async def test_clones_in_the_workspaces_own_namespace_are_owned_by_it(tmp_path: Path) -> None:
    with FakeKubernetes(tmp_path) as fake:
        world = World(fake, OWN)
        world.fake.add_deployment("tool", OWN, image="acme/tool:1")
        made = world.wish(images=[{"name": "acme/tool", "newTag": "2"}])
        async with world.controller():
            await world.until_reason("Ready")
        (clone,) = world.clones()
        assert [owner["uid"] for owner in clone["metadata"]["ownerReferences"]] == [made["metadata"]["uid"]]
        (service,) = world.clones("Service")
        assert [owner["uid"] for owner in service["metadata"]["ownerReferences"]] == [clone["metadata"]["uid"]]


async def test_a_namespace_that_cannot_be_read_stops_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pauses, "LIMIT_SECONDS", 0.1)
    with FakeKubernetes(tmp_path) as fake:
        world = World(fake, "shop", "pay")
        fake.add_deployment("web", "shop", image="acme/web:1")
        fake.add_deployment("bank", "pay", image="acme/bank:1")
        (binding,) = [item for item in fake.list("RoleBinding", "pay") if "agent" in item["metadata"]["name"]]
        fake.delete("RoleBinding", binding["metadata"]["name"], "pay")
        world.wish("pr-1", **TAG)
        world.wish("pr-2", forks=[{"namespace": "pay", "deployment": "bank"}])
        async with world.controller():
            await world.until_reason("Ready")
            condition = await world.until_reason("NamespaceNotAllowed", "pr-2")
            assert condition["message"] == "pay/bank: the API server does not let the agent read the namespace pay"
            del binding["metadata"]["uid"], binding["metadata"]["resourceVersion"]
            fake.create(binding)
            await world.until_reason("Ready", "pr-2")


async def test_a_clone_that_somebody_deletes_comes_again(world: World) -> None:
    world.wish(**TAG)
    async with world.controller():
        await world.until_reason("Ready")
        (before,) = world.clones()
        world.fake.delete("Deployment", before["metadata"]["name"], "shop")
        await world.until(
            lambda: [c["metadata"]["uid"] for c in world.clones()] not in ([], [before["metadata"]["uid"]]),
            "a new clone",
        )
        await world.until(lambda: len(world.clones("Service")) == 1, "its Service")
        await world.until_reason("Ready")


async def test_what_a_workspace_left_that_was_torn_out_is_removed(world: World) -> None:
    world.wish(**TAG)
    async with world.controller():
        await world.until_reason("Ready")
    world.fake.patch("Workspace", "pr-1", {"metadata": {"finalizers": None}}, OWN)
    world.fake.delete("Workspace", "pr-1", OWN)
    assert world.clones() != []
    async with world.controller():
        await world.until_gone()


async def test_finalizers_of_others_stay(world: World) -> None:
    world.wish(**TAG)
    world.fake.patch("Workspace", "pr-1", {"metadata": {"finalizers": ["example.com/theirs"]}}, OWN)
    async with world.controller():
        await world.until_reason("Ready")
        world.fake.delete("Workspace", "pr-1", OWN)
        await world.until(lambda: not world.clones(), "the clones to be gone")
        await world.until(
            lambda: world.fake.get("Workspace", "pr-1", OWN)["metadata"]["finalizers"] == ["example.com/theirs"],
            "our finalizer to be gone",
        )


async def test_an_object_of_somebody_else_under_a_clones_name_is_left_alone(world: World) -> None:
    world.wish(**TAG)
    async with world.controller():
        await world.until_reason("Ready")
        name = world.clones()[0]["metadata"]["name"]
        world.fake.delete("Workspace", "pr-1", OWN)
        await world.until_gone()
    world.fake.add_deployment(name, "shop", image="acme/theirs:1")
    world.wish(**TAG)
    async with world.controller():
        await world.until_reason("NameTaken")
    assert world.fake.get("Deployment", name, "shop")["spec"]["template"]["spec"]["containers"][0]["image"] == (
        "acme/theirs:1"
    )


async def test_what_the_api_server_refuses_is_said(world: World) -> None:
    for binding in world.fake.list("ClusterRole"):
        if binding["metadata"]["name"] == "signadot:agent":
            rules = [rule | {"verbs": ["get", "list", "watch"]} for rule in binding["rules"]]
            world.fake.patch("ClusterRole", "signadot:agent", {"rules": rules})
    world.wish(**TAG)
    async with world.controller():
        condition = await world.until_reason("Refused")
    assert "cannot patch" in condition["message"]


async def test_what_fails_for_one_fork_is_said_and_the_others_are_made(world: World) -> None:
    world.wish(images=[{"name": "acme/gone", "newTag": "1"}])
    world.fake.add_deployment("old", "shop", image="acme/gone:1")
    async with world.controller():
        await world.until_reason("Ready")
        world.fake.troubles.error(500, method="PATCH", path=r"/deployments/pr-1-api", times=None)
        images = [{"name": f"acme/{name}", "newTag": "2"} for name in ("api", "web")]
        world.fake.patch("Workspace", "pr-1", {"spec": {"images": images}}, OWN)
        condition = await world.until_reason("Refused")
        assert condition["message"].startswith("shop/api: Internal error occurred")

        def told() -> list[tuple[str, bool]]:
            forks = world.fake.get("Workspace", "pr-1", OWN)["status"]["forks"]
            return [(fork["deployment"], fork["ready"]) for fork in forks]

        await world.until(lambda: told() == [("api", False), ("web", True)], "the other to be ready")
        labels = "signadot.com/clone-of"
        await world.until(
            lambda: [clone["metadata"]["labels"][labels] for clone in world.clones()] == ["web"], "the end of the third"
        )
        world.fake.troubles.clear()
        await world.until_reason("Ready")
    assert len(world.clones()) == 2


async def test_a_baseline_with_a_variable_twice_is_cloned(world: World) -> None:
    def double(found: dict[str, Any]) -> dict[str, Any]:
        found["spec"]["template"]["spec"]["containers"][0]["env"] = [{"name": "A", "value": value} for value in "12"]
        return found

    world.fake.patch("Deployment", "web", double, "shop")
    world.wish(**TAG)
    async with world.controller():
        await world.until_reason("Ready")
    assert env(world.clones()[0])["A"] == "2"
