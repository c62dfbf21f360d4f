"""Sealing keys and master keys change while visitors and the API go on."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import postgres
from tests.support.deployment import Deployment
from tests.support.load import Ask, Load, Visits, calls
from tests.support.processes import run_module
from tests.support.site import SampleApp, preview
from tests.system.conftest import Record

pytestmark = pytest.mark.system

HOST = preview("web", "w0")
WORKSPACES = 60


@pytest.fixture(params=["sqlite", "postgres"])
def relay(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Deployment]:
    limits: dict[str, dict[str, str | int | float]] = {"limits": {"api_requests_per_minute": 1_000_000}}
    if request.param == "sqlite":
        with Deployment(tmp_path, settings=limits) as deployment:
            deployment.init()
            yield deployment
    elif reason := postgres.why_not():
        pytest.skip(reason)
    else:
        with (
            postgres.free_server() as server,
            Deployment(tmp_path, settings=limits | {"store": {"url": server.url()}}) as deployment,
        ):
            deployment.init()
            yield deployment


def keys(relay: Deployment, *arguments: str) -> str:
    """`signadot-relay keys …`, which must succeed."""
    done = run_module("relay", "keys", *arguments, "--config", relay.config)
    assert done.returncode == 0, done.stderr
    return done.stdout


def listed(relay: Deployment) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = json.loads(keys(relay, "list", "--json"))
    return items


def test_rotating_under_load_fails_no_request(relay: Deployment, sample: SampleApp, record_property: Record) -> None:
    relay.start_relay()
    relay.start_agent()
    for number in range(WORKSPACES):
        relay.apply(f"w{number}", web=sample.port)
    before = listed(relay)

    def write() -> int:
        spec = {"cluster": relay.cluster, "endpoints": [{"name": "web", "target": f"http://127.0.0.1:{sample.port}"}]}
        return relay.call("PUT", f"/orgs/{relay.org}/workspaces/busy", {"spec": spec}).status // 100 * 100

    asks: list[Ask] = [
        Visits(relay, HOST),
        Visits(relay, HOST),
        calls(relay, f"/orgs/{relay.org}/workspaces?limit=5"),
        write,
    ]
    with Load(*asks) as load:
        load.wait_for_more(50)
        keys(relay, "rotate")
        load.wait_for_more(50)
        keys(relay, "rotate", "--master")
        load.wait_for_more(50)
        keys(relay, "rotate")
        load.wait_for_more(50)
    record_property("answers while keys were rotated", dict(load.statuses))
    assert set(load.statuses) == {200}, load.problems
    after = listed(relay)
    active = [item for item in after if item["state"] == "active"]
    assert len(active) == 1
    assert active[0]["id"] not in {item["id"] for item in before}
    assert {item["sealedValues"] for item in after if item["state"] != "active"} <= {0}
    assert relay.api("GET", "/workspaces/w7")["name"] == "w7"
    relay.apply("w7", web=sample.port)  # found under its new blind index: no second one is made
    assert relay.ask(preview("web", "w7")).status == 200


def test_a_relay_that_starts_after_a_rotation_knows_everything(relay: Deployment, sample: SampleApp) -> None:
    process = relay.start_relay()
    agent = relay.start_agent()
    relay.apply("w0", web=sample.port)
    keys(relay, "rotate", "--master")
    keys(relay, "rotate")
    assert process.stop() == 0
    mark = agent.mark()
    relay.start_relay()
    agent.wait_for_line(r'"event": "tunnel up"', after=mark)
    assert relay.ask(HOST).status == 200
