"""When a worker that ended on its own is started again: a pure decision."""

from typing import Final

FIRST_SECONDS: Final = 0.1
"""Visitors who connect meanwhile wait in the kernel's queue; one crash costs them no more than the start."""
LIMIT_SECONDS: Final = 30.0
"""What fails at every start is not helped by trying it more often."""
STEADY_SECONDS: Final = 60.0
"""A worker that lived so long was well: its end is the first failure again."""
QUEUE_FAILURES: Final = 2
"""From so many failures in a row on, nobody is left to wait in the queue of a slot that may not come back."""


class Restarts:
    """Counts the failures of one slot."""

    def __init__(self) -> None:
        self.failures = 0
        """In a row."""

    def ended(self, lived_seconds: float) -> float:
        """A worker ended unasked after `lived_seconds`; gives the seconds to wait before the next one."""
        self.failures = 1 if lived_seconds >= STEADY_SECONDS else self.failures + 1
        return float(min(LIMIT_SECONDS, FIRST_SECONDS * 2.0 ** min(self.failures - 1, 32)))

    @property
    def keeps_queue(self) -> bool:
        """Whether connections should wait for the next worker of the slot."""
        return self.failures < QUEUE_FAILURES
