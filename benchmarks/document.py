"""Results as a file: everything that was measured, each round's value included."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.processes import BenchmarkError
from benchmarks.result import Result
from benchmarks.scenarios import Measure
from benchmarks.summary import Figure

FORMAT = "relay-benchmarks 1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One run."""

    taken_at: str
    """UTC, RFC 3339."""
    seconds: float
    """How long all rounds took."""
    complete: bool
    """False: somebody ended it before its last scenario."""
    machine: Mapping[str, Any]
    options: Mapping[str, Any]
    yardstick: str
    peers: Mapping[str, Mapping[str, str]]
    """By name: `note` and `version`, see `benchmarks.peers.LivePeer`."""
    results: Sequence[Result]

    @property
    def notes(self) -> dict[str, str]:
        """By peer, what a reader of its column must know."""
        return {name: facts.get("note", "") for name, facts in self.peers.items()}


def as_json(document: Document) -> str:
    """The text of its file."""
    values = {
        "format": FORMAT,
        "taken_at": document.taken_at,
        "seconds": round(document.seconds, 1),
        "complete": document.complete,
        "machine": dict(document.machine),
        "options": dict(document.options),
        "yardstick": document.yardstick,
        "peers": {name: dict(facts) for name, facts in document.peers.items()},
        "scenarios": [_scenario(result, document.yardstick) for result in document.results],
    }
    return json.dumps(values, indent=1, default=float) + "\n"


def write(document: Document, folder: Path) -> Path:
    """Puts it into the folder of results, named by its time; gives its path."""
    folder.mkdir(exist_ok=True)
    path = folder / f"{document.taken_at.replace(':', '').replace('-', '')}.json"
    path.write_text(as_json(document))
    return path


def read(path: Path) -> Document:
    """Reads what `write` wrote. Raises BenchmarkError, one line, for a file that is none of ours or cannot be read."""
    try:
        values = json.loads(path.read_text())
    except OSError as error:
        raise BenchmarkError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise BenchmarkError(f"{path} is not JSON") from error
    found = values.get("format") if isinstance(values, dict) else None
    if found != FORMAT:
        raise BenchmarkError(f"{path} is no result of these benchmarks: its format is {found!r}, not {FORMAT!r}")
    try:
        return _document(values)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BenchmarkError(f"{path} is damaged: {type(error).__name__} {error}") from error


def _scenario(result: Result, yardstick: str) -> dict[str, Any]:
    return {
        "name": result.name,
        "title": result.title,
        "family": result.family,
        "variant": result.variant,
        "axis": result.axis,
        "measures": [asdict(measure) for measure in result.measures],
        "figures": {
            peer: {key: {**asdict(figure), "spread": figure.spread} for key, figure in figures.items()}
            for peer, figures in result.figures.items()
        },
        "ratios": result.ratios(yardstick),
        "load_bound": {peer: sorted(keys) for peer, keys in result.load_bound.items()},
        "remarks": list(result.remarks),
    }


def _document(values: Mapping[str, Any]) -> Document:
    return Document(
        taken_at=str(values["taken_at"]),
        seconds=float(values["seconds"]),
        complete=bool(values["complete"]),
        machine=dict(values["machine"]),
        options=dict(values["options"]),
        yardstick=str(values["yardstick"]),
        peers={name: dict(facts) for name, facts in values["peers"].items()},
        results=[_result(scenario) for scenario in values["scenarios"]],
    )


def _result(values: Mapping[str, Any]) -> Result:
    return Result(
        name=values["name"],
        title=values["title"],
        family=values["family"],
        variant=values["variant"],
        axis=values["axis"],
        measures=[Measure(**measure) for measure in values["measures"]],
        figures={
            peer: {key: _figure(figure) for key, figure in figures.items()}
            for peer, figures in values["figures"].items()
        },
        remarks=tuple(values["remarks"]),
        load_bound={peer: frozenset(keys) for peer, keys in values["load_bound"].items()},
    )


def _figure(values: Mapping[str, Any]) -> Figure:
    figure = Figure.of([None if value is None else float(value) for value in values["rounds"]])
    if figure is None:
        raise ValueError("a figure without a value")
    return figure
