"""Runs scenarios in rounds that alternate between peers."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from benchmarks.cpu import wait_quiet
from benchmarks.peers import LivePeer, Peer
from benchmarks.processes import BenchmarkError, Ground
from benchmarks.scenarios import Options, Run, Scenario
from benchmarks.summary import Figure, by_measure
from benchmarks.target import Target


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What one scenario gave."""

    scenario: Scenario
    figures: Mapping[str, Mapping[str, Figure]]
    """By peer, then by measure."""
    remarks: tuple[str, ...]
    """Each said once, whatever the number of rounds it was true in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """The running target and peers of one invocation."""

    ground: Ground
    target: Target
    peers: Sequence[Peer]
    live: Sequence[LivePeer]
    options: Options
    say: Callable[[str], None]
    """Takes a line of progress."""

    def run(self, scenario: Scenario) -> Result:
        """All rounds of a scenario."""
        rounds: dict[str, list[Mapping[str, float | None]]] = {}
        remarks: list[str] = []
        names = [live.name for live in self.live if scenario.suits(live)]
        if not scenario.fresh:
            self._warm_up(scenario, names)
        for number in range(self.options.rounds):
            for name in rotated(names, number):
                self.say(f"{scenario.name}: round {number + 1} of {self.options.rounds}, {name}")
                with self._run(scenario, name) as run:
                    if self.options.patience_seconds:
                        wait_quiet(self.options.patience_seconds)
                    rounds.setdefault(name, []).append(_measured(scenario, run))
                    remarks += run.remarks
        figures = {name: by_measure(rounds[name]) for name in names}
        return Result(scenario=scenario, figures=figures, remarks=tuple(without_repeats(remarks)))

    def _warm_up(self, scenario: Scenario, names: Sequence[str]) -> None:
        for name in names:
            with self._run(scenario, name) as run:
                scenario.warm_up(run)

    @contextmanager
    def _run(self, scenario: Scenario, name: str) -> Iterator[Run]:
        with self.ground.inner() as inner:
            if scenario.fresh:
                live = next(peer for peer in self.peers if peer.name == name).start(inner, self.target)
            else:
                live = next(live for live in self.live if live.name == name)
            self.target.move_to(live.placement.target)
            yield Run(live=live, target=self.target, ground=inner, options=self.options)


def rotated(names: Sequence[str], number: int) -> list[str]:
    """The order of round `number`: each peer comes first in turn, so that no one always follows the same other."""
    start = number % len(names) if names else 0
    return [*names[start:], *names[:start]]


def without_repeats(remarks: Sequence[str]) -> list[str]:
    """Keeps the first remark of each kind: those that differ only in their figures are the same kind."""
    kinds: dict[str, str] = {}
    for remark in remarks:
        kinds.setdefault("".join(char for char in remark if not char.isdigit()), remark)
    return list(kinds.values())


def _measured(scenario: Scenario, run: Run) -> Mapping[str, float | None]:
    try:
        return scenario.measure(run)
    except BenchmarkError as error:
        run.remark(f"a round failed: {error}")
        return {}
