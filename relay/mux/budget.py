"""Budgets for receive windows: what is granted, not what happens to be buffered, so a peer cannot pass them."""

from typing import Final

from relay.mux.limits import MIB, MIN_WINDOW_BYTES

NEW_STREAM_SHARE: Final = 512
"""A new stream gets at most 1/512 of what is left: as memory runs short windows shrink, and streams still open."""
GROWTH_RESERVE: Final = 4
"""Growth never touches the last quarter: it is kept for new streams."""


GROWTH_SHARE: Final = 16
"""A window grows by at most 1/16 of what is left to growth: beside other fast streams windows stay smaller, and a few
streams never take it all."""


class ReceiveBudget:
    """The receive windows of all sessions of a process together."""

    __slots__ = ("total_bytes", "used_bytes")

    def __init__(self, total_bytes: int = 512 * MIB) -> None:
        self.total_bytes = total_bytes
        """The limit."""
        self.used_bytes = 0
        """What open streams have been granted."""

    @property
    def is_short(self) -> bool:
        """Whether new streams get less than they ask for, or will soon: nothing should be kept for later."""
        return self.used_bytes > self.total_bytes - self.total_bytes // GROWTH_RESERVE


class Account:
    """What one session has taken from its own budget and from the process's."""

    __slots__ = ("_limit", "_shared", "used_bytes")

    def __init__(self, limit_bytes: int, shared: ReceiveBudget) -> None:
        self._limit = limit_bytes
        self._shared = shared
        self.used_bytes = 0

    def _left(self) -> int:
        return min(self._limit - self.used_bytes, self._shared.total_bytes - self._shared.used_bytes)

    def _take(self, size: int) -> None:
        self.used_bytes += size
        self._shared.used_bytes += size

    def take_window(self, wanted_bytes: int) -> int:
        """Takes the window of a new stream: `wanted_bytes`, or less when memory is short, or 0 for none."""
        left = self._left()
        window = min(wanted_bytes, max(MIN_WINDOW_BYTES, left // NEW_STREAM_SHARE))
        if window > left:
            return 0
        self._take(window)
        return window

    def take_exactly(self, size: int) -> bool:
        """Takes a window whose size was promised before; False if there is no room."""
        if size > self._left():
            return False
        self._take(size)
        return True

    def take_growth(self, size: int) -> bool:
        """Takes `size` more for an open stream; False if that is too much of what is left to growth."""
        shared = self._shared
        left = shared.total_bytes - shared.used_bytes - shared.total_bytes // GROWTH_RESERVE
        if size * GROWTH_SHARE > left:
            return False
        if self._limit - self.used_bytes - size < self._limit // GROWTH_RESERVE:
            return False
        self._take(size)
        return True

    def release(self, size: int) -> None:
        """Gives back what an ended stream was granted."""
        self.used_bytes -= size
        self._shared.used_bytes -= size
