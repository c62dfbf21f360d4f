"""How often one caller may ask: token buckets, as many as there are callers, within a bound; pure, `now` comes in."""

from collections import OrderedDict
from dataclasses import dataclass

MAX_BUCKETS = 65_536
"""Buckets kept: about 200 bytes each. Beyond that the one used longest ago is forgotten, which fills it."""
SECONDS_PER_MINUTE = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """What a bucket holds after a request was counted."""

    allowed: bool
    """Whether the request may be answered."""
    limit: int
    """Requests that a full bucket holds."""
    remaining: int
    """Whole requests left now."""
    reset_seconds: float
    """Until the bucket is full again."""
    retry_after_seconds: float
    """Until one request fits; 0 while one does."""


class RateLimiter:
    """A bucket of `per_minute` requests for each key, refilled steadily: bursts pass, the average is held.

    Buckets that nobody touches cost nothing but memory, and that is bounded by `max_buckets`.
    """

    def __init__(self, *, per_minute: int, max_buckets: int = MAX_BUCKETS) -> None:
        self._limit = per_minute
        self._per_second = per_minute / SECONDS_PER_MINUTE
        self._max_buckets = max_buckets
        self._full_at: OrderedDict[str, float] = OrderedDict()
        """When each bucket is full; one number holds level and time. The one touched last stands last."""

    def __len__(self) -> int:
        return len(self._full_at)

    def peek(self, key: str, now: float) -> Allowance:
        """What `spend` would say, without counting a request. `now` is in seconds on any clock that never goes back."""
        full_at = max(self._full_at.get(key, now), now)
        return self._allowance(full_at - now, allowed=self._level(full_at - now) >= 1)

    def spend(self, key: str, now: float) -> Allowance:
        """Counts a request. One that is refused costs nothing, so that a caller who waits gets through."""
        missing = max(self._full_at.get(key, now), now) - now
        allowed = self._level(missing) >= 1
        if allowed:
            missing += 1 / self._per_second
            self._full_at[key] = now + missing
            self._full_at.move_to_end(key)
            if len(self._full_at) > self._max_buckets:
                self._full_at.popitem(last=False)
        return self._allowance(missing, allowed=allowed)

    def _level(self, missing_seconds: float) -> float:
        # Rounded: sums of fractions of a second must not cost the last request of a bucket.
        return round(self._limit - missing_seconds * self._per_second, 6)

    def _allowance(self, missing_seconds: float, *, allowed: bool) -> Allowance:
        level = self._level(missing_seconds)
        return Allowance(
            allowed=allowed,
            limit=self._limit,
            remaining=int(level),
            reset_seconds=missing_seconds,
            retry_after_seconds=max(0.0, (1 - level) / self._per_second),
        )
