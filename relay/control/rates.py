"""How often the API may be asked: per credential, and per address for those who present none that is known."""

from collections.abc import Callable, Iterable
from math import ceil

from relay.auth import Allowance, RateLimiter, network_of
from relay.errors import RateLimitedError

FAILURES_PER_MINUTE = 60
"""A person who mistypes, or a program with an old key, asks less often; somebody who guesses needs more."""


class Rates:
    """The buckets of one process."""

    def __init__(self, *, requests_per_minute: int, clock: Callable[[], float]) -> None:
        self._requests = RateLimiter(per_minute=requests_per_minute)
        self._failures = RateLimiter(per_minute=FAILURES_PER_MINUTE)
        self._clock = clock

    def count(self, credential_id: str) -> Allowance:
        """Counts a request of a credential; whether it may be answered stands in the outcome."""
        return self._requests.spend(credential_id, self._clock())

    def require_trust(self, address: str) -> None:
        """Raises RateLimitedError when so many attempts of this address failed that the next is not looked at."""
        _require_trust(self._failures.peek(network_of(address), self._clock()))

    def count_failure(self, address: str) -> None:
        """Counts a failed attempt. Raises RateLimitedError when there were too many."""
        _require_trust(self._failures.spend(network_of(address), self._clock()))


def require(allowance: Allowance) -> None:
    """Raises RateLimitedError unless the request may be answered."""
    if not allowance.allowed:
        raise RateLimitedError(
            f"this credential may ask {allowance.limit} times a minute",
            retry_after_seconds=allowance.retry_after_seconds,
        )


def rate_headers(allowance: Allowance) -> Iterable[tuple[bytes, bytes]]:
    """RateLimit headers: how many requests a full bucket holds, how many are left, seconds until it is full again."""
    yield b"ratelimit-limit", b"%d" % allowance.limit
    yield b"ratelimit-remaining", b"%d" % allowance.remaining
    yield b"ratelimit-reset", b"%d" % ceil(allowance.reset_seconds)


def retry_after(seconds: float) -> str:
    """The value of Retry-After (RFC 9110 section 10.2.3): whole seconds, late rather than early."""
    return str(max(1, ceil(seconds)))


def _require_trust(allowance: Allowance) -> None:
    if not allowance.allowed:
        raise RateLimitedError(
            "too many requests without a valid credential came from this address",
            retry_after_seconds=allowance.retry_after_seconds,
        )
