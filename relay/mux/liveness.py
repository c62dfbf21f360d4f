"""PING and PONG: whether the peer is alive, and how far away it is."""

from collections import deque
from enum import Enum, auto
from typing import Final

from relay.mux.frames import PING_BYTES

REFRESH_INTERVALS: Final = 4
"""A tunnel that is never idle is measured anew after this many intervals: routes change."""
SAMPLES: Final = 8
"""The round trip is the least of this many: queues only ever add to it (as BBR's min_rtt filter has it)."""


class Check(Enum):
    """What is due."""

    NOTHING = auto()
    PING = auto()
    DEAD = auto()


class Liveness:
    """Times of one session's PINGs, in seconds."""

    __slots__ = ("_awaited", "_max_unanswered", "_pinged_at", "_samples", "_sequence", "_unanswered", "check_at",
                 "heard_at", "interval_seconds", "round_trip_seconds")  # fmt: skip

    def __init__(self, interval_seconds: float, max_unanswered: int, now: float) -> None:
        self.interval_seconds = interval_seconds
        self.heard_at = now
        """When bytes of any kind last came in."""
        self.check_at = now + interval_seconds
        """When `check` is due. Moved only by `check`, so that timers seldom change."""
        self.round_trip_seconds: float | None = None
        """The least round trip of the last samples; None before the first PONG."""
        self._max_unanswered = max_unanswered
        self._unanswered = 0
        self._pinged_at = now
        self._awaited = b""
        self._sequence = 0
        self._samples: deque[float] = deque(maxlen=SAMPLES)

    def heard(self, now: float) -> None:
        """Bytes came in."""
        self.heard_at = now
        self._unanswered = 0

    def ping(self, now: float) -> bytes:
        """The payload of a PING sent now."""
        self._sequence += 1
        self._unanswered += 1
        self._pinged_at = now
        self.check_at = now + self.interval_seconds
        self._awaited = self._sequence.to_bytes(PING_BYTES)
        return self._awaited

    def pong(self, payload: bytes, now: float) -> None:
        """Takes a sample if this answers the last PING; other PONGs are late and say nothing."""
        if payload != self._awaited:
            return
        self._awaited = b""
        self._samples.append(max(0.0, now - self._pinged_at))
        self.round_trip_seconds = min(self._samples)

    def check(self, now: float) -> Check:
        """What is due at `now`; PING means that the caller sends one."""
        if now < self.check_at:
            return Check.NOTHING
        idle = now - self.heard_at >= self.interval_seconds
        if idle and self._unanswered >= self._max_unanswered:
            return Check.DEAD
        if idle or now - self._pinged_at >= REFRESH_INTERVALS * self.interval_seconds:
            return Check.PING
        self.check_at = self.heard_at + self.interval_seconds
        return Check.NOTHING
