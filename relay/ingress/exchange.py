"""Forwarding one request of a visitor over a tunnel, and the answer back: the hot path.

State is kept so that every way out is accounted for: a stream is either put back into the connection's pool after both
messages ended exactly where their framing says, or reset. Nothing is buffered whole; one chunk at a time is in flight
here, and the windows of the tunnel and of TCP do the rest.
"""

import trio

from relay.errors import (
    BadRequestError,
    RelayError,
    StreamResetError,
    TunnelClosedError,
)
from relay.http1 import (
    BodyReader,
    BodyWriter,
    FramingKind,
    RequestHead,
    ResponseHead,
    forward_response_head,
    read_response_head,
)
from relay.ingress.admission import Admitted
from relay.ingress.connection import READ_BYTES, VisitorConnection
from relay.ingress.deadlines import Phase
from relay.ingress.errors import SignInNeededError, TargetClosedError, target_error
from relay.ingress.raw import copy_raw
from relay.ingress.streams import InFlight, open_stream
from relay.mux import ResetCode
from relay.transport import MuxStream

BULK_BYTES = 262144  # large writes cost a third per byte of small ones
IDEMPOTENT_METHODS = frozenset({b"GET", b"HEAD", b"OPTIONS", b"TRACE", b"PUT", b"DELETE"})  # RFC 9110 9.2.2
SWITCHING_PROTOCOLS = 101
WHOLE = frozenset({FramingKind.NONE, FramingKind.LENGTH})  # framings whose body ends after a known number of bytes
VISITOR_LEFT = 499  # in the log only; the number that nginx made customary


async def forward(connection: VisitorConnection, head: RequestHead) -> bool:
    """Answers a request for a preview host. True when the connection may carry another.

    Raises RelayError for what is to be refused, as long as nothing of an answer has left.
    """
    shared, limits = connection.shared, connection.limits
    admission, now = shared.admission, shared.watchdog.now
    admitted = connection.repetition.admitted(head, admission.generation, now)
    if admitted is None:
        try:
            connection.admitted = admitted = await admission.preview(head, connection.admitted, now)
        except SignInNeededError as error:
            return await connection.redirect(head, error.redirect)
    route = admitted.route
    exchange = Exchange(connection, head, admitted)
    with InFlight(shared.in_flight, route.cluster_id, limits.requests_per_cluster, f"The cluster {route.cluster}"):
        if admitted.principal is not None:
            return await exchange.run()
        with InFlight(shared.strangers, connection.peer, limits.public_requests_per_address, "Your address"):
            return await exchange.run()


