"""Drives the readers as a connection does."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from relay.errors import BadRequestError, BadResponseError
from relay.http1 import BodyReader, RequestHead, ResponseHead, read_request_head, read_response_head


@dataclass
class Visit:
    """What a visitor's connection came to."""

    requests: list[tuple[RequestHead, bytes]] = field(default_factory=list)
    reject: str | None = None
    incomplete: bool = False


def visit(pieces: Iterable[bytes]) -> Visit:
    """Reads everything that a visitor sends, in these pieces."""
    result = Visit()
    buffer = bytearray()
    head: RequestHead | None = None
    reader: BodyReader | None = None
    body = b""
    try:
        for piece in pieces:
            buffer += piece
            while True:
                if head is None:
                    parsed = read_request_head(buffer)
                    if parsed is None:
                        break
                    head, consumed = parsed
                    del buffer[:consumed]
                    reader, body = BodyReader(head.framing), b""
                assert reader is not None
                body += reader.feed(bytes(buffer))
                buffer.clear()
                if not reader.done:
                    break
                buffer += reader.leftover
                result.requests.append((head, body))
                head = None
    except BadRequestError as error:
        result.reject = error.reason
        return result
    result.incomplete = head is not None or bool(buffer)
    return result


@dataclass
class Answer:
    """What a target's bytes came to."""

    head: ResponseHead | None = None
    body: bytes = b""
    reusable: bool = False
    reject: str | None = None


def answer(pieces: Iterable[bytes], method: bytes) -> Answer:
    """Reads one answer and then the end of the stream."""
    result = Answer()
    buffer = bytearray()
    reader: BodyReader | None = None
    try:
        for piece in pieces:
            buffer += piece
            if reader is None:
                parsed = read_response_head(buffer, request_method=method)
                if parsed is None:
                    continue
                result.head, consumed = parsed
                del buffer[:consumed]
                reader = BodyReader(result.head.framing, response=True)
            if buffer:
                result.body += reader.feed(bytes(buffer))
                buffer.clear()
        assert reader is not None
        assert result.head is not None
        result.reusable = reader.done and result.head.keep_alive and not reader.leftover
        reader.eof()
    except BadResponseError as error:
        result.reject = error.reason
    return result


def in_single_bytes(data: bytes) -> list[bytes]:
    """The slowest way to send something."""
    return [data[i : i + 1] for i in range(len(data))]
