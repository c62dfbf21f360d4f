"""The primary rate limit: counted for each caller, told in each answer."""

from dataclasses import dataclass, field

from tests.support.fake_github.clock import Clock

WINDOW_SECONDS = 3600
ANONYMOUS_LIMIT = 60


@dataclass(slots=True)
class _Window:
    reset: float
    used: int = 0


@dataclass(slots=True)
class RateLimits:
    """`limit` calls an hour for each app, installation and user; 60 for strangers."""

    clock: Clock
    limit: int = 5000
    _windows: dict[str, _Window] = field(default_factory=dict)

    def count(self, key: str) -> tuple[bool, dict[str, str]]:
        """Counts one call, the state's lock being held; gives whether it is within the limit, and the headers."""
        now = self.clock.now()
        window = self._windows.get(key)
        if window is None or window.reset <= now:
            window = self._windows[key] = _Window(reset=now + WINDOW_SECONDS)
        limit = ANONYMOUS_LIMIT if key in {"none", "bad"} else self.limit
        window.used += 1
        return window.used <= limit, headers(limit, min(window.used, limit), window.reset)


def headers(limit: int, used: int, reset: float) -> dict[str, str]:
    """As each answer of the API has them."""
    return {
        "x-ratelimit-limit": str(limit),
        "x-ratelimit-remaining": str(limit - used),
        "x-ratelimit-used": str(used),
        "x-ratelimit-reset": str(int(reset)),
        "x-ratelimit-resource": "core",
    }
