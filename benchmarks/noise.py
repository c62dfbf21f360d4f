"""Whether two sets of rounds differ by more than chance."""

from collections import Counter
from collections.abc import Sequence
from math import comb

MAY_BE_CHANCE = 0.01
"""A run has about a hundred figures: at one in a hundred, one of them looks changed when none is."""
SMALLEST_CHANGE = 0.03
"""Less than this between medians is of no interest, however sure."""


def chance(before: Sequence[float], after: Sequence[float]) -> float:
    """How likely rounds fall this far apart, or further, in either direction, when nothing has changed.

    The exact rank test of Wilcoxon, Mann and Whitney: it asks only which rounds are higher than which, so it needs no
    idea of how noise is distributed, and one wild round counts as no more than the highest. Equal values share their
    ranks.
    """
    ranks = _doubled_ranks([*before, *after])
    ways = _ways(ranks, len(before))
    middle = len(before) * (len(ranks) + 1)
    distance = abs(sum(ranks[: len(before)]) - middle)
    as_far = sum(count for total, count in ways.items() if abs(total - middle) >= distance)
    return as_far / comb(len(ranks), len(before))


def can_tell(before: int, after: int) -> bool:
    """Whether so many rounds are enough for any difference to show."""
    return min(before, after) > 0 and 2 / comb(before + after, before) <= MAY_BE_CHANCE


def _doubled_ranks(values: Sequence[float]) -> list[int]:
    """Twice the rank of each value, counted from 1, so that shared ranks are whole numbers too."""
    return [
        sum(other < value for other in values) * 2 + sum(other == value for other in values) + 1 for value in values
    ]


def _ways(ranks: Sequence[int], size: int) -> Counter[int]:
    """How many choices of `size` of the ranks have each sum."""
    found: list[Counter[int]] = [Counter({0: 1}), *(Counter() for _ in range(size))]
    for rank in ranks:
        for chosen in range(size, 0, -1):
            for total, count in found[chosen - 1].items():
                found[chosen][total + rank] += count
    return found[size]
