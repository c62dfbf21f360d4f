"""How long the agent waits before it dials the relay again. Pure: the random number comes in, seconds go out."""

from collections.abc import Callable
from dataclasses import dataclass

FIRST_SECONDS = 0.5
"""Upper end of the first wait: short enough that a relay which blinked costs no visitor a second request."""
LIMIT_SECONDS = 30.0
"""Upper end of every later wait: after a long outage the cluster is back within half a minute of the relay."""
REFUSED_SECONDS = (30.0, 60.0)
"""Between which a refused token is tried again: a new token is noticed in its file at once, so this only serves a
relay that changes its mind, and must not become a way to guess or to hammer."""
WINDOW_LIMIT_SECONDS = 300.0
"""The longest retry window that a relay may ask for; a larger figure is a mistake that would keep a cluster away."""
STEADY_SECONDS = 10.0
"""A tunnel that lived this long was a success. One that dies sooner counts as one more failure, so that a relay which
accepts and drops at once meets the same growing waits as one that refuses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """Full-jitter exponential waits: each is uniform between nothing and a ceiling that doubles up to a limit.

    Of the jitter schemes compared in "Exponential Backoff And Jitter" (M. Brooker, 2015) full jitter gives the least
    work to the server and the shortest time until all clients are back.
    """

    random: Callable[[], float]
    """Uniform in [0, 1)."""
    first_seconds: float = FIRST_SECONDS
    limit_seconds: float = LIMIT_SECONDS

    def ceiling(self, failures: int) -> float:
        """The longest wait after `failures` failures in a row (1 or more)."""
        # Past some doublings the limit rules anyway; the bound keeps 2**n a small number for ever.
        return min(self.limit_seconds, self.first_seconds * 2.0 ** min(failures - 1, 32))

    def after_failure(self, failures: int) -> float:
        """Seconds to wait after `failures` failures in a row (1 or more)."""
        return self.random() * self.ceiling(failures)

    def after_refusal(self) -> float:
        """Seconds to wait after the relay refused the token."""
        low, high = REFUSED_SECONDS
        return low + self.random() * (high - low)

    def within(self, window_seconds: float) -> float:
        """Seconds to wait when the relay asked its agents to spread over `window_seconds`."""
        return self.random() * max(0.0, min(window_seconds, WINDOW_LIMIT_SECONDS))