class Exchange:
    """One request and its answer."""

    __slots__ = (
        "_admitted",
        "_connection",
        "_continue_due",
        "_has_body",
        "_head",
        "_key",
        "_received_bytes",
        "_recorded",
        "_request_done",
        "_route",
        "_sent_bytes",
        "_started",
        "_status",
        "_stream",
        "_upload_error",
    )

    def __init__(self, connection: VisitorConnection, head: RequestHead, admitted: Admitted) -> None:
        self._connection = connection
        self._head = head
        self._admitted = admitted
        self._route = admitted.route
        self._key = admitted.pool_key
        self._stream: MuxStream | None = None
        self._has_body = head.has_body
        self._request_done = not self._has_body
        self._continue_due = head.expects_continue
        self._upload_error: BadRequestError | None = None
        self._status = 0
        self._recorded = False
        self._received_bytes = 0
        self._sent_bytes = 0
        self._started = trio.current_time()

    async def run(self) -> bool:
        """Forwards both ways; see `forward`."""
        try:
            if self._has_body:
                return await self._with_body()
            self._connection.target_awaited()
            try:
                response, rest = await self._ask()
                return await self._answer(response, rest)
            finally:
                await self._connection.reading_again()
        finally:
            if self._stream is not None:
                self._stream.reset(ResetCode.CANCELLED)
            if not self._recorded:
                self._record_broken()

    # -- towards the target

    async def _open(self, *, pooled: bool) -> tuple[MuxStream, bool]:
        """A stream to the target, with whether it has been used before. Raises ClusterOfflineError."""
        repeatable = self._head.method in IDEMPOTENT_METHODS and not self._has_body
        stream = (
            self._connection.pool.take(self._key, now=self._connection.shared.watchdog.now, repeatable=repeatable)
            if pooled
            else None
        )
        if stream is not None:
            self._stream = stream
            return stream, True
        route = self._route
        self._stream = stream = await open_stream(
            self._connection,
            (route.target_host, route.target_port),
            org_id=route.org_id,
            cluster_id=route.cluster_id,
            cluster=route.cluster,
        )
        return stream, False

    def _request_bytes(self) -> bytes:
        connection = self._connection
        return connection.repetition.request_bytes(
            self._head, self._admitted, peer=connection.peer, request_id=connection.request_id
        )

    async def _ask(self) -> tuple[ResponseHead, bytes]:
        """Sends a request without body and reads the answer's head.

        Asks a second time where that is safe: an idle stream may have been closed under our request, and a tunnel may
        have been replaced by a newer one.
        """
        request = self._request_bytes()
        stream, used_before = await self._open(pooled=True)
        try:
            return await self._ask_over(stream, request)
        except (TargetClosedError, TunnelClosedError) as error:
            may_repeat = used_before or isinstance(error, TunnelClosedError)
            if not may_repeat or self._head.method not in IDEMPOTENT_METHODS or self._connection.answering:
                raise
            stream.reset(ResetCode.CANCELLED)
        stream, _ = await self._open(pooled=False)
        return await self._ask_over(stream, request)

    async def _ask_over(self, stream: MuxStream, request: bytes) -> tuple[ResponseHead, bytes]:
        self._connection.enter(Phase.RESPONSE_HEAD, self._connection.limits.response_head_seconds)
        stream.send_nowait(request)
        return await self._read_response_head(stream)

    async def _with_body(self) -> bool:
        """Sends a request with a body while the answer may already come."""
        stream, _ = await self._open(pooled=True)
        self._connection.enter(Phase.RESPONSE_HEAD, self._connection.limits.response_head_seconds)
        stream.send_nowait(self._request_bytes())
        keep = False
        failure: Exception | None = None
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._upload, stream)
            try:
                keep = await self._answer(*await self._read_response_head(stream))
            except (RelayError, trio.BrokenResourceError, trio.ClosedResourceError) as error:
                failure = error  # raised outside: a nursery would wrap it in a group
            nursery.cancel_scope.cancel()
        await self._connection.reading_again()
        if self._upload_error is not None:
            raise self._upload_error
        if failure is not None:
            raise failure
        if not self._request_done:
            await self._connection.linger()  # an early answer: the visitor is still sending
        return keep and self._request_done

    async def _upload(self, stream: MuxStream) -> None:
        """Copies the request's body. A fault of the visitor's resets the stream and is kept for the asking task."""
        connection, limits = self._connection, self._connection.limits
        reader = BodyReader(self._head.framing, limits.head)
        writer = BodyWriter(self._head.framing)
        data = bytes(connection.buffer)
        connection.buffer.clear()
        try:
            while True:
                body = reader.feed(data) if data else b""
                if body:
                    self._received_bytes += len(body)
                    self._await(Phase.RESPONSE_HEAD, limits.response_head_seconds)
                    await stream.send_all(writer.encode(body))
                if reader.done:
                    break
                if not self._continue_due:  # until then the visitor waits for the target's word
                    self._await(Phase.BODY, limits.body_idle_seconds)
                data = await connection.stream.receive_some(BULK_BYTES)
                self._continue_due = False
                if not data:
                    reader.eof()
            if end := writer.end():
                await stream.send_all(end)
        except BadRequestError as error:
            self._upload_error = error
            stream.reset(ResetCode.CANCELLED)
            return
        except (StreamResetError, TunnelClosedError, trio.ClosedResourceError):
            return  # the asking task meets the same end and says so
        except trio.BrokenResourceError:
            connection.scope.cancel()  # the visitor left
            return
        connection.buffer += reader.leftover
        self._request_done = True
        self._await(Phase.RESPONSE_HEAD, limits.response_head_seconds)
        connection.target_awaited()

    def _await(self, phase: Phase, seconds: float) -> None:
        """Enters a phase of the request; once the answer has begun, progress either way moves the answer's limit."""
        connection = self._connection
        if connection.answering:
            connection.enter(Phase.RESPONSE, connection.limits.response_idle_seconds)
        else:
            connection.enter(phase, seconds)

    # -- towards the visitor

    async def _read_response_head(self, stream: MuxStream) -> tuple[ResponseHead, bytes]:
        """The final answer's head and what came with it; informational answers are passed on (RFC 9110 15.2)."""
        connection, head = self._connection, self._head
        repetition = connection.repetition
        buffer = await self._receive_answer(stream)
        while True:
            parsed = read_response_head(
                buffer,
                request_method=head.method,
                upgrade=head.upgrade,
                limits=connection.limits.head,
                earlier=repetition.response,
            )
            if parsed is None:
                buffer += await self._receive_answer(stream)
                continue
            response, consumed = parsed
            buffer = buffer[consumed:]
            if not response.is_informational or response.status == SWITCHING_PROTOCOLS:
                repetition.response = response
                return response, buffer
            if self._continue_due:
                self._continue_due = False
                connection.enter(Phase.BODY, connection.limits.body_idle_seconds)
            if informational := forward_response_head(response, request=head, keep_alive=True):
                await connection.stream.send_all(informational)

    async def _receive_answer(self, stream: MuxStream) -> bytes:
        """More of what comes before the body. Raises what the end of the stream means to the visitor."""
        try:
            data = await stream.receive_some(READ_BYTES)
        except StreamResetError as error:
            raise target_error(error, self._key.host, self._key.port) from error
        if not data:
            raise TargetClosedError("The target of this preview closed without an answer.")
        return data

    async def _answer(self, response: ResponseHead, rest: bytes) -> bool:
        """Sends the answer. True when the visitor's connection may carry another request."""
        connection = self._connection
        if response.status == SWITCHING_PROTOCOLS:
            return await self._switch(response, rest)
        keep = self._head.keep_alive and self._request_done and not connection.shared.draining
        self._status = response.status
        if len(rest) == response.framing.length and response.framing.kind in WHOLE:
            head = self._answer_head(response, keep_alive=keep)
            self._sent_bytes = len(rest)
            connection.enter(Phase.WRITE, connection.limits.write_stalled_seconds)
            await connection.send(head + rest)
            self._settle(response)
        else:
            keep = await self._stream_answer(response, rest, keep=keep)
        self._record(response.status)
        return keep

    async def _stream_answer(self, response: ResponseHead, rest: bytes, *, keep: bool) -> bool:
        """Sends an answer as its body comes. True when the visitor's connection may carry another request."""
        connection, limits = self._connection, self._connection.limits
        reader = BodyReader(response.framing, limits.head, response=True)
        writer = BodyWriter.for_response(response, self._head)
        keep = keep and not writer.until_close
        out = self._answer_head(response, keep_alive=keep)
        body = reader.feed(rest) if rest else b""
        if body:
            self._sent_bytes += len(body)
            out += writer.encode(body)
        stream = self._stream
        assert stream is not None  # noqa: S101 - an answer came over it
        while not reader.done:
            connection.enter(Phase.WRITE, limits.write_stalled_seconds)
            await connection.send(out)
            connection.enter(Phase.RESPONSE, limits.response_idle_seconds)
            out = await self._more_body(stream, reader, writer)
        connection.enter(Phase.WRITE, limits.write_stalled_seconds)
        await connection.send(out + writer.end(reader.trailers))
        if not reader.leftover:
            self._settle(response)
        return keep

    async def _more_body(self, stream: MuxStream, reader: BodyReader, writer: BodyWriter) -> bytes:
        """What of the body is to be sent next; what the visitor took as it arrived is behind it already."""
        if missing := reader.missing_bytes:
            before = self._sent_bytes
            await stream.pass_on(missing, self._give)
            passed = self._sent_bytes - before
            reader.passed(passed)
            writer.passed(passed)
            if reader.done:
                return b""
        data = await stream.receive_some(BULK_BYTES)
        if not data:
            reader.eof()
            return b""
        body = reader.feed(data)
        self._sent_bytes += len(body)
        return writer.encode(body)

    def _give(self, data: memoryview) -> int:
        """Sends as much of the body as the visitor's connection takes at once."""
        connection = self._connection
        connection.enter(Phase.RESPONSE, connection.limits.response_idle_seconds)
        taken = connection.stream.send_nowait(data)
        self._sent_bytes += taken
        return taken

    def _answer_head(self, response: ResponseHead, *, keep_alive: bool) -> bytes:
        return self._connection.repetition.response_bytes(
            response, self._head, keep_alive=keep_alive, set_headers=self._own_headers()
        )

    def _own_headers(self) -> bytes:
        return b"x-request-id: " + self._connection.request_id.encode() + b"\r\n" + self._admitted.set_cookie

    def _settle(self, response: ResponseHead) -> None:
        """Keeps the stream for the connection's next request; both messages have ended where they should."""
        stream = self._stream
        if stream is not None and self._request_done:
            shared = self._connection.shared
            keep = response.keep_alive and not shared.memory_short()
            self._connection.pool.put(self._key, stream, now=shared.watchdog.now, keep=keep)
            self._stream = None

    async def _switch(self, response: ResponseHead, rest: bytes) -> bool:
        """The target agreed to switch protocols: raw bytes from here on (RFC 9110 7.8)."""
        connection = self._connection
        stream = self._stream
        assert stream is not None  # noqa: S101 - an answer came over it
        await connection.reading_again()
        head = forward_response_head(response, request=self._head, keep_alive=True, set_headers=self._own_headers())
        await connection.send(head + rest)
        self._received_bytes, self._sent_bytes = await copy_raw(connection, stream)
        self._record(response.status)
        return False

    def _record_broken(self) -> None:
        """An exchange that neither came to its end nor is refused with an answer of ours."""
        if self._connection.answering:
            self._record(self._status, "cut_off")
        elif self._connection.visitor_left:
            self._record(VISITOR_LEFT, "visitor_left")

    def _record(self, status: int, code: str = "") -> None:
        self._recorded = True
        self._connection.record(
            "preview",
            self._head,
            status=status,
            code=code,
            started=self._started,
            received_bytes=self._received_bytes,
            sent_bytes=self._sent_bytes,
            context=self._admitted.context,
        )
