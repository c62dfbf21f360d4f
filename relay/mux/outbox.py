"""What leaves next: control frames first, then streams in turns."""

from collections import deque
from typing import Final

from relay.mux.codes import FrameType
from relay.mux.events import Event, SendReady
from relay.mux.frames import HEADER, HEADER_BYTES
from relay.mux.limits import MIN_PAYLOAD_BYTES, SLICE_BYTES
from relay.mux.stream import Chunks, Stream

_DATA: Final = int(FrameType.DATA)
_FINISH: Final = int(FrameType.FINISH)
_pack = HEADER.pack
_TURN_OVERHEAD: Final = 2 * HEADER_BYTES  # a turn is at most one DATA and the FINISH behind it


class Outbox:
    """The queue of control frames and the round of streams that can send."""

    __slots__ = ("_control", "_events", "_round", "control_bytes", "finished", "low_mark_bytes", "max_payload_bytes")

    def __init__(self, events: deque[Event], low_mark_bytes: int) -> None:
        self.max_payload_bytes = MIN_PAYLOAD_BYTES
        """The longest DATA the peer accepts; its hello says more."""
        self.low_mark_bytes = low_mark_bytes
        """A full queue has room again once no more than this is left in it."""
        self.control_bytes = 0
        self.finished: list[Stream] = []
        """Streams whose FINISH has just left; the owner empties this."""
        self._control: deque[bytes] = deque()
        self._round: deque[Stream] = deque()
        self._events = events

    def __bool__(self) -> bool:
        return bool(self._control or self._round)

    def put_control(self, frame: bytes) -> None:
        """Queues a frame that overtakes all DATA."""
        self._control.append(frame)
        self.control_bytes += len(frame)

    def update(self, stream: Stream) -> None:
        """Gives the stream its place in the round if it has just become able to send."""
        send = stream.send
        if not send.is_ready and send.can_send():
            send.is_ready = True
            self._round.append(stream)

    def remove(self, stream: Stream) -> None:
        """Takes a reset stream out of the round."""
        stream.send.drop()
        if stream.send.is_ready:
            stream.send.is_ready = False
            self._round.remove(stream)

    def clear(self) -> None:
        """Forgets everything: the session ends."""
        for stream in self._round:
            stream.send.is_ready = False
        self._round.clear()
        self._control.clear()
        self.control_bytes = 0

    def collect(self, max_bytes: int, now: float) -> bytes:
        """The next frames, at most `max_bytes` (one frame always fits); events tell whose queue has room again."""
        parts: Chunks = []
        used = self._collect_control(max_bytes, parts)
        while self._round and not self._control and (max_bytes - used > _TURN_OVERHEAD or not parts):
            taken = self._collect_turn(used, max_bytes - used, parts, now)
            if not taken:
                break
            used += taken
        return b"".join(parts)

    def _collect_control(self, room: int, parts: Chunks) -> int:
        control = self._control
        if self.control_bytes <= room:
            parts.extend(control)
            control.clear()
            used, self.control_bytes = self.control_bytes, 0
            return used
        used = 0
        while control and (not parts or used + len(control[0]) <= room):
            used += len(control[0])
            parts.append(control.popleft())
        self.control_bytes -= used
        return used

    def _collect_turn(self, before: int, room: int, parts: Chunks, now: float) -> int:
        """One stream's turn behind `before` bytes of the same write; returns the bytes it took.

        It takes none when its frame is better left whole for the next write.
        """
        stream = self._round.popleft()
        send = stream.send
        used = 0
        if send.queued_bytes and send.window:
            size = min(send.queued_bytes, send.window, SLICE_BYTES if self._round else self.max_payload_bytes)
            if size + _TURN_OVERHEAD > room:
                if parts and room < SLICE_BYTES:
                    self._round.appendleft(stream)
                    return 0
                size = max(1, min(size, room - (HEADER_BYTES if size < send.queued_bytes else _TURN_OVERHEAD)))
            if size < send.queued_bytes:
                size = _to_full_records(before, size)
            parts.append(_pack(size << 8 | _DATA, stream.stream_id))
            send.take(size, parts)
            stream.active_at = now
            used = size + HEADER_BYTES
        if not send.queued_bytes and send.finish_queued:
            parts.append(_pack(_FINISH, stream.stream_id))
            used += HEADER_BYTES
            send.finish_sent = True
            self.finished.append(stream)
        self._end_turn(stream)
        return used

    def _end_turn(self, stream: Stream) -> None:
        send = stream.send
        send.is_ready = send.can_send()
        if send.is_ready:
            self._round.append(stream)
        if send.full and send.queued_bytes <= self.low_mark_bytes:
            send.full = False
            self._events.append(SendReady(stream.stream_id))


def _to_full_records(before: int, size: int) -> int:
    """The payload of a frame behind `before` bytes, cut so that it ends with a TLS record.

    A record costs both ends about as much for its last bytes as for 16 KiB, and looks to the reader like the last one.
    """
    excess = (before + HEADER_BYTES + size) % SLICE_BYTES
    return size - excess if excess < size else size
