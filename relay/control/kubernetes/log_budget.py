"""How many logs are read at once for one org."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from relay.errors import RelayError


class TooManyLogStreamsError(RelayError):
    """The org has as many log streams open as it may."""

    code = "too_many_log_streams"
    status = 429


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLimits:
    """Limits on log streams; docs/limits.md gives the reasons."""

    streams_per_org: int = 16
    containers_per_org: int = 64
    stream_seconds: float = 3600


class LogBudget:
    """Counts the log streams of each org, and the containers that they read."""

    def __init__(self, limits: LogLimits) -> None:
        self.limits = limits
        self._streams: Counter[str] = Counter()
        self._containers: Counter[str] = Counter()

    @contextmanager
    def stream(self, org_id: str) -> Iterator[None]:
        """Counts a stream for the time of the block. Raises TooManyLogStreamsError."""
        most = self.limits.streams_per_org
        if self._streams[org_id] >= most:
            raise TooManyLogStreamsError(
                f"this org has {most} log streams open (limits.log_streams_per_org): end one of them first"
            )
        self._streams[org_id] += 1
        try:
            yield
        finally:
            _give_back(self._streams, org_id)

    def take_container(self, org_id: str) -> bool:
        """Counts one more container whose log is read, where there is room; `give_back` ends it."""
        if self._containers[org_id] >= self.limits.containers_per_org:
            return False
        self._containers[org_id] += 1
        return True

    def give_back(self, org_id: str) -> None:
        """A container's log is read no longer."""
        _give_back(self._containers, org_id)


def _give_back(counts: Counter[str], key: str) -> None:
    counts[key] -= 1
    if not counts[key]:
        del counts[key]
