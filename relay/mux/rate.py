"""A token bucket: how often something may happen."""


class Rate:
    """Allows `per_second` in the long run and `burst` at once. Times are the caller's clock, in seconds."""

    __slots__ = ("_burst", "_level", "_per_second", "_updated_at")

    def __init__(self, per_second: float, burst: float, now: float) -> None:
        self._per_second = per_second
        self._burst = burst
        self._level = burst
        self._updated_at = now

    def level(self, now: float) -> float:
        """How many may happen now."""
        elapsed = now - self._updated_at
        if elapsed > 0:
            self._level = min(self._burst, self._level + elapsed * self._per_second)
            self._updated_at = now
        return self._level

    def take(self, now: float) -> bool:
        """Counts one; False if it is one too many."""
        if self.level(now) < 1:
            return False
        self._level -= 1
        return True
