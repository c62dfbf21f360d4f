"""Calls an ASGI application for a request that the strict reader has accepted: one listener, one HTTP reader."""

from collections.abc import Iterable
from typing import Any
from urllib.parse import unquote

import trio

from relay.http1 import BodyReader, RequestHead, response_head
from relay.ingress.connection import READ_BYTES, VisitorConnection
from relay.ingress.deadlines import Phase
from relay.ingress.errors import OverloadedError, TooLargeError
from relay.ingress.settings import AsgiApp, Message
from relay.ingress.streamed import OWN_HEADERS, BrokenAnswerError, StreamedAnswer


async def serve_asgi(connection: VisitorConnection, head: RequestHead, kind: str, application: AsgiApp) -> bool:
    """Answers a request by an application. True when the connection may carry another.

    The request's body is read before the application runs: API bodies are small, and a slow sender holds nothing. An
    answer that the application gives in one part has a length; one in several parts leaves as they come.
    Raises TooLargeError, OverloadedError and BadRequestError.
    """
    started = trio.current_time()
    shared = connection.shared
    body = bytearray()
    try:
        await _read_body(connection, head, body)
        call = _Call(connection, head, bytes(body))
        connection.enter(Phase.RESPONSE_HEAD, connection.limits.response_head_seconds)
        try:
            await application(_scope(connection, head), call.receive, call.send)
        finally:
            if call.streamed is not None:
                code = "" if call.streamed.done else "cut_off"
                sent_bytes = call.streamed.sent_bytes
                connection.record(kind, head, status=call.status, started=started, code=code, sent_bytes=sent_bytes)
    finally:
        shared.body_bytes -= len(body)
    if call.streamed is not None:
        return await _end_streamed(connection, call.streamed)
    connection.enter(Phase.WRITE, connection.limits.write_stalled_seconds)
    keep_alive = head.keep_alive and not shared.draining
    await connection.send(call.answer(connection.request_id, keep_alive=keep_alive))
    connection.record(
        kind, head, status=call.status, started=started, received_bytes=len(body), sent_bytes=len(call.body)
    )
    return keep_alive


async def _end_streamed(connection: VisitorConnection, answer: StreamedAnswer) -> bool:
    await connection.reading_again()
    if not answer.done:
        raise BrokenAnswerError("the application ended without ending its answer")
    return answer.keep_alive


async def _read_body(connection: VisitorConnection, head: RequestHead, body: bytearray) -> None:
    """Appends the request's body to `body`, within the limits of one and of all together."""
    if not head.has_body:
        return
    limits, shared = connection.limits, connection.shared
    if head.framing.length > limits.api_body_bytes:
        raise TooLargeError(f"The body is larger than {limits.api_body_bytes} bytes.")
    reader = BodyReader(head.framing, limits.head)
    if head.expects_continue:
        await connection.stream.send_all(b"HTTP/1.1 100 Continue\r\n\r\n")
    connection.enter(Phase.BODY, limits.body_idle_seconds)  # for all of it: these bodies are small
    data = bytes(connection.buffer)
    connection.buffer.clear()
    while True:
        part = reader.feed(data) if data else b""
        body += part
        shared.body_bytes += len(part)
        if len(body) > limits.api_body_bytes:
            raise TooLargeError(f"The body is larger than {limits.api_body_bytes} bytes.")
        if shared.body_bytes > limits.api_bodies_bytes:
            raise OverloadedError("Too many bodies are being received at once.")
        if reader.done:
            break
        data = await connection.stream.receive_some(READ_BYTES)
        if not data:
            reader.eof()
    connection.buffer += reader.leftover


def _scope(connection: VisitorConnection, head: RequestHead) -> dict[str, Any]:
    path, _, query = head.target.partition(b"?")
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": head.method.decode("latin-1"),
        "scheme": "https",
        "path": unquote(path.decode("latin-1")),
        "raw_path": path,
        "query_string": query,
        "root_path": "",
        "headers": [
            *[(name, value) for name, value in head.headers if name != b"x-request-id"],
            (b"x-request-id", connection.request_id.encode()),
        ],
        "client": connection.stream.peer_address,
        "server": (head.host, head.port or 443),
    }


class _Call:
    """One call of an application: gives it the body, takes its answer."""

    def __init__(self, connection: VisitorConnection, head: RequestHead, body: bytes) -> None:
        self.status = 500
        self.body = b""
        self.streamed: StreamedAnswer | None = None
        """Once the application gives its answer in several parts."""
        self._connection = connection
        self._head = head
        self._headers: Iterable[tuple[bytes, bytes]] = ()
        self._request: Message | None = {"type": "http.request", "body": body, "more_body": False}

    async def receive(self) -> Message:
        await trio.lowlevel.checkpoint()
        if self._request is None:
            await trio.sleep_forever()  # a disconnect is felt as cancellation
        message, self._request = self._request, None
        assert message is not None  # noqa: S101 - just tested
        return message

    async def send(self, message: Message) -> None:
        await trio.lowlevel.checkpoint()
        if message["type"] == "http.response.start":
            if self.streamed is not None:
                raise BrokenAnswerError("the application began its answer twice")
            self.status = message["status"]
            self._headers = message.get("headers", ())
            return
        data, more = message.get("body", b""), message.get("more_body", False)
        if self.streamed is None and not more:
            self.body = data
            return
        if self.streamed is None:
            self.streamed = StreamedAnswer(self._connection, self._head)
            await self.streamed.begin(self.status, self._headers)
        await self.streamed.send(data, more=more)

    def answer(self, request_id: str, *, keep_alive: bool) -> bytes:
        """The whole answer; the application's own framing headers are replaced by ours."""
        headers = [(name.lower(), value) for name, value in self._headers if name.lower() not in OWN_HEADERS]
        headers += [(b"content-length", str(len(self.body)).encode()), (b"x-request-id", request_id.encode())]
        if not keep_alive:
            headers.append((b"connection", b"close"))
        return response_head(self.status, headers) + (b"" if self._head.method == b"HEAD" else self.body)
