"""The sample web app behind the demo's preview: an ordinary HTTP/1.1 server that knows nothing of the relay.

Run as a process of its own (`python -m relay.demo.sample`): it listens on a free loopback port and prints it.
"""

import hashlib
import html
import json
import sys
from collections.abc import Awaitable, Callable
from urllib.parse import parse_qs

import trio
from trio_websocket import ConnectionClosed, WebSocketRequest, wrap_server_stream

from relay.errors import BadRequestError
from relay.http1 import BodyReader, HeadLimits, RequestHead, read_request_head, response_head

CHUNK_BYTES = 65536
PATTERN = bytes(range(256)) * (CHUNK_BYTES // 256)
MAX_MESSAGE_BYTES = 16 * 1024 * 1024
MAX_EVENTS = 1000

Handler = Callable[["Request"], Awaitable[None]]


class Request:
    """One request with the means to read its body and to answer it."""

    def __init__(self, stream: trio.SocketStream, head: RequestHead, buffer: bytearray) -> None:
        self.head = head
        path, _, query = head.target.decode("latin-1").partition("?")
        self.path = path
        self.query = {name: values[0] for name, values in parse_qs(query).items()}
        self._stream = stream
        self._buffer = buffer
        self._continue_expected = head.expects_continue
        self._reader = BodyReader(head.framing, HeadLimits()) if head.has_body else None

    async def body(self) -> bytes:
        """The next part of the body, empty at its end."""
        reader = self._reader
        if reader is None:
            return b""
        if self._continue_expected and not self._buffer:
            await self._stream.send_all(b"HTTP/1.1 100 Continue\r\n\r\n")
        self._continue_expected = False
        while not reader.done:
            data = bytes(self._buffer) or await self._stream.receive_some(CHUNK_BYTES)
            self._buffer.clear()
            if not data:
                reader.eof()
            part = reader.feed(data)
            self._buffer += reader.leftover  # empty until the body has ended
            if part:
                return bytes(part)
        return b""

    async def start(self, status: int, content_type: str, length: int | None) -> None:
        """Sends the head of the answer; without a length the body is chunked."""
        framing = (b"transfer-encoding", b"chunked") if length is None else (b"content-length", str(length).encode())
        await self._stream.send_all(response_head(status, [(b"content-type", content_type.encode()), framing]))

    async def send(self, data: bytes) -> None:
        """Sends body bytes as they are."""
        if self.head.method != b"HEAD":
            await self._stream.send_all(data)

    async def answer(self, status: int, content_type: str, body: bytes) -> None:
        """Sends a whole answer."""
        while await self.body():
            pass
        await self.start(status, content_type, len(body))
        await self.send(body)

    async def answer_json(self, value: object) -> None:
        """Sends a JSON answer."""
        await self.answer(200, "application/json", json.dumps(value).encode())


async def page(request: Request) -> None:
    """GET /: a page that shows what arrived."""
    rows = "".join(
        f"<tr><th>{html.escape(name.decode('latin-1'))}</th><td>{html.escape(value.decode('latin-1'))}</td></tr>"
        for name, value in request.head.headers
    )
    text = (
        "<!doctype html><html lang=en><meta charset=utf-8><title>Sample app</title>"
        "<style>:root{color-scheme:light dark}body{font:1rem system-ui;margin:2rem auto;max-width:50rem}"
        "th{text-align:left;padding-right:1rem;vertical-align:top}td{overflow-wrap:anywhere}</style>"
        f"<h1>Hello from the sample app</h1><p>This request reached it through the relay:</p>"
        f"<table>{rows}</table></html>"
    )
    await request.answer(200, "text/html; charset=utf-8", text.encode())


async def show_headers(request: Request) -> None:
    """GET /headers: what arrived, as JSON."""
    await request.answer_json(
        {
            "method": request.head.method.decode("latin-1"),
            "target": request.head.target.decode("latin-1"),
            "headers": [[name.decode("latin-1"), value.decode("latin-1")] for name, value in request.head.headers],
        }
    )


async def echo(request: Request) -> None:
    """POST /echo: sends the body back while it arrives."""
    part = await request.body()  # asked for before the answer begins: `Expect: 100-continue` is answered first
    await request.start(200, "application/octet-stream", None)
    while part:
        await request.send(b"%x\r\n%b\r\n" % (len(part), part))
        part = await request.body()
    await request.send(b"0\r\n\r\n")


async def digest(request: Request) -> None:
    """POST /sha256: the body's digest and size."""
    sha256, size = hashlib.sha256(), 0
    while part := await request.body():
        sha256.update(part)
        size += len(part)
    await request.answer_json({"sha256": sha256.hexdigest(), "bytes": size})


async def produce(request: Request) -> None:
    """GET /bytes?n=N: N bytes of a fixed pattern."""
    left = int(request.query.get("n", "1024"))
    await request.start(200, "application/octet-stream", left)
    if request.head.method == b"HEAD":
        return
    while left > 0:
        await request.send(PATTERN[:left])
        left -= CHUNK_BYTES


async def events(request: Request) -> None:
    """GET /events?n=N&interval=SECONDS: server-sent events, one by one."""
    await request.start(200, "text/event-stream", None)
    for number in range(min(int(request.query.get("n", "10")), MAX_EVENTS)):
        event = f"id: {number}\ndata: event {number}\n\n".encode()
        await request.send(b"%x\r\n%b\r\n" % (len(event), event))
        await trio.sleep(float(request.query.get("interval", "0.5")))
    await request.send(b"0\r\n\r\n")


async def wait(request: Request) -> None:
    """GET /wait?seconds=S: answers late."""
    await trio.sleep(float(request.query.get("seconds", "1")))
    await request.answer(200, "text/plain", b"waited\n")


HANDLERS: dict[str, Handler] = {
    "/": page,
    "/headers": show_headers,
    "/echo": echo,
    "/sha256": digest,
    "/bytes": produce,
    "/events": events,
    "/wait": wait,
}


async def echo_messages(request: WebSocketRequest) -> None:
    """A WebSocket that sends each message back, text as text and bytes as bytes."""
    connection = await request.accept()
    try:
        while True:
            await connection.send_message(await connection.get_message())
    except ConnectionClosed:
        pass


async def serve_websocket(stream: trio.SocketStream, seen: bytes) -> None:
    """Answers a WebSocket handshake whose bytes have already been read."""
    async with trio.open_nursery() as nursery:
        request = await wrap_server_stream(
            nursery, _Replayed(stream, seen), max_message_size=MAX_MESSAGE_BYTES, receive_buffer_size=CHUNK_BYTES
        )
        await echo_messages(request)


class _Replayed(trio.abc.Stream):
    """A stream whose first bytes were read before."""

    def __init__(self, stream: trio.SocketStream, seen: bytes) -> None:
        self._stream = stream
        self._seen = seen

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        if self._seen:
            seen, self._seen = self._seen, b""
            return seen
        return bytes(await self._stream.receive_some(max_bytes))

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await self._stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self._stream.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        await self._stream.aclose()


async def serve(stream: trio.SocketStream) -> None:
    """Serves one connection until the peer leaves or sends something that is not HTTP."""
    buffer = bytearray()
    try:
        while True:
            parsed = read_request_head(buffer, HeadLimits()) if buffer else None
            if parsed is None:
                data = await stream.receive_some(CHUNK_BYTES)
                if not data:
                    return
                buffer += data
                continue
            head, consumed = parsed
            if head.upgrade == b"websocket":
                await serve_websocket(stream, bytes(buffer))
                return
            del buffer[:consumed]
            request = Request(stream, head, buffer)
            await HANDLERS.get(request.path, not_found)(request)
    except BadRequestError as error:
        await stream.send_all(response_head(400, [(b"connection", b"close")]) + str(error).encode())
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        pass
    finally:
        await trio.aclose_forcefully(stream)


async def not_found(request: Request) -> None:
    """Any other path."""
    await request.answer(404, "text/plain", b"The sample app has no such page.\n")


async def main() -> None:
    """Listens on a free loopback port, prints it and serves until it is ended."""
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    sys.stdout.write(f"{listeners[0].socket.getsockname()[1]}\n")
    sys.stdout.flush()
    await trio.serve_listeners(serve, listeners)


if __name__ == "__main__":
    try:
        trio.run(main)
    except KeyboardInterrupt:
        sys.exit(0)
