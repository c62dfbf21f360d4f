"""Streams of kind `kubernetes`: one request each, judged by the table, rebuilt, and its answer passed on."""

import json
from dataclasses import replace
from typing import Final

import structlog
import trio

from client.kubernetes.table import MAX_BODY_BYTES, Asked, NotLetThroughError, Scope, let_through
from client.status import Metrics
from relay.errors import BadRequestError, RelayError
from relay.http1 import (
    CHUNKED,
    BodyReader,
    BodyWriter,
    Form,
    FramingKind,
    HeadLimits,
    RequestHead,
    read_request_head,
    response_head,
)
from relay.kubernetes import JSON, STREAM_ADDRESS, Answer, ApiRequest, KubernetesClient, KubernetesError
from relay.mux import ResetCode
from relay.transport import MuxStream

MAX_REQUESTS: Final = 128
"""Under way at once: the watches of a relay's processes, some writes, and the logs that people follow."""
REQUEST_SECONDS: Final = 10.0
"""Until a request has arrived whole: it comes from the relay in one flight, and has at most 1 MiB."""
HEAD_LIMITS: Final = HeadLimits(head_bytes=16384, headers=16)
HEADERS: Final = frozenset({b"host", b"accept", b"content-type", b"content-length"})
"""All that a request may have. What is not understood may mean something to the API server, and is not guessed at."""
PASSED_BACK: Final = (b"content-type", b"retry-after")
"""Of the answer's headers."""
REASONS: Final = {400: "BadRequest", 403: "Forbidden", 429: "TooManyRequests", 503: "ServiceUnavailable"}
"""By status: the word that Kubernetes has for it."""

log = structlog.get_logger("agent")


class TooBusyError(RelayError):
    """As many requests are under way as may be."""

    code = "too_busy"
    status = 429


class Gateway:
    """Lets through to the API server what the table allows; serves the streams of all tunnels of one agent."""

    def __init__(self, api: KubernetesClient, scope: Scope, metrics: Metrics) -> None:
        self._api = api
        self._scope = scope
        self._metrics = metrics
        self._under_way = 0
        self._stopping = trio.Event()

    def stop(self) -> None:
        """Ends watches, which never end by themselves, once the agent takes no new streams: they go on elsewhere."""
        self._stopping.set()

    async def serve(self, stream: MuxStream) -> None:
        """Serves one stream to its end; never raises for what the relay or the API server does."""
        if (stream.host, stream.port) != STREAM_ADDRESS:
            host, port = STREAM_ADDRESS
            stream.reset(ResetCode.NOT_ALLOWED, f"streams of this kind go to {host}:{port} and nowhere else")
            return
        stream.accept()
        self._under_way += 1
        busy = self._under_way > MAX_REQUESTS
        exchange = _Exchange(stream, self._api, self._scope, busy=busy, stopping=self._stopping)
        try:
            await exchange.run()
        finally:
            self._under_way -= 1
            self._metrics.kubernetes_requests.labels(exchange.result).inc()


