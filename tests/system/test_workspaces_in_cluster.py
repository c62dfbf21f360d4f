"""From a pull request to clones in a cluster and back, with real processes that are killed in between."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.fake_github import Event
from tests.support.https import TIMEOUT_SECONDS
from tests.support.processes import Running
from tests.support.site import preview
from tests.support.with_cluster import OWN, Cluster, running_cluster
from tests.support.with_github import REPOSITORY, GithubDeployment
from tests.system.conftest import Record

pytestmark = pytest.mark.system

CONTEXT = "signadot/web"
MAKING = [
    ("POST", r"/workspaces$"),
    ("PATCH", r"/workspaces/shop-[0-9]+$"),
    ("PATCH", r"/deployments/"),
    ("PATCH", r"/services/"),
    ("PATCH", r"/status$"),
]
ENDING = [
    ("DELETE", r"/workspaces/shop-[0-9]+$"),
    ("DELETE", r"/deployments/"),
    ("DELETE", r"/services/"),
    ("PATCH", r"/workspaces/shop-[0-9]+$"),
]
MANY = 50


class Stage:
    """Relay, GitHub and cluster; the agent comes and goes."""

    def __init__(self, relay: GithubDeployment, cluster: Cluster) -> None:
        self.relay = relay
        self.cluster = cluster
        self.fake = cluster.fake
        relay.init()
        relay.start_relay()
        self.token, _ = relay.add_cluster(relay.cluster)
        endpoints = [
            {"name": "web", "target": f"fork://deployment/web:{cluster.port}"},
            {"name": "base", "target": f"http://web.shop.svc:{cluster.port}"},
        ]
        relay.put_template(cluster.port, endpoints=endpoints)
        self.agent = self.start_agent()

    def start_agent(self) -> Running:
        self.agent = self.cluster.start_agent(self.relay, self.token)
        return self.agent

    def open(self, number: int) -> Event:
        return self.relay.fake.open_pull_request(REPOSITORY, number=number)

    def close(self, number: int) -> None:
        self.relay.fake.close_pull_request(REPOSITORY, number)

    def wait_for_status(self, state: str, event: Event) -> Any:
        return self.relay.fake.wait_for_status(state, REPOSITORY, sha=event.sha, context=CONTEXT, seconds=60)

    def answer(self, endpoint: str, number: int) -> tuple[int, bytes]:
        found = self.relay.ask(preview(endpoint, f"shop-{number}"))
        return found.status, found.body

    def wait_for_404(self, number: int) -> None:
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while self.answer("web", number)[0] != 404:
            assert time.monotonic() < deadline

    def kill_agent_while(self, number: int, method: str, path: str, *, after: bool) -> None:
        """Ends the agent while such a call is under way, before or after it took effect, and starts it anew."""
        trouble = self.fake.troubles.hang(method=method, path=path, after=after)
        if number % 2:
            event = self.open(number)
        else:
            event = None
            self.close(number - 1)
        self.cluster.wait(lambda: trouble.hits > 0, f"{method} {path}")
        self.agent.kill()
        self.fake.troubles.clear()
        self.start_agent()
        if event is not None:
            self.wait_for_status("success", event)


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with running_cluster(tmp_path) as cluster, GithubDeployment(tmp_path) as relay:
        yield Stage(relay, cluster)


def test_a_pull_request_runs_in_the_cluster_from_its_opening_to_its_closing(
    stage: Stage, record_property: Record
) -> None:
    fake, images = stage.fake, "acme/web:sha-.*"
    fake.break_image(images)
    event = stage.open(42)
    failed = stage.wait_for_status("failure", event)
    assert failed.description.startswith(f"ImagePullBackOff: shop/web: the image acme/web:sha-{event.sha} cannot be")
    fake.mend_image(images)
    said = stage.wait_for_status("success", event)
    assert said.target_url == f"https://{preview('web', 'shop-42')}:{stage.relay.port}/"
    assert stage.answer("web", 42) == (200, b"clone")
    assert stage.answer("base", 42) == (200, b"baseline")
    (clone,) = stage.cluster.clones("Deployment", "shop-42")
    (container,) = clone["spec"]["template"]["spec"]["containers"]
    assert container["image"] == f"acme/web:sha-{event.sha}"
    [shown] = stage.relay.api("GET", "/workspaces")["items"]
    assert shown["status"] == {"ready": True, "reason": "Ready", "message": "1 forked"}

    pushed = stage.relay.fake.push(REPOSITORY, 42)
    stage.wait_for_status("success", pushed)
    (clone,) = stage.cluster.clones("Deployment", "shop-42")
    assert clone["spec"]["template"]["spec"]["containers"][0]["image"] == f"acme/web:sha-{pushed.sha}"

    stage.close(42)
    stage.wait_for_404(42)
    started = time.monotonic()
    stage.cluster.wait_until_gone("shop-42")
    record_property("404 to all gone in the cluster", f"{time.monotonic() - started:.2f} s")
    assert len(fake.pods_of("web", "shop")) == 1


def test_an_agent_and_a_relay_that_are_killed_in_the_middle_change_nothing_in_the_end(stage: Stage) -> None:
    stage.kill_agent_while(1, "PATCH", r"/services/", after=True)
    assert stage.answer("web", 1) == (200, b"clone")
    stage.kill_agent_while(2, "DELETE", r"/deployments/", after=False)
    stage.cluster.wait_until_gone("shop-1")


@pytest.mark.soak
def test_an_agent_may_be_killed_in_the_middle_of_each_step(stage: Stage) -> None:
    ends = set()
    number = 1
    for after in (False, True):
        for position in range(max(len(MAKING), len(ENDING))):
            stage.kill_agent_while(number, *MAKING[position % len(MAKING)], after=after)
            (clone,) = stage.cluster.clones("Deployment", f"shop-{number}")
            (service,) = stage.cluster.clones("Service", f"shop-{number}")
            ports = [port["port"] for port in service["spec"]["ports"]]
            ends.add((clone["spec"]["replicas"], *ports, stage.answer("web", number)))
            stage.kill_agent_while(number + 1, *ENDING[position % len(ENDING)], after=after)
            stage.cluster.wait_until_gone(f"shop-{number}")
            number += 2
    assert ends == {(1, stage.cluster.port, (200, b"clone"))}


@pytest.mark.soak
def test_fifty_workspaces_are_looked_after_within_ten_seconds_of_an_agents_restart(
    stage: Stage, record_property: Record
) -> None:
    spec = {
        "cluster": stage.relay.cluster,
        "images": [{"name": "acme/web", "newTag": "2"}],
        "endpoints": [{"name": "web", "target": f"fork://deployment/web:{stage.cluster.port}"}],
    }

    def ready(name: str) -> bool:
        found = stage.fake.find("Workspace", name, OWN)
        conditions = (found or {}).get("status", {}).get("conditions", [])
        return [item["status"] for item in conditions if item["type"] == "Ready"] == ["True"]

    names = [f"pr-{number}" for number in range(MANY)]
    for name in names:
        stage.relay.api("PUT", f"/workspaces/{name}", {"spec": spec})
    stage.cluster.wait(lambda: all(map(ready, names)), "all to be ready")
    clones = {item["metadata"]["uid"]: item for item in stage.fake.list("Deployment", "shop")}
    stage.agent.kill()
    stage.relay.api("DELETE", "/workspaces/pr-0")
    stage.relay.api("PUT", "/workspaces/pr-new", {"spec": spec})
    stage.relay.api("PUT", "/workspaces/pr-49", {"spec": spec | {"images": [{"name": "acme/web", "newTag": "3"}]}})
    started = time.monotonic()
    stage.start_agent()
    stage.cluster.wait(lambda: ready("pr-new"), "the new one")
    stage.cluster.wait_until_gone("pr-0")
    stage.cluster.wait(lambda: _image(stage, "pr-49") == "acme/web:3" and ready("pr-49"), "the changed one")
    seconds = time.monotonic() - started
    record_property("start of the agent to all reconciled", f"{seconds:.2f} s")
    assert seconds < 10
    after = {item["metadata"]["uid"]: item for item in stage.fake.list("Deployment", "shop")}
    for uid, clone in clones.items():
        if clone["metadata"]["labels"].get("signadot.com/workspace") not in {"pr-0", "pr-49"}:
            assert after[uid] == clone


def _image(stage: Stage, workspace: str) -> str:
    (clone,) = stage.cluster.clones("Deployment", workspace)
    return str(clone["spec"]["template"]["spec"]["containers"][0]["image"])
