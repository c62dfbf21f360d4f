"""Many agents and many hosts against a real relay: tiny numbers, no figures."""

import re
import resource
import signal
from dataclasses import replace

import pytest

from benchmarks.agents import Fleet, start_fleet
from benchmarks.peers import LivePeer, Relay
from benchmarks.peers.https import https_request
from benchmarks.processes import BenchmarkError, Ground, need_files
from benchmarks.scenarios import Growth, Options, Run, Storm, chosen_scenarios
from benchmarks.scenarios.growth import parse_visitors
from benchmarks.scenarios.storm import gaps_since, restart, start_visitors, times_of
from benchmarks.target import Target, start_target
from tests.benchmarks.needs import needs_nginx

AGENTS = 3


@pytest.fixture(scope="module")
def target(ground: Ground) -> Target:
    return start_target(ground, bulk_bytes=1)


@pytest.fixture(scope="module")
def live(ground: Ground, target: Target) -> LivePeer:
    return Relay().start(ground, target)


@pytest.fixture(scope="module")
def run(ground: Ground, target: Target, live: LivePeer) -> Run:
    return Run(live=live, target=target, ground=ground, options=Options(seconds=1))


@pytest.fixture(scope="module")
def fleet(run: Run) -> Fleet:
    assert run.live.site is not None
    return start_fleet(run.ground, run.live.site, run.target, count=AGENTS)


@pytest.mark.system
@needs_nginx
def test_each_agent_of_a_fleet_serves_the_workspace_of_its_cluster(run: Run, fleet: Fleet) -> None:
    fleet.wait_all()
    assert run.live.site is not None
    for name in fleet.names:
        assert https_request(run.live.site.visit(name)) == (200, b"hello world\n")


@pytest.mark.system
@needs_nginx
def test_requests_spread_over_the_workspaces_that_were_filled_in(run: Run) -> None:
    scenario = Growth(kind="workspaces", count=5)
    assert scenario.suits(run.live)
    values = scenario.measure(replace(run, live=scenario.prepare(run)))
    assert (values["front_microseconds"] or 0) > 0
    assert (values["front_microseconds_spread"] or 0) > 0


@pytest.mark.system
@needs_nginx
def test_killed_relay_comes_back_and_with_it_all_agents_and_visitors(run: Run, fleet: Fleet) -> None:
    """The last of this file: the relay that the others use is gone after it."""
    site, front = run.live.site, run.live.roles["front"][0]
    assert site is not None
    process, _ = fleet.wait_all()
    answered = start_visitors(run, site, fleet)
    after = restart(run, site, fleet, signal.SIGKILL, front=front, process=process, answered=answered)
    assert after.process != process
    assert after.front != front
    assert 0 < min(after.gaps) <= max(after.gaps) < after.seconds + 5


def test_gap_of_a_visitor_is_the_longest_that_ended_since() -> None:
    text = "0 1.0\n1 1.0\n0 9.0\n0 10.0\n1 10.5\n0 12.5\n1 11.0\n1 12"
    assert times_of(text) == {0: [1.0, 9.0, 10.0, 12.5], 1: [1.0, 10.5, 11.0]}
    assert gaps_since(text, 9.5) == [2.5, 9.5]


def test_visitors_who_mostly_failed_are_no_figure() -> None:
    assert parse_visitors('{"requests": 1000, "failed": 10, "seconds": 2.0}') == (1000, 2.0)
    with pytest.raises(BenchmarkError, match="11 requests failed"):
        parse_visitors('{"requests": 1000, "failed": 11, "seconds": 2.0}')


def test_more_files_than_the_system_allows_are_asked_for_in_words() -> None:
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    with pytest.raises(BenchmarkError, match=re.escape("agents need") + ".*ulimit -Hn"):
        need_files(allowed, what=f"{allowed} agents")


def test_options_choose_sizes_of_storm_and_growth() -> None:
    options = Options(agents=(7, 9), clusters=(3,), tunnels=(5000,), round_trips=(20,))
    names = [scenario.name for scenario in chosen_scenarios(["storm", "growth", "idle", "slow-link"], options)]
    assert names == ["storm-7", "storm-9", "growth-clusters-3", "idle-5000", "slow-link-20"]
    assert [scenario.name for scenario in chosen_scenarios(["storm", "idle"], Options())] == ["storm-1000", "idle"]
    assert Storm().axis == "agents"
