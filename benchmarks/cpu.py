"""CPU time of groups of processes and of the whole machine, from /proc."""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import psutil

QUIET_SHARE = 0.1
"""Share of one core, all processes together, at which a machine counts as quiet: what idle daemons take, and we."""
QUIET_WINDOW_SECONDS = 0.5
"""Long enough for /proc, which counts in ticks of 10 ms."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CpuSample:
    """CPU time spent so far."""

    at: float
    """Monotonic clock, seconds."""
    spent: Mapping[str, float]
    """Seconds of user and system time by role, all threads and child processes."""
    machine: float
    """Seconds that all cores together were busy, whoever made them so; time stolen by the hypervisor counts."""

    @classmethod
    def take(cls, roles: Mapping[str, Sequence[int]], ended: Mapping[str, float] | None = None) -> Self:
        """Reads the clocks of the processes in `roles`; `ended` adds what children that have ended had spent."""
        spent = {role: sum(map(tree_seconds, pids)) for role, pids in roles.items()}
        for role, seconds in (ended or {}).items():
            spent[role] = spent.get(role, 0.0) + seconds
        return cls(at=time.monotonic(), spent=spent, machine=busy_seconds())


@dataclass(frozen=True, slots=True, kw_only=True)
class CpuUse:
    """What was spent between two samples."""

    elapsed: float
    """Seconds."""
    spent: Mapping[str, float]
    """CPU seconds by role."""
    machine: float
    """CPU seconds of all processes of the machine."""

    @classmethod
    def between(cls, before: CpuSample, after: CpuSample) -> Self:
        """The difference; a role that is missing in `before` had spent nothing then."""
        spent = {role: seconds - before.spent.get(role, 0.0) for role, seconds in after.spent.items()}
        return cls(elapsed=after.at - before.at, spent=spent, machine=after.machine - before.machine)

    def share(self, role: str) -> float:
        """The role's share of one core, 0 to the number of cores."""
        return self.spent.get(role, 0.0) / self.elapsed

    @property
    def others(self) -> float:
        """Cores kept busy by processes that are not part of the measurement: noise."""
        return max(0.0, (self.machine - sum(self.spent.values())) / self.elapsed)


def tree_seconds(pid: int) -> float:
    """CPU seconds of a process and its living children. Raises psutil.NoSuchProcess when it has ended."""
    process = psutil.Process(pid)
    return sum(_seconds(member) for member in [process, *process.children(recursive=True)])


def tree_resident_bytes(pids: Iterable[int]) -> int:
    """Resident memory of processes and their children, bytes."""
    members = [member for pid in pids for member in _tree(pid)]
    return sum(int(member.memory_info().rss) for member in members)


def busy_seconds() -> float:
    """Seconds that the machine's cores were busy since it started."""
    times = psutil.cpu_times()
    return float(times.user + times.system + times.nice + times.irq + times.softirq + times.steal)


def wait_quiet(patience_seconds: float) -> bool:
    """Waits until nothing else uses the machine; call it while what is measured is idle. False when patience ended."""
    deadline = time.monotonic() + patience_seconds
    while True:
        before, busy = time.monotonic(), busy_seconds()
        time.sleep(QUIET_WINDOW_SECONDS)
        if busy_seconds() - busy <= QUIET_SHARE * (time.monotonic() - before):
            return True
        if time.monotonic() > deadline:
            return False


def _tree(pid: int) -> list[psutil.Process]:
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]


def _seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)
