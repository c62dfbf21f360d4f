"""Reading and writing message bodies by their framing (RFC 9112 6 and 7)."""

from collections.abc import Iterable
from typing import Never

from relay.errors import BadRequestError, BadResponseError
from relay.http1.chunked import ChunkedDecoder, ChunkFlaw
from relay.http1.fields import join_headers
from relay.http1.framing import CHUNKED, UNTIL_CLOSE, Framing, FramingKind
from relay.http1.limits import DEFAULT_LIMITS, HeadLimits
from relay.http1.request import RequestHead
from relay.http1.response import ResponseHead


class BodyReader:
    """Takes received bytes, gives the body's bytes, and knows exactly where the body ends.

    `response` tells whose body it is: faults raise BadResponseError then, otherwise BadRequestError.
    """

    __slots__ = ("_decoder", "_remaining", "_response", "_until_close", "done", "leftover")

    def __init__(self, framing: Framing, limits: HeadLimits = DEFAULT_LIMITS, *, response: bool = False) -> None:
        self._response = response
        self._remaining = framing.length
        self._until_close = framing.kind is FramingKind.UNTIL_CLOSE
        self._decoder = ChunkedDecoder(limits) if framing.kind is FramingKind.CHUNKED else None
        self.done = self._decoder is None and not self._until_close and framing.length == 0
        """Whether the whole body has been given."""
        self.leftover = b""
        """Bytes that were fed after the body's end."""

    @property
    def trailers(self) -> tuple[tuple[bytes, bytes], ...]:
        """The trailer section of a chunked body, names in lower case; empty before the end."""
        return () if self._decoder is None else self._decoder.trailers

    def feed(self, data: bytes) -> bytes:
        """Gives the body bytes that are available now, often `data` itself. Raises on broken framing."""
        if self._decoder is not None:
            return self._feed_chunked(data)
        if self._until_close:
            return data
        if len(data) < self._remaining:
            self._remaining -= len(data)
            return data
        body = data
        if len(data) > self._remaining:
            body = data[: self._remaining]
            self.leftover += data[self._remaining :]
        self._remaining = 0
        self.done = True
        return body

    @property
    def missing_bytes(self) -> int:
        """How many bytes of the body are yet to come; 0 where its framing does not tell."""
        return self._remaining

    def passed(self, size: int) -> None:
        """Counts bytes of the body, at most `missing_bytes`, that went on without coming here."""
        self._remaining -= size
        if size and not self._remaining:
            self.done = True

    def eof(self) -> None:
        """The sender has ended its side. Raises where that cuts the body off (RFC 9112 8)."""
        if self._until_close:
            self.done = True
            self._until_close = False
        if not self.done:
            self._fail("The body ended early.", "incomplete")

    def _feed_chunked(self, data: bytes) -> bytes:
        decoder = self._decoder
        if decoder is None or self.done:
            self.leftover += data
            return b""
        try:
            body = decoder.feed(data)
        except ChunkFlaw as flaw:
            self._fail(str(flaw), flaw.reason)
        if decoder.done:
            self.done = True
            self.leftover = decoder.leftover
        return body

    def _fail(self, message: str, reason: str) -> Never:
        if self._response:
            raise BadResponseError(message, reason=reason)
        raise BadRequestError(message, reason=reason)


class BodyWriter:
    """Frames body bytes anew; nothing of the received framing is copied."""

    __slots__ = ("_chunked", "_counted", "_remaining", "_with_trailers", "until_close")

    def __init__(self, framing: Framing, *, with_trailers: bool = False) -> None:
        self._chunked = framing.kind is FramingKind.CHUNKED
        self.until_close = framing.kind is FramingKind.UNTIL_CLOSE
        """Whether only the connection's end tells the body's end."""
        self._counted = not self._chunked and not self.until_close
        self._remaining = framing.length
        self._with_trailers = with_trailers

    @classmethod
    def for_response(cls, response: ResponseHead, request: RequestHead) -> "BodyWriter":
        """The writer of an answer's body towards the visitor; its framing is that of `visitor_framing`."""
        return cls(visitor_framing(response, request), with_trailers=request.is_grpc)

    def encode(self, data: bytes) -> bytes:
        """Body bytes as they go out. Raises ValueError for more bytes than the head announced."""
        if self._chunked:
            return b"%x\r\n%b\r\n" % (len(data), data) if data else b""
        if self._counted:
            self._remaining -= len(data)
            if self._remaining < 0:
                raise ValueError("more body than its Content-Length")
        return data

    def passed(self, size: int) -> None:
        """Counts bytes that went out as they are, which only a body of known length allows."""
        self._remaining -= size

    def end(self, trailers: Iterable[tuple[bytes, bytes]] = ()) -> bytes:
        """What follows the last body byte; trailers go out for gRPC only. Raises ValueError when bytes are missing."""
        if self._chunked:
            return b"0\r\n" + (join_headers(trailers) if self._with_trailers else b"") + b"\r\n"
        if self._counted and self._remaining:
            raise ValueError("less body than its Content-Length")
        return b""


def visitor_framing(response: ResponseHead, request: RequestHead) -> Framing:
    """How an answer's body goes to the visitor: as it came, or chunked where only a close would tell its end.

    HTTP/1.0 knows no chunks (RFC 9112 7.1), so there the connection's end has to do.
    """
    if response.framing.kind in {FramingKind.CHUNKED, FramingKind.UNTIL_CLOSE}:
        return CHUNKED if request.version >= (1, 1) else UNTIL_CLOSE
    return response.framing
