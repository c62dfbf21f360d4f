"""A plain strict HTTP/1.1 client over ssl sockets: sends exactly the bytes it is given and reads answers by the letter.

It shares no code with the relay, so that a fault of the relay's own reader cannot hide behind the same fault here.
"""

import json
import re
import socket
import ssl
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

TIMEOUT_SECONDS = 20.0
READ_BYTES = 65536

_STATUS_LINE = re.compile(rb"HTTP/1\.1 ([1-9][0-9][0-9]) [\t -~\x80-\xff]*\Z")
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t -~\x80-\xff]*?)[ \t]*\Z")


class MalformedAnswerError(AssertionError):
    """What came back is not an HTTP/1.1 response."""


class ClosedError(AssertionError):
    """The peer closed before the answer was complete."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A response."""

    status: int
    headers: list[tuple[str, str]]
    """Names in lower case, in the order of arrival."""
    body: bytes

    def header(self, name: str) -> str | None:
        """The first value of a header."""
        return next((value for key, value in self.headers if key == name), None)

    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


class Connection:
    """One TLS connection to the relay on this machine."""

    def __init__(
        self,
        port: int,
        *,
        server_name: str,
        ca_file: Path,
        address: str = "127.0.0.1",
        receive_buffer_bytes: int | None = None,
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> None:
        context = ssl.create_default_context(cafile=str(ca_file))
        context.set_alpn_protocols(["http/1.1"])
        plain = socket.socket()
        try:
            plain.settimeout(timeout_seconds)
            if receive_buffer_bytes is not None:
                plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            plain.connect((address, port))
            self._socket = context.wrap_socket(plain, server_hostname=server_name, suppress_ragged_eofs=False)
        except BaseException:
            plain.close()
            raise
        self._timeout_seconds = timeout_seconds
        self._buffer = bytearray()
        self.truncated = False
        """Whether the connection ended without close_notify."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes at once, as a visitor does who leaves."""
        self._socket.close()

    def certificate(self) -> bytes | None:
        """What the peer showed, DER."""
        return self._socket.getpeercert(binary_form=True)

    def send(self, data: bytes) -> None:
        """Sends raw bytes."""
        self._socket.sendall(data)

    def receive(self) -> bytes:
        """Raw bytes, whatever comes next; empty at the end."""
        if self._buffer:
            data = bytes(self._buffer)
            self._buffer.clear()
            return data
        return self._read()

    def receive_exactly(self, count: int) -> bytes:
        """`count` raw bytes. Raises ClosedError."""
        while len(self._buffer) < count:
            self._more()
        return self._take(count)

    def receive_all(self) -> bytes:
        """Everything until the peer closes."""
        data = bytearray()
        while part := self.receive():
            data += part
        return bytes(data)

    def finish(self) -> None:
        """Ends our half: TLS close_notify and no more, the other half goes on (RFC 8446 6.1)."""
        # Python's unwrap() waits for the peer's close_notify; a write of the alert alone needs a socket that does not.
        self._socket.setblocking(False)  # noqa: FBT003 - the standard library's own signature
        try:
            self._socket.unwrap()
        except (ssl.SSLWantReadError, BlockingIOError):
            pass  # the alert has left; the peer's has not come yet
        finally:
            self._socket.settimeout(self._timeout_seconds)

    def read_head(self) -> tuple[int, list[tuple[str, str]]]:
        """One response head, informational ones included. Raises MalformedAnswerError or ClosedError."""
        lines = self._line_block()
        status = _STATUS_LINE.fullmatch(lines[0])
        if status is None:
            raise MalformedAnswerError(f"status line {lines[0]!r}")
        headers = []
        for line in lines[1:]:
            field = _FIELD.fullmatch(line)
            if field is None:
                raise MalformedAnswerError(f"header line {line!r}")
            headers.append((field[1].decode("latin-1").lower(), field[2].decode("latin-1")))
        return int(status[1]), headers

    def read_answer(self, method: str = "GET") -> Answer:
        """The final response, body included."""
        status, headers = self.read_head()
        while status < 200:
            status, headers = self.read_head()
        body = b"".join(self.body_parts(method, status, headers))
        return Answer(status=status, headers=headers, body=body)

    def body_parts(self, method: str, status: int, headers: list[tuple[str, str]]) -> Iterator[bytes]:
        """The body as it arrives: a chunk at a time when it is chunked."""
        lengths = [value for name, value in headers if name == "content-length"]
        codings = [value for name, value in headers if name == "transfer-encoding"]
        if len(lengths) + len(codings) > 1:
            raise MalformedAnswerError(f"framed twice: {headers}")
        if method == "HEAD" or status in {204, 304}:
            return
        if codings:
            if codings != ["chunked"]:
                raise MalformedAnswerError(f"coding {codings}")
            yield from self._chunks()
        elif lengths:
            left = int(lengths[0])
            while left:
                part = self._take(min(left, len(self._buffer))) or self._read_some(left)
                left -= len(part)
                yield part
        else:
            yield self.receive_all()

    def request(
        self, method: str, target: str, host: str, *, headers: Iterable[tuple[str, str]] = (), body: bytes | None = None
    ) -> Answer:
        """Sends one request and reads its answer."""
        self.send(request_bytes(method, target, host, headers=headers, body=body))
        return self.read_answer(method)

    def _chunks(self) -> Iterator[bytes]:
        while True:
            line = self._until(b"\r\n")
            if not re.fullmatch(rb"[0-9a-fA-F]{1,16}", line):
                raise MalformedAnswerError(f"chunk line {line!r}")
            size = int(line, 16)
            data = self.receive_exactly(size) if size else b""
            if self._until(b"\r\n") != b"":
                raise MalformedAnswerError("no CRLF after a chunk, or trailers")
            if not size:
                return
            yield data

    def _line_block(self) -> list[bytes]:
        return self._until(b"\r\n\r\n").split(b"\r\n")

    def _until(self, end: bytes) -> bytes:
        while (at := self._buffer.find(end)) < 0:
            self._more()
        return self._take(at + len(end))[: -len(end)]

    def _read_some(self, limit: int) -> bytes:
        self._more()
        return self._take(min(limit, len(self._buffer)))

    def _take(self, count: int) -> bytes:
        data = bytes(self._buffer[:count])
        del self._buffer[:count]
        return data

    def _more(self) -> None:
        data = self._read()
        if not data:
            raise ClosedError(f"closed after {bytes(self._buffer[:200])!r}")
        self._buffer += data

    def _read(self) -> bytes:
        try:
            return self._socket.recv(READ_BYTES)
        except ssl.SSLZeroReturnError:  # close_notify after ours
            return b""
        except (ssl.SSLEOFError, ConnectionResetError):
            self.truncated = True
            return b""


def request_bytes(
    method: str, target: str, host: str, *, headers: Iterable[tuple[str, str]] = (), body: bytes | None = None
) -> bytes:
    """A request with Content-Length when it has a body."""
    lines = [f"{method} {target} HTTP/1.1", f"Host: {host}", *(f"{name}: {value}" for name, value in headers)]
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + (body or b"")
