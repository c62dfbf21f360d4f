"""What each received frame does to a session."""

from collections.abc import Callable
from typing import Final, NoReturn

from relay.errors import RemoteProtocolError
from relay.mux.codes import FIRST_IGNORED_TYPE, CloseCode, FrameType, ResetCode, is_orderly
from relay.mux.events import (
    DataReceived,
    GoawayReceived,
    HelloReceived,
    StreamAccepted,
    StreamFinished,
    StreamOpened,
    StreamReset,
    WelcomeReceived,
)
from relay.mux.frames import PING_BYTES, decode_goaway, decode_number, decode_open, decode_reset, frame, reset_frame
from relay.mux.handshake import decode_hello, decode_welcome
from relay.mux.limits import KIB, MAX_HELLO_BYTES, MAX_WELCOME_BYTES, MIB
from relay.mux.state import Phase, Role, SessionState
from relay.mux.stream import Stream

MAX_OPEN_FIXED_BYTES: Final = KIB
"""An OPEN without its metadata is shorter than this."""
MAX_EXTENSION_BYTES: Final = MIB
_DATA = int(FrameType.DATA)

ON_SESSION: Final[frozenset[int]] = frozenset(
    {FrameType.HELLO, FrameType.WELCOME, FrameType.PING, FrameType.PONG, FrameType.GOAWAY}
)
"""Types whose stream id is 0; all others name a stream."""


