"""The session: the state of the mux on one tunnel, without I/O and without a clock."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from relay.errors import LocalProtocolError, RemoteProtocolError, TunnelClosedError
from relay.mux.budget import ReceiveBudget
from relay.mux.codes import CloseCode, FrameType, ResetCode, is_orderly
from relay.mux.dispatch import Dispatch
from relay.mux.events import Event, StreamReset
from relay.mux.frames import GoawayPayload, OpenPayload, frame, open_frame
from relay.mux.handshake import (
    Hello,
    PeerLimits,
    Welcome,
    decode_hello,
    decode_welcome,
    encode_hello,
    encode_welcome,
)
from relay.mux.limits import KIB, MAX_STREAM_ID, Limits
from relay.mux.liveness import Check
from relay.mux.reader import FrameReader
from relay.mux.state import Phase, Role, SessionState
from relay.mux.stream import Stream

DEFAULT_LIMITS: Final = Limits()
DEFAULT_BATCH_BYTES: Final = 256 * KIB
"""One write: large enough that TLS and the system call cost little per byte, short enough for fairness."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistics:
    """Figures of one session at one moment."""

    round_trip_seconds: float | None
    """The least of the last samples; None before the first."""
    bytes_received: int
    """On the wire, headers included."""
    bytes_sent: int
    open_streams: int
    pending_opens: int
    """Opened and not yet accepted."""
    streams_opened: int
    """Since the session began."""
    granted_bytes: int
    """Receive windows of all streams."""
    buffered_bytes: int
    """Received and not yet consumed."""
    queued_bytes: int
    """Handed to `send_data` and not yet sent."""


