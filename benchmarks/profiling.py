"""Where the relay's or the agent's time goes under load: py-spy's samples, counted by function."""

import shutil
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.cpu import tree_seconds
from benchmarks.load import wrk_command
from benchmarks.machine import environment
from benchmarks.peers import LivePeer
from benchmarks.processes import BenchmarkError, run, wait_until
from benchmarks.scenarios.base import Run

SAMPLES_PER_SECOND = 500
LEAD_SECONDS = 2
"""Load before and after the samples, so that all of them are of the steady state."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hot:
    """One function's part of the samples."""

    function: str
    """`name (file)`"""
    own: float
    """Share of samples in the function itself, C functions it calls included."""
    total: float
    """Share of samples in it or in what it calls."""


def hot_functions(folded: Iterable[str]) -> list[Hot]:
    """Counts py-spy's raw output, `a (f);b (g) COUNT` a line, outermost first; the most own time first."""
    own: Counter[str] = Counter()
    total: Counter[str] = Counter()
    samples = 0
    for line in folded:
        stack, _, count = line.rstrip().rpartition(" ")
        if not stack:
            continue
        frames = stack.split(";")
        samples += int(count)
        own[frames[-1]] += int(count)
        total.update(dict.fromkeys(frames, int(count)))
    return [Hot(function=name, own=own[name] / samples, total=total[name] / samples) for name, _ in own.most_common()]


def record(run_of_relay: Run, *, role: str, connections: int, output: Path) -> list[Hot]:
    """Samples one process while wrk runs. Raises BenchmarkError where py-spy is missing or may not look."""
    live, seconds = run_of_relay.live, run_of_relay.options.seconds
    py_spy = shutil.which("py-spy", path=environment()["PATH"])
    if py_spy is None:
        raise BenchmarkError("py-spy is not on PATH; `pip install py-spy` (in any environment) brings it")
    pid = live.roles[role][0]
    load = run_of_relay.start_load(
        wrk_command(live.visits["small"], connections=connections, seconds=seconds + 2 * LEAD_SECONDS)
    )
    try:
        _wait_busy(live)
        run(
            [
                *(py_spy, "record", "--pid", str(pid), "--duration", str(seconds), "--rate", str(SAMPLES_PER_SECOND)),
                *("--format", "raw", "--function", "--output", str(output)),
            ],
            seconds=seconds + 60.0,
        )
    finally:
        load.terminate()
        load.communicate()
    return hot_functions(output.read_text().splitlines())


def show_hot(hot: Iterable[Hot], console: Console, *, title: str, count: int) -> None:
    """Prints the first `count`."""
    table = Table(title=title, title_justify="left")
    table.add_column("function")
    table.add_column("own, %", justify="right")
    table.add_column("with callees, %", justify="right")
    for _, entry in zip(range(count), hot, strict=False):
        table.add_row(entry.function, f"{100 * entry.own:.1f}", f"{100 * entry.total:.1f}")
    console.print(table)


def _wait_busy(live: LivePeer) -> None:
    pid = live.roles["front"][0]
    before = tree_seconds(pid)
    if not wait_until(lambda: tree_seconds(pid) - before > LEAD_SECONDS / 4):
        raise BenchmarkError("the load did not reach the relay")
