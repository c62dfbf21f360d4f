"""One stream: a sending and a receiving half, each with its own window and its own finish."""

from collections import deque

from relay.mux.limits import MAX_UNCREDITED_BYTES, MAX_WINDOW_BYTES

Chunks = list[bytes | memoryview]


class SendHalf:
    """What waits to be sent, and how much of it the peer allows."""

    __slots__ = ("_offset", "_queue", "finish_queued", "finish_sent", "full", "is_ready", "queued_bytes", "window")

    def __init__(self, window: int) -> None:
        self.window = window
        """Bytes the peer still allows."""
        self.queued_bytes = 0
        self.full = False
        """The program was told to stop; it waits for SendReady."""
        self.finish_queued = False
        self.finish_sent = False
        self.is_ready = False
        """The stream stands in the outbox's round."""
        self._queue: deque[bytes] = deque()
        self._offset = 0  # of the first chunk: cut chunks are not copied

    def put(self, data: bytes) -> None:
        """Queues bytes."""
        self._queue.append(data)
        self.queued_bytes += len(data)

    def can_send(self) -> bool:
        """Whether a DATA or the FINISH could leave now."""
        if self.queued_bytes:
            return self.window > 0
        return self.finish_queued and not self.finish_sent

    def grant(self, size: int) -> bool:
        """Adds the peer's CREDIT; False if the window would overflow."""
        self.window += size
        return self.window <= MAX_WINDOW_BYTES

    def take(self, size: int, parts: Chunks) -> None:
        """Moves `size` queued bytes to `parts`, small chunks together, long ones cut without a copy."""
        self.queued_bytes -= size
        self.window -= size
        queue = self._queue
        while size:
            chunk = queue[0]
            rest = len(chunk) - self._offset
            if rest > size:
                parts.append(memoryview(chunk)[self._offset : self._offset + size])
                self._offset += size
                return
            parts.append(memoryview(chunk)[self._offset :] if self._offset else chunk)
            queue.popleft()
            self._offset = 0
            size -= rest

    def drop(self) -> None:
        """Forgets what is queued: the stream was reset."""
        self._queue.clear()
        self._offset = 0
        self.queued_bytes = 0
        self.full = False


class ReceiveHalf:
    """What the peer may send, and what the program has not consumed.

    Invariant: window + in flight + buffered + uncredited = granted.
    """

    __slots__ = (
        "_epoch_left",
        "buffered",
        "epoch_over",
        "epoch_started_at",
        "finished",
        "granted",
        "uncredited",
        "window",
    )

    def __init__(self, window: int) -> None:
        self.window = window
        """Bytes the peer may still send, as far as we know; charged when a frame's header arrives."""
        self.granted = window
        """The window's full size."""
        self.buffered = 0
        """Bytes given to the program and not consumed."""
        self.uncredited = 0
        """Bytes consumed and not yet given back to the peer."""
        self.finished = False
        self.epoch_over = True
        """Half of the window has been consumed; the next DATA, which tells the time, decides about growth."""
        self.epoch_started_at = float("-inf")
        self._epoch_left = 0

    def consume(self, size: int) -> int:
        """Counts consumed bytes; returns the credit to send now: at half of the window, not when it is empty.

        Of a large window it is sent sooner: the half that a sender waits for is lost to the link.
        """
        self.buffered -= size
        self.uncredited += size
        self._epoch_left -= size
        if self.finished or (self.uncredited * 2 < self.granted and self.uncredited < MAX_UNCREDITED_BYTES):
            return 0
        if self._epoch_left <= 0:
            self.epoch_over = True
        return self.take_credit()

    def take_credit(self) -> int:
        """All credit not yet sent; the caller sends it."""
        credit, self.uncredited = self.uncredited, 0
        self.window += credit
        return credit

    def begin_epoch(self, now: float, round_trip_seconds: float) -> bool:
        """Begins an epoch; whether in the last one half of the window was used within two round trips.

        Used means consumed: a reader that stalls would only get a larger buffer to leave full.
        """
        fast = now - self.epoch_started_at <= 2 * round_trip_seconds
        self.epoch_over = False
        self.epoch_started_at = now
        self._epoch_left = self.granted // 2
        return fast

    def grow(self) -> int:
        """Doubles the window; returns the credit to send."""
        self.uncredited += self.granted
        self._epoch_left += self.granted // 2
        self.granted *= 2
        return self.take_credit()


class Stream:
    """A stream and what both halves share."""

    __slots__ = ("accepted", "active_at", "receive", "send", "stream_id")

    def __init__(self, stream_id: int, *, send_window: int, receive_window: int, now: float) -> None:
        self.stream_id = stream_id
        self.accepted = False
        """OPENED was sent or received."""
        self.active_at = now
        """When DATA last went either way."""
        self.send = SendHalf(send_window)
        self.receive = ReceiveHalf(receive_window)
