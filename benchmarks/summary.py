"""Medians, spread and ratios of rounds."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One measure of one peer over all rounds."""

    median: float
    low: float
    high: float
    rounds: tuple[float | None, ...]
    """Each round's value, None where the round could not give one."""

    @classmethod
    def of(cls, rounds: Sequence[float | None]) -> Self | None:
        """Summarises; None when no round gave a value."""
        values = [value for value in rounds if value is not None]
        if not values:
            return None
        return cls(median=statistics.median(values), low=min(values), high=max(values), rounds=tuple(rounds))

    @property
    def values(self) -> list[float]:
        """Of the rounds that gave one."""
        return [value for value in self.rounds if value is not None]

    @property
    def spread(self) -> float:
        """Highest less lowest, as a share of the median."""
        return (self.high - self.low) / self.median if self.median else 0.0


def ratio(figure: Figure, yardstick: Figure) -> float | None:
    """The median of the rounds' own ratios: what changes between rounds on a busy machine falls out of it."""
    found = ratios(figure, yardstick)
    return statistics.median(found) if found else None


def ratios(figure: Figure, yardstick: Figure) -> list[float]:
    """Each round's own ratio, for the rounds that both have: one of them may be a round ahead in a run under way."""
    pairs = zip(figure.rounds, yardstick.rounds, strict=False)
    return [ours / theirs for ours, theirs in pairs if ours is not None and theirs]


def by_measure(rounds: Sequence[Mapping[str, float | None]]) -> dict[str, Figure]:
    """Turns rounds of measures into measures of rounds; a measure that no round gave is left out."""
    names = dict.fromkeys(name for measures in rounds for name in measures)
    figures = {name: Figure.of([measures.get(name) for measures in rounds]) for name in names}
    return {name: figure for name, figure in figures.items() if figure is not None}
