"""A head that is read beside an earlier one of its connection is read as if it came alone."""

import pytest

from relay.errors import BadRequestError
from relay.http1 import RequestHead, read_request_head, read_response_head
from tests.http1.heads import request, response
from tests.support.vectors import ResponseVector, Vector, response_vectors, visitor_vectors

VISITORS = [vector for vector in visitor_vectors() if vector.accepted]
LINES = ("GET / HTTP/1.1", "GET /b?c HTTP/1.1", "POST / HTTP/1.1", "GET / HTTP/1.0", "OPTIONS * HTTP/1.1",
         "GET http://web--demo.preview.test/ HTTP/1.1", "TRACE / HTTP/1.1")  # fmt: skip
SECTIONS = ((), ("Accept: a",), ("Content-Length: 5",), ("Connection: upgrade", "Upgrade: websocket"),
            ("Connection: keep-alive",), ("Cookie: a=1", "Cookie: b=2"), ("Expect: 100-continue",))  # fmt: skip


def outcome(raw: bytes, earlier: RequestHead | None) -> RequestHead | str | None:
    try:
        parsed = read_request_head(bytearray(raw), earlier=earlier)
    except BadRequestError as error:
        return error.reason
    return None if parsed is None else parsed[0]


def head_bytes(start: str, lines: tuple[str, ...]) -> bytes:
    return "".join(f"{line}\r\n" for line in (start, "Host: web--demo.preview.test", *lines, "")).encode()


def as_name(vector: Vector | ResponseVector) -> str:
    return vector.name


@pytest.mark.parametrize("vector", VISITORS, ids=as_name)
def test_the_same_bytes_again_give_the_same_head(vector: Vector) -> None:
    parsed = read_request_head(bytearray(vector.data))
    assert parsed is not None
    assert read_request_head(bytearray(vector.data), earlier=parsed[0]) == parsed


@pytest.mark.parametrize("earlier_start", LINES)
@pytest.mark.parametrize("start", LINES)
def test_another_request_line_over_the_same_header_lines_is_read_as_alone(earlier_start: str, start: str) -> None:
    for lines in SECTIONS:
        earlier = outcome(head_bytes(earlier_start, lines), None)
        raw = head_bytes(start, lines)
        assert outcome(raw, earlier if isinstance(earlier, RequestHead) else None) == outcome(raw, None)


def test_header_lines_are_taken_over_only_where_they_are_the_same_to_the_byte() -> None:
    earlier = request("X-A: 1")
    again, other = request("X-A: 1", start="GET /b HTTP/1.1"), request("X-A: 2")
    taken = read_request_head(bytearray(again.raw), earlier=earlier)
    assert taken == (again, len(again.raw))
    assert taken is not None
    assert taken[0].fields is earlier.fields
    assert outcome(other.raw, earlier) == other
    assert outcome(request("x-a: 1").raw, earlier) == request("x-a: 1")


def test_a_limit_on_the_request_line_counts_for_repeated_header_lines_too() -> None:
    earlier = request("X-A: 1")
    assert outcome(request("X-A: 1").raw.replace(b"/ ", b"/" + b"a" * 9000 + b" ", 1), earlier) == (
        "request_line_too_long"
    )


@pytest.mark.parametrize("vector", response_vectors(), ids=as_name)
def test_an_answer_beside_an_earlier_one_is_read_as_alone(vector: ResponseVector) -> None:
    try:
        alone = read_response_head(bytearray(vector.data), request_method=vector.method, upgrade=b"websocket")
    except Exception:  # noqa: BLE001 - refused heads have no head to compare
        return
    if alone is None:
        return
    for method in (b"GET", b"HEAD", b"POST"):
        expected = read_response_head(bytearray(vector.data), request_method=method, upgrade=b"websocket")
        got = read_response_head(bytearray(vector.data), request_method=method, upgrade=b"websocket", earlier=alone[0])
        assert got == expected


def test_the_same_answer_is_given_itself_and_not_to_a_head_request() -> None:
    earlier = response("Content-Length: 5")
    raw = bytearray(earlier.raw)
    again = read_response_head(raw, request_method=b"GET", earlier=earlier)
    assert again is not None
    assert again[0] is earlier
    asked_for_the_head = read_response_head(raw, request_method=b"HEAD", earlier=earlier)
    assert asked_for_the_head is not None
    assert asked_for_the_head[0].framing.length == 0
    body_follows = read_response_head(raw, request_method=b"GET", earlier=asked_for_the_head[0])
    assert body_follows == (earlier, len(raw))


@pytest.mark.parametrize("second", ["close", "X-Mine"])
def test_a_second_connection_line_counts_beside_keep_alive(second: str) -> None:
    lines = ("Connection: keep-alive", f"Connection: {second}")
    name = second.lower().encode()
    asked, answered = request(*lines), response(*lines, "Content-Length: 0")
    assert asked.keep_alive is answered.keep_alive is (second != "close")
    assert name in asked.connection_names
    assert name in answered.connection_names
