"""From a delivery to a workspace: whatever comes late, twice, in the wrong order or anew changes nothing untrue."""

import json
from dataclasses import replace
from functools import partial

import pytest

from relay.control.templates import check_template
from relay.errors import InvalidError
from relay.store import Endpoint, GithubSource, WorkspaceSpec, events, orgs, statuses, templates, workspaces
from tests.github.stage import REPOSITORY, TEMPLATE, Stage, signed_headers


async def test_an_opened_pull_request_gets_a_workspace_from_the_template(stage: Stage) -> None:
    event = await stage.do(partial(stage.fake.open_pull_request, REPOSITORY, number=42, branch="feat/cart"))
    sha = event.payload["pull_request"]["head"]["sha"]
    assert await stage.work() == 1
    made = await stage.database.read(workspaces.require, stage.org.id, "shop-42")
    assert made.origin == "template"
    assert made.spec.images[0].new_tag == f"sha-{sha}"
    assert made.spec.github == GithubSource(repository=REPOSITORY, branch="feat/cart", pull_request=42, head_commit=sha)


async def test_a_push_moves_the_workspace_and_keeps_name_routing_key_and_creation(stage: Stage) -> None:
    await stage.do(partial(stage.fake.open_pull_request, REPOSITORY, number=42))
    await stage.work()
    before = await stage.database.read(workspaces.require, stage.org.id, "shop-42")
    stage.advance(60)
    event = await stage.do(partial(stage.fake.push, REPOSITORY, 42))
    await stage.work()
    after = await stage.database.read(workspaces.require, stage.org.id, "shop-42")
    assert after.spec.github is not None
    assert after.spec.github.head_commit == event.payload["pull_request"]["head"]["sha"]
    assert (after.id, after.routing_key, after.created_at) == (before.id, before.routing_key, before.created_at)
    assert after.revision == 2


async def test_closing_deletes_the_workspace_and_closing_without_one_is_no_error(stage: Stage) -> None:
    await stage.do(partial(stage.fake.open_pull_request, REPOSITORY, number=1))
    await stage.work()
    assert await stage.names() == ["shop-1"]
    for _ in range(2):
        await stage.do(partial(stage.fake.close_pull_request, REPOSITORY, 1))
        await stage.work()
        assert await stage.names() == []
    found = [event.action for event in await stage.database.read(events.find_all, stage.org.id)]
    assert found.count("delete") == 1
    await stage.do(partial(stage.fake.reopen_pull_request, REPOSITORY, 1))
    await stage.work()
    assert await stage.names() == ["shop-1"]


async def test_deliveries_in_the_wrong_order_and_replays_end_in_what_is_true(stage: Stage) -> None:
    opened = stage.fake.open_pull_request(REPOSITORY, number=7)
    pushed = stage.fake.push(REPOSITORY, 7)
    closed = stage.fake.close_pull_request(REPOSITORY, 7)
    for event in (closed, pushed, opened, opened, pushed):
        assert (await stage.deliver(event)).status_code == 202
        await stage.work()
        assert await stage.names() == []
    stage.fake.reopen_pull_request(REPOSITORY, 7)
    # A replayed `closed` is a reason to ask, no more: the pull request is open.
    await stage.deliver(closed)
    await stage.work()
    assert await stage.names() == ["shop-7"]
    revision = (await stage.database.read(workspaces.require, stage.org.id, "shop-7")).revision
    recorded = len(await stage.database.read(events.find_all, stage.org.id))
    for event in (opened, pushed, closed):
        await stage.deliver(event)
        await stage.work()
    assert (await stage.database.read(workspaces.require, stage.org.id, "shop-7")).revision == revision
    assert len(await stage.database.read(events.find_all, stage.org.id)) == recorded


async def test_a_delivery_that_is_ahead_of_githubs_answers_waits_for_them(stage: Stage) -> None:
    event = stage.fake.open_pull_request(REPOSITORY, number=3)
    payload = json.loads(json.dumps(event.payload))
    payload["pull_request"]["updated_at"] = "2099-01-01T00:00:00Z"
    body = json.dumps(payload).encode()
    await stage.post(body, signed_headers(body))
    for _ in range(4):
        assert await stage.work() == 1
        assert await stage.names() == []
        assert await stage.work() == 0
        stage.advance(60)
    await stage.work()
    assert await stage.names() == ["shop-3"]


