"""`benchmarks.trips` as scenarios drive it."""

import json
import select
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from subprocess import Popen

from benchmarks.cpu import CpuUse
from benchmarks.processes import BenchmarkError
from benchmarks.scenarios.base import GRACE_SECONDS, Run
from benchmarks.visit import Visit, write_visit


@dataclass(frozen=True, slots=True, kw_only=True)
class Trips:
    """Round trips of one run."""

    count: int
    seconds: float
    p50: float
    """Microseconds, as `p99`; means something where one message is under way at a time."""
    p99: float

    @property
    def per_second(self) -> float:
        """Round trips per second."""
        return self.count / self.seconds


class Driver:
    """A running load program."""

    def __init__(self, run: Run, process: "Popen[str]") -> None:
        self._run = replace(run, live=replace(run.live, roles={**run.live.roles, "load": [process.pid]}))
        self._process = process

    def open(self, count: int) -> None:
        """Opens so many more connections. Raises BenchmarkError."""
        self._say(f"open {count}", seconds=0)

    def go(self, seconds: float) -> tuple[Trips, CpuUse]:
        """Sends messages for so long; what that cost counts this program as load. Raises BenchmarkError."""
        line, use = self._run.metered(lambda: self._say(f"run {seconds}", seconds=seconds))
        return Trips(**json.loads(line)), use

    def _say(self, command: str, *, seconds: float) -> str:
        given, taken = self._process.stdin, self._process.stdout
        assert given is not None  # noqa: S101 - `start_load` makes both
        assert taken is not None  # noqa: S101
        try:
            given.write(command + "\n")
            given.flush()
        except BrokenPipeError:
            raise BenchmarkError(f"the load program ended before `{command}`") from None
        ready, _, _ = select.select([taken], [], [], seconds + GRACE_SECONDS)
        line = taken.readline() if ready else ""
        if not line:
            raise BenchmarkError(f"the load program did not do `{command}`")
        return line


@contextmanager
def driven(run: Run, visit: Visit, *, at_once: int, websocket: bool = False) -> Iterator[Driver]:
    """A load program on its core, until the block is left."""
    kind = ["--websocket"] if websocket else []
    command = ["-m", "benchmarks.trips", "--visit", write_visit(visit), "--at-once", str(at_once), *kind]
    process = run.start_load([sys.executable, *command])
    try:
        yield Driver(run, process)
    finally:
        process.kill()
        process.communicate()
