"""One stream of a tunnel as a trio stream, with synchronous verbs for the hot path."""

from collections import deque
from collections.abc import Mapping
from functools import partial
from operator import index
from types import MappingProxyType
from typing import Any, Final

import trio

from relay.mux import ResetCode, Role
from relay.transport.carrier import BrokenStreamError, Carrier
from relay.transport.passing import Give, Passing

DEFAULT_RECEIVE_BYTES: Final = 256 * 1024
"""What one receive gives at most unless told otherwise: the initial window."""
PIECE_BYTES: Final = 256 * 1024
"""`send_all` hands over this much at a time, so that a long argument never stands in memory twice; as much as one read
gives, which so is not cut."""
NO_METADATA: Final[Mapping[str, str]] = MappingProxyType({})

Buffer = bytes | bytearray | memoryview


class MuxStream(trio.abc.HalfCloseableStream):
    """A byte stream in a tunnel. Two tasks may use it at once, one per direction.

    A reset, ours or the peer's, makes every verb raise StreamResetError (also a trio.BrokenResourceError) with its
    code, never a finish; the end of the tunnel raises TunnelClosedError (likewise).
    """

    __slots__ = (
        "_at_end",
        "_buffered_bytes",
        "_carrier",
        "_chunks",
        "_closed",
        "_error",
        "_finished",
        "_full",
        "_opened",
        "_opening",
        "_passing",
        "_receiver",
        "_sender",
        "_sending",
        "_session",
        "host",
        "idle",
        "kind",
        "metadata",
        "port",
        "stream_id",
    )

    def __init__(self, carrier: Carrier, stream_id: int, *, kind: str = "", host: str = "", port: int = 0) -> None:
        self.stream_id = stream_id
        """Its id in the session."""
        self.kind = kind
        """What the agent is asked to dial: `tcp`."""
        self.host = host
        self.port = port
        self.metadata: Mapping[str, str] = NO_METADATA
        """What the relay sent along with OPEN."""
        self.idle = False
        """Set by whoever keeps it for a further exchange only: the tunnel ends it as soon as it is to end itself."""
        self._carrier = carrier
        self._session = carrier.session
        self._chunks: deque[bytes] = deque()
        self._buffered_bytes = 0
        self._at_end = False  # the peer finished
        self._finished = False  # we finished
        self._closed = False
        self._error: Exception | None = None
        self._opened = False
        self._full = False
        self._sending = False
        self._passing: Passing | None = None
        # Tasks that wait, rescheduled directly: an Event or a channel per frame would cost more than the frame.
        self._receiver: trio.lowlevel.Task | None = None
        self._sender: trio.lowlevel.Task | None = None
        self._opening: list[trio.lowlevel.Task] | None = None

    def __repr__(self) -> str:
        return f"<MuxStream {self.stream_id} {self.kind} {self.host}:{self.port}>"

    # -- what the tunnel's reader calls

    def feed(self, data: memoryview) -> None:
        """Takes received bytes, which are good during the call only."""
        if self._closed:
            # As TCP does: nobody will read this, so the peer may stop sending.
            self.reset(ResetCode.CANCELLED, "nobody reads this stream any more")
            return
        if (passing := self._passing) is not None:
            taken = passing.take(data)
            self._session.consume(self.stream_id, taken)
            if passing.goes_on:
                return
            self._passing = None
            data = data[taken:]
        if data:
            self._chunks.append(bytes(data))
            self._buffered_bytes += len(data)
        if (task := self._receiver) is not None:
            self._receiver = None
            trio.lowlevel.reschedule(task)

    def feed_end(self) -> None:
        """The peer finished."""
        self._at_end = True
        self._wake_receiver()
        if self._finished:
            self._carrier.forget(self)

    def feed_accepted(self) -> None:
        """The agent's dial succeeded."""
        self._opened = True
        self._wake_opening()

    def feed_room(self) -> None:
        """The send queue has room again."""
        self._full = False
        self._wake_sender()

    def fail(self, error: Exception) -> None:
        """The stream is over: every verb raises `error` from now on."""
        if self._error is None:
            self._error = error
            self._chunks.clear()
            self._buffered_bytes = 0
            self._wake_receiver()
            self._wake_sender()
            self._wake_opening()

    # -- receiving

    @property
    def at_eof(self) -> bool:
        """Whether the peer has finished and everything it sent was received."""
        return self._at_end and not self._chunks

    @property
    def reusable(self) -> bool:
        """Whether a further exchange may use it: sound in both directions, and nothing was received unasked.

        Not on a tunnel that its peer wants to end: exchange after exchange would keep it up for ever.
        """
        over = self._at_end or self._finished or self._closed or self._error or self._chunks
        return not (over or self._carrier.is_leaving)

    def receive_nowait(self, max_bytes: int = DEFAULT_RECEIVE_BYTES) -> bytes:
        """What is buffered, joined, at most `max_bytes`; b"" if nothing is (see `at_eof`). Raises as `receive_some`."""
        if not self._chunks:
            self._check_receiving()
            return b""
        chunks = self._chunks
        if self._buffered_bytes <= max_bytes:
            data = chunks[0] if len(chunks) == 1 else b"".join(chunks)
            chunks.clear()
        else:
            data = self._take(max_bytes)
        self._buffered_bytes -= len(data)
        self._session.consume(self.stream_id, len(data))
        self._carrier.flush()
        return data

    def _take(self, size: int) -> bytes:
        parts: list[bytes] = []
        while size and self._chunks:
            chunk = self._chunks.popleft()
            if len(chunk) > size:
                self._chunks.appendleft(chunk[size:])
                chunk = chunk[:size]
            parts.append(chunk)
            size -= len(chunk)
        return b"".join(parts)

    def _check_receiving(self) -> None:
        if self._closed:
            raise trio.ClosedResourceError("this stream is closed")
        if self._error is not None:
            raise self._error

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """At least one byte, at most `max_bytes`; b"" once the peer has finished."""
        if max_bytes is None:
            max_bytes = DEFAULT_RECEIVE_BYTES
        elif index(max_bytes) < 1:
            raise ValueError("max_bytes must be at least 1")
        if self._receiver is not None:
            raise trio.BusyResourceError("another task is receiving from this stream")
        if self._chunks or self._at_end or self._closed or self._error is not None:
            await trio.lowlevel.checkpoint()
        while not self._chunks:
            self._check_receiving()
            if self._at_end:
                return b""
            if self._receiver is not None:
                raise trio.BusyResourceError("another task is receiving from this stream")
            self._receiver = trio.lowlevel.current_task()
            await trio.lowlevel.wait_task_rescheduled(self._abort_receiving)
        return self.receive_nowait(max_bytes)

    async def pass_on(self, most: int, give: Give) -> None:
        """Has up to `most` bytes go to `give` as they arrive, without being copied or kept here.

        Returns when `give` took less than it was given, when `most` is reached, or when nothing more will come: the
        next `receive_some` has the rest, or says why there is none. Returns at once while bytes are waiting here.
        """
        if self._receiver is not None:
            raise trio.BusyResourceError("another task is receiving from this stream")
        if self._chunks or self._at_end or self._closed or self._error is not None:
            await trio.lowlevel.checkpoint()
            return
        self._passing = Passing(most, give)
        self._receiver = trio.lowlevel.current_task()
        try:
            await trio.lowlevel.wait_task_rescheduled(self._abort_receiving)
        finally:
            self._passing = None

    def _abort_receiving(self, _: Any) -> trio.lowlevel.Abort:
        self._receiver = None
        return trio.lowlevel.Abort.SUCCEEDED

    # -- sending

    def send_nowait(self, data: Buffer) -> bool:
        """Queues bytes whole. False when the queue is full: `wait_send_room` before sending more."""
        self._check_sending()
        if not isinstance(data, bytes):
            data = bytes(data)
        self._full = not self._session.send_data(self.stream_id, data)
        self._carrier.flush()
        return not self._full

    def _check_sending(self) -> None:
        if self._closed or self._finished:
            raise trio.ClosedResourceError("this end has finished sending")
        if self._error is not None:
            raise self._error

    async def wait_send_room(self) -> None:
        """Waits until the queue has room."""
        while self._full:
            self._check_sending()
            if self._sender is not None:
                raise trio.BusyResourceError("another task is sending on this stream")
            self._sender = trio.lowlevel.current_task()
            await trio.lowlevel.wait_task_rescheduled(self._abort_sending)
        self._check_sending()

    def _abort_sending(self, _: Any) -> trio.lowlevel.Abort:
        self._sender = None
        return trio.lowlevel.Abort.SUCCEEDED

    async def send_all(self, data: Buffer) -> None:
        """Queues everything and waits while the queue is full. A cancelled call never cuts a frame."""
        self._enter_sending()
        try:
            await trio.lowlevel.checkpoint()
            if len(data) <= PIECE_BYTES:
                if not self.send_nowait(data):
                    await self.wait_send_room()
                return
            view = memoryview(data)
            for at in range(0, len(data), PIECE_BYTES):
                if not self.send_nowait(view[at : at + PIECE_BYTES]):
                    await self.wait_send_room()
        finally:
            self._sending = False

    async def wait_send_all_might_not_block(self) -> None:
        """Waits until the queue has room."""
        self._enter_sending()
        try:
            await trio.lowlevel.checkpoint()
            await self.wait_send_room()
        finally:
            self._sending = False

    def _enter_sending(self) -> None:
        if self._sending:
            raise trio.BusyResourceError("another task is sending on this stream")
        self._sending = True

    async def send_eof(self) -> None:
        """Finishes this end's half; what is queued still leaves, and receiving goes on. Repeating it does nothing."""
        self._enter_sending()
        try:
            await trio.lowlevel.checkpoint()
            self.finish()
        finally:
            self._sending = False

    def finish(self) -> None:
        """`send_eof` without waiting."""
        if self._closed:
            raise trio.ClosedResourceError("this stream is closed")
        if self._finished:
            return
        if self._error is not None:
            raise self._error
        self._finish()

    def _finish(self) -> None:
        self._finished = True
        self._session.finish(self.stream_id)
        self._carrier.flush()
        if self._at_end:
            self._carrier.forget(self)

    # -- opening and ending

    def accept(self) -> None:
        """Agent: the dial succeeded (OPENED). Nothing can be sent before."""
        if self._error is None and not self._opened:
            self._opened = True
            self._session.accept_stream(self.stream_id)
            self._carrier.flush()

    async def wait_opened(self) -> None:
        """Relay: waits until the agent's dial has succeeded. Raises StreamResetError with the agent's reason."""
        while not self._opened:
            if self._error is not None:
                raise self._error
            await self._wait_for_news()
        await trio.lowlevel.checkpoint_if_cancelled()

    async def wait_broken(self) -> None:
        """Waits until the stream is over by a reset or by the end of its tunnel, or is closed by this end.

        For whoever has received the peer's finish, behind which `receive_some` tells of nothing more.
        """
        while self._error is None and not self._closed:
            await self._wait_for_news()
        await trio.lowlevel.checkpoint_if_cancelled()

    async def _wait_for_news(self) -> None:
        """Waits until the stream is opened, broken or closed."""
        if self._opening is None:
            self._opening = []
        task = trio.lowlevel.current_task()
        self._opening.append(task)
        await trio.lowlevel.wait_task_rescheduled(partial(self._abort_opening, task))

    def _abort_opening(self, task: trio.lowlevel.Task, _: Any) -> trio.lowlevel.Abort:
        if self._opening is not None:
            self._opening.remove(task)
        return trio.lowlevel.Abort.SUCCEEDED

    def reset(self, code: int, reason: str = "") -> None:
        """Ends both halves at once and tells the peer why; does nothing once the stream is over.

        A stream that both sides have finished needs none: what was received and not read is dropped.
        """
        if self._error is not None:
            return
        self.fail(BrokenStreamError(reason or "the stream was reset by this end", wire_code=code, remote=False))
        self._session.reset(self.stream_id, code, reason)
        self._carrier.forget(self)
        self._carrier.flush()

    async def aclose(self) -> None:
        """Finishes this end's half and stops receiving, as closing a TCP socket does.

        If something was left unread, or still arrives, the peer gets a reset. Cancelled: a reset at once.
        """
        try:
            # Before anything is sent: a finish that left first would look like an orderly end.
            await trio.lowlevel.checkpoint_if_cancelled()
        except trio.Cancelled:
            if not (self._at_end and self._finished):
                self.reset(ResetCode.CANCELLED)
            raise
        finally:
            self.close()
        await trio.lowlevel.cancel_shielded_checkpoint()

    def close(self) -> None:
        """`aclose` without waiting."""
        if not self._closed and self._error is None:
            self._close()
        self._closed = True
        self._wake_receiver()
        self._wake_sender()
        self._wake_opening()

    def _close(self) -> None:
        if self._chunks:
            self.reset(ResetCode.CANCELLED, "closed with bytes unread")
        elif not self._opened and self._session.role is Role.AGENT:
            self.reset(ResetCode.CANCELLED, "closed before it was accepted")
        elif not self._finished:
            self._finish()

    def _wake_receiver(self) -> None:
        if (task := self._receiver) is not None:
            self._receiver = None
            trio.lowlevel.reschedule(task)

    def _wake_sender(self) -> None:
        if (task := self._sender) is not None:
            self._sender = None
            trio.lowlevel.reschedule(task)

    def _wake_opening(self) -> None:
        if self._opening is not None:
            for task in self._opening:
                trio.lowlevel.reschedule(task)
            self._opening = None
