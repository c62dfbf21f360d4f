"""The choice among several live tunnels of a cluster."""

from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")


def pick_of_two(candidates: Sequence[T], load: Callable[[T], float], random: Callable[[], float]) -> T | None:
    """The less loaded of two different candidates drawn at random; the only one; or None when there is none.

    `random` gives floats in [0, 1). Two choices keep the largest load at log log n above the average (Mitzenmacher,
    "The power of two choices in randomized load balancing"), at a cost that does not grow with the candidates.
    """
    count = len(candidates)
    if count < 2:  # noqa: PLR2004 - two choices need two candidates
        return candidates[0] if count else None
    first = int(random() * count)
    # The second is drawn from the others: skipping `first` by an offset from 1 to count - 1.
    second = (first + 1 + int(random() * (count - 1))) % count
    return min(candidates[first], candidates[second], key=load)
