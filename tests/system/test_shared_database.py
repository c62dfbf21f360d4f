"""Two relay processes on one PostgreSQL: what is revoked on one is refused by the other within a second."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support import postgres
from tests.support.deployment import Deployment
from tests.support.load import Load, Visits
from tests.support.processes import Running
from tests.support.signing_in import OWN, enter, sign_in
from tests.support.site import SampleApp, Site, preview
from tests.system.conftest import Record

pytestmark = [pytest.mark.system, pytest.mark.skipif(bool(postgres.why_not()), reason=postgres.why_not())]

HOST = preview("web", "shop")
WORKSPACES = "/orgs/acme/workspaces"
REVOKED_SECONDS = 1.0
"""What the contract allows."""


class Pair(Deployment):
    """Two processes, `self` and `other`, with an agent at each, on a PostgreSQL of their own."""

    def __init__(self, folder: Path, server: postgres.PostgresServer) -> None:
        limits = {"api_requests_per_minute": 1_000_000}  # these tests ask as fast as they can
        super().__init__(folder, settings={"store": {"url": server.url()}, "limits": limits})
        self.server = server

    def start(self, port: int) -> None:
        """Processes, agents and the workspace `shop`."""
        self.init()
        self.first = self.start_relay()
        self.other, self.second = self.start_second_relay()
        self.token, self.token_id = self.add_cluster(self.cluster)
        self.agents = [self.start_agent(token=self.token), self._agent_at_other()]
        self.apply("shop", web=port)
        assert [site.ask(HOST).status for site in self.sites] == [200, 200]

    @property
    def sites(self) -> tuple[Site, Site]:
        """The same deployment through either process."""
        return Site.of(self), self.other

    def _agent_at_other(self) -> Running:
        port, self.port = self.port, self.other.port
        try:
            return self.start_agent(token=self.token)
        finally:
            self.port = port


@pytest.fixture
def pair(tmp_path: Path, sample: SampleApp) -> Iterator[Pair]:
    with postgres.free_server() as server, Pair(tmp_path, server) as pair:
        pair.start(sample.port)
        yield pair


def seconds_until(condition: Callable[[], bool]) -> float:
    """Asks again and again; gives the time it took."""
    started = time.monotonic()
    while not condition():
        assert time.monotonic() < started + 20, "it did not come"
    return time.monotonic() - started


def test_a_revoked_api_key_is_refused_by_both_processes_within_a_second(pair: Pair, record_property: Record) -> None:
    made = pair.api("POST", "/api-keys", {"name": "ci"})
    users = [replace(site, api_key=made["key"]) for site in pair.sites]
    assert [user.ask(HOST).status for user in users] == [200, 200]
    pair.api("DELETE", f"/api-keys/{made['id']}")
    assert users[0].ask(HOST).status == 401  # the process that was told: at once
    took = seconds_until(lambda: users[1].ask(HOST).status == 401)
    record_property("revoked key refused by the other process after", f"{took * 1000:.0f} ms")
    assert took < REVOKED_SECONDS
    assert users[1].call("GET", "/orgs").status == 401


def test_a_deleted_cluster_token_ends_its_tunnels_on_both_processes(pair: Pair, record_property: Record) -> None:
    pair.api("DELETE", f"/clusters/{pair.cluster}/tokens/{pair.token_id}")
    took = seconds_until(lambda: pair.other.ask(HOST).status == 503)
    record_property("deleted token: tunnel of the other process gone after", f"{took * 1000:.0f} ms")
    assert took < REVOKED_SECONDS
    assert pair.ask(HOST).status == 503


def visit(site: Site, cookie: tuple[str, str]) -> int:
    """A request of the preview's own page."""
    return site.ask(HOST, api_key="", headers=(*OWN, cookie)).status


def test_a_removed_member_is_refused_by_both_processes_within_a_second(pair: Pair, record_property: Record) -> None:
    here, there = pair.sites
    cookie = enter(pair, there, HOST, sign_in(pair, there, "dev-one"))
    # The same cookie, as the hostname is the same: the port is not part of it.
    assert [visit(here, cookie), visit(there, cookie)] == [200, 200]
    pair.api("DELETE", "/members/dev-one")
    assert visit(here, cookie) == 403
    took = seconds_until(lambda: visit(there, cookie) == 403)
    record_property("removed member refused by the other process after", f"{took * 1000:.0f} ms")
    assert took < REVOKED_SECONDS


def test_signing_out_on_one_process_ends_the_previews_of_the_other(pair: Pair, record_property: Record) -> None:
    here, there = pair.sites
    login = sign_in(pair, there, "dev-two")
    cookie = enter(pair, there, HOST, login)
    assert [visit(here, cookie), visit(there, cookie)] == [200, 200]
    app = pair.host_names["app"]
    origin = ("Origin", f"https://{here.authority(app)}")
    assert here.ask(app, "/logout", method="POST", headers=(origin, login), api_key="", body=b"").status == 303
    took = seconds_until(lambda: visit(there, cookie) == 401)
    record_property("signed out on the other process after", f"{took * 1000:.0f} ms")
    assert took < REVOKED_SECONDS
    assert visit(here, cookie) == 401


def test_a_change_made_by_one_process_is_served_by_the_other(pair: Pair, sample: SampleApp) -> None:
    assert pair.other.ask(preview("web", "late")).status == 404  # and is remembered as absent
    pair.apply("late", web=sample.port)
    assert seconds_until(lambda: pair.other.ask(preview("web", "late")).status == 200) < REVOKED_SECONDS
    pair.api("DELETE", "/workspaces/late")
    assert seconds_until(lambda: pair.other.ask(preview("web", "late")).status == 404) < REVOKED_SECONDS


@pytest.mark.parametrize("how", ["stopped", "hanging"])
def test_cached_previews_go_on_without_the_database(pair: Pair, how: str, record_property: Record) -> None:
    seconds = 5.0
    outage(pair, how, seconds, record_property)


@pytest.mark.soak
@pytest.mark.parametrize("how", ["stopped", "hanging"])
def test_cached_previews_go_on_without_the_database_for_a_minute(pair: Pair, how: str, record_property: Record) -> None:
    outage(pair, how, 60.0, record_property)


def outage(pair: Pair, how: str, seconds: float, record_property: Record) -> None:
    """The database is away for so long while previews are visited and the API is called."""
    processes = [pair.first.pid, pair.second.pid]
    with Load(*(Visits(site, HOST) for site in pair.sites for _ in range(2))) as load:
        load.wait_for_more(50)
        if how == "stopped":
            pair.server.stop()
            api = api_during(pair, seconds)
            pair.server.start()
        else:
            with pair.server.paused():
                api = api_during(pair, seconds)
        back = seconds_until(lambda: all(site.call("GET", WORKSPACES).status == 200 for site in pair.sites))
        load.wait_for_more(50)
    record_property("visits during the outage", dict(load.statuses))
    record_property("API back after", f"{back:.2f} s")
    assert set(load.statuses) == {200}, load.problems
    assert set(api) == {(503, "store_unavailable")}
    pair.apply("after", web=1)
    assert [pair.first.returncode, pair.second.returncode] == [None, None]
    assert processes == [pair.first.pid, pair.second.pid]


def api_during(pair: Pair, seconds: float) -> list[tuple[int, str]]:
    """What the API answers meanwhile, at both processes."""
    answers = []
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        for site in pair.sites:
            answer = site.call("GET", WORKSPACES)
            answers.append((answer.status, answer.json()["code"]))
    return answers
