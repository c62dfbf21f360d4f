"""Fuzz target: heads from visitors and targets, read whole and in pieces, forwarded and read again by h11."""

import contextlib
from collections.abc import Iterator

import h11

from relay.errors import BadRequestError, BadResponseError
from relay.http1 import (
    HeadLimits,
    RequestHead,
    forward_request_head,
    forward_response_head,
    merge_routing_headers,
    read_request_head,
    read_response_head,
)
from tests.support.vectors import response_vectors, visitor_vectors

PLAIN = b"GET / HTTP/1.1\r\nhost: a.test\r\n\r\n"
LONGEST_SEED_BYTES = 2048
ROOMY = HeadLimits(head_bytes=65536, headers=200)  # our own headers are added to what is within the limits


def seeds() -> Iterator[bytes]:
    """Inputs from which mutation starts: all vectors of moderate size."""
    yield from (b"\0" + vector.data for vector in visitor_vectors() if len(vector.data) < LONGEST_SEED_BYTES)
    yield from (b"\1" + vector.data for vector in response_vectors() if len(vector.data) < LONGEST_SEED_BYTES)


def run(data: bytes) -> None:
    """The first byte selects whose head it is. Only the documented errors may come out."""
    if data[:1] == b"\1":
        _response(data[1:])
    else:
        _request(data[1:])


def _request(data: bytes) -> None:
    parsed = None
    with contextlib.suppress(BadRequestError):
        parsed = read_request_head(bytearray(data))
    half = data[: len(data) // 2]
    try:
        early = read_request_head(bytearray(half))
    except BadRequestError:
        assert parsed is None, "a beginning was refused whose whole is accepted"
        return
    assert early is None or early == parsed
    if parsed is not None:
        head, consumed = parsed
        assert 0 < consumed <= len(data)
        _compare(head)


def _compare(head: RequestHead) -> None:
    """h11 has to read the accepted head, and the one that is forwarded, as we did."""
    if head.method == b"CONNECT":
        return
    received = _read_by_h11(head.raw)
    assert received.method == head.method
    assert [(name, value) for name, value in received.headers] == _as_h11_has_them(head)
    forwarded = forward_request_head(head, host=b"target", set_headers=merge_routing_headers(head, b"key"))
    assert forwarded.count(b"\r\n\r\n") == 1
    again = _read_by_h11(forwarded)
    assert (again.method, again.target) == (head.method, head.target)
    assert [value for name, value in again.headers if name == b"host"] == [b"target"]


def _as_h11_has_them(head: RequestHead) -> list[tuple[bytes, bytes]]:
    return [(name, value.lower() if name == b"transfer-encoding" else value) for name, value in head.headers]


def _read_by_h11(raw: bytes) -> h11.Request:
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
    connection.receive_data(raw)
    event = connection.next_event()
    assert isinstance(event, h11.Request)
    return event


def _response(data: bytes) -> None:
    request = read_request_head(bytearray(PLAIN))
    assert request is not None
    try:
        parsed = read_response_head(bytearray(data), request_method=b"GET")
    except BadResponseError:
        return
    if parsed is None:
        return
    forwarded = forward_response_head(parsed[0], request=request[0], keep_alive=True)
    assert forwarded.count(b"\r\n\r\n") == 1
    again = read_response_head(bytearray(forwarded), request_method=b"GET", limits=ROOMY)
    assert again is not None
    assert (again[0].status, again[0].reason) == (parsed[0].status, parsed[0].reason)
