"""Commit statuses follow from the workspaces; GitHub is told the newest, until it has it."""

from functools import partial

import pytest

from relay.store import Endpoint, GithubSource, WorkspaceSpec, statuses, workspaces
from relay.store.statuses import Saying
from tests.github.stage import ACCOUNT, REPOSITORY, Stage

URL = "https://web--shop-1.preview.localhost:8443/"
POSTS = r"/statuses/"


async def opened(stage: Stage, number: int = 1) -> str:
    event = await stage.do(partial(stage.fake.open_pull_request, REPOSITORY, number=number))
    await stage.work()
    await stage.send()
    sha: str = event.payload["pull_request"]["head"]["sha"]
    return sha


def told(stage: Stage, sha: str, context: str = "signadot/web") -> list[str]:
    return [status.state for status in stage.fake.statuses(REPOSITORY, sha=sha, context=context)]


async def come_online(stage: Stage) -> None:
    stage.online.add(stage.cluster_id)
    stage.service.cluster_came_online(stage.cluster_id)
    await stage.send()


async def test_pending_until_the_cluster_is_online_then_success_with_the_preview_url(stage: Stage) -> None:
    sha = await opened(stage)
    (pending,) = stage.fake.statuses(REPOSITORY, sha=sha, context="signadot/web")
    assert (pending.state, pending.description) == ("pending", "cluster 'staging' is offline")
    await come_online(stage)
    assert told(stage, sha) == ["pending", "success"]
    assert told(stage, sha, "signadot/dashboard") == ["pending", "success"]
    assert stage.fake.statuses(REPOSITORY, sha=sha, context="signadot/web")[-1].target_url == URL
    dashboard = stage.fake.statuses(REPOSITORY, sha=sha, context="signadot/dashboard")[-1]
    assert dashboard.target_url == "https://app.localhost/orgs/acme/workspaces/shop-1"


async def test_success_stays_when_an_agent_blinks(stage: Stage) -> None:
    sha = await opened(stage)
    await come_online(stage)
    stage.online.clear()
    await stage.service.keeper.look_at_all()
    await stage.send()
    assert told(stage, sha) == ["pending", "success"]


async def test_a_push_is_said_anew_about_the_new_commit(stage: Stage) -> None:
    await opened(stage)
    await come_online(stage)
    event = await stage.do(partial(stage.fake.push, REPOSITORY, 1))
    await stage.work()
    await stage.send()
    assert told(stage, event.payload["pull_request"]["head"]["sha"]) == ["success"]


async def test_what_github_did_not_take_is_sent_again_and_only_the_newest(stage: Stage) -> None:
    event = await stage.do(partial(stage.fake.open_pull_request, REPOSITORY, number=1))
    await stage.work()
    sha = event.payload["pull_request"]["head"]["sha"]
    with stage.fake.down():
        await stage.send()
        await come_online(stage)
    assert told(stage, sha) == []
    stage.advance(600)
    await stage.send()
    assert told(stage, sha) == ["success"]


async def test_retry_after_is_obeyed_also_by_what_is_said_meanwhile(stage: Stage) -> None:
    stage.fake.troubles.secondary_limit(retry_after=120, path=POSTS, times=None)  # two contexts go out side by side
    sha = await opened(stage)
    await come_online(stage)
    assert told(stage, sha) == []
    stage.advance(119)
    stage.fake.troubles.clear()
    await stage.send()
    assert told(stage, sha) == []
    stage.advance(15)
    await stage.send()
    assert told(stage, sha) == ["success"]


async def test_a_commit_that_is_gone_is_not_asked_for_for_ever(stage: Stage) -> None:
    saying = Saying(
        repository=REPOSITORY,
        commit="f" * 40,
        context="signadot/web",
        state="pending",
        description="x",
        target_url=URL,
    )
    await stage.database.write(statuses.say, stage.org.id, saying)
    for _ in range(3):
        await stage.send()
        stage.advance(3600)
    assert len(stage.fake.calls(method="POST", path=r".*/statuses/.*")) == 1


async def test_a_crash_while_sending_only_delays(stage: Stage) -> None:
    await stage.do(partial(stage.fake.open_pull_request, REPOSITORY, number=1))
    await stage.work()
    await stage.service.keeper.look_at_heard()
    claimed = await stage.database.write(statuses.claim_due, limit=10, seconds=60)
    assert len(claimed) == 2
    assert await stage.service.sender.send_due() == 0
    stage.advance(61)
    assert await stage.service.sender.send_due() == 2


async def test_workspaces_of_ci_get_statuses_and_hand_made_ones_none(stage: Stage) -> None:
    sha = stage.fake.add_commit(REPOSITORY)
    spec = WorkspaceSpec(
        cluster="staging",
        github=GithubSource(repository=REPOSITORY, branch="feat", head_commit=sha),
        endpoints=(Endpoint(name="api", target="http://a:1", visibility="public"),),
    )
    stage.online.add(stage.cluster_id)
    await stage.database.write(workspaces.put, stage.org.id, "by-ci", spec)
    elsewhere = WorkspaceSpec(cluster="staging", github=GithubSource(repository="x/y", head_commit="a" * 40))
    await stage.database.write(workspaces.put, stage.org.id, "elsewhere", elsewhere)
    await stage.database.write(workspaces.put, stage.org.id, "by-hand", WorkspaceSpec(cluster="staging"))
    await stage.send()
    (said,) = stage.fake.statuses(REPOSITORY, sha=sha, context="signadot/api")
    assert said.target_url == "https://api--by-ci--acme.preview.localhost:8443/"
    assert len(stage.fake.calls(method="POST", path=r".*/statuses/.*")) == 2


async def test_where_the_app_is_not_installed_any_more_nothing_is_sent(stage: Stage) -> None:
    await stage.do(partial(stage.fake.open_pull_request, REPOSITORY, number=1))
    await stage.work()
    await stage.service.keeper.look_at_heard()
    await stage.do(partial(stage.fake.uninstall, ACCOUNT))
    await stage.work()
    await stage.send()
    assert stage.fake.statuses(REPOSITORY) == []


@pytest.mark.parametrize("length", [140, 141, 5000])
async def test_descriptions_fit(stage: Stage, length: int) -> None:
    saying = Saying(
        repository=REPOSITORY, commit="f" * 40, context="c", state="failure", description="x" * length, target_url=URL
    )
    await stage.database.write(statuses.say, stage.org.id, saying)
    (said,) = await stage.database.read(statuses.find, stage.org.id, REPOSITORY, "f" * 40)
    assert len(said.description) == 140
