from collections.abc import Mapping, Sequence

from benchmarks.document import Document
from benchmarks.result import Result
from benchmarks.scenarios import Measure
from benchmarks.summary import Figure

MEASURES = (
    Measure(key="rate", label="requests/s", more_is_better=True),
    Measure(key="cost", label="CPU, us/request", digits=1),
    Measure(key="own", label="own ratio", digits=2, compared=False),
    Measure(key="front_share", label="front, % of a core", compared=False),
)
Rounds = Mapping[str, Mapping[str, Sequence[float | None]]]
"""By peer, then by measure."""


def result(rounds: Rounds, *, name: str = "requests-1", variant: str = "", axis: str = "") -> Result:
    figures: dict[str, dict[str, Figure]] = {}
    for peer, measures in rounds.items():
        figures[peer] = {}
        for key, values in measures.items():
            figure = Figure.of(values)
            assert figure is not None
            figures[peer][key] = figure
    return Result(
        name=name,
        title="a title",
        family="requests",
        variant=variant,
        axis=axis,
        measures=MEASURES,
        figures=figures,
        remarks=("relay: a remark",),
        load_bound={"no relay": frozenset({"rate"})},
    )


def document(*results: Result, machine: Mapping[str, object] | None = None, complete: bool = True) -> Document:
    return Document(
        taken_at="2026-01-02T03:04:05Z",
        seconds=12.5,
        complete=complete,
        machine={"cores": 2, "load_average": 0.1} if machine is None else machine,
        options={"rounds": 5},
        yardstick="nginx",
        peers={"relay": {"note": "all on", "version": "CPython 3.13.0"}, "nginx": {"note": "", "version": ""}},
        results=results,
    )