class Dispatch:
    """Handles the frames of one session, as `FrameReader` finds them."""

    __slots__ = ("_state", "_streams")

    def __init__(self, state: SessionState) -> None:
        self._state = state
        self._streams = state.streams

    def check_header(self, kind: int, stream_id: int, length: int) -> None:
        """Refuses a header that the phase, the type or the limits do not allow."""
        state = self._state
        if kind not in state.expected:
            if kind < FIRST_IGNORED_TYPE:
                _refuse(CloseCode.PROTOCOL_ERROR, f"frame type {kind:#04x} is not expected here")
            state.count_control()
            if length > MAX_EXTENSION_BYTES:
                _refuse(CloseCode.FRAME_SIZE, f"extension frame of {length} bytes")
            return
        if kind == _DATA:
            if not 0 < length <= state.limits.max_payload_bytes:
                _refuse(CloseCode.FRAME_SIZE, f"DATA of {length} bytes")
        elif length > _longest(state, kind):
            _refuse(CloseCode.FRAME_SIZE, f"{FrameType(kind).name} of {length} bytes")
        if kind in ON_SESSION:
            if stream_id:
                _refuse(CloseCode.PROTOCOL_ERROR, f"{FrameType(kind).name} on stream {stream_id}")
        elif not stream_id & 1 or (stream_id > state.last_stream and kind != FrameType.OPEN):
            _refuse(CloseCode.PROTOCOL_ERROR, f"{FrameType(kind).name} on stream {stream_id}, which was never opened")

    def begin_data(self, stream_id: int, length: int) -> bool:
        """Charges the window; False if the payload belongs to a stream that is gone."""
        stream = self._streams.get(stream_id)
        if stream is None:
            self._state.count_control()
            return False
        receive = stream.receive
        if receive.finished or (not stream.accepted and self._state.role is Role.RELAY):
            self._state.fail_stream(stream, ResetCode.PROTOCOL_ERROR, "DATA after FINISH or before OPENED")
            return False
        if length > receive.window:
            self._state.fail_stream(stream, ResetCode.FLOW_CONTROL_ERROR, "DATA beyond the window")
            return False
        receive.window -= length
        return True

    def data(self, stream_id: int, payload: memoryview) -> None:
        """Hands on bytes of a stream, and grows its window when that is what holds the peer back."""
        stream = self._streams.get(stream_id)
        if stream is None:  # reset in the middle of the frame
            return
        state = self._state
        receive = stream.receive
        receive.buffered += len(payload)
        stream.active_at = state.now
        state.events.append(DataReceived(stream_id, payload))
        if receive.epoch_over:
            self._begin_epoch(stream)

    def frame(self, kind: int, stream_id: int, payload: bytes) -> None:
        """Hands any other frame to its handler."""
        _HANDLERS[kind](self, stream_id, payload)

    def _begin_epoch(self, stream: Stream) -> None:
        state, receive = self._state, stream.receive
        measured = state.liveness.round_trip_seconds
        round_trip = 0.0 if measured is None else max(measured, state.limits.min_growth_round_trip_seconds)
        if (
            receive.begin_epoch(state.now, round_trip)
            and measured is not None
            and receive.granted * 2 <= state.limits.max_window_bytes
            and state.account.take_growth(receive.granted)
        ):
            state.credit(stream, receive.grow())

    def _hello(self, _: int, payload: bytes) -> None:
        hello = decode_hello(payload)
        self._state.peer = hello.limits
        self._state.enter(Phase.AWAITS_ACCEPT)
        self._state.events.append(HelloReceived(hello))

    def _welcome(self, _: int, payload: bytes) -> None:
        state = self._state
        welcome = decode_welcome(payload)
        state.learn(welcome.limits)
        state.liveness.interval_seconds = welcome.keepalive_seconds
        state.ping()
        state.events.append(WelcomeReceived(welcome))

    def _open(self, stream_id: int, payload: bytes) -> None:
        state = self._state
        if stream_id != state.last_stream + 2:
            _refuse(CloseCode.PROTOCOL_ERROR, f"OPEN of stream {stream_id} after {state.last_stream}")
        fields = decode_open(payload, state.limits.max_metadata_bytes)
        state.last_stream = stream_id
        window = state.limits.initial_window_bytes
        if state.draining:
            self._refuse_stream(stream_id, ResetCode.GOING_AWAY, "this agent takes no new streams here")
        elif len(state.streams) >= state.limits.max_streams:
            self._refuse_stream(stream_id, ResetCode.LIMIT, "too many streams")
        elif state.pending_opens >= state.limits.max_pending_opens:
            self._refuse_stream(stream_id, ResetCode.LIMIT, "too many streams wait for a dial")
        elif not state.account.take_exactly(window):
            self._refuse_stream(stream_id, ResetCode.LIMIT, "no memory for another stream")
        else:
            state.streams[stream_id] = Stream(
                stream_id, send_window=fields.window, receive_window=window, now=state.now
            )
            state.pending_opens += 1
            state.streams_opened += 1
            state.events.append(StreamOpened(stream_id, fields.kind, fields.host, fields.port, fields.metadata))

    def _refuse_stream(self, stream_id: int, code: ResetCode, reason: str) -> None:
        # A refused OPEN costs the sender nothing, so it counts against the rate.
        self._state.count_control()
        self._put_control(reset_frame(stream_id, code, reason.encode()))

    def _opened(self, stream_id: int, _: bytes) -> None:
        state = self._state
        state.count_control()
        stream = self._streams.get(stream_id)
        if stream is None:
            return
        if stream.accepted:
            state.fail_stream(stream, ResetCode.PROTOCOL_ERROR, "OPENED twice")
            return
        stream.accepted = True
        state.pending_opens -= 1
        state.events.append(StreamAccepted(stream_id))

    def _finish(self, stream_id: int, _: bytes) -> None:
        state = self._state
        stream = self._streams.get(stream_id)
        if stream is None:
            state.count_control()
        elif stream.receive.finished or (not stream.accepted and state.role is Role.RELAY):
            state.fail_stream(stream, ResetCode.PROTOCOL_ERROR, "FINISH twice or before OPENED")
        else:
            stream.receive.finished = True
            state.events.append(StreamFinished(stream_id))
            state.half_finished(stream)

    def _reset(self, stream_id: int, payload: bytes) -> None:
        state = self._state
        code, reason = decode_reset(payload)
        # The relay opens all streams itself: resets that answer them are no attack on it (a target that is down).
        if state.role is Role.AGENT and not state.received_resets.take(state.now):
            _refuse(CloseCode.ABUSE, "too many resets")
        stream = self._streams.get(stream_id)
        if stream is None:
            state.count_control()
            return
        state.forget(stream)
        state.events.append(StreamReset(stream_id, code, reason))

    def _credit(self, stream_id: int, payload: bytes) -> None:
        state = self._state
        state.count_control()
        granted = decode_number(payload)
        if not granted:
            _refuse(CloseCode.PROTOCOL_ERROR, "CREDIT of nothing")
        stream = self._streams.get(stream_id)
        if stream is None:
            return
        if not stream.send.grant(granted):
            state.fail_stream(stream, ResetCode.FLOW_CONTROL_ERROR, "CREDIT beyond the largest window")
            return
        state.outbox.update(stream)

    def _ping(self, _: int, payload: bytes) -> None:
        _check_ping(payload)
        self._state.count_control()
        self._put_control(frame(FrameType.PONG, 0, payload))

    def _pong(self, _: int, payload: bytes) -> None:
        _check_ping(payload)
        self._state.count_control()
        self._state.liveness.pong(payload, self._state.now)

    def _goaway(self, _: int, payload: bytes) -> None:
        state = self._state
        state.count_control()
        fields = decode_goaway(payload)
        state.events.append(
            GoawayReceived(
                fields.last_stream,
                fields.code,
                fields.reason,
                fields.retry_after_seconds,
                fields.drain_deadline_seconds,
            )
        )
        if not is_orderly(fields.code) or state.phase is not Phase.OPEN:
            state.end(f"the peer closed the session: {fields.reason or fields.code}")
            return
        if state.role is Role.RELAY and fields.code != CloseCode.DRAIN:
            state.refuses_above = min(state.refuses_above, fields.last_stream)

    def _put_control(self, answer: bytes) -> None:
        """Queues an answer that the peer can ask for as often as it likes."""
        outbox = self._state.outbox
        if outbox.control_bytes > self._state.limits.max_queued_control_bytes:
            _refuse(CloseCode.ABUSE, "answers are asked for and not read")
        outbox.put_control(answer)


