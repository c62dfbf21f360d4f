"""What a session knows, and the small steps that both its verbs and its received frames are made of."""

import heapq
from collections import deque
from enum import Enum, auto
from typing import Final

from relay.errors import RemoteProtocolError
from relay.mux.budget import Account, ReceiveBudget
from relay.mux.codes import ORDERLY, CloseCode, FrameType, ResetCode
from relay.mux.events import Event, SessionEnded, StreamReset
from relay.mux.frames import GoawayPayload, credit_frame, cut_reason, frame, goaway_frame, reset_frame
from relay.mux.handshake import PeerLimits
from relay.mux.limits import MAX_STREAM_ID, Limits
from relay.mux.liveness import Liveness
from relay.mux.outbox import Outbox
from relay.mux.rate import Rate
from relay.mux.stream import Stream

RESET_BURST_SECONDS: Final = 5
"""Resets of this many seconds may come at once, besides one for every open stream: links stall and catch up."""

OWN_RESET_BURST_SECONDS: Final = 2
"""The same for resets that we send: the difference is room for a stall of six seconds at full rate."""

SPARE_DEADLINES: Final = 64
"""Of half-closed streams, kept beyond those that are needed before they are sorted out."""


class Role(Enum):
    """Which end of the tunnel a session is."""

    AGENT = auto()
    RELAY = auto()


class Phase(Enum):
    """Where a session stands."""

    AWAITS_HELLO = auto()
    """Relay, at first."""
    AWAITS_ACCEPT = auto()
    """Relay: the program decides about the HELLO."""
    AWAITS_WELCOME = auto()
    """Agent, at first."""
    OPEN = auto()
    CLOSED = auto()


_BOTH = frozenset(
    {
        FrameType.DATA,
        FrameType.FINISH,
        FrameType.RESET,
        FrameType.CREDIT,
        FrameType.PING,
        FrameType.PONG,
        FrameType.GOAWAY,
    }
)
EXPECTED: dict[tuple[Role, Phase], frozenset[int]] = {
    (Role.RELAY, Phase.AWAITS_HELLO): frozenset({FrameType.HELLO, FrameType.GOAWAY}),
    (Role.RELAY, Phase.AWAITS_ACCEPT): frozenset({FrameType.GOAWAY}),
    (Role.RELAY, Phase.OPEN): _BOTH | {FrameType.OPENED},
    (Role.RELAY, Phase.CLOSED): frozenset(),
    (Role.AGENT, Phase.AWAITS_WELCOME): frozenset({FrameType.WELCOME, FrameType.GOAWAY}),
    (Role.AGENT, Phase.OPEN): _BOTH | {FrameType.OPEN},
    (Role.AGENT, Phase.CLOSED): frozenset(),
}
"""Which frames may arrive, by role and phase; everything else below 0x80 is a violation."""


