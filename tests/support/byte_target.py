"""A target that keeps every byte that reaches it and answers what it takes for requests.

It reads leniently on purpose, as origins in the field do: a bare LF ends a line, the last Content-Length wins, white
space is trimmed. Whatever an attacker hopes to slip past the relay would be seen here as a request of its own.
"""

import re
import socket
import socketserver
import threading
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

READ_BYTES = 65536


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One request as the target understood it."""

    method: bytes
    target: bytes
    headers: list[tuple[bytes, bytes]]
    """Names in lower case."""
    body: bytes

    def values(self, name: bytes) -> list[bytes]:
        """All values of a header."""
        return [value for key, value in self.headers if key == name]


@dataclass(slots=True)
class Log:
    """What arrived, on all connections."""

    requests: list[Seen] = field(default_factory=list)
    raw: list[bytearray] = field(default_factory=list)
    """The bytes of each connection that sent any."""
    unread: list[bytes] = field(default_factory=list)
    """What was left on a connection at its end and is no complete request."""


class ByteTarget:
    """Listens on a free loopback port for the time of the block."""

    def __init__(self) -> None:
        self.log = Log()
        self._lock = threading.Lock()
        target = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                target._serve(self.request)

        self._server = _Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.server_address[1])

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def take(self) -> list[Seen]:
        """The requests since the last call."""
        with self._lock:
            requests, self.log.requests = self.log.requests, []
            return requests

    def _serve(self, connection: socket.socket) -> None:
        raw = bytearray()
        buffer = bytearray()
        try:
            while data := connection.recv(READ_BYTES):
                if not raw:
                    self.log.raw.append(raw)
                raw += data
                buffer += data
                while (seen := _take_request(buffer)) is not None:
                    with self._lock:
                        self.log.requests.append(seen)
                    connection.sendall(_answer(seen))
        except OSError:
            pass  # the relay reset the stream: what was kept until then is what counts
        finally:
            if buffer:
                with self._lock:
                    self.log.unread.append(bytes(buffer))


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 512


def _answer(seen: Seen) -> bytes:
    body = b"seen"
    head = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body)
    return head if seen.method == b"HEAD" else head + body


def _take_request(buffer: bytearray) -> Seen | None:
    """Removes one request from the buffer; None while it is incomplete."""
    end = re.search(rb"\r?\n\r?\n", buffer)
    if end is None:
        return None
    lines = re.split(rb"\r?\n", bytes(buffer[: end.start()]))
    words = lines[0].split(b" ")
    headers = []
    for line in lines[1:]:
        name, _, value = line.partition(b":")
        headers.append((name.strip().lower(), value.strip()))
    taken = _take_body(bytes(buffer[end.end() :]), headers)
    if taken is None:
        return None
    body, length = taken
    del buffer[: end.end() + length]
    return Seen(method=words[0], target=b" ".join(words[1:-1]), headers=headers, body=body)


def _take_body(data: bytes, headers: list[tuple[bytes, bytes]]) -> tuple[bytes, int] | None:
    """The body and how many bytes it took on the wire."""
    named = dict(headers)
    if b"chunked" in named.get(b"transfer-encoding", b"").lower():
        return _take_chunks(data)
    length = int(named.get(b"content-length", b"0") or b"0")
    return (data[:length], length) if len(data) >= length else None


def _take_chunks(data: bytes) -> tuple[bytes, int] | None:
    body, at = b"", 0
    while True:
        line = re.compile(rb"[ \t]*([0-9a-fA-F]+)[^\n]*\n").match(data, at)
        if line is None:
            return None
        size, at = int(line[1], 16), line.end()
        if size == 0:
            break
        body += data[at : at + size]
        at += size
        gap = re.compile(rb"\r?\n").match(data, at)
        if gap is None:
            return None
        at = gap.end()
    trailers = re.compile(rb"([^\r\n]+\r?\n)*\r?\n").match(data, at)
    return None if trailers is None else (body, trailers.end())
