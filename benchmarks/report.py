"""Results as JSON and as tables."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.peers import YARDSTICK
from benchmarks.rounds import Result
from benchmarks.scenarios import Measure, Options
from benchmarks.summary import Figure, ratio

NOTHING = "-"


def as_json(results: Sequence[Result], *, machine: Mapping[str, Any], options: Options, taken_at: str) -> str:
    """Everything that was measured, each round's value included."""
    document = {
        "taken_at": taken_at,
        "machine": dict(machine),
        "options": asdict(options),
        "yardstick": YARDSTICK,
        "scenarios": [_scenario(result) for result in results],
    }
    return json.dumps(document, indent=1, default=float) + "\n"


def write(text: str, *, folder: Path, taken_at: str) -> Path:
    """Puts a document into the folder of results; gives its path."""
    folder.mkdir(exist_ok=True)
    path = folder / f"{taken_at.replace(':', '').replace('-', '')}.json"
    path.write_text(text)
    return path


def show(results: Sequence[Result], console: Console) -> None:
    """Prints a table for each scenario: median, and lowest to highest in brackets."""
    for result in results:
        console.print(_table(result))
        for remark in result.remarks:
            console.print(f"  {remark}", markup=False, highlight=False)
        console.print()


def ratios(figures: Mapping[str, Mapping[str, Figure]]) -> dict[str, dict[str, float]]:
    """By peer and measure: how many times the yardstick's value it is."""
    yardstick = figures.get(YARDSTICK, {})
    found = {
        peer: {key: ratio(figure, yardstick[key]) for key, figure in of_peer.items() if key in yardstick}
        for peer, of_peer in figures.items()
        if peer != YARDSTICK
    }
    return {
        peer: {key: value for key, value in of_peer.items() if value is not None} for peer, of_peer in found.items()
    }


def text_of(figure: Figure | None, digits: int) -> str:
    """`median [low-high]`."""
    if figure is None:
        return NOTHING
    return f"{figure.median:,.{digits}f} [{figure.low:,.{digits}f}-{figure.high:,.{digits}f}]"


def _scenario(result: Result) -> dict[str, Any]:
    compared = {measure.key for measure in result.scenario.measures if measure.compared}
    return {
        "name": result.scenario.name,
        "title": result.scenario.title,
        "figures": {
            peer: {key: asdict(figure) for key, figure in figures.items()} for peer, figures in result.figures.items()
        },
        "ratios": {
            peer: {key: value for key, value in of_peer.items() if key in compared}
            for peer, of_peer in ratios(result.figures).items()
        },
        "remarks": list(result.remarks),
    }


def _table(result: Result) -> Table:
    table = Table(title=result.scenario.title, title_justify="left")
    table.add_column("median [low-high]")
    peers = list(result.figures)
    against = [peer for peer in peers if peer != YARDSTICK]
    for peer in peers:
        table.add_column(peer, justify="right")
    for peer in against:
        table.add_column(f"{peer} / {YARDSTICK}", justify="right")
    factors = ratios(result.figures)
    for measure in result.scenario.measures:
        cells = [text_of(result.figures[peer].get(measure.key), measure.digits) for peer in peers]
        if set(cells) != {NOTHING}:
            table.add_row(measure.label, *cells, *(_factor(factors[peer], measure) for peer in against))
    return table


def _factor(factors: Mapping[str, float], measure: Measure) -> str:
    value = factors.get(measure.key) if measure.compared else None
    return NOTHING if value is None else f"{value:.2f}"
