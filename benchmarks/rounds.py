"""Runs scenarios in rounds that alternate between peers."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Protocol

from benchmarks.cpu import wait_quiet
from benchmarks.peers import LivePeer, Peer
from benchmarks.processes import BenchmarkError, Ground
from benchmarks.result import Result
from benchmarks.scenarios import Options, Run, Scenario
from benchmarks.summary import by_measure
from benchmarks.target import Target


class Watch(Protocol):
    """Whoever shows what goes on."""

    def begin(self, scenario: Scenario, number: int, peer: str) -> None:
        """A peer's round, counted from 0, begins."""

    def end(self, result: Result, peer: str) -> None:
        """It ended; `result` is all that is known of the scenario so far."""

    def done(self, result: Result) -> None:
        """All rounds of a scenario are over."""


class Taken:
    """The rounds of one scenario so far."""

    def __init__(self, scenario: Scenario, names: Sequence[str]) -> None:
        self._scenario = scenario
        self._rounds: dict[str, list[Mapping[str, float | None]]] = {name: [] for name in names}
        self._remarks: list[str] = []
        self._load_bound: dict[str, set[str]] = {name: set() for name in names}

    def add(self, run: Run, values: Mapping[str, float | None]) -> None:
        """One round of one peer; what tells of the load generator is struck out."""
        name = run.live.name
        self._rounds[name].append({key: None if key in run.load_bound else value for key, value in values.items()})
        self._remarks += run.remarks
        self._load_bound[name] |= run.load_bound

    def result(self) -> Result:
        """What they give."""
        scenario = self._scenario
        return Result(
            name=scenario.name,
            title=scenario.title,
            family=scenario.family,
            variant=scenario.variant,
            axis=scenario.axis,
            measures=scenario.measures,
            figures={name: by_measure(rounds) for name, rounds in self._rounds.items()},
            remarks=tuple(without_repeats(self._remarks)),
            load_bound={name: frozenset(keys) for name, keys in self._load_bound.items() if keys},
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """The running target and peers of one invocation."""

    ground: Ground
    target: Target
    peers: Sequence[Peer]
    live: Sequence[LivePeer]
    options: Options
    watch: Watch
    """Is told of every step."""

    def run(self, scenario: Scenario) -> Result:
        """All rounds of a scenario."""
        with self.prepared(scenario, self.names(scenario)) as bench:
            return bench.run_prepared(scenario)

    def run_prepared(self, scenario: Scenario) -> Result:
        """The same with the peers as they are."""
        names = self.names(scenario)
        taken = Taken(scenario, names)
        if not scenario.fresh:
            self._warm_up(scenario, names)
        for number in range(self.options.rounds):
            for name in rotated(names, number):
                self.watch.begin(scenario, number, name)
                with self._run(scenario, name) as run:
                    if self.options.patience_seconds:
                        wait_quiet(self.options.patience_seconds)
                    taken.add(run, _measured(scenario, run))
                self.watch.end(taken.result(), name)
        self.watch.done(taken.result())
        return taken.result()

    def names(self, scenario: Scenario) -> list[str]:
        """The peers that a scenario is for."""
        return [live.name for live in self.live if scenario.suits(live)]

    @contextmanager
    def prepared(self, scenario: Scenario, names: Sequence[str]) -> Iterator["Bench"]:
        """This bench, with peers of the scenario's own where it wants them, on a ground that ends with it."""
        if not scenario.own:
            yield self
            return
        with self.ground.inner(delay_seconds=scenario.delay_seconds) as inner:
            live = []
            for name in names:
                started = self._peer(name).start(inner, self.target)
                live.append(scenario.prepare(self._run_of(started, inner)))
            yield replace(self, ground=inner, live=live)

    def _warm_up(self, scenario: Scenario, names: Sequence[str]) -> None:
        for name in names:
            with self._run(scenario, name) as run:
                scenario.warm_up(run)

    @contextmanager
    def _run(self, scenario: Scenario, name: str) -> Iterator[Run]:
        with self.ground.inner(delay_seconds=scenario.delay_seconds) as inner:
            if scenario.fresh:
                live = self._peer(name).start(inner, self.target)
            else:
                live = next(live for live in self.live if live.name == name)
            self.target.move_to(live.placement.target)
            yield self._run_of(live, inner)

    def _peer(self, name: str) -> Peer:
        return next(peer for peer in self.peers if peer.name == name)

    def _run_of(self, live: LivePeer, ground: Ground) -> Run:
        return Run(live=live, target=self.target, ground=ground, options=self.options)


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
