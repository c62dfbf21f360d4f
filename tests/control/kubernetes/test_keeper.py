"""The keeper against an API server: Workspaces are what the database has, and what they say is noted there."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import trio

from relay.auth import MasterKey
from relay.control.kubernetes import keeper as keeping
from relay.kubernetes import pauses
from relay.store import Database, Endpoint, GithubSource, upgrade, workspaces
from tests.client.kubernetes.controller.world import OWN, LateWatch, World
from tests.control.kubernetes.world import SPEC, WEB, DirectApi, Relay
from tests.support.fake_kubernetes import FakeKubernetes

WRITES = [("POST", r"/workspaces$"), ("PUT", r"/workspaces/pr-1$"), ("DELETE", r"/workspaces/pr-1$")]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with FakeKubernetes(tmp_path) as fake:
        world = World(fake)
        fake.add_deployment("web", "shop", image="acme/web:1", port=8080)
        yield world


@pytest.fixture
async def relay(world: World, tmp_path: Path) -> AsyncIterator[Relay]:
    master = MasterKey(secret=bytes(range(32)))
    database = Database.open(f"sqlite:///{tmp_path / 'relay.db'}", master, create=True, query_seconds=60.0)
    upgrade(database)
    relay = Relay(world, database)
    await relay.seed()
    yield relay
    database.close()


async def test_a_workspace_is_written_as_the_definition_wants_it(relay: Relay) -> None:
    github = GithubSource(repository="acme/shop", pull_request=42, branch="feat", head_commit="9fceb02")
    made = await relay.put(github=github, forks=(WEB,))
    async with relay.keeper():
        await relay.until_there()
    found = relay.there()
    assert found["metadata"]["labels"] == {
        "signadot.com/org": "acme",
        "signadot.com/org-id": relay.org_id,
        "signadot.com/workspace": "pr-1",
    }
    assert found["spec"] == {
        "name": "pr-1",
        "routingKey": made.routing_key,
        "images": [{"name": "acme/web", "newTag": "2"}],
        "forks": [{"namespace": "shop", "deployment": "web"}],
        "endpoints": [{"name": "web", "target": "fork://deployment/web:8080"}],
        "pullRequest": {"repository": "acme/shop", "number": 42, "branch": "feat", "headCommit": "9fceb02"},
    }


async def test_it_becomes_ready_changes_and_goes_as_the_database_says(relay: Relay) -> None:
    await relay.put()
    async with relay.world.controller(), relay.keeper():
        found = await relay.until_said("Ready")
        assert found.in_cluster is not None
        (clone,) = found.in_cluster.clones
        assert (clone.fork, clone.service) == (WEB, relay.world.clones()[0]["metadata"]["name"])
        await relay.put(endpoints=(Endpoint(name="web", target="http://web.shop.svc:80"),), images=())
        found = await relay.until_said("Ready")
        assert found.in_cluster is not None
        assert found.in_cluster.clones == ()
        await relay.remove()
        await relay.world.until_gone()


async def test_what_is_wrong_is_noted_with_its_reason(relay: Relay) -> None:
    relay.world.fake.break_image("acme/web:2")
    await relay.put()
    async with relay.world.controller(), relay.keeper():
        state = (await relay.until_said("ImagePullBackOff")).in_cluster
    assert state is not None
    assert (state.ready, state.waiting) == (False, False)
    assert state.message == "shop/web: the image acme/web:2 cannot be pulled"


async def test_what_happened_while_it_was_away_is_made_good(relay: Relay) -> None:
    await relay.put("kept")
    await relay.put("changed")
    await relay.put("removed")
    await relay.put("moved")
    async with relay.keeper():
        for name in ("kept", "changed", "removed", "moved"):
            await relay.until_there(name)
    kept = relay.there("kept")
    await relay.put("changed", images=())
    await relay.remove("removed")
    await relay.put("moved", cluster="c2")
    await relay.put("new")
    relay.world.fake.create(
        {
            "apiVersion": "signadot.com/v1",
            "kind": "Workspace",
            "metadata": {"name": "stray", "namespace": OWN, "labels": {"signadot.com/org-id": relay.org_id}},
            "spec": {"name": "stray", "routingKey": "k"},
        }
    )
    theirs = relay.world.wish("theirs")
    async with relay.keeper():
        for name in ("removed", "moved", "stray"):
            await relay.until_gone(name)
        await relay.until(lambda: "images" not in relay.there("changed")["spec"], "the change")
        await relay.until_there("new")
    assert relay.there("kept") == kept
    assert relay.there("theirs") == theirs


async def test_a_cluster_that_comes_online_is_kept_from_then_on(relay: Relay, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeping, "LOOK_SECONDS", 3600.0)
    relay.online = False
    await relay.put()
    async with relay.keeper() as keeper:
        for name in ("pr-1", "pr-2"):
            await trio.testing.wait_all_tasks_blocked()
            assert relay.there(name) is None
            relay.online = True
            keeper.cluster_came_online(relay.cluster_id)
            await relay.until_there(name)
            await relay.until(lambda: relay.world.fake.open_calls(verb="watch"), "the watch")
            relay.online = False
            relay.world.fake.close_connections()
            await relay.until(lambda: not relay.world.fake.open_calls(verb="watch"), "the end of the watch")
            await relay.put("pr-2")


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(("method", "path"), WRITES)
async def test_a_relay_that_is_killed_while_it_writes_finishes_it_later(
    relay: Relay, method: str, path: str, *, after: bool
) -> None:
    fake = relay.world.fake
    await relay.put()
    if method != "POST":
        async with relay.keeper():
            await relay.until_there()
        await (relay.remove() if method == "DELETE" else relay.put(forks=(WEB,)))
    trouble = fake.troubles.hang(method=method, path=path, after=after)
    async with relay.keeper():
        await relay.until(lambda: trouble.hits > 0, f"{method} {path}")
    fake.troubles.clear()
    async with relay.keeper():
        if method == "DELETE":
            await relay.until_gone()
        else:
            wanted = [{"namespace": "shop", "deployment": "web"}] if method == "PUT" else None
            await relay.until(lambda: (relay.there() or {"spec": {}})["spec"].get("forks") == wanted, "what is wanted")
            await relay.until_there()


async def test_calls_that_fail_are_made_again(relay: Relay, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pauses, "FIRST_SECONDS", 0.01)
    fake = relay.world.fake
    for method, path in WRITES:
        fake.troubles.error(503, method=method, path=path)
        fake.troubles.error(409, method=method, path=path)
        fake.troubles.drop(method=method, path=path, after=True)
        fake.troubles.error(429, retry_after=0, method=method, path=path)
    async with relay.keeper():
        await relay.put()
        await relay.until_there()
        await relay.put(images=())
        await relay.until(lambda: "images" not in relay.there()["spec"], "the change")
        await relay.remove()
        await relay.until_gone()


async def test_it_goes_on_after_410_and_a_restart_of_the_api_server(relay: Relay) -> None:
    fake = relay.world.fake
    async with relay.keeper():
        for number, step in enumerate([fake.expire_watches, fake.forget_history, fake.restart], start=1):
            await relay.until(lambda: fake.open_calls(verb="watch"), "the watch")
            step()
            await relay.put(f"pr-{number}")
            await relay.until_there(f"pr-{number}")


async def test_two_relay_processes_agree(relay: Relay) -> None:
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(relay.world.controller())
        for _ in range(2):
            await stack.enter_async_context(relay.keeper())
        for number in range(5):
            await relay.put(f"pr-{number}")
        for number in range(5):
            await relay.put(f"pr-{number}", forks=(WEB,))
        for number in range(5):
            found = await relay.until_said("Ready", f"pr-{number}")
            assert relay.there(f"pr-{number}")["spec"]["routingKey"] == found.routing_key
        for number in range(5):
            await relay.remove(f"pr-{number}")
        for number in range(5):
            await relay.world.until_gone(f"pr-{number}")


class LateApi(LateWatch, DirectApi):
    """Hears nothing of Workspaces."""


async def test_a_relay_process_whose_watch_is_late_overwrites_nothing(relay: Relay) -> None:
    await relay.put()
    async with relay.world.controller(), relay.keeper():
        before = await relay.until_said("Ready")
    relay.api = LateApi
    async with relay.keeper():
        await relay.put("pr-2")
        await relay.until_there("pr-2")  # by then it has looked at all
        assert before.in_cluster is not None
        newer = replace(before.in_cluster, ready=False, reason="CrashLoopBackOff")
        await relay.database.write(workspaces.note_in_cluster, before, newer)
        await relay.put("pr-3")
        await relay.until_there("pr-3")
    assert (await relay.database.read(workspaces.require, relay.org_id, "pr-1")).in_cluster == newer


async def test_a_workspace_of_somebody_else_under_that_name_is_said_and_left_alone(relay: Relay) -> None:
    theirs = relay.world.wish("pr-1")
    await relay.put()
    async with relay.keeper():
        await relay.until_said("NameTaken")
        await relay.remove()
        await relay.put("pr-2")
        await relay.until_there("pr-2")
    assert relay.there() == theirs


async def test_what_somebody_changes_by_hand_is_put_right_and_what_is_theirs_stays(relay: Relay) -> None:
    await relay.put()
    async with relay.keeper():
        await relay.until_there()
        change: dict[str, Any] = {"metadata": {"labels": {"team": "shop"}}, "spec": {"images": None}}
        relay.world.fake.patch("Workspace", "pr-1", change, OWN)
        await relay.until(lambda: "images" in relay.there()["spec"], "the images")
        assert relay.there()["metadata"]["labels"]["team"] == "shop"
        relay.world.fake.delete("Workspace", "pr-1", OWN)
        await relay.until_there()


async def test_what_the_api_server_refuses_is_noted(relay: Relay) -> None:
    await relay.put(endpoints=(SPEC.endpoints[0],), images=())
    relay.world.fake.troubles.error(422, times=None, method="POST", path=r"/workspaces$")
    async with relay.keeper():
        state = (await relay.until_said("Refused")).in_cluster
    assert state is not None
    assert state.message
