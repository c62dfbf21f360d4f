from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import pytest

from benchmarks.peers import LivePeer, Peer
from benchmarks.placement import Placement
from benchmarks.processes import BenchmarkError, Ground
from benchmarks.rounds import Bench, rotated, without_repeats
from benchmarks.scenarios import Measure, Options, Run, Scenario
from benchmarks.summary import Figure
from benchmarks.target import Target
from benchmarks.visit import Visit
from tests.benchmarks.silent import Silent


class Fake(Peer):
    """Starts nothing."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.starts = 0

    def start(self, ground: Ground, target: Target) -> LivePeer:
        self.starts += 1
        visit = Visit(url=f"http://127.0.0.1:{target.port}/small")
        return LivePeer(name=self.name, visits={"small": visit}, roles={}, placement=ground.placement)


class Scripted(Scenario):
    """Says what the script says, and remembers the order."""

    name = "scripted"
    title = "scripted"
    measures = (Measure(key="a", label="a, us"), Measure(key="b", label="b", compared=False))

    def __init__(self, script: Mapping[str, list[float]]) -> None:
        self.script = {name: iter(values) for name, values in script.items()}
        self.order: list[str] = []

    def warm_up(self, run: Run) -> None:
        self.order.append(f"warm {run.live.name}")

    def measure(self, run: Run) -> Mapping[str, float | None]:
        self.order.append(run.live.name)
        value = next(self.script[run.live.name])
        if value < 0:
            raise BenchmarkError("it broke")
        run.remark(f"saw {value:.0f}")
        return {"a": value, "b": None}


class FreshScripted(Scripted):
    fresh: ClassVar[bool] = True


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[Ground]:
    with ExitStack() as stack:
        yield Ground(tmp_path, Placement.here(), stack)


def bench(ground: Ground, *names: str, rounds: int) -> Bench:
    target = Target(port=1, sink_port=2, pids=(), bulk_file=Path("bulk"))
    peers = [Fake(name) for name in names]
    live = [peer.start(ground, target) for peer in peers]
    options = Options(rounds=rounds)
    return Bench(ground=ground, target=target, peers=peers, live=live, options=options, watch=Silent())


def test_rounds_alternate_and_each_peer_comes_first_in_turn(ground: Ground) -> None:
    scenario = Scripted({"relay": [1, 2], "nginx": [1, 1]})
    bench(ground, "relay", "nginx", rounds=2).run(scenario)
    assert scenario.order == ["warm relay", "warm nginx", "relay", "nginx", "nginx", "relay"]


def test_rotation_of_three() -> None:
    assert rotated(["a", "b", "c"], 4) == ["b", "c", "a"]
    assert rotated([], 1) == []


def test_failed_round_is_remarked_and_the_others_count(ground: Ground) -> None:
    result = bench(ground, "relay", "nginx", rounds=3).run(Scripted({"relay": [6, -1, 9], "nginx": [3, 3, 3]}))
    assert result.figures["relay"]["a"] == Figure(median=7.5, low=6, high=9, rounds=(6, None, 9))
    assert "relay: a round failed: it broke" in result.remarks


def test_fresh_scenario_starts_its_peers_in_each_round(ground: Ground) -> None:
    scenario = FreshScripted({"relay": [1, 2], "nginx": [1, 1]})
    run = bench(ground, "relay", "nginx", rounds=2)
    run.run(scenario)
    assert [peer.starts for peer in run.peers if isinstance(peer, Fake)] == [3, 3]
    assert "warm relay" not in scenario.order


def test_remarks_that_differ_only_in_figures_are_said_once() -> None:
    assert without_repeats(["relay: full at 97%", "relay: full at 8%", "nginx: full at 97%"]) == [
        "relay: full at 97%",
        "nginx: full at 97%",
    ]


def test_watcher_is_told_of_every_step(ground: Ground) -> None:
    watch = Silent()
    run = replace(bench(ground, "relay", "nginx", rounds=1), watch=watch)
    run.run(Scripted({"relay": [1], "nginx": [2]}))
    assert watch.told == [
        *("begin scripted 0 relay", "end scripted relay"),
        *("begin scripted 0 nginx", "end scripted nginx"),
        "done scripted",
    ]


def test_value_that_tells_of_the_load_generator_is_struck_out(ground: Ground) -> None:
    class LoadBound(Scripted):
        def measure(self, run: Run) -> Mapping[str, float | None]:
            values = super().measure(run)
            if run.live.name == "relay":
                run.load_bound.add("a")
            return values

    result = bench(ground, "relay", "nginx", rounds=2).run(LoadBound({"relay": [1, 2], "nginx": [3, 4]}))
    assert "a" not in result.figures["relay"]
    assert result.figures["nginx"]["a"].median == 3.5
    assert result.load_bound == {"relay": frozenset({"a"})}


def test_scenario_with_peers_of_its_own_starts_and_prepares_them_once(ground: Ground) -> None:
    class Own(Scripted):
        own: ClassVar[bool] = True

        def prepare(self, run: Run) -> LivePeer:
            self.order.append(f"prepare {run.live.name}")
            return replace(run.live, note="prepared")

        def measure(self, run: Run) -> Mapping[str, float | None]:
            assert run.live.note == "prepared"
            return super().measure(run)

    scenario = Own({"relay": [1, 2]})
    run = bench(ground, "relay", rounds=2)
    assert run.run(scenario).figures["relay"]["a"].rounds == (1, 2)
    assert [peer.starts for peer in run.peers if isinstance(peer, Fake)] == [2]
    assert scenario.order == ["prepare relay", "warm relay", "relay", "relay"]
