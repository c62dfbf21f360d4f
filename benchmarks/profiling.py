"""Where the relay's or the agent's time goes under load: py-spy's samples, counted by function and by area."""

import re
import shutil
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.cpu import tree_seconds
from benchmarks.load import wrk_command
from benchmarks.machine import environment
from benchmarks.placement import Role
from benchmarks.processes import BenchmarkError, run, wait_until
from benchmarks.scenarios import Run

SAMPLES_PER_SECOND = 500
LEAD_SECONDS = 2
"""Load before and after the samples, so that all of them are of the steady state."""
MAIN_THREAD = re.compile(r"thread \(\d+\): MainThread;")
"""The others are workers of the database; what they wait for would be counted as work."""
WAITING = "EpollIOManager.get_events"
"""Time in epoll_wait is waiting as much as work, so it is told apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hot:
    """One function's part of the samples."""

    function: str
    """`name (file:line)`"""
    own: float
    """Share of samples in the function itself, C functions it calls included."""
    total: float
    """Share of samples in it or in what it calls."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What the samples of the main thread say; shares are of those that were not in epoll_wait."""

    functions: Sequence[Hot]
    """The most own time first."""
    areas: Sequence[tuple[str, float]]
    """Own time by folder or library, the most first."""
    samples: int
    waiting: float
    """Share of all samples that were in epoll_wait."""


def parse_profile(folded: Iterable[str]) -> Profile:
    """Counts py-spy's raw output, `thread;a (f:1);b (g:1) COUNT` a line, outermost first."""
    own: Counter[str] = Counter()
    total: Counter[str] = Counter()
    areas: Counter[str] = Counter()
    working = waiting = 0
    for line in folded:
        stack, _, text = line.rstrip().rpartition(" ")
        thread = MAIN_THREAD.match(stack)
        if thread is None:
            continue
        count, frames = int(text), stack[thread.end() :].split(";")
        if frames[-1].startswith(WAITING):
            waiting += count
            continue
        working += count
        own[frames[-1]] += count
        areas[area_of(frames[-1])] += count
        total.update(dict.fromkeys(frames, count))
    functions = [
        Hot(function=name, own=count / working, total=total[name] / working) for name, count in own.most_common()
    ]
    return Profile(
        functions=functions,
        areas=[(name, count / working) for name, count in areas.most_common()],
        samples=working + waiting,
        waiting=waiting / max(1, working + waiting),
    )


def area_of(frame: str) -> str:
    """`read (relay/http1/request.py:9)` -> `relay/http1`; files directly in a package, and others, by two parts."""
    path = frame.rpartition("(")[2].partition(":")[0].removesuffix(")")
    return "/".join(path.split("/")[:2])


def record(target_run: Run, *, role: Role, connections: int, output: Path) -> Profile:
    """Samples one process while wrk runs. Raises BenchmarkError where py-spy is missing or may not look."""
    live, seconds = target_run.live, target_run.options.seconds
    py_spy = shutil.which("py-spy", path=environment()["PATH"])
    if py_spy is None:
        raise BenchmarkError("py-spy is not on PATH; `pip install py-spy` (in any environment) brings it")
    pid = live.roles[role][0]
    command = wrk_command(live.visits["small"], connections=connections, seconds=seconds + 2 * LEAD_SECONDS)
    load = target_run.start_load(command)
    try:
        _wait_busy(pid)
        with live.placement.pinned("load"):
            run(_py_spy_command(py_spy, pid=pid, seconds=seconds, output=output), seconds=seconds + 60.0)
    finally:
        load.terminate()
        load.communicate()
    return parse_profile(output.read_text().splitlines())


def show_profile(profile: Profile, console: Console, *, title: str, count: int) -> None:
    """Prints the `count` hottest functions and all areas of a hundredth or more."""
    console.print(f"{profile.samples} samples, {profile.waiting:.0%} of them in epoll_wait; shares are of the others")
    functions = Table(title=title, title_justify="left")
    for heading in ("function", "own, %", "with callees, %"):
        functions.add_column(heading, justify="left" if heading == "function" else "right")
    for entry in profile.functions[:count]:
        functions.add_row(entry.function, f"{100 * entry.own:.1f}", f"{100 * entry.total:.1f}")
    console.print(functions)
    areas = Table(title=f"{title}: own time by area", title_justify="left")
    areas.add_column("area")
    areas.add_column("%", justify="right")
    for name, share in profile.areas:
        if share >= 0.01:  # noqa: PLR2004 - a hundredth
            areas.add_row(name, f"{100 * share:.1f}")
    console.print(areas)


def _py_spy_command(py_spy: str, *, pid: int, seconds: int, output: Path) -> list[str]:
    return [
        *(py_spy, "record", "--pid", str(pid), "--duration", str(seconds), "--rate", str(SAMPLES_PER_SECOND)),
        *("--format", "raw", "--function", "--threads", "--output", str(output)),
    ]


def _wait_busy(pid: int) -> None:
    before = tree_seconds(pid)
    if not wait_until(lambda: tree_seconds(pid) - before > LEAD_SECONDS / 4):
        raise BenchmarkError("the load did not reach the process to be sampled")
