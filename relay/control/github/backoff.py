"""How long to wait before the next try: exponential with full jitter, and never less than GitHub asked for; pure."""

FIRST_SECONDS = 2.0
LONGEST_SECONDS = 600.0
"""Ten minutes after GitHub is back, everything has been tried again."""
SPREAD_SECONDS = 5.0
"""After a pause that GitHub asked for, not all come in the same second."""
_DOUBLINGS = 10


def pause_seconds(attempt: int, random_number: float, *, asked_seconds: float | None = None) -> float:
    """The pause after a try that failed.

    Args:
        attempt: which try that was, from 1 on.
        random_number: from 0 to 1.
        asked_seconds: what GitHub asked for, Retry-After or the reset of a rate limit.
    """
    longest = min(FIRST_SECONDS * 2.0 ** min(max(attempt - 1, 0), _DOUBLINGS), LONGEST_SECONDS)
    pause = random_number * longest
    return pause if asked_seconds is None else max(pause, asked_seconds + random_number * SPREAD_SECONDS)
