"""All agents lose their relay at once and come back."""

import os
import signal
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import ClassVar

from benchmarks.agents import Fleet, start_fleet
from benchmarks.cpu import CpuSample, CpuUse, tree_resident_bytes
from benchmarks.peers import LivePeer
from benchmarks.peers.site import Site
from benchmarks.processes import BenchmarkError, has_ended, wait_until
from benchmarks.scenarios.base import Measure, Run, Scenario, explain_limit

CORE = 1000
"""Agents, unless the options say otherwise."""
VISITORS = 20
"""Each asks another cluster's preview."""
PAUSE_SECONDS = 0.05
"""Between a visitor's answer and its next request: a gap is measured no finer."""
DRAIN_SECONDS = 60.0
MIB = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Return:
    """What one restart was like."""

    seconds: float
    """From the signal until every agent had a tunnel to the new process."""
    gaps: Sequence[float]
    """The longest time without an answer of each visitor, seconds."""
    front: int
    """The new process."""
    process: str
    """Its id, as agents know it."""


class Storm(Scenario):
    """Agents of many clusters; the relay is killed and started again, then ended in order and started again."""

    measures = (
        Measure(key="killed_seconds", label="killed: until all agents are back, s", digits=1),
        Measure(key="killed_gap", label="killed: longest gap of a visitor, s", digits=1),
        Measure(key="killed_gap_median", label="killed: gap of the median visitor, s", digits=1),
        Measure(key="ended_seconds", label="ended in order: until all agents are back, s", digits=1),
        Measure(key="ended_gap", label="ended in order: longest gap of a visitor, s", digits=1),
        Measure(key="ended_gap_median", label="ended in order: gap of the median visitor, s", digits=1),
        Measure(key="front_seconds", label="killed: CPU of the relay from its start until then, s", digits=1),
        Measure(key="resident_mib", label="resident in the relay with all agents, MiB", digits=1),
        Measure(key="front_share", label="killed: relay meanwhile, % of a core", compared=False),
        Measure(key="load_share", label="killed: agents and visitors meanwhile, % of a core", compared=False),
    )
    fresh: ClassVar[bool] = True
    family = "storm"
    axis = "agents"

    def __init__(self, *, agents: int = CORE) -> None:
        self.agents = agents
        self.name = f"storm-{agents}"
        self.variant = str(agents)
        self.title = f"the relay goes away under {agents:,} agents and comes back; visitors: {VISITORS}"

    def suits(self, live: LivePeer) -> bool:
        """Only our own relay has agents that can be had by the thousand."""
        return live.site is not None

    def warm_up(self, run: Run) -> None:
        """Nothing: a relay that has just started is what is measured."""

    def measure(self, run: Run) -> Mapping[str, float | None]:
        """Both restarts, one after the other."""
        site = run.live.site
        if site is None:
            raise BenchmarkError(f"{run.live.name} cannot be started again")
        fleet = start_fleet(run.ground, site, run.target, count=self.agents)
        process, _ = fleet.wait_all()
        answered = start_visitors(run, site, fleet)
        front = run.live.roles["front"][0]
        before = _sample(front=None, fleet=fleet)
        killed = restart(run, site, fleet, signal.SIGKILL, front=front, process=process, answered=answered)
        use = CpuUse.between(before, _sample(front=killed.front, fleet=fleet))
        explain_limit(run, use)
        resident = tree_resident_bytes([killed.front])
        ended = restart(run, site, fleet, signal.SIGTERM, front=killed.front, process=killed.process, answered=answered)
        return {
            "killed_seconds": killed.seconds,
            "killed_gap": max(killed.gaps),
            "killed_gap_median": statistics.median(killed.gaps),
            "ended_seconds": ended.seconds,
            "ended_gap": max(ended.gaps),
            "ended_gap_median": statistics.median(ended.gaps),
            "front_seconds": use.spent["front"],
            "resident_mib": resident / MIB,
            "front_share": 100 * use.share("front"),
            "load_share": 100 * use.share("load"),
        }


def _sample(*, front: int | None, fleet: Fleet) -> CpuSample:
    roles = {"load": fleet.pids} if front is None else {"front": [front], "load": fleet.pids}
    return CpuSample.take(roles)


def start_visitors(run: Run, site: Site, fleet: Fleet) -> Path:
    """Visitors who ask for ever; gives the file that their answers are noted in, once each has had one."""
    place = site.write_hosts(run.ground.folder / "visitors.json", fleet.names[:VISITORS])
    command = [
        *(sys.executable, "-m", "benchmarks.visitors", "--place", str(place), "--ca-file", str(site.ca_file)),
        *("--connections", str(VISITORS), "--pause", str(PAUSE_SECONDS)),
    ]
    run.ground.start("load", command, name="visitors")
    log = run.ground.log("visitors")
    _wait_answered(log, since=0.0)
    return log


def restart(
    run: Run, site: Site, fleet: Fleet, number: signal.Signals, *, front: int, process: str, answered: Path
) -> Return:
    """Ends the front by a signal and starts it again; waits for all agents and visitors."""
    at = time.monotonic()
    os.kill(front, number)
    if not wait_until(lambda: has_ended(front), seconds=DRAIN_SECONDS):
        raise BenchmarkError(f"the relay did not end within {DRAIN_SECONDS:.0f} s of {number.name}")
    new = run.ground.start("front", site.serve, name=f"after-{number.name}")
    home, back = fleet.wait_all(beside=[process])
    _wait_answered(answered, since=max(back, time.monotonic()))
    gaps = gaps_since(answered.read_text(), at)
    return Return(seconds=back - at, gaps=gaps, front=new, process=home)


def _wait_answered(log: Path, *, since: float) -> None:
    if not wait_until(lambda: sum(times[-1] > since for times in times_of(log.read_text()).values()) == VISITORS):
        raise BenchmarkError(f"visitors got no answer: {log.read_text()[-500:]}")


def times_of(text: str) -> dict[int, list[float]]:
    """When each visitor was answered, of the lines that `benchmarks.visitors` prints."""
    found: dict[int, list[float]] = {}
    for line in text.splitlines(keepends=True):
        number, _, at = line.partition(" ")
        if number.isdigit() and at.endswith("\n"):
            found.setdefault(int(number), []).append(float(at))
    return found


def gaps_since(text: str, at: float) -> list[float]:
    """The longest time between two answers of each visitor, of those that ended after `at`."""
    return [
        max((later - earlier for earlier, later in pairwise(times) if later > at), default=0.0)
        for times in times_of(text).values()
    ]