async def test_a_workspace_of_something_else_is_not_touched_and_the_status_says_so(stage: Stage) -> None:
    spec = WorkspaceSpec(cluster="staging", endpoints=(Endpoint(name="web", target="http://a:1"),))
    await stage.database.write(workspaces.put, stage.org.id, "shop-5", spec)
    event = await stage.do(partial(stage.fake.open_pull_request, REPOSITORY, number=5))
    await stage.work()
    assert (await stage.database.read(workspaces.require, stage.org.id, "shop-5")).spec == spec
    await stage.do(partial(stage.fake.close_pull_request, REPOSITORY, 5))
    await stage.work()
    assert await stage.names() == ["shop-5"]
    sha = event.payload["pull_request"]["head"]["sha"]
    (said,) = await stage.database.read(statuses.find, stage.org.id, REPOSITORY, sha)
    assert (said.context, said.state) == ("signadot/dashboard", "failure")
    assert "'shop-5' is taken" in said.description


async def test_a_specification_of_the_api_is_left_alone_but_for_branch_and_commit(stage: Stage) -> None:
    spec = WorkspaceSpec(
        cluster="staging",
        description="by CI",
        github=GithubSource(repository=REPOSITORY.upper(), pull_request=6, branch="old", head_commit="0" * 40),
        endpoints=(Endpoint(name="other", target="http://a:1"),),
    )
    await stage.database.write(workspaces.put, stage.org.id, "shop-6", spec)
    event = await stage.do(partial(stage.fake.open_pull_request, REPOSITORY, number=6, branch="new"))
    await stage.work()
    after = await stage.database.read(workspaces.require, stage.org.id, "shop-6")
    assert spec.github is not None
    sha = event.payload["pull_request"]["head"]["sha"]
    assert after.spec == replace(spec, github=replace(spec.github, branch="new", head_commit=sha))
    assert after.origin == "api"


async def test_without_template_and_workspace_nothing_is_made(stage: Stage) -> None:
    await stage.database.write(templates.remove, stage.org.id, REPOSITORY)
    await stage.do(partial(stage.fake.open_pull_request, REPOSITORY))
    await stage.work()
    assert await stage.names() == []


async def test_a_template_that_does_not_fit_is_said_in_the_status(stage: Stage) -> None:
    document = TEMPLATE | {"images": [{"name": "acme/web", "newTag": "@{branch}"}]}
    check_template(document)
    await stage.database.write(templates.put, stage.org.id, REPOSITORY, document)
    event = await stage.do(partial(stage.fake.open_pull_request, REPOSITORY, branch="feat/slash"))
    await stage.work()
    sha = event.payload["pull_request"]["head"]["sha"]
    (said,) = await stage.database.read(statuses.find, stage.org.id, REPOSITORY, sha)
    assert said.state == "failure"
    assert "images.0.newTag" in said.description


async def test_a_renamed_repository_keeps_working(stage: Stage) -> None:
    event = stage.fake.open_pull_request(REPOSITORY, number=8)
    stage.fake.rename_repository(REPOSITORY, "store")
    await stage.database.write(templates.put, stage.org.id, "acme-inc/store", TEMPLATE)
    await stage.deliver(event)
    await stage.work()
    assert await stage.names() == ["store-8"]


async def test_the_work_of_an_account_that_no_org_is_linked_to_is_over_at_once(stage: Stage) -> None:
    stage.fake.add_org("other-inc")
    stage.fake.add_repository("other-inc/tool")
    stage.fake.install("other-inc", deliver=False)
    await stage.do(partial(stage.fake.open_pull_request, "other-inc/tool"))
    assert await stage.work() == 1
    assert await stage.work() == 0
    assert await stage.database.read(orgs.find_by_github_account, "other-inc") is None
    assert await stage.names() == []


@pytest.mark.parametrize("text", ["@{nope}", "@{number", "x @{} y"])
def test_unknown_placeholders_are_refused_when_the_template_is_put(text: str) -> None:
    with pytest.raises(InvalidError, match=r"template: description: .* is no placeholder"):
        check_template(TEMPLATE | {"description": text})


def test_a_template_must_be_a_specification() -> None:
    with pytest.raises(InvalidError, match=r"template: endpoints\.0\.target: is missing"):
        check_template({"cluster": "staging", "endpoints": [{"name": "web"}]})
