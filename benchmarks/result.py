"""What a scenario gave, whether just now or read from a file."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from benchmarks.scenarios import Measure
from benchmarks.summary import Figure, ratio


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One scenario's figures; name, title, family, variant and axis are the scenario's."""

    name: str
    title: str
    measures: Sequence[Measure]
    figures: Mapping[str, Mapping[str, Figure]]
    """By peer, then by measure."""
    remarks: tuple[str, ...] = ()
    """Each said once, whatever the number of rounds it was true in."""
    load_bound: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """By peer: measures that at least one round could not give because the load generator was the bottleneck."""
    family: str = ""
    variant: str = ""
    axis: str = ""

    def ratios(self, yardstick: str) -> dict[str, dict[str, float]]:
        """By peer and compared measure: how many times the yardstick's value it is."""
        compared = {measure.key for measure in self.measures if measure.compared}
        base = self.figures.get(yardstick, {})
        found = {
            peer: {key: ratio(figure, base[key]) for key, figure in figures.items() if key in base and key in compared}
            for peer, figures in self.figures.items()
            if peer != yardstick
        }
        return {
            peer: {key: value for key, value in of_peer.items() if value is not None} for peer, of_peer in found.items()
        }


def families(results: Iterable[Result]) -> dict[str, list[Result]]:
    """Results that share a picture, by its name, in the order in which they came."""
    found: dict[str, list[Result]] = {}
    for result in results:
        found.setdefault(result.family or result.name, []).append(result)
    return found
