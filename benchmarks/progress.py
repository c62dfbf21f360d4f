"""What is shown while a run goes on: a table that fills and a bar on a terminal, plain lines elsewhere."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from benchmarks.report import headline, show, table_of
from benchmarks.result import Result
from benchmarks.rounds import Watch
from benchmarks.scenarios import Scenario

REFRESHES_PER_SECOND = 2
"""Drawing takes CPU time from what is measured; twice a second is seen as alive."""


class Lines:
    """A line for each round, a table for each scenario."""

    def __init__(self, console: Console, *, yardstick: str, notes: Mapping[str, str], total: int) -> None:
        self._console = console
        self._yardstick = yardstick
        self._notes = notes
        self._total = total
        self._ended = 0
        self._what = ""

    def begin(self, scenario: Scenario, number: int, peer: str) -> None:
        """Remembers it: the line comes with the figures."""
        self._what = f"{scenario.name} round {number + 1}, {peer}"

    def end(self, result: Result, peer: str) -> None:
        """Prints the round's main figures."""
        self._ended += 1
        line = f"[{self._ended}/{self._total}] {self._what}: {headline(result, peer)}"
        # Its own line whatever the width: somebody follows it with `tail -f` or greps it.
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)

    def done(self, result: Result) -> None:
        """Prints the table."""
        show(result, self._console, yardstick=self._yardstick, notes=self._notes)


class Picture:
    """The table of the scenario under way above a bar for the whole run; tables that are complete scroll up."""

    def __init__(self, live: Live, *, yardstick: str, notes: Mapping[str, str], total: int) -> None:
        self._live = live
        self._yardstick = yardstick
        self._notes = notes
        self._bar = Progress(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
            TimeRemainingColumn(), console=live.console,
        )  # fmt: skip
        self._task = self._bar.add_task("", total=total)
        live.update(self._bar)

    def begin(self, scenario: Scenario, number: int, peer: str) -> None:
        """Says what runs now."""
        self._bar.update(self._task, description=f"{scenario.name}: round {number + 1}, {peer}")

    def end(self, result: Result, peer: str) -> None:  # noqa: ARG002 - every peer's column is redrawn
        """Fills the table."""
        self._bar.advance(self._task)
        self._live.update(Group(table_of(result, yardstick=self._yardstick, notes=self._notes), self._bar))

    def done(self, result: Result) -> None:
        """Leaves the table above."""
        self._live.update(self._bar)
        show(result, self._live.console, yardstick=self._yardstick, notes=self._notes)


@contextmanager
def watching(console: Console, *, yardstick: str, notes: Mapping[str, str], total: int) -> Iterator[Watch]:
    """Whoever shows a run of `total` rounds on this console."""
    if not console.is_terminal:
        yield Lines(console, yardstick=yardstick, notes=notes, total=total)
        return
    with Live(console=console, refresh_per_second=REFRESHES_PER_SECOND) as live:
        yield Picture(live, yardstick=yardstick, notes=notes, total=total)
