"""`python -m benchmarks compare A.json B.json`: what changed between two runs beyond noise."""

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from rich.console import Console
from rich.table import Table

from benchmarks.document import Document, read
from benchmarks.noise import MAY_BE_CHANCE, SMALLEST_CHANGE, can_tell, chance
from benchmarks.report import text_of
from benchmarks.result import Result
from benchmarks.scenarios import SHARES, Measure
from benchmarks.summary import Figure, ratio, ratios

Verdict = Literal["better", "worse", "same", "too few rounds"]
RULE = (
    "changed: rounds fall so far apart by chance less than once in {times} (exact rank test), and medians differ by "
    "{least:.0%} or more. What has a yardstick is judged by its ratio to {yardstick}, round by round; {yardstick} "
    "itself, and what has none, by its values."
)
COLUMNS = 170
UNSTEADY = frozenset({"load_average", "load_average_after"})
"""Facts that differ between any two runs."""
JUDGED_NOT = frozenset(share.key for share in SHARES)
"""How busy a core was is neither good nor bad."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One figure in both runs."""

    scenario: str
    peer: str
    measure: Measure
    before: Figure
    after: Figure
    ratio_before: float | None
    """To the yardstick; None where it is judged by its values."""
    ratio_after: float | None
    chance: float
    """See `benchmarks.noise.chance`."""
    verdict: Verdict

    @property
    def share(self) -> float:
        """How much the median changed, of the ratio where there is one: 0.1 is ten hundredths more."""
        if self.ratio_before and self.ratio_after is not None:
            return self.ratio_after / self.ratio_before - 1
        return self.after.median / self.before.median - 1 if self.before.median else 0.0


def main(arguments: Sequence[str]) -> None:
    """Prints the comparison. Raises BenchmarkError for files that are no results."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks compare", description=__doc__)
    parser.add_argument("before", type=Path, metavar="A.json")
    parser.add_argument("after", type=Path, metavar="B.json")
    parser.add_argument("--all", action="store_true", help="also what did not change")
    chosen = parser.parse_args(arguments)
    console = Console(width=None if sys.stdout.isatty() else COLUMNS)
    show(read(chosen.before), read(chosen.after), console, everything=chosen.all)


def changes(before: Document, after: Document) -> list[Change]:
    """Every figure that both have, judged."""
    old = {result.name: result for result in before.results}
    return [
        change
        for result in after.results
        if result.name in old
        for change in _of_scenario(old[result.name], result, before.yardstick)
    ]


def show(before: Document, after: Document, console: Console, *, everything: bool) -> None:
    """Prints the facts that differ, the figures that changed, and how many did not."""
    found = changes(before, after)
    facts = _differing(before, after)
    if facts.row_count:
        console.print(facts)
    shown = [change for change in found if everything or change.verdict in {"better", "worse"}]
    if shown:
        console.print(_table(shown, before.yardstick))
    rule = RULE.format(times=round(1 / MAY_BE_CHANCE), least=SMALLEST_CHANGE, yardstick=before.yardstick)
    console.print(rule, markup=False, highlight=False)
    console.print(_summary(found, before, after), markup=False, highlight=False)


def _of_scenario(before: Result, after: Result, yardstick: str) -> Iterator[Change]:
    for measure in after.measures:
        if measure.key in JUDGED_NOT:
            continue
        for peer, figures in after.figures.items():
            old, new = before.figures.get(peer, {}).get(measure.key), figures.get(measure.key)
            if old is not None and new is not None:
                bases = [result.figures.get(yardstick, {}).get(measure.key) for result in (before, after)]
                yield _judged((old, new), bases, measure=measure, scenario=after.name, peer=peer, yardstick=yardstick)


def _judged(
    figures: tuple[Figure, Figure],
    bases: Sequence[Figure | None],
    *,
    measure: Measure,
    scenario: str,
    peer: str,
    yardstick: str,
) -> Change:
    old, new = figures
    old_base, new_base = bases if measure.compared and peer != yardstick else (None, None)
    rounds: tuple[Sequence[float], Sequence[float]] = (old.values, new.values)
    ratio_before = ratio_after = None
    if old_base is not None and new_base is not None:
        rounds = (ratios(old, old_base), ratios(new, new_base))
        ratio_before, ratio_after = ratio(old, old_base), ratio(new, new_base)
    enough = can_tell(len(rounds[0]), len(rounds[1]))
    change = Change(
        scenario=scenario,
        peer=peer,
        measure=measure,
        before=old,
        after=new,
        ratio_before=ratio_before,
        ratio_after=ratio_after,
        chance=chance(*rounds) if all(rounds) else 1.0,
        verdict="same" if enough else "too few rounds",
    )
    if not enough or change.chance > MAY_BE_CHANCE or abs(change.share) < SMALLEST_CHANGE:
        return change
    return replace(change, verdict="better" if (change.share > 0) == measure.more_is_better else "worse")


def _table(found: Sequence[Change], yardstick: str) -> Table:
    table = Table(title="what changed", title_justify="left")
    for heading in ("scenario", "measure", "peer"):
        table.add_column(heading)
    for heading in ("A", "B", f"A / {yardstick}", f"B / {yardstick}", "change", "chance", ""):
        table.add_column(heading, justify="right")
    for change in found:
        digits = change.measure.digits
        style = {"better": "green", "worse": "red"}.get(change.verdict)
        table.add_row(
            *(change.scenario, change.measure.label, change.peer),
            *(text_of(change.before, digits), text_of(change.after, digits)),
            *("-" if value is None else f"{value:.2f}" for value in (change.ratio_before, change.ratio_after)),
            *(f"{change.share:+.0%}", f"{change.chance:.3f}", change.verdict),
            style=style,
        )
    return table


def _differing(before: Document, after: Document) -> Table:
    table = Table(title="different circumstances", title_justify="left")
    for heading in ("", f"A, {before.taken_at}", f"B, {after.taken_at}"):
        table.add_column(heading)
    peers: list[Mapping[str, Any]] = [
        {f"{name}: version": facts.get("version", "") for name, facts in run.peers.items()} for run in (before, after)
    ]
    pairs = ((before.machine, after.machine), (before.options, after.options), (peers[0], peers[1]))
    for old, new in pairs:
        for name in dict.fromkeys([*old, *new]):
            if name not in UNSTEADY and old.get(name) != new.get(name):
                table.add_row(name, str(old.get(name, "-")), str(new.get(name, "-")))
    return table


def _summary(found: Sequence[Change], before: Document, after: Document) -> str:
    counts = {verdict: sum(change.verdict == verdict for change in found) for verdict in ("better", "worse", "same")}
    parts = [f"{count} {verdict}" for verdict, count in counts.items()]
    unknown = len(found) - sum(counts.values())
    if unknown:
        parts.append(f"{unknown} with too few rounds to tell: 5 on both sides are enough")
    names = [{result.name for result in run.results} for run in (before, after)]
    if alone := sorted(names[0] ^ names[1]):
        parts.append(f"in one file only: {', '.join(alone)}")
    return "; ".join(parts)
