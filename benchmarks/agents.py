"""Fleets of agents, run by `benchmarks.fleet`, as scenarios see them."""

import json
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.filling import add_clusters, add_workspaces
from benchmarks.peers.site import HOSTS, Site
from benchmarks.processes import LOG_TAIL_CHARACTERS, BenchmarkError, Ground, has_ended, need_files, wait_until
from benchmarks.target import Target

PROCESSES = 2
"""That agents are spread over: an interpreter has one core's worth of Python, and agents share a core with others."""
UP_SECONDS = 300.0
"""Until all tunnels are up; a relay that takes longer is no figure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """Running agents, each of a cluster of its own that has one workspace of the same name."""

    names: Sequence[str]
    """Of clusters and workspaces."""
    pids: Sequence[int]
    logs: Sequence[Path]

    def live(self) -> Counter[str]:
        """How many agents have a tunnel now, by the process of the relay that they reached."""
        found: Counter[str] = Counter()
        for said in map(_said, self.logs):
            found.update(said.live)
        return found

    def wait_all(self, *, beside: Sequence[str] = ()) -> tuple[str, float]:
        """Waits until all are at one process other than those `beside`: its id, and when that was, on time.monotonic.

        Raises BenchmarkError when that takes too long.
        """
        came = wait_until(lambda: self._has_failed() or self._home(beside) is not None, seconds=UP_SECONDS)
        if self._has_failed():
            ends = "\n".join(log.read_text()[-LOG_TAIL_CHARACTERS:] for log in self.logs)
            raise BenchmarkError(f"a process of agents has ended: {ends}")
        if not came:
            raise BenchmarkError(f"of {len(self.names)} agents only {self.live().total()} had a tunnel in the end")
        home = self._home(beside)
        if home is None:
            raise BenchmarkError("agents lost their tunnels as soon as all were there")
        return home, max(_said(log).at for log in self.logs)

    def _has_failed(self) -> bool:
        return any(has_ended(pid) for pid in self.pids)

    def _home(self, beside: Sequence[str]) -> str | None:
        found = {process: count for process, count in self.live().items() if process not in beside}
        return next((process for process, count in found.items() if count == len(self.names)), None)


def start_fleet(ground: Ground, site: Site, target: Target, *, count: int) -> Fleet:
    """Registers clusters with a workspace each, and starts their agents. Raises BenchmarkError."""
    need_files(count, what=f"{count:,} agents")
    names = [f"c{number}" for number in range(count)]
    tokens = ground.folder / "tokens"
    add_clusters(site, names, tokens=tokens)
    add_workspaces(site, [(name, name) for name in names], port=target.port)
    processes = min(PROCESSES, count)
    pids, logs = [], []
    for number in range(processes):
        first, end = (count * part // processes for part in (number, number + 1))
        name = f"fleet-{number}"
        command = [
            *(sys.executable, "-m", "benchmarks.fleet", "--relay", f"{HOSTS['tunnel']}:{site.port}"),
            *("--ca-file", str(site.ca_file), "--tokens", str(tokens), "--number", str(number)),
            *("--first", str(first), "--count", str(end - first)),
        ]
        pids.append(ground.start("load", command, name=name))
        logs.append(ground.log(name))
    return Fleet(names=names, pids=pids, logs=logs)


@dataclass(frozen=True, slots=True)
class _Said:
    at: float
    live: Mapping[str, int]


def _said(log: Path) -> _Said:
    """The last whole line that a process of a fleet has printed; it prints nothing else unless it fails."""
    lines = [line for line in log.read_text().splitlines(keepends=True) if line.endswith("}\n")]
    values: dict[str, Any] = json.loads(lines[-1]) if lines else {"at": 0.0, "live": {}}
    return _Said(at=values["at"], live=values["live"])