class SessionState:
    """All state of one session. Internal to this package."""

    __slots__ = (
        "account",
        "bytes_received",
        "bytes_sent",
        "control_rate",
        "drain_at",
        "draining",
        "events",
        "expected",
        "goaway_last",
        "half_closed",
        "handshake_at",
        "last_stream",
        "limits",
        "liveness",
        "now",
        "outbox",
        "peer",
        "pending_opens",
        "phase",
        "received_resets",
        "refuses_above",
        "role",
        "sent_resets",
        "streams",
        "streams_opened",
        "unread",
    )  # fmt: skip

    def __init__(self, role: Role, limits: Limits, now: float, budget: ReceiveBudget | None) -> None:
        self.role = role
        self.limits = limits
        self.now = now
        """The latest time handed in."""
        self.phase = Phase.CLOSED
        self.expected: frozenset[int] = frozenset()
        self.enter(Phase.AWAITS_WELCOME if role is Role.AGENT else Phase.AWAITS_HELLO)
        self.peer = PeerLimits()
        self.events: deque[Event] = deque()
        self.outbox = Outbox(self.events, limits.send_queue_bytes // 2)
        self.streams: dict[int, Stream] = {}
        """Open streams: both halves not yet finished and written."""
        self.unread: dict[int, Stream] = {}
        """Streams that ended in order while the program still holds bytes: their budget is not free yet."""
        self.last_stream = -1
        """The highest id opened so far; the next is two more."""
        self.pending_opens = 0
        self.streams_opened = 0
        self.account = Account(limits.receive_budget_bytes, budget if budget is not None else ReceiveBudget())
        self.liveness = Liveness(limits.ping_interval_seconds, limits.max_unanswered_pings, now)
        self.handshake_at = now + limits.handshake_seconds
        self.half_closed: list[tuple[float, int]] = []
        """A heap of (when to look, stream id)."""
        self.drain_at: float | None = None
        self.draining = False
        """We said that we take no new streams."""
        self.refuses_above = MAX_STREAM_ID
        """The peer's GOAWAY: it does not serve streams above this."""
        self.goaway_last = MAX_STREAM_ID
        """Our own."""
        controls = limits.max_control_frames_per_second
        self.control_rate = Rate(controls, controls, now)
        resets = limits.max_resets_per_second
        self.received_resets = Rate(resets, RESET_BURST_SECONDS * resets + limits.max_streams, now)
        self.sent_resets = self.received_resets
        self.bytes_received = 0
        self.bytes_sent = 0

    def enter(self, phase: Phase) -> None:
        """Moves to another phase; from now on its frames are expected."""
        self.phase = phase
        self.expected = EXPECTED[self.role, phase]

    def learn(self, peer: PeerLimits) -> None:
        """Takes what the peer allows from its hello; the session is open now."""
        self.peer = peer
        self.outbox.max_payload_bytes = min(peer.max_payload_bytes, self.limits.max_payload_bytes)
        # Well below what the agent takes: resets that a stalled link delivers all at once are then no abuse either.
        rate = peer.max_resets_per_second
        self.sent_resets = Rate(rate / 2, OWN_RESET_BURST_SECONDS * rate + peer.max_streams, self.now)
        self.enter(Phase.OPEN)

    def ping(self) -> None:
        """Queues a PING."""
        self.outbox.put_control(frame(FrameType.PING, 0, self.liveness.ping(self.now)))

    def credit(self, stream: Stream, size: int) -> None:
        """Queues a CREDIT."""
        self.outbox.put_control(credit_frame(stream.stream_id, size))

    def goaway(self, fields: GoawayPayload) -> None:
        """Queues a GOAWAY; its reason is cut to what the peer accepts."""
        reason = cut_reason(fields.reason, self.limits.max_reason_bytes)
        self.outbox.put_control(goaway_frame(fields._replace(reason=reason)))

    def reset(self, stream: Stream, code: int, reason: str) -> None:
        """Ends a stream at once and tells the peer."""
        self.sent_resets.take(self.now)
        text = cut_reason(reason, self.limits.max_reason_bytes).encode()
        self.outbox.put_control(reset_frame(stream.stream_id, code, text))
        self.forget(stream)

    def fail_stream(self, stream: Stream, code: ResetCode, reason: str) -> None:
        """A stream error: resets the stream and tells both programs."""
        self.reset(stream, code, reason)
        self.events.append(StreamReset(stream.stream_id, code, reason))

    def forget(self, stream: Stream) -> None:
        """A stream was reset: nothing of it stays."""
        del self.streams[stream.stream_id]
        if not stream.accepted:
            self.pending_opens -= 1
        self.outbox.remove(stream)
        self.account.release(stream.receive.granted)

    def half_finished(self, stream: Stream) -> None:
        """One half of a stream has just finished: the stream ends, or lingers half-closed."""
        if not (stream.receive.finished and stream.send.finish_sent):
            if len(self.half_closed) > 2 * len(self.streams) + SPARE_DEADLINES:
                # Nearly all of them end in time; their deadlines must not stay for an hour each.
                self.half_closed = [entry for entry in self.half_closed if entry[1] in self.streams]
                heapq.heapify(self.half_closed)
            heapq.heappush(self.half_closed, (self.now + self.limits.half_closed_linger_seconds, stream.stream_id))
            return
        del self.streams[stream.stream_id]
        if stream.receive.buffered:
            self.unread[stream.stream_id] = stream
        else:
            self.account.release(stream.receive.granted)

    def close(self, code: int, reason: str) -> None:
        """Ends the session with a last GOAWAY, which overtakes everything not yet sent."""
        self.shut()
        self.goaway(GoawayPayload(max(self.last_stream, 0), code, 0.0, None, reason))

    def end(self, reason: str) -> None:
        """Ends the session and tells the program."""
        self.shut()
        self.events.append(SessionEnded(reason))

    def shut(self) -> None:
        """Forgets all streams and what was queued."""
        self.enter(Phase.CLOSED)
        self.outbox.clear()
        for stream in (*self.streams.values(), *self.unread.values()):
            self.account.release(stream.receive.granted)
        self.streams.clear()
        self.unread.clear()
        self.pending_opens = 0

    def count_control(self) -> None:
        """Counts a frame that costs work and carries nothing. Raises RemoteProtocolError above the limit."""
        if not self.control_rate.take(self.now):
            raise RemoteProtocolError("too many control frames", wire_code=CloseCode.ABUSE)

    def next_deadline(self) -> float | None:
        """The earliest time at which `handle_deadline` has something to do."""
        if self.phase is Phase.CLOSED:
            return None
        deadline = self.liveness.check_at if self.phase is Phase.OPEN else self.handshake_at
        if self.half_closed:
            deadline = min(deadline, self.half_closed[0][0])
        return deadline if self.drain_at is None else min(deadline, self.drain_at)

    def end_lingering(self) -> None:
        """Resets half-closed streams on which nothing moved for too long."""
        linger = self.limits.half_closed_linger_seconds
        while self.half_closed and self.half_closed[0][0] <= self.now:
            _, stream_id = heapq.heappop(self.half_closed)
            stream = self.streams.get(stream_id)
            if stream is None:
                continue
            if stream.active_at + linger > self.now:
                heapq.heappush(self.half_closed, (stream.active_at + linger, stream_id))
            else:
                self.fail_stream(stream, ResetCode.TIMED_OUT, "half-closed for too long")

    def set_drain(self, code: int, drain_deadline_seconds: float | None) -> None:
        """What our orderly GOAWAY means for ourselves."""
        if code in ORDERLY and code != CloseCode.DRAIN:
            self.draining = True
        if drain_deadline_seconds is not None:
            self.drain_at = self.now + drain_deadline_seconds
