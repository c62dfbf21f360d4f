"""Pull requests drive workspaces: signed deliveries in, previews and commit statuses out, with real processes."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.fake_github import Event
from tests.support.https import TIMEOUT_SECONDS
from tests.support.site import SampleApp, preview
from tests.support.with_github import REPOSITORY, GithubDeployment
from tests.system.conftest import Record

pytestmark = pytest.mark.system

CONTEXT = "signadot/web"


@pytest.fixture
def relay(tmp_path: Path) -> Iterator[GithubDeployment]:
    with GithubDeployment(tmp_path) as deployment:
        deployment.init()
        yield deployment


def wait_for_answer(relay: GithubDeployment, host: str, status: int) -> float:
    """Asks until the preview answers so; gives the seconds that it took."""
    started = time.monotonic()
    while (answer := relay.ask(host).status) != status:
        assert time.monotonic() < started + TIMEOUT_SECONDS, f"{host} still answers {answer}"
    return time.monotonic() - started


def workspaces(relay: GithubDeployment) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = relay.api("GET", "/workspaces")["items"]
    return items


def actions(relay: GithubDeployment) -> list[tuple[str, str]]:
    """What happened to workspaces, oldest first."""
    items = relay.api("GET", "/events?limit=1000")["items"]
    return [(item["action"], item["object"]["name"]) for item in items if item["object"]["kind"] == "workspace"][::-1]


def delivered(event: Event) -> Event:
    """The delivery was taken."""
    assert event.delivery is not None
    assert event.delivery.status in {200, 202}, event.delivery.attempts
    return event


def test_a_pull_request_has_a_preview_from_its_opening_to_its_closing(
    relay: GithubDeployment, sample: SampleApp, record_property: Record
) -> None:
    relay.start_relay()
    relay.start_agent()
    relay.put_template(sample.port)
    fake, started = relay.fake, time.monotonic()

    opened = delivered(fake.open_pull_request(REPOSITORY, branch="feat", number=42))
    said = fake.wait_for_status("success", REPOSITORY, sha=opened.sha, context=CONTEXT)
    record_property("opened to success", f"{time.monotonic() - started:.2f} s")
    url = f"https://{preview('web', 'shop-42')}:{relay.port}/"
    assert said.target_url == url
    assert relay.ask(preview("web", "shop-42"), "/headers").status == 200
    [made] = workspaces(relay)
    assert made["endpoints"][0]["url"] == url
    assert made["spec"]["description"] == f"{REPOSITORY} pull request 42, branch feat"
    assert made["spec"]["images"] == [{"name": "acme/web", "newTag": f"sha-{opened.sha}"}]
    board = fake.wait_for_status("success", REPOSITORY, sha=opened.sha, context="signadot/dashboard")
    assert board.target_url == f"https://app.localhost:{relay.port}/orgs/{relay.org}/workspaces/shop-42"

    pushed = delivered(fake.push(REPOSITORY, 42))
    assert fake.wait_for_status("success", REPOSITORY, sha=pushed.sha, context=CONTEXT).target_url == url
    [moved] = workspaces(relay)
    assert moved["routingKey"] == made["routingKey"]
    assert moved["spec"]["github"]["headCommit"] == pushed.sha

    delivered(fake.close_pull_request(REPOSITORY, 42, merged=True))
    record_property("closed to 404", f"{wait_for_answer(relay, preview('web', 'shop-42'), 404):.2f} s")
    assert workspaces(relay) == []
    assert actions(relay) == [("create", "shop-42"), ("update", "shop-42"), ("delete", "shop-42")]


def test_a_status_is_pending_until_the_cluster_is_there(relay: GithubDeployment, sample: SampleApp) -> None:
    relay.start_relay()
    token, _ = relay.add_cluster(relay.cluster)
    relay.put_template(sample.port)
    opened = delivered(relay.fake.open_pull_request(REPOSITORY, number=7))
    pending = relay.fake.wait_for_status("pending", REPOSITORY, sha=opened.sha, context=CONTEXT)
    assert "staging" in (pending.description or "")
    relay.start_agent(token=token)
    relay.fake.wait_for_status("success", REPOSITORY, sha=opened.sha, context=CONTEXT)


def test_late_double_and_replayed_deliveries_change_nothing_twice(relay: GithubDeployment, sample: SampleApp) -> None:
    relay.start_relay()
    relay.start_agent()
    relay.put_template(sample.port)
    fake = relay.fake
    opened = fake.open_pull_request(REPOSITORY, number=1, deliver=False)
    pushed = fake.push(REPOSITORY, 1, deliver=False)
    closed = fake.close_pull_request(REPOSITORY, 1, deliver=False)
    other = fake.open_pull_request(REPOSITORY, number=2, deliver=False)
    guids = [fake.deliver(event.name, event.payload).guid for event in (closed, other, pushed, opened, other)]
    for guid in guids:  # the same deliveries once more
        assert fake.redeliver(guid).status in {200, 202}
    fake.deliver(closed.name, closed.payload)  # an old body under a new GUID
    last = delivered(fake.open_pull_request(REPOSITORY, number=3))
    fake.wait_for_status("success", REPOSITORY, sha=last.sha, context=CONTEXT)
    fake.wait_for_status("success", REPOSITORY, sha=other.sha, context=CONTEXT)
    assert sorted(item["name"] for item in workspaces(relay)) == ["shop-2", "shop-3"]
    assert sorted(action for action in actions(relay) if action[0] == "create") == [
        ("create", "shop-2"),
        ("create", "shop-3"),
    ]
    assert "delete" not in [action for action, _ in actions(relay)]
    assert len(fake.statuses(REPOSITORY, sha=other.sha, context=CONTEXT)) <= 2


def test_a_closed_pull_request_without_workspace_is_no_error(relay: GithubDeployment) -> None:
    process = relay.start_relay()
    opened = relay.fake.open_pull_request(REPOSITORY, number=9, deliver=False)
    delivered(relay.fake.close_pull_request(REPOSITORY, opened.number))
    relay.fake.wait_for_calls(path=rf"/repos/{REPOSITORY}/pulls/9")
    assert process.stop() == 0
    assert '"level": "error"' not in process.output
    assert "Traceback" not in process.output


def test_nothing_is_lost_by_kill_9_between_delivery_and_work(relay: GithubDeployment, sample: SampleApp) -> None:
    process = relay.start_relay()
    relay.start_agent()
    relay.put_template(sample.port)
    fake = relay.fake
    fake.troubles.hang(times=None)  # the work cannot get further than asking GitHub
    opened = [delivered(fake.open_pull_request(REPOSITORY, number=number)) for number in range(1, 6)]
    fake.wait_for_calls(1)
    process.kill()
    fake.troubles.clear()
    relay.start_relay()
    for event in opened:
        fake.wait_for_status("success", REPOSITORY, sha=event.sha, context=CONTEXT, seconds=90)
    assert sorted(item["name"] for item in workspaces(relay)) == [f"shop-{number}" for number in range(1, 6)]


def test_statuses_survive_github_being_down_and_limits(relay: GithubDeployment, sample: SampleApp) -> None:
    relay.start_relay()
    relay.start_agent()
    relay.put_template(sample.port)
    fake = relay.fake
    statuses = r"/statuses/"
    fake.troubles.secondary_limit(status=429, retry_after=1, times=1, path=statuses)
    fake.troubles.secondary_limit(status=403, retry_after=1, times=1, path=statuses)
    fake.troubles.error(502, times=1, path=statuses)
    first = delivered(fake.open_pull_request(REPOSITORY, number=1))
    fake.wait_for_status("success", REPOSITORY, sha=first.sha, context=CONTEXT, seconds=60)
    with fake.down():
        second = delivered(fake.open_pull_request(REPOSITORY, number=2))
    fake.wait_for_status("success", REPOSITORY, sha=second.sha, context=CONTEXT, seconds=60)


def test_the_upsert_of_a_ci_run_makes_and_moves_the_workspace(relay: GithubDeployment, sample: SampleApp) -> None:
    relay.start_relay()
    relay.start_agent()
    fake = relay.fake
    opened = delivered(fake.open_pull_request(REPOSITORY, number=5))  # no template: the CI run will say what it is
    spec: dict[str, Any] = {
        "cluster": relay.cluster,
        "endpoints": [{"name": "web", "target": f"http://127.0.0.1:{sample.port}"}],
        "github": {"repository": REPOSITORY, "pullRequest": 5, "branch": "feat", "headCommit": opened.sha},
    }
    path = f"/api/v1/repos/{REPOSITORY}/pulls/5/workspaces"
    for expected in (201, 200):
        answer = relay.post(path, {"spec": spec})
        assert (answer.status, answer.json()["name"]) == (expected, "shop-5")
    fake.wait_for_status("success", REPOSITORY, sha=opened.sha, context=CONTEXT)
    pushed = delivered(fake.push(REPOSITORY, 5))
    fake.wait_for_status("success", REPOSITORY, sha=pushed.sha, context=CONTEXT)
    [moved] = workspaces(relay)
    assert moved["spec"]["github"]["headCommit"] == pushed.sha
    assert moved["spec"]["endpoints"][0]["target"] == spec["endpoints"][0]["target"]
    delivered(fake.close_pull_request(REPOSITORY, 5))
    wait_for_answer(relay, preview("web", "shop-5"), 404)
