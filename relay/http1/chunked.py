"""Chunked transfer coding, read strictly (RFC 9112 7.1)."""

import re

from relay.http1.fields import NAME_CLASS, TOKEN_CLASS, VALUE_CLASS, flaw_of_beginning, flaw_of_lines
from relay.http1.limits import HeadLimits
from relay.http1.names import MERGED, OURS

_QUOTED = rb'"(?:[\t\x20\x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t\x20-\x7e\x80-\xff])*+"'
_EXTENSION = (
    rb"[ \t]*+;[ \t]*+" + TOKEN_CLASS + rb"++(?:[ \t]*+=[ \t]*+(?:" + TOKEN_CLASS + rb"++|" + _QUOTED + rb"))?+"
)
# Fifteen digits stay below 2**60, where no peer's integer overflows. Leading zeros are in the grammar.
CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]{1,15}+)(?:" + _EXTENSION + rb")*+")
PLAIN_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,15}+)\r\n")
# What may stand so far in a chunk line that is incomplete.
CHUNK_LINE_BEGINNING = re.compile(rb"[0-9A-Fa-f]{1,15}+(?:[ \t;][\t\x20-\x7e\x80-\xff]*+)?\r?")
TRAILER = re.compile(rb"(" + NAME_CLASS + rb"++):[ \t]*+(" + VALUE_CLASS + rb"*+)")
MAX_EXTENSION_BYTES = 65536  # of one whole body: RFC 9112 7.1.1 asks for a limit on their sum

# RFC 9110 6.5.1: framing, routing, authentication and the content's own description are settled by the head.
FORBIDDEN_TRAILERS = OURS | MERGED | {
    b"transfer-encoding", b"content-length", b"host", b"connection", b"te", b"trailer", b"upgrade", b"expect",
    b"keep-alive", b"proxy-connection", b"proxy-authorization", b"proxy-authenticate", b"authorization",
    b"www-authenticate", b"cookie", b"set-cookie", b"content-type", b"content-encoding", b"content-range",
    b"cache-control", b"max-forwards", b"range", b"age", b"date", b"expires", b"location", b"retry-after", b"vary",
    b"warning", b"origin",
}  # fmt: skip


class ChunkFlaw(Exception):  # noqa: N818 - never leaves this package; BodyReader turns it into the sender's error
    """Chunked framing that is broken; `reason` is the slug."""

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class ChunkedDecoder:
    """Takes chunked bytes in any pieces and gives the body's."""

    __slots__ = ("_buffer", "_extension_bytes", "_in_trailers", "_limits", "_remaining", "done", "leftover", "trailers")

    def __init__(self, limits: HeadLimits) -> None:
        self._limits = limits
        self._buffer = b""
        self._remaining = 0
        """Bytes left of the present chunk, its final CRLF included; 0 where a chunk line is due."""
        self._in_trailers = False
        self._extension_bytes = 0
        self.done = False
        self.leftover = b""
        self.trailers: tuple[tuple[bytes, bytes], ...] = ()

    def feed(self, data: bytes) -> bytes:
        """Gives the body bytes that are available now. Raises ChunkFlaw."""
        if self._remaining - 2 >= len(data) and not self._buffer:
            self._remaining -= len(data)  # in the middle of a chunk: nothing to copy
            return data
        if self._buffer:
            data = self._buffer + data
            self._buffer = b""
        parts: list[bytes] = []
        position = 0
        while not self.done:
            taken = self._step(data, position, parts)
            if taken < 0:
                self._buffer = data[position:]
                break
            position += taken
        else:
            self.leftover = data[position:]
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _step(self, data: bytes, position: int, parts: list[bytes]) -> int:
        """Takes one element that begins at `position`; gives its length, -1 when more bytes are needed."""
        if self._in_trailers:
            return self._take_trailers(data, position)
        if self._remaining == 0:
            return self._take_line(data, position)
        content = min(self._remaining - 2, len(data) - position)
        if content > 0:
            parts.append(data[position : position + content])
            self._remaining -= content
            return content
        end = data[position : position + 2]
        if not b"\r\n".startswith(end):
            raise ChunkFlaw("A chunk's data is not followed by CRLF.", "chunk_data")
        if len(end) < 2:  # noqa: PLR2004 - CR and LF
            return -1
        self._remaining = 0
        return 2

    def _take_line(self, data: bytes, position: int) -> int:
        plain = PLAIN_CHUNK.match(data, position)
        if plain is not None:
            size = int(plain[1], 16)
            length = plain.end() - position
        else:
            end = data.find(b"\r\n", position, position + self._limits.chunk_line_bytes)
            if end < 0:
                self._check_line_beginning(data[position:])
                return -1
            size = self._read_line(data[position:end])
            length = end + 2 - position
        if size:
            self._remaining = size + 2
        else:
            self._in_trailers = True
        return length

    def _read_line(self, line: bytes) -> int:
        match = CHUNK_LINE.fullmatch(line)
        if match is None:
            raise ChunkFlaw("A chunk line is not a hexadecimal size with well-formed extensions.", "chunk_line")
        self._extension_bytes += len(line)
        if self._extension_bytes > MAX_EXTENSION_BYTES:
            raise ChunkFlaw("The body has too many bytes of chunk extensions.", "chunk_extensions")
        return int(match[1], 16)

    def _check_line_beginning(self, data: bytes) -> None:
        if len(data) >= self._limits.chunk_line_bytes:
            raise ChunkFlaw(
                f"A chunk line is longer than {self._limits.chunk_line_bytes} bytes.", "chunk_line_too_long"
            )
        if data and CHUNK_LINE_BEGINNING.fullmatch(data) is None:
            raise ChunkFlaw("A chunk line is not a hexadecimal size with well-formed extensions.", "chunk_line")

    def _take_trailers(self, data: bytes, position: int) -> int:
        if data.startswith(b"\r\n", position):
            self.done = True
            return 2
        end = data.find(b"\r\n\r\n", position, position + self._limits.head_bytes)
        if end < 0:
            self._check_trailers_beginning(data[position:])
            return -1
        self.trailers = self._read_trailers(data[position:end].split(b"\r\n"))
        self.done = True
        return end + 4 - position

    def _read_trailers(self, lines: list[bytes]) -> tuple[tuple[bytes, bytes], ...]:
        self._refuse_trailers(flaw_of_lines(lines, self._limits, strict=True))
        matches = [TRAILER.fullmatch(line) for line in lines]
        trailers = tuple((match[1].lower(), match[2].rstrip(b" \t")) for match in matches if match is not None)
        for name, _ in trailers:
            if name in FORBIDDEN_TRAILERS or name.startswith((b"x-forwarded-", b"signadot-")):
                raise ChunkFlaw(f"The trailer {name.decode()} is not allowed.", "trailer")
        return trailers

    def _check_trailers_beginning(self, data: bytes) -> None:
        if len(data) >= self._limits.head_bytes:
            raise ChunkFlaw(f"The trailers are longer than {self._limits.head_bytes} bytes.", "trailers_too_large")
        self._refuse_trailers(flaw_of_beginning(data, self._limits, strict=True))

    def _refuse_trailers(self, flaw: tuple[str, str] | None) -> None:
        if flaw is not None:
            raise ChunkFlaw(f"In the trailers: {flaw[1]}", "trailer")