class Session:
    """One end of a tunnel. Bytes and times go in, events and bytes come out.

    After every call, take the events (`next_event`) and the bytes (`bytes_to_send`, which may itself cause
    SendReady). Verbs on a stream that the peer has already reset or finished do nothing; verbs that the program's
    own earlier calls rule out raise LocalProtocolError.
    """

    __slots__ = ("_dispatch", "_reader", "_state")

    def __init__(
        self,
        role: Role,
        limits: Limits = DEFAULT_LIMITS,
        *,
        now: float,
        hello: Hello | None = None,
        budget: ReceiveBudget | None = None,
    ) -> None:
        """Starts a session at `now`; an AGENT hands in its `hello`, which is queued with `limits` filled in.

        `budget` is shared by all sessions of the process. Raises LocalProtocolError for a hello no relay accepts.
        """
        self._state = SessionState(role, limits, now, budget)
        self._reader = FrameReader()
        self._dispatch = Dispatch(self._state)
        if (hello is not None) != (role is Role.AGENT):
            raise LocalProtocolError("the agent, and only the agent, says hello")
        if hello is not None:
            payload = encode_hello(replace(hello, limits=PeerLimits.of(limits)))
            try:
                decode_hello(payload)
            except RemoteProtocolError as error:
                raise LocalProtocolError(f"no relay accepts this: {error}") from None
            self._state.outbox.put_control(frame(FrameType.HELLO, 0, payload))

    @property
    def role(self) -> Role:
        """Which end this is."""
        return self._state.role

    @property
    def closed(self) -> bool:
        """Whether the session has ended; what `bytes_to_send` still holds is the last GOAWAY."""
        return self._state.phase is Phase.CLOSED

    @property
    def open_stream_count(self) -> int:
        """Streams of which not both halves have finished."""
        return len(self._state.streams)

    @property
    def has_bytes_to_send(self) -> bool:
        """Whether `bytes_to_send` would return anything."""
        return bool(self._state.outbox)

    def receive_bytes(self, data: bytes | bytearray | memoryview, now: float) -> None:
        """Takes bytes from the transport, cut anywhere. Only `DataReceived` refers to `data`: take the events first.

        Raises RemoteProtocolError when the peer broke a rule: the GOAWAY is queued then and the session is closed.
        Bytes after the end are ignored.
        """
        state = self._state
        if state.phase is Phase.CLOSED:
            return
        state.now = now
        state.liveness.heard(now)
        state.bytes_received += len(data)
        try:
            with memoryview(data) as view:
                self._reader.feed(view, self._dispatch)
        except RemoteProtocolError as error:
            if self.closed:  # the peer's own GOAWAY came earlier in these bytes: what follows it is of no interest
                return
            state.close(error.wire_code, str(error))
            raise

    def next_event(self) -> Event | None:
        """The oldest event not yet taken."""
        events = self._state.events
        return events.popleft() if events else None

    def accept(self, welcome: Welcome, now: float) -> None:
        """RELAY: takes the agent's login. Raises TunnelClosedError if the agent has left in the meantime."""
        state = self._state
        if state.phase is Phase.CLOSED:
            raise TunnelClosedError("the agent left before its login was answered")
        if state.phase is not Phase.AWAITS_ACCEPT:
            raise LocalProtocolError("there is no HELLO to accept")
        payload = encode_welcome(replace(welcome, limits=PeerLimits.of(state.limits)))
        try:
            decode_welcome(payload)
        except RemoteProtocolError as error:
            raise LocalProtocolError(f"no agent accepts this: {error}") from None
        state.now = now
        state.outbox.put_control(frame(FrameType.WELCOME, 0, payload))
        state.learn(state.peer)
        state.ping()

    def open_stream(self, kind: str, host: str, port: int, metadata: Mapping[str, str] | None = None) -> int:
        """RELAY: opens a stream and returns its id; data may be sent at once.

        Raises TunnelClosedError when no stream can be opened on this tunnel now, LocalProtocolError for fields that
        the protocol does not allow.
        """
        state = self._state
        self._check_can_open()
        stream_id = state.last_stream + 2
        window = state.account.take_window(state.limits.initial_window_bytes)
        if not window:
            raise TunnelClosedError("the memory for streams is used up")
        try:
            opening = open_frame(
                stream_id, OpenPayload(window, kind, host, port, metadata or {}), state.limits.max_metadata_bytes
            )
        except LocalProtocolError:
            state.account.release(window)
            raise
        state.last_stream = stream_id
        state.streams[stream_id] = Stream(
            stream_id, send_window=state.peer.initial_window_bytes, receive_window=window, now=state.now
        )
        state.pending_opens += 1
        state.streams_opened += 1
        state.outbox.put_control(opening)
        return stream_id

    def _check_can_open(self) -> None:
        state = self._state
        if state.role is not Role.RELAY:
            raise LocalProtocolError("only the relay opens streams")
        if state.phase is not Phase.OPEN or state.draining or state.last_stream + 2 > state.refuses_above:
            raise TunnelClosedError("the tunnel takes no new streams")
        if len(state.streams) >= min(state.peer.max_streams, state.limits.max_streams):
            raise TunnelClosedError("the tunnel has as many streams as the agent serves")
        if state.pending_opens >= state.peer.max_pending_opens:
            raise TunnelClosedError("too many streams of the tunnel wait for a dial")
        # Every stream may have to be reset later; the agent would end the tunnel for too many resets.
        if state.sent_resets.level(state.now) < len(state.streams) + 1:
            raise TunnelClosedError("too many streams of the tunnel were reset lately")

    def accept_stream(self, stream_id: int) -> None:
        """AGENT: the dial succeeded."""
        state = self._state
        if state.role is not Role.AGENT:
            raise LocalProtocolError("only the agent accepts streams")
        stream = self._stream(stream_id)
        if stream is None:
            return
        if stream.accepted:
            raise LocalProtocolError(f"stream {stream_id} is already accepted")
        stream.accepted = True
        state.pending_opens -= 1
        state.outbox.put_control(frame(FrameType.OPENED, stream_id))

    def send_data(self, stream_id: int, data: bytes) -> bool:
        """Queues bytes, which the caller leaves unchanged; False: stop until SendReady names this stream."""
        stream = self._sending(stream_id)
        if stream is None:
            return True
        send = stream.send
        if send.finish_queued:
            raise LocalProtocolError(f"stream {stream_id} is finished")
        if data:
            send.put(data)
            if not send.is_ready:
                self._state.outbox.update(stream)
        send.full = send.queued_bytes >= self._state.limits.send_queue_bytes
        return not send.full

    def finish(self, stream_id: int) -> None:
        """Sends nothing more on this stream after what is queued. Finishing twice does nothing."""
        stream = self._sending(stream_id)
        if stream is not None:
            stream.send.finish_queued = True
            self._state.outbox.update(stream)

    def reset(self, stream_id: int, code: int, reason: str = "") -> None:
        """Ends a stream at once; what is queued or unread is dropped. `code` is one of `ResetCode`."""
        stream = self._stream(stream_id)
        if stream is not None:
            self._state.reset(stream, code, reason)
        elif (unread := self._state.unread.pop(stream_id, None)) is not None:
            self._state.account.release(unread.receive.granted)

    def consume(self, stream_id: int, n: int) -> None:
        """The program has used `n` bytes of a stream: only this lets the peer send more."""
        stream = self._stream(stream_id)
        if stream is None:
            self._consume_unread(stream_id, n)
            return
        receive = stream.receive
        if not 0 <= n <= receive.buffered:
            raise _consumed_too_much(stream, n)
        credit = receive.consume(n)
        if credit:
            self._state.credit(stream, credit)

    def _consume_unread(self, stream_id: int, n: int) -> None:
        stream = self._state.unread.get(stream_id)
        if stream is None:
            return
        if not 0 <= n <= stream.receive.buffered:
            raise _consumed_too_much(stream, n)
        stream.receive.buffered -= n
        if not stream.receive.buffered:
            del self._state.unread[stream_id]
            self._state.account.release(stream.receive.granted)

    def goaway(
        self,
        code: int,
        reason: str = "",
        *,
        retry_after_seconds: float = 0.0,
        drain_deadline_seconds: float | None = None,
    ) -> None:
        """Announces the end. DRAIN is a hint; SHUTDOWN and REPLACED let open streams finish; all else closes.

        With a drain deadline the session resets what is still open by then, and ends.
        """
        state = self._state
        if state.phase is Phase.CLOSED:
            return
        if not is_orderly(code) or state.phase is not Phase.OPEN:
            state.shut()
        state.set_drain(code, drain_deadline_seconds)
        last = MAX_STREAM_ID if code == CloseCode.DRAIN else max(state.last_stream, 0)
        state.goaway(GoawayPayload(last, code, retry_after_seconds, drain_deadline_seconds, reason))

    def bytes_to_send(self, max_bytes: int = DEFAULT_BATCH_BYTES) -> bytes:
        """The next frames, joined; at most `max_bytes`, except that one control frame always fits."""
        state = self._state
        data = state.outbox.collect(max_bytes, state.now)
        state.bytes_sent += len(data)
        finished = state.outbox.finished
        if finished:
            for stream in finished:
                state.half_finished(stream)
            finished.clear()
        return data

    def next_deadline(self) -> float | None:
        """When to call `handle_deadline`, on the clock of `now`; None once closed. Changes seldom."""
        return self._state.next_deadline()

    def handle_deadline(self, now: float) -> None:
        """Does what is due at `now`: pings, and ends what took too long. Calling early does nothing."""
        state = self._state
        if state.phase is Phase.CLOSED:
            return
        state.now = max(state.now, now)
        if state.phase is not Phase.OPEN:
            if now >= state.handshake_at:
                self._end(CloseCode.TIMEOUT, "the handshake took too long")
            return
        check = state.liveness.check(now)
        if check is Check.DEAD:
            self._end(CloseCode.TIMEOUT, "the peer does not answer")
            return
        if check is Check.PING:
            state.ping()
        state.end_lingering()
        if state.drain_at is not None and now >= state.drain_at:
            for stream_id in state.streams:
                state.events.append(StreamReset(stream_id, ResetCode.GOING_AWAY, "the drain deadline passed"))
            self._end(CloseCode.SHUTDOWN, "the drain deadline passed")

    def _end(self, code: CloseCode, reason: str) -> None:
        self._state.end(reason)
        self._state.close(code, reason)

    def statistics(self) -> Statistics:
        """Figures of this moment; takes time proportional to the open streams."""
        state = self._state
        streams = state.streams.values()
        return Statistics(
            round_trip_seconds=state.liveness.round_trip_seconds,
            bytes_received=state.bytes_received,
            bytes_sent=state.bytes_sent,
            open_streams=len(streams),
            pending_opens=state.pending_opens,
            streams_opened=state.streams_opened,
            granted_bytes=state.account.used_bytes,
            buffered_bytes=sum(stream.receive.buffered for stream in (*streams, *state.unread.values())),
            queued_bytes=sum(stream.send.queued_bytes for stream in streams),
        )

    def _stream(self, stream_id: int) -> Stream | None:
        """An open stream; None if it has ended. Raises LocalProtocolError if it never was."""
        stream = self._state.streams.get(stream_id)
        if stream is None and (stream_id > self._state.last_stream or not stream_id & 1):
            raise LocalProtocolError(f"stream {stream_id} was never opened")
        return stream

    def _sending(self, stream_id: int) -> Stream | None:
        """The same, for verbs that send: an agent accepts a stream first."""
        stream = self._stream(stream_id)
        if stream is not None and not stream.accepted and self._state.role is Role.AGENT:
            raise LocalProtocolError(f"stream {stream_id} is not accepted yet")
        return stream


def _consumed_too_much(stream: Stream, n: int) -> LocalProtocolError:
    return LocalProtocolError(f"stream {stream.stream_id} has {stream.receive.buffered} bytes to consume, not {n}")