class _Exchange:
    """One request and its answer."""

    def __init__(
        self, stream: MuxStream, api: KubernetesClient, scope: Scope, *, busy: bool, stopping: trio.Event
    ) -> None:
        self.result = "left"
        """For the counter: ok, refused, failed, or left by the relay."""
        self._stream = stream
        self._api = api
        self._scope = scope
        self._busy = busy
        self._stopping = stopping
        self._answered = False

    async def run(self) -> None:
        """Serves the stream to its end."""
        try:
            await self._serve()
            await self._stream.aclose()
        except* trio.BrokenResourceError:
            pass  # the relay has left, perhaps while a piece was on its way to it

    async def _serve(self) -> None:
        try:
            with trio.fail_after(REQUEST_SECONDS):
                request = await self._receive()
        except trio.BrokenResourceError:
            raise  # a reset is a RelayError, too, and nobody is left to be answered
        except RelayError as error:
            self.result = "refused"
            log.warning("kubernetes request refused", reason=str(error))
            await self._send_status(error)
            await self._discard_the_rest()
            return
        except trio.TooSlowError:
            self.result = "refused"
            self._stream.reset(ResetCode.TIMED_OUT, f"the request did not arrive within {REQUEST_SECONDS:g} s")
            return
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._end_with_the_stream, nursery.cancel_scope)
            if request.watches:
                nursery.start_soon(self._end_with_the_agent, nursery.cancel_scope)
            await self._answer(request)
            nursery.cancel_scope.cancel()

    # -- the request

    async def _receive(self) -> ApiRequest:
        """The whole request, if it may pass. Raises RelayError for one that may not, BrokenResourceError."""
        buffer = bytearray()
        while (found := read_request_head(buffer, HEAD_LIMITS)) is None:
            buffer += await self._receive_some()
        head, length = found
        request = let_through(_asked(head), self._scope)
        if self._busy:
            raise TooBusyError(f"the agent has {MAX_REQUESTS} requests to the API server under way")
        body = BodyReader(head.framing, HEAD_LIMITS)
        content = bytearray(body.feed(bytes(buffer[length:])))
        while not body.done:
            content += body.feed(await self._receive_some())
        if body.leftover:
            raise BadRequestError("there are bytes behind the request", reason="leftover")
        return replace(request, body=bytes(content))

    async def _receive_some(self) -> bytes:
        data = await self._stream.receive_some()
        if not data:
            raise BadRequestError("the request ended early", reason="incomplete")
        return data

    async def _discard_the_rest(self) -> None:
        """Takes what a refused request still sends: closing with bytes unread is a reset, which overtakes answers."""
        self._stream.finish()
        with trio.move_on_after(REQUEST_SECONDS):
            while await self._stream.receive_some():
                pass

    async def _end_with_the_stream(self, exchange: trio.CancelScope) -> None:
        """Ends the exchange as soon as the relay has left, or sends more than its one request."""
        try:
            if await self._stream.receive_some():
                self._stream.reset(ResetCode.PROTOCOL_ERROR, "a stream of this kind carries one request")
            else:
                await self._stream.wait_broken()
        except trio.BrokenResourceError:
            pass  # that it broke is what was waited for
        exchange.cancel()

    async def _end_with_the_agent(self, exchange: trio.CancelScope) -> None:
        await self._stopping.wait()
        self._stream.reset(ResetCode.GOING_AWAY, "the agent is stopping")
        exchange.cancel()

    # -- the answer

    async def _answer(self, request: ApiRequest) -> None:
        try:
            async with self._api.exchange(request) as answer:
                await self._pass_back(answer)
        except KubernetesError as error:
            self.result = "failed"
            log.warning("kubernetes request failed", method=request.method, path=request.path, reason=str(error))
            if self._answered:
                self._stream.reset(ResetCode.TARGET_RESET, str(error))
            else:
                await self._send_status(error)
        else:
            self.result = "ok"

    async def _pass_back(self, answer: Answer) -> None:
        """The answer with a head of our own. A relay that does not read stalls this, and with it the API server."""
        framing = answer.head.framing
        headers = [(name, value) for name in PASSED_BACK if (value := answer.head.get(name)) is not None]
        if framing.kind is FramingKind.LENGTH:
            headers.append((b"content-length", b"%d" % framing.length))
        elif framing.kind is not FramingKind.NONE:
            framing = CHUNKED  # where only the connection's end would tell the body's, too
            headers.append((b"transfer-encoding", b"chunked"))
        writer = BodyWriter(framing)
        self._answered = True
        await self._stream.send_all(response_head(answer.status, headers))
        async for piece in answer:
            await self._stream.send_all(writer.encode(piece))
        if ending := writer.end():
            await self._stream.send_all(ending)

    async def _send_status(self, error: RelayError) -> None:
        """An answer of the agent's own, in the shape that Kubernetes has for errors."""
        document = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": str(error),
            "reason": REASONS.get(error.status, "InternalError"),
            "code": error.status,
        }
        body = json.dumps(document).encode()
        headers = [(b"content-type", JSON.encode()), (b"content-length", b"%d" % len(body))]
        if isinstance(error, TooBusyError):
            headers.append((b"retry-after", b"1"))
        await self._stream.send_all(response_head(error.status, headers) + body)


def _asked(head: RequestHead) -> Asked:
    """What the table judges. Raises RelayError for what it need not be asked about."""
    method, target = head.method.decode(), head.raw.split(b" ", 2)[1].decode("ascii")
    if head.form is not Form.ORIGIN or head.version != (1, 1):
        raise NotLetThroughError("the agent does not let through targets in absolute form, nor HTTP/1.0")
    for name, _ in head.headers:
        if name not in HEADERS:
            raise NotLetThroughError(f"the agent does not let through the header {name.decode()[:100]}")
    if head.framing.kind is FramingKind.LENGTH and head.framing.length > MAX_BODY_BYTES:
        raise NotLetThroughError(f"the agent does not let through bodies of more than {MAX_BODY_BYTES} bytes")
    content_type = head.get(b"content-type")
    if (content_type is not None) != (head.framing.kind is FramingKind.LENGTH) or content_type == b"":
        raise BadRequestError("a body has both Content-Type and Content-Length", reason="body")
    return Asked(
        method=method,
        target=target,
        content_type="" if content_type is None else content_type.decode("latin-1"),
        accept=JSON if (accept := head.get(b"accept")) is None else accept.decode("latin-1"),
    )
