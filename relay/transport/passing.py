"""Bytes of a stream that go where they belong as they arrive, without being kept."""

from collections.abc import Callable

import trio

Give = Callable[[memoryview], int]
"""Takes the beginning of some bytes and returns how many; what it does not take is offered again by other ways.

It may raise what a trio stream raises; that counts as nothing taken, and whoever sends the same bytes meets the fault.
"""


class Passing:
    """The next `left` bytes of one stream, and who takes them."""

    __slots__ = ("_give", "_left", "goes_on")

    def __init__(self, most: int, give: Give) -> None:
        self._left = most
        self._give = give
        self.goes_on = most > 0
        """Whether everything was taken so far, and more may be."""

    def take(self, data: memoryview) -> int:
        """Offers received bytes; returns how many were taken."""
        offered = min(len(data), self._left)
        try:
            taken = self._give(data[:offered])
        except (OSError, trio.BrokenResourceError, trio.ClosedResourceError):
            taken = 0
        self._left -= taken
        self.goes_on = taken == len(data) and self._left > 0
        return taken
