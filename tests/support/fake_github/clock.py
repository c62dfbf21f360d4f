"""A clock that tests move: tokens and codes expire by it, so that no test has to wait."""

import datetime as dt
import threading
import time


class Clock:
    """Wall-clock time, shifted by whatever tests advanced it; `freeze` stops it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._offset = 0.0
        self._frozen: float | None = None

    def now(self) -> float:
        """Unix seconds."""
        with self._lock:
            return time.time() + self._offset if self._frozen is None else self._frozen

    def advance(self, seconds: float) -> None:
        """Moves the clock forward, or back where negative."""
        with self._lock:
            self._offset += seconds
            if self._frozen is not None:
                self._frozen += seconds

    def freeze(self, at: float | None = None) -> float:
        """Stops the clock, at `at` where given; gives the time it shows."""
        now = self.now() if at is None else at
        with self._lock:
            self._frozen = now
        return now


def iso(at: float) -> str:
    """As GitHub writes times: UTC, whole seconds."""
    return dt.datetime.fromtimestamp(at, dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def iso_or_none(at: float | None) -> str | None:
    """The same for a time that may be missing."""
    return None if at is None else iso(at)
