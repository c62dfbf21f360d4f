"""Memory of tunnels that carry nothing."""

import time
from collections.abc import Mapping
from typing import ClassVar

from benchmarks.cpu import tree_resident_bytes
from benchmarks.peers import LivePeer
from benchmarks.processes import BenchmarkError, need_files, wait_until
from benchmarks.scenarios.base import FULL, Measure, Run, Scenario

CORE = 1000
"""Measured unless the options say otherwise."""
FIRST_SHARE = 0.2
"""Part of the tunnels opened before the first reading, so that what is paid once (caches, arenas) is not counted."""
SETTLE_SECONDS = 1.0
OPENING_SECONDS = 120.0


class Idle(Scenario):
    """Resident memory of the front by number of idle tunnels; for nginx, of idle TLS connections: the floor for any."""

    measures = (
        Measure(key="kib_per_tunnel", label="KiB resident in the front, per tunnel", digits=1),
        Measure(key="opened_per_second", label="opened per second, one client process", more_is_better=True),
    )
    fresh: ClassVar[bool] = True
    family = "idle"
    axis = "idle tunnels"

    def __init__(self, *, tunnels: int = CORE) -> None:
        self.tunnels = tunnels
        # The core keeps the name it had before there were other counts, so that results of all times compare.
        self.name = "idle" if tunnels == CORE else f"idle-{tunnels}"
        self.variant = str(tunnels)
        self.title = f"{tunnels:,} idle tunnels (nginx: idle TLS connections)"

    def suits(self, live: LivePeer) -> bool:
        """Only where something can be held open."""
        return live.hold is not None

    def warm_up(self, run: Run) -> None:
        """Nothing: the first part of the tunnels does it."""

    def measure(self, run: Run) -> Mapping[str, float | None]:
        """The slope between two counts, in a peer that has just started."""
        need_files(self.tunnels, what=f"{self.tunnels:,} tunnels")
        first = max(1, round(self.tunnels * FIRST_SHARE))
        second = self.tunnels - first
        _hold(run, first)
        before = tree_resident_bytes(run.live.roles["front"])
        seconds, share = _hold(run, second)
        if share >= FULL:
            run.remark(f"the process that opens was the bottleneck ({share:.0%} of a core), so no figure of opening")
            run.load_bound.add("opened_per_second")
        after = tree_resident_bytes(run.live.roles["front"])
        return {"kib_per_tunnel": (after - before) / 1024 / second, "opened_per_second": second / seconds}


def _hold(run: Run, count: int) -> tuple[float, float]:
    """Opens some more until the round ends; gives the seconds it took, and the client's share of a core meanwhile."""
    name = f"hold-{run.live.name}-{count}"
    run.ground.start("load", [*(run.live.hold or ()), "--count", str(count)], name=name)
    log = run.ground.log(name)
    if not wait_until(lambda: "up " in (text := log.read_text()) and text.endswith("\n"), seconds=OPENING_SECONDS):
        raise BenchmarkError(f"{count} tunnels did not come up: {run.ground.log_tail(name)}")
    time.sleep(SETTLE_SECONDS)
    seconds, spent = map(float, log.read_text().split("up ", 1)[1].split())
    return seconds, spent / seconds