_HANDLERS: Final[dict[int, Callable[[Dispatch, int, bytes], None]]] = {
    FrameType.HELLO: Dispatch._hello,  # noqa: SLF001 - the class's own table
    FrameType.WELCOME: Dispatch._welcome,  # noqa: SLF001
    FrameType.OPEN: Dispatch._open,  # noqa: SLF001
    FrameType.OPENED: Dispatch._opened,  # noqa: SLF001
    FrameType.FINISH: Dispatch._finish,  # noqa: SLF001
    FrameType.RESET: Dispatch._reset,  # noqa: SLF001
    FrameType.CREDIT: Dispatch._credit,  # noqa: SLF001
    FrameType.PING: Dispatch._ping,  # noqa: SLF001
    FrameType.PONG: Dispatch._pong,  # noqa: SLF001
    FrameType.GOAWAY: Dispatch._goaway,  # noqa: SLF001
}

_LONGEST: Final[dict[int, int]] = {
    FrameType.HELLO: MAX_HELLO_BYTES,
    FrameType.WELCOME: MAX_WELCOME_BYTES,
    FrameType.OPENED: 0,
    FrameType.FINISH: 0,
    FrameType.CREDIT: 4,
    FrameType.PING: PING_BYTES,
    FrameType.PONG: PING_BYTES,
}


def _longest(state: SessionState, kind: int) -> int:
    """The longest payload of a frame that is not DATA; looked up before any of it is kept."""
    if (fixed := _LONGEST.get(kind)) is not None:
        return fixed
    if kind == FrameType.OPEN:
        return MAX_OPEN_FIXED_BYTES + state.limits.max_metadata_bytes
    return (16 if kind == FrameType.GOAWAY else 4) + state.limits.max_reason_bytes


def _check_ping(payload: bytes) -> None:
    if len(payload) != PING_BYTES:
        _refuse(CloseCode.FRAME_SIZE, f"PING or PONG of {len(payload)} bytes")


def _refuse(code: CloseCode, message: str) -> NoReturn:
    raise RemoteProtocolError(message, wire_code=code)
