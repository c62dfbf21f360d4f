"""The tunnel: drives a session over a transport with one task that reads and one that writes."""

import math
from collections.abc import Callable, Mapping
from typing import Any, Final

import trio

from relay.errors import RemoteProtocolError, TunnelClosedError
from relay.mux import (
    CloseCode,
    DataReceived,
    GoawayReceived,
    Hello,
    HelloReceived,
    Limits,
    ReceiveBudget,
    ResetCode,
    Role,
    SendReady,
    Session,
    SessionEnded,
    StreamAccepted,
    StreamFinished,
    StreamOpened,
    StreamReset,
    Welcome,
    WelcomeReceived,
    is_orderly,
)
from relay.transport.carrier import BrokenStreamError, BrokenTunnelError
from relay.transport.ending import TunnelEnd, hang_up
from relay.transport.read_buffer import READ_BYTES, ReadsInto, shared_buffer
from relay.transport.stream import MuxStream
from relay.transport.writer import FrameWriter

FLUSH_SECONDS: Final = 2.0
"""How long the last frames may take to leave once a tunnel ends."""
DEFAULT_LIMITS: Final = Limits()


class Tunnel:
    """One live transport with its session.

    `run` must be running for anything to move. Every other verb is synchronous or only waits; none touches the
    transport, so cancelling whoever calls it never cuts a frame.
    """

    def __init__(
        self,
        transport: trio.abc.Stream,
        role: Role,
        *,
        hello: Hello | None = None,
        limits: Limits = DEFAULT_LIMITS,
        budget: ReceiveBudget | None = None,
        on_stream: Callable[[MuxStream], None] | None = None,
    ) -> None:
        """Takes over `transport`. An agent hands in its `hello`, and `on_stream`, which starts a task and returns."""
        self.session = Session(role, limits, now=trio.current_time(), hello=hello, budget=budget)
        """The state of the mux; for figures. Change it only through this object."""
        self.id = ""
        """The tunnel id that WELCOME states."""
        self.hello: Hello | None = hello
        """What the agent said of itself; None on the relay until it has."""
        self.welcome: Welcome | None = None
        """The relay's answer; None until it was given."""
        self.end: TunnelEnd | None = None
        """Why the tunnel ended; None while it lives."""
        self.goaway_received: GoawayReceived | None = None
        """The latest GOAWAY of the peer."""
        self._transport = transport
        self._on_stream = on_stream
        self._streams: dict[int, MuxStream] = {}
        self._writer = FrameWriter(self.session, transport, on_room=self._dispatch, on_sent=self._check_drained)
        self.flush: Callable[[], None] = self._writer.wake
        """Has queued frames leave in the next pass of the scheduler, all of them in one write."""
        self._draining = False
        self._task_status: trio.TaskStatus[None] | None = None
        self._timer = trio.CancelScope()
        self._read_scope = trio.CancelScope()
        self._greeted = trio.Event()
        self._closed = trio.Event()
        self._goaway = trio.Event()
        self._drained = trio.Event()
        self._handlers: dict[type, Callable[[Any], None]] = {
            DataReceived: self._on_data,
            SendReady: self._on_send_ready,
            StreamFinished: self._on_finished,
            StreamAccepted: self._on_accepted,
            StreamOpened: self._on_opened,
            StreamReset: self._on_reset,
            HelloReceived: self._on_hello,
            WelcomeReceived: self._on_welcome,
            GoawayReceived: self._on_goaway,
            SessionEnded: self._on_session_ended,
        }

    def __repr__(self) -> str:
        return f"<Tunnel {self.id} streams={len(self._streams)} end={self.end}>"

    # -- verbs

    @property
    def open_streams(self) -> int:
        """Streams of which not both halves have finished."""
        return self.session.open_stream_count

    @property
    def takes_streams(self) -> bool:
        """Whether `open` is worth a try: greeted, alive and not finishing."""
        return self.end is None and not self._draining and self.welcome is not None

    @property
    def is_leaving(self) -> bool:
        """Whether the peer has said that it will end the tunnel: any other is the better choice for a stream."""
        return self.goaway_received is not None

    def open(self, kind: str, host: str, port: int, metadata: Mapping[str, str] | None = None) -> MuxStream:
        """Relay: opens a stream without waiting for the agent's dial; data may be sent at once.

        Raises TunnelClosedError when the tunnel takes no streams now.
        """
        if self.end is not None:
            raise TunnelClosedError(f"the tunnel ended: {self.end.reason}")
        stream_id = self.session.open_stream(kind, host, port, metadata)
        stream = MuxStream(self, stream_id, kind=kind, host=host, port=port)
        self._streams[stream_id] = stream
        self.flush()
        return stream

    def accept(self, welcome: Welcome) -> None:
        """Relay: takes the login. Raises TunnelClosedError if the agent has left."""
        self.session.accept(welcome, trio.current_time())
        self.welcome = welcome
        self.id = welcome.tunnel_id
        self._settle()

    def goaway(
        self,
        code: int,
        reason: str = "",
        *,
        retry_after_seconds: float = 0.0,
        drain_deadline_seconds: float | None = None,
    ) -> None:
        """Announces the end; after an orderly code open streams go on, after any other the tunnel ends.

        See `Session.goaway`; `drained` tells when the last stream has ended.
        """
        self.session.goaway(
            code, reason, retry_after_seconds=retry_after_seconds, drain_deadline_seconds=drain_deadline_seconds
        )
        if not is_orderly(code):
            self._ended(TunnelEnd(code=code, reason=reason, remote=False))
        elif code != CloseCode.DRAIN:
            self._draining = True
            self._check_drained()
        self._settle()

    def close(self, code: int = CloseCode.SHUTDOWN, reason: str = "", *, retry_after_seconds: float = 0.0) -> None:
        """Ends the tunnel now: its streams fail, GOAWAY leaves if the transport takes it."""
        self.session.goaway(code, reason, retry_after_seconds=retry_after_seconds)
        self._ended(TunnelEnd(code=code, reason=reason, remote=False))
        self._stop_reading()
        self.flush()

    async def drained(self) -> None:
        """Waits until no stream is left after a GOAWAY that is more than a hint (ours or the peer's), or the end.

        A stream is left while bytes of it wait to be sent.
        """
        await self._drained.wait()

    async def greeted(self) -> None:
        """Waits for the peer's HELLO or WELCOME. Raises TunnelClosedError if the tunnel ended before."""
        await self._greeted.wait()
        if self.end is not None:
            raise TunnelClosedError(self.end.reason)

    async def goaway_arrived(self) -> GoawayReceived | None:
        """Waits for the peer's GOAWAY; None if the tunnel ended without one."""
        await self._goaway.wait()
        return self.goaway_received

    async def closed(self) -> TunnelEnd:
        """Waits until the tunnel has ended and its transport is closed; says why."""
        await self._closed.wait()
        assert self.end is not None  # noqa: S101 - set before the event
        return self.end

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Runs the tunnel until it ends. Started once the peer's HELLO or WELCOME is there.

        Returns when the tunnel is over, whatever the reason (`end`). Cancelled: closes the tunnel first, within
        `FLUSH_SECONDS`. Raises TunnelClosedError only if it ended before the peer's greeting.
        """
        self._task_status = task_status
        try:
            async with trio.open_nursery() as nursery:
                # The writer is never cut off by whoever cancels this; `_finish_writing` gives it a deadline.
                writing = trio.CancelScope(shield=True)
                nursery.start_soon(self._write, writing)
                try:
                    await self._read()
                finally:
                    self._finish_writing(writing)
        finally:
            self._ended(TunnelEnd(code=None, reason="the transport ended", remote=True))
            with trio.CancelScope(shield=True, deadline=trio.current_time() + FLUSH_SECONDS):
                if self.end is not None and self.end.code is not None and not self.end.remote:
                    await hang_up(self._transport)
                await self._transport.aclose()
            self._closed.set()
        if self._task_status is not None:
            raise TunnelClosedError(self.end.reason if self.end else "")

    def _finish_writing(self, writing: trio.CancelScope) -> None:
        """The reader has stopped: the last frames get a moment to leave."""
        if self.end is None:
            # Only a cancelled `run` comes here without a reason.
            self.session.goaway(CloseCode.SHUTDOWN, "the process is ending")
            self._ended(TunnelEnd(code=CloseCode.SHUTDOWN, reason="closed by this end", remote=False))
        writing.deadline = trio.current_time() + FLUSH_SECONDS
        self._writer.stop()

    # -- reading

    async def _read(self) -> None:
        with self._read_scope:
            while self.end is None:
                # One scope for all deadlines of the session: trio's own heap is the process's timer heap.
                with trio.CancelScope(deadline=self._next_deadline()) as self._timer:
                    await self._read_on()
                if self._timer.cancelled_caught:
                    self.session.handle_deadline(trio.current_time())
                    self._settle()

    async def _read_on(self) -> None:
        """Reads until the transport ends. Never awaits anything but the transport."""
        transport, session = self._transport, self.session
        reads_into = transport.receive_into if isinstance(transport, ReadsInto) else None
        buffer = shared_buffer()
        view = memoryview(buffer)
        while self.end is None:
            try:
                if reads_into is not None:
                    data: memoryview | bytes | bytearray = view[: await reads_into(buffer)]
                else:
                    data = await transport.receive_some(READ_BYTES)
            except (OSError, trio.BrokenResourceError, trio.ClosedResourceError) as error:
                self._ended(TunnelEnd(code=None, reason=f"the transport broke: {error}", remote=True))
                return
            if not data:
                self._ended(TunnelEnd(code=None, reason="the peer closed the transport", remote=True))
                return
            try:
                session.receive_bytes(data, trio.current_time())
            except RemoteProtocolError as error:
                self._dispatch()
                self._ended(TunnelEnd(code=error.wire_code, reason=str(error), remote=False))
                return
            self._settle()

    def _settle(self) -> None:
        """After anything changed in the session: events out, frames out, the timer right."""
        self._dispatch()
        self.flush()
        deadline = self._next_deadline()
        # A later deadline is left for when the timer fires: moving it each time would cost more.
        if deadline < self._timer.deadline:  # noqa: PLR1730 - assigning an equal deadline is not free
            self._timer.deadline = deadline

    def _next_deadline(self) -> float:
        deadline = self.session.next_deadline()
        return math.inf if deadline is None else deadline

    def _dispatch(self) -> None:
        next_event, handlers = self.session.next_event, self._handlers
        while (event := next_event()) is not None:
            handlers[type(event)](event)

    # -- events

    def _on_data(self, event: DataReceived) -> None:
        stream = self._streams.get(event.stream_id)
        if stream is not None:
            stream.feed(event.data)

    def _on_send_ready(self, event: SendReady) -> None:
        stream = self._streams.get(event.stream_id)
        if stream is not None:
            stream.feed_room()

    def _on_finished(self, event: StreamFinished) -> None:
        stream = self._streams.get(event.stream_id)
        if stream is not None:
            stream.feed_end()

    def _on_accepted(self, event: StreamAccepted) -> None:
        stream = self._streams.get(event.stream_id)
        if stream is not None:
            stream.feed_accepted()

    def _on_opened(self, event: StreamOpened) -> None:
        stream = MuxStream(self, event.stream_id, kind=event.kind, host=event.host, port=event.port)
        stream.metadata = event.metadata
        self._streams[event.stream_id] = stream
        if self._on_stream is None:
            raise RuntimeError("an agent's tunnel needs on_stream")
        self._on_stream(stream)

    def _on_reset(self, event: StreamReset) -> None:
        stream = self._streams.pop(event.stream_id, None)
        if stream is not None:
            reason = event.reason or "the stream was reset by the peer"
            stream.fail(BrokenStreamError(reason, wire_code=event.code, remote=True))
            self._check_drained()

    def _on_hello(self, event: HelloReceived) -> None:
        self.hello = event.hello
        self._greet()

    def _on_welcome(self, event: WelcomeReceived) -> None:
        self.welcome = event.welcome
        self.id = event.welcome.tunnel_id
        self._greet()

    def _greet(self) -> None:
        self._greeted.set()
        if self._task_status is not None:
            self._task_status.started()
            self._task_status = None

    def _on_goaway(self, event: GoawayReceived) -> None:
        self.goaway_received = event
        self._goaway.set()
        if not is_orderly(event.code):
            self._ended(
                TunnelEnd(
                    code=event.code, reason=event.reason, remote=True, retry_after_seconds=event.retry_after_seconds
                )
            )
            return
        for stream in [stream for stream in self._streams.values() if stream.idle]:
            stream.reset(ResetCode.NO_ERROR, "the tunnel will end")
        if event.code != CloseCode.DRAIN:
            self._draining = True
            self._check_drained()

    def _on_session_ended(self, event: SessionEnded) -> None:
        goaway = self.goaway_received
        self._ended(
            TunnelEnd(
                code=None if goaway is None else goaway.code,
                reason=event.reason,
                remote=goaway is not None,
                retry_after_seconds=0.0 if goaway is None else goaway.retry_after_seconds,
            )
        )

    def _check_drained(self) -> None:
        # Asked of the session: a stream that its program is done with may still have bytes to send.
        if self._draining and not self.session.open_stream_count:
            self._drained.set()

    def _ended(self, end: TunnelEnd) -> None:
        """The tunnel is over: its streams fail. Only the first reason counts."""
        if self.end is not None:
            return
        self.end = end
        streams, self._streams = self._streams, {}
        for stream in streams.values():
            stream.fail(BrokenTunnelError(f"the tunnel ended: {end.reason}"))
        for event in (self._greeted, self._goaway, self._drained):
            event.set()
        self._stop_reading()

    def _stop_reading(self) -> None:
        self._read_scope.cancel()

    # -- what streams ask

    def forget(self, stream: MuxStream) -> None:
        """The stream is over."""
        self._streams.pop(stream.stream_id, None)
        self._check_drained()

    # -- writing

    async def _write(self, scope: trio.CancelScope) -> None:
        with scope:
            try:
                await self._writer.run()
            except (OSError, trio.BrokenResourceError, trio.ClosedResourceError) as error:
                self._ended(TunnelEnd(code=None, reason=f"the transport broke: {error}", remote=True))
