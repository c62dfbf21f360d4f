"""What a scenario is, and what it is given for one round."""

import subprocess
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, TypeVar

from benchmarks.cpu import CpuSample, CpuUse
from benchmarks.load import children_seconds, wrk_command
from benchmarks.machine import environment
from benchmarks.peers import LivePeer
from benchmarks.placement import ROLES, Placement, Role
from benchmarks.processes import BenchmarkError, Ground, run
from benchmarks.target import Target

T = TypeVar("T")

FULL = 0.93
"""A core this busy has nothing left to give; the rest goes to the kernel's own work and to rounding."""
GRACE_SECONDS = 60.0
WARM_UP_SECONDS = 1
WARM_UP_CONNECTIONS = 8
BULK_FLOOR_BYTES_PER_SECOND = 10e6
"""Slower than this and a transfer is stuck rather than slow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the command line says about all scenarios."""

    rounds: int = 5
    seconds: int = 5
    """Length of a round of requests."""
    bulk_bytes: int = 1 << 30
    connections: tuple[int, ...] = ()
    """Of kept-alive requests; empty: the scenario's own choice."""
    answers: tuple[str, ...] = ()
    """Sizes of answers of the same, by name; empty: the scenario's own choice."""
    tunnels: tuple[int, ...] = ()
    """Idle ones; empty: the scenario's own choice."""
    sockets: tuple[int, ...] = ()
    """WebSockets; empty: the scenario's own choice."""
    agents: tuple[int, ...] = ()
    """That come back in a storm; empty: the scenario's own choice."""
    workspaces: tuple[int, ...] = ()
    """Among which a request finds its own; empty: the scenario's own choice."""
    round_trips: tuple[int, ...] = ()
    """Of a slow link, milliseconds; empty: the scenario's own choice."""
    clusters: tuple[int, ...] = ()
    """The same for clusters with a live tunnel."""
    patience_seconds: float = 0.0
    """How long each round may wait for the machine to become quiet; 0: start at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """One row of a scenario's table."""

    key: str
    """Name in the results."""
    label: str
    """With its unit."""
    digits: int = 0
    compared: bool = True
    """Whether its ratio to the yardstick means something; such measures are drawn as well."""
    more_is_better: bool = False
    """Throughput; everything else is a cost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One round of one peer."""

    live: LivePeer
    target: Target
    ground: Ground
    options: Options
    remarks: list[str] = field(default_factory=list)
    """What a reader of the figures must know; scenarios add to it."""
    load_bound: set[str] = field(default_factory=set)
    """Keys of measures that tell of the load generator in this round, not of the peer: they get no value."""

    def remark(self, text: str) -> None:
        """Notes something about this peer."""
        self.remarks.append(f"{self.live.name}: {text}")

    def load(self, command: Sequence[str], *, seconds: float) -> str:
        """Runs a load generator on its core; gives what it printed. Raises BenchmarkError."""
        with self.live.placement.pinned("load"):
            return run(command, seconds=seconds + GRACE_SECONDS)

    def start_load(self, command: Sequence[str]) -> "subprocess.Popen[str]":
        """Starts a load generator on its core, to go on beside another."""
        with self.live.placement.pinned("load"):
            return subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                env=environment(),
            )

    def metered(self, act: Callable[[], T]) -> tuple[T, CpuUse]:
        """Does something and tells what it cost every role."""
        before = self._sample()
        result = act()
        return result, CpuUse.between(before, self._sample())

    def _sample(self) -> CpuSample:
        roles = {**self.live.roles, "target": self.target.pids}
        return CpuSample.take(roles, ended={"load": children_seconds()})


class Scenario(ABC):
    """One thing to measure."""

    name: str
    """Short; stands in results."""
    title: str
    """One line over the table."""
    measures: tuple[Measure, ...]
    family: str = ""
    """What it shares a picture with; empty: nothing."""
    variant: str = ""
    """What tells it from the others of its family: a word, or a number where there is an axis."""
    axis: str = ""
    """What the variants of the family count; empty where they are words."""
    delay_seconds: float = 0.0
    """Of the link between the fronts and the backs of its own peers, each way."""
    fresh: ClassVar[bool] = False
    """Whether each round needs peers that have just started."""
    own: ClassVar[bool] = False
    """Whether it needs peers for itself, started once; `prepare` brings them to what is to be measured."""

    def suits(self, live: LivePeer) -> bool:
        """Whether it means something for this peer."""
        return bool(live.visits)

    def warm_up(self, run: Run) -> None:
        """Lets caches, pools and allocators settle before the first round."""
        command = wrk_command(run.live.visits["small"], connections=WARM_UP_CONNECTIONS, seconds=WARM_UP_SECONDS)
        run.load(command, seconds=WARM_UP_SECONDS)

    def prepare(self, run: Run) -> LivePeer:
        """What is measured, made of a peer that was started for this scenario; what it starts ends with the scenario.

        Only where `own` is true. Raises BenchmarkError.
        """
        return run.live

    @abstractmethod
    def measure(self, run: Run) -> Mapping[str, float | None]:
        """One round; None for a measure that this round cannot give. Raises BenchmarkError when it failed."""


SHARES = (
    Measure(key="front_share", label="front, % of a core", compared=False),
    Measure(key="back_share", label="back, % of a core", compared=False),
    Measure(key="target_share", label="target, % of a core", compared=False),
    Measure(key="load_share", label="load, % of a core", compared=False),
    Measure(key="others_share", label="others on the machine, % of a core", compared=False),
)
"""Rows that say how busy each process was."""


def shares(use: CpuUse) -> dict[str, float | None]:
    """The values of `SHARES`; a role that the peer does not have has none."""
    values: dict[str, float | None] = {
        f"{role}_share": 100 * use.share(role) if role in use.spent else None for role in ROLES
    }
    return {**values, "others_share": 100 * use.others}


def bottleneck(use: CpuUse, placement: Placement) -> Role | None:
    """What held the throughput back: a role, or None when every core had time left.

    The core with `front` is asked first. On another core that is full it is the role that used most of it.
    """
    for role in ROLES:
        sharing = placement.sharing(role)
        if sum(use.share(other) for other in sharing) >= FULL * placement.capacity(role):
            busiest: Role = max(sharing, key=use.share)
            return "front" if "front" in sharing and use.share("front") > 0 else busiest
    return None


def explain_limit(run: Run, use: CpuUse, *keys: str) -> bool:
    """Remarks what held the throughput back; True when it was the load generator.

    The measures `keys` then get no value in this round, whatever the scenario returns for them.
    """
    placement = run.live.placement
    limit = bottleneck(use, placement)
    if limit == "load":
        run.remark(f"the load generator was the bottleneck ({use.share('load'):.0%} of its core), so no figure")
        run.load_bound.update(keys)
        return True
    if limit is not None and limit != "front" and "front" in use.spent:
        names = ", ".join(f"{role} {use.share(role):.0%}" for role in placement.sharing(limit) if role in use.spent)
        run.remark(f"the core shared by {names} was full first: the front could carry more")
    return False


def finish_load(process: "subprocess.Popen[str]", *, accept: Sequence[int] = (0,)) -> str:
    """Waits for a generator started beside another; gives what it printed. Raises BenchmarkError."""
    output, _ = process.communicate(timeout=GRACE_SECONDS)
    if process.returncode not in accept:
        raise BenchmarkError(f"the load beside ended with {process.returncode}")
    return output
