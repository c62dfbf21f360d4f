"""How long to wait before the API server is asked again. Pure."""

from relay.kubernetes.errors import TooManyRequestsError

FIRST_SECONDS = 0.25
"""Upper end of the first pause: a lost connection or a conflict is over by then."""
LIMIT_SECONDS = 30.0
"""Upper end of all later ones: what was mended counts within half a minute."""

MAX_ASKED_SECONDS = 300.0
"""Of what the API server asks for: a slip of a proxy before it must not silence anything for days."""


def pause_seconds(failures: int, random_number: float, error: Exception | None = None) -> float:
    """The pause after so many failures in a row (1 or more), drawn from nothing to a ceiling that doubles.

    Where the API server said how long, it is that and the draw on top, so that not all come back at once.
    """
    drawn = random_number * min(LIMIT_SECONDS, FIRST_SECONDS * 2.0 ** min(failures - 1, 16))
    asked = error.retry_after_seconds if isinstance(error, TooManyRequestsError) else 0.0
    return min(asked, MAX_ASKED_SECONDS) + drawn
