"""Fuzz target: chunked bodies, read whole and in pieces, compared with h11 and with their own re-encoding."""

import re
from collections.abc import Iterator

import h11

from relay.errors import BadRequestError
from relay.http1 import CHUNKED, BodyReader, BodyWriter
from tests.support.vectors import visitor_vectors

HEAD = b"POST / HTTP/1.1\r\nhost: a.test\r\ntransfer-encoding: chunked\r\n\r\n"
LONGEST_SEED_BYTES = 512
MOST_PIECES = 200  # long inputs in single bytes find nothing new and cost most of the time
# RFC 9112 7.1.1 has a recipient parse and remove such blanks; h11 refuses them.
BLANK_BEFORE_EXTENSION = re.compile(rb"[0-9A-Fa-f][ \t]+;")
STEPS = (1, 2, 3, 7, 16, 64, 1024, 65536)


def seeds() -> Iterator[bytes]:
    """Inputs from which mutation starts: the bodies of the chunk vectors."""
    for vector in visitor_vectors():
        body = vector.data.partition(b"\r\n\r\n")[2]
        if vector.name.startswith("chunks") and len(body) < LONGEST_SEED_BYTES:
            yield b"\0" + body
            yield b"\3" + body


def run(data: bytes) -> None:
    """The first byte selects the size of the pieces; BadRequestError alone may come out."""
    step = STEPS[data[0] % len(STEPS)] if data else 1
    data = data[1:]
    step = max(step, len(data) // MOST_PIECES)
    whole = _read([data])
    parts = _read([data[i : i + step] for i in range(0, len(data), step)])
    assert (whole is None) == (parts is None), "pieces decide whether a body is accepted"
    if whole is None or parts is None:
        return
    reader, body = whole
    assert body == parts[1]
    assert reader.done == parts[0].done
    if reader.done:
        assert reader.leftover == parts[0].leftover
        assert reader.trailers == parts[0].trailers
        _compare(data, reader, body)


def _read(pieces: list[bytes]) -> tuple[BodyReader, bytes] | None:
    reader = BodyReader(CHUNKED)
    body = b""
    try:
        for piece in pieces:
            body += reader.feed(piece)
    except BadRequestError:
        return None
    return reader, body


def _compare(data: bytes, reader: BodyReader, body: bytes) -> None:
    if BLANK_BEFORE_EXTENSION.search(data) is None:
        assert _read_by_h11(data) == (body, reader.leftover)
    writer = BodyWriter(CHUNKED)
    assert _read_by_h11(writer.encode(body) + writer.end()) == (body, b"")


def _read_by_h11(data: bytes) -> tuple[bytes, bytes]:
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
    connection.receive_data(HEAD)
    connection.next_event()
    connection.receive_data(data)
    body = b""
    while isinstance(event := connection.next_event(), h11.Data):
        body += bytes(event.data)
    assert isinstance(event, h11.EndOfMessage)
    return body, connection.trailing_data[0]
