"""Whatever ends in the middle, the controller, its connections or the API server: the end is the same."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from client.kubernetes.api import KubeApi
from relay.kubernetes import pauses
from tests.client.kubernetes.controller.world import OWN, LateWatch, World
from tests.support.fake_kubernetes import FakeKubernetes

TAG: dict[str, Any] = {"images": [{"name": "acme/web", "newTag": "pr-1"}]}
MAKING = [
    ("PATCH", r"/workspaces/pr-1$"),
    ("PATCH", r"/deployments/"),
    ("PATCH", r"/services/"),
    ("PATCH", r"/workspaces/pr-1/status$"),
]
ENDING = [("DELETE", r"/deployments/"), ("DELETE", r"/services/"), ("PATCH", r"/workspaces/pr-1$")]
VARYING = {"uid", "resourceVersion", "creationTimestamp", "managedFields", "lastTransitionTime", "generation"}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with FakeKubernetes(tmp_path) as fake:
        world = World(fake)
        fake.add_deployment("web", "shop", image="acme/web:1", port=8080)
        yield world


def plain(value: Any) -> Any:
    """A document without what differs from one run to the next."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items() if key not in VARYING}
    return [plain(item) for item in value] if isinstance(value, list) else value


def told(world: World) -> Any:
    """What runs for a workspace, and what it says."""
    services = [{key: item["spec"][key] for key in ("ports", "selector")} for item in world.clones("Service")]
    specs = [item["spec"] for item in world.clones()]
    workspace = world.fake.find("Workspace", "pr-1", OWN)
    return plain([specs, services, len(world.clones("Pod")), workspace and workspace["status"]])


async def undisturbed(world: World) -> Any:
    async with world.controller():
        await world.until_reason("Ready")
    return told(world)


async def cut_off(world: World, method: str, path: str, *, after: bool) -> None:
    """Runs a controller that ends while the first such call is under way, before or after it took effect."""
    trouble = world.fake.troubles.hang(method=method, path=path, after=after)
    async with world.controller():
        await world.until(lambda: trouble.hits > 0, f"{method} {path}")
    world.fake.troubles.clear()


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(("method", "path"), MAKING)
async def test_a_controller_that_is_killed_while_it_makes_a_clone_finishes_it_later(
    world: World, method: str, path: str, *, after: bool
) -> None:
    world.wish(**TAG)
    await cut_off(world, method, path, after=after)
    found = await undisturbed(world)
    world.fake.delete("Workspace", "pr-1", OWN)
    async with world.controller():
        await world.until_gone()
    world.wish(**TAG)
    assert await undisturbed(world) == found


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(("method", "path"), ENDING)
async def test_a_controller_that_is_killed_while_it_removes_a_clone_finishes_it_later(
    world: World, method: str, path: str, *, after: bool
) -> None:
    world.wish(**TAG)
    await undisturbed(world)
    world.fake.delete("Workspace", "pr-1", OWN)
    await cut_off(world, method, path, after=after)
    async with world.controller():
        await world.until_gone()


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(("method", "path"), MAKING)
async def test_a_call_that_fails_is_made_again(
    world: World, monkeypatch: pytest.MonkeyPatch, method: str, path: str, *, after: bool
) -> None:
    monkeypatch.setattr(pauses, "FIRST_SECONDS", 0.01)
    world.wish(**TAG)
    world.fake.troubles.error(503, method=method, path=path, after=after)
    world.fake.troubles.error(409, method=method, path=path, after=after)
    world.fake.troubles.drop(method=method, path=path, after=after)
    world.fake.troubles.error(429, retry_after=0, method=method, path=path, after=after)
    async with world.controller():
        await world.until_reason("Ready")


async def test_it_goes_on_after_410_lost_connections_and_a_restart_of_the_api_server(world: World) -> None:
    async with world.controller():
        await world.until(lambda: len(world.fake.open_calls(verb="watch")) == 4, "the watches")
        steps = [
            world.fake.expire_watches,
            world.fake.close_connections,
            world.fake.forget_history,
            world.fake.restart,
            world.fake.send_bookmarks,
        ]
        for number, step in enumerate(steps, start=1):
            step()
            world.wish(f"pr-{number}", **TAG)
            await world.until_reason("Ready", f"pr-{number}")
        with world.fake.down():
            world.wish("pr-6", **TAG)
            world.fake.delete("Workspace", "pr-1", OWN)
            world.fake.forget_history()
        await world.until_reason("Ready", "pr-6")
        await world.until_gone()


@pytest.mark.parametrize("many", [10, pytest.param(50, marks=pytest.mark.soak)])
async def test_many_workspaces_are_looked_at_after_a_restart_and_nothing_is_written(world: World, many: int) -> None:
    for number in range(many):
        world.wish(f"pr-{number}", **TAG)
    everybody = [f"pr-{number}" for number in range(many)]

    def all_ready() -> bool:
        return all(world.condition(name).get("reason") == "Ready" for name in everybody)

    async with world.controller():
        await world.until(all_ready, "all to be ready")
    clones = {item["metadata"]["uid"]: item for item in world.fake.list("Deployment", "shop")}
    pods = {item["metadata"]["uid"] for item in world.fake.list("Pod", "shop")}
    before = len(world.writes())
    world.wish("pr-last", **TAG)
    async with world.controller():
        await world.until_reason("Ready", "pr-last")  # it is the last in the list, so all had their turn
    assert not [path for _, path in world.writes()[before:] if "pr-last" not in path]
    after = {item["metadata"]["uid"]: item for item in world.fake.list("Deployment", "shop")}
    assert {uid: after[uid] for uid in clones} == clones
    assert pods <= {item["metadata"]["uid"] for item in world.fake.list("Pod", "shop")}


async def test_two_controllers_agree(world: World) -> None:
    world.wish(**TAG)
    async with world.controller(), world.controller():
        await world.until_reason("Ready")
        (clone,) = world.clones()
        world.wish("pr-2", **TAG)
        await world.until_reason("Ready", "pr-2")
        world.fake.delete("Workspace", "pr-2", OWN)
        await world.until_gone("pr-2")
    (same,) = world.clones()
    assert (same["metadata"]["uid"], same["metadata"]["generation"]) == (clone["metadata"]["uid"], 1)


class Late(LateWatch, KubeApi):
    """Hears nothing of Workspaces."""


async def test_a_controller_whose_watch_is_late_undoes_nothing(world: World) -> None:
    world.wish(**TAG)
    await undisturbed(world)

    def looks() -> int:
        return len([call for call in world.fake.calls(method="GET") if call.path.endswith("/workspaces/pr-1")])

    def dye(colour: str) -> Callable[[Any], Any]:
        def change(found: Any) -> Any:
            found["spec"]["template"]["spec"]["containers"][0]["env"] = [{"name": "COLOUR", "value": colour}]
            return found

        return change

    async with world.controller(Late):
        await world.until(lambda: len(world.fake.open_calls(verb="watch")) == 3, "the watches")
        world.fake.patch("Workspace", "pr-1", {"spec": {"images": [{"name": "acme/web", "newTag": "pr-2"}]}}, OWN)
        await undisturbed(world)
        before = world.clones()
        for colour in ("red", "blue"):  # the first look is over when the second begins
            further = looks() + 1
            world.fake.patch("Deployment", "web", dye(colour), "shop")
            await world.until(partial(lambda count: looks() >= count, further), "a look at the Workspace")
    assert world.clones() == before
