"""A container's log as lines: cut from pieces that end anywhere, continued where a connection broke. No I/O."""

import re
from datetime import datetime

MAX_LINE_BYTES = 65536
"""Longer lines are passed on in parts, so that a container that never ends a line costs no memory."""
_STAMP = re.compile(rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d{1,9})?(Z|[+-]\d\d:\d\d)")


class LogLines:
    """Takes a log with timestamps, gives its lines without their ends.

    The timestamps tell where to go on: the API server is asked again from the second of the last line, and the lines
    that were given already are left out.
    """

    def __init__(self, *, timestamps: bool = False) -> None:
        """`timestamps`: whether the lines keep theirs."""
        self.count = 0
        """Lines of the container's that were given so far."""
        self.opened_at: float | None = None
        """When the log was opened for the first time, by the clock of whoever reads it."""
        self._timestamps = timestamps
        self._rest = b""
        self._inside = False  # of a line whose beginning was given already
        self._omitting = False  # the line that is inside
        self._last = b""
        self._last_count = 0  # lines that have this stamp
        self._known: tuple[int, int] | None = None
        self._known_count = 0

    @property
    def since_time(self) -> str:
        """From when to ask again, RFC 3339; empty before the first line."""
        match = _STAMP.fullmatch(self._last)
        return "" if match is None else (match[1] + match[3]).decode()

    def resume(self) -> None:
        """What is fed next was asked for by `since_time`: lines that were given already come again."""
        self._rest = b""
        self._inside = self._omitting = False
        if self._last:
            self._known, self._known_count = _moment(self._last), self._last_count

    def feed(self, piece: bytes) -> list[bytes]:
        """The lines that end in a piece."""
        *whole, self._rest = (self._rest + piece).split(b"\n")
        lines = [text for line in whole if (text := self._take(line)) is not None]
        if len(self._rest) > MAX_LINE_BYTES:
            text = self._take(self._rest)
            self._inside, self._rest = True, b""
            lines += [] if text is None else [text]
        return lines

    def end(self) -> list[bytes]:
        """The last line, where the log ended without a line feed."""
        text = self._take(self._rest) if self._rest else None
        self._rest = b""
        self._inside = False
        return [] if text is None else [text]

    def _take(self, line: bytes) -> bytes | None:
        """What is given of a line; None for one that was given before."""
        if self._inside:
            self._inside = False
            return None if self._omitting or not line else line
        stamp, _, text = line.partition(b" ")
        if _STAMP.fullmatch(stamp) is None:
            self._omitting = False
            return line  # not the container's: a word of the kubelet's
        self._omitting = self._known is not None and self._was_given(stamp)
        if self._omitting:
            return None
        self._last_count = self._last_count + 1 if stamp == self._last else 1
        self._last = stamp
        self.count += 1
        return line if self._timestamps else text

    def _was_given(self, stamp: bytes) -> bool:
        assert self._known is not None  # noqa: S101 - only asked then
        moment = _moment(stamp)
        if moment == self._known and self._known_count:
            self._known_count -= 1
            return True
        if moment < self._known:
            return True
        if moment > self._known:
            self._known = None
        return False


def _moment(stamp: bytes) -> tuple[int, int]:
    """Epoch seconds and nanoseconds: nodes write their own time zone, some leave out zeros."""
    match = _STAMP.fullmatch(stamp)
    assert match is not None  # noqa: S101 - the caller has matched it
    text = (match[1] + match[3]).decode()
    fraction = (match[2] or b".").decode()[1:]
    try:
        seconds = int(datetime.fromisoformat(text).timestamp())
    except ValueError:  # the thirteenth month: such a line sorts before all others
        seconds = 0
    return seconds, int(fraction.ljust(9, "0"))
