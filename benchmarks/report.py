"""Results as tables."""

from collections.abc import Iterable, Mapping

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from benchmarks.result import Result
from benchmarks.scenarios import Measure
from benchmarks.summary import Figure

NOTHING = "-"
LOAD_BOUND = "load-bound"
"""Instead of a figure that would tell of the load generator."""
HEADLINES = 3
"""Measures in a line about one round."""
LABEL_COLUMNS = 44
PEER_COLUMNS = 40
"""What a table takes in a file or a pipe, where there is no terminal whose width counts."""


def width_for(peers: int) -> int:
    """Columns that a table with so many peers needs."""
    return LABEL_COLUMNS + PEER_COLUMNS * max(3, peers)


def show(result: Result, console: Console, *, yardstick: str, notes: Mapping[str, str]) -> None:
    """Prints a scenario's table and remarks."""
    console.print(table_of(result, yardstick=yardstick, notes=notes))
    for remark in result.remarks:
        console.print(f"  {remark}", markup=False, highlight=False)
    console.print()


def table_of(result: Result, *, yardstick: str, notes: Mapping[str, str]) -> Table:
    """Median, lowest to highest in brackets, and how many times the yardstick's value it is.

    Args:
        result: What to show; may be of a run under way.
        yardstick: The peer that the others are divided by.
        notes: By peer, what a reader of its column must know.
    """
    said = [f"{peer}: {notes[peer]}" for peer in result.figures if notes.get(peer)]
    table = Table(title=result.title, title_justify="left", caption="\n".join(said) or None, caption_justify="left")
    table.add_column(escape("median [low-high]"))
    for peer in result.figures:
        table.add_column(peer if peer == yardstick else f"{peer} (x {yardstick})", justify="right")
    factors = result.ratios(yardstick)
    for measure in result.measures:
        cells = [_cell(result, peer, measure, factors.get(peer, {})) for peer in result.figures]
        if set(cells) != {NOTHING}:
            table.add_row(measure.label, *cells)
    return table


def headline(result: Result, peer: str) -> str:
    """A peer's latest round in a line."""
    found = []
    for measure in result.measures:
        figure = result.figures[peer].get(measure.key)
        if measure.compared and figure is not None and (value := figure.rounds[-1]) is not None:
            found.append(f"{measure.label} {value:,.{measure.digits}f}")
    return ", ".join(found[:HEADLINES]) or "no figure"


def text_of(figure: Figure, digits: int) -> str:
    """`median [low-high]`."""
    return f"{figure.median:,.{digits}f} [{figure.low:,.{digits}f}-{figure.high:,.{digits}f}]"


def lines_of(facts: Mapping[str, object]) -> Iterable[str]:
    """`name: value` each."""
    return (f"{name}: {value}" for name, value in facts.items())


def _cell(result: Result, peer: str, measure: Measure, factors: Mapping[str, float]) -> str:
    figure = result.figures[peer].get(measure.key)
    if figure is None:
        return LOAD_BOUND if measure.key in result.load_bound.get(peer, ()) else NOTHING
    factor = factors.get(measure.key)
    return text_of(figure, measure.digits) + ("" if factor is None else f"  x{factor:.2f}")
