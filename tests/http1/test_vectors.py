import h11
import pytest

from relay.http1 import BodyWriter, forward_request_head
from tests.http1.reading import answer, in_single_bytes, visit
from tests.support.vectors import HOST, ResponseVector, Vector, response_vectors, visitor_vectors

VISITORS = visitor_vectors()
RESPONSES = response_vectors()
SLOW_BYTES = 1500  # single bytes of larger vectors only repeat the same scan


def as_name(vector: Vector | ResponseVector) -> str:
    return vector.name


def test_there_are_more_than_four_hundred_vectors_with_distinct_names() -> None:
    names = {vector.name for vector in VISITORS} | {vector.name for vector in RESPONSES}
    assert len(names) == len(VISITORS) + len(RESPONSES) >= 800


@pytest.mark.parametrize("vector", VISITORS, ids=as_name)
def test_a_visitors_bytes_become_what_the_vector_says(vector: Vector) -> None:
    seen = visit([vector.data])
    assert [(head.method, head.target, head.host, body) for head, body in seen.requests] == [
        (request.method, request.target, request.host, request.body) for request in vector.accepted
    ]
    assert seen.reject == vector.reject
    assert seen.incomplete == vector.incomplete


@pytest.mark.parametrize("vector", [v for v in VISITORS if len(v.data) < SLOW_BYTES], ids=as_name)
def test_the_pieces_in_which_bytes_arrive_change_nothing(vector: Vector) -> None:
    seen = visit(in_single_bytes(vector.data))
    assert [(head.target, body) for head, body in seen.requests] == [(r.target, r.body) for r in vector.accepted]
    assert (seen.reject is None) == (vector.reject is None)
    assert seen.incomplete == vector.incomplete


@pytest.mark.parametrize("vector", [v for v in VISITORS if v.accepted], ids=as_name)
def test_h11_reads_what_is_forwarded_as_the_same_requests(vector: Vector) -> None:
    for (head, body), expected in zip(visit([vector.data]).requests, vector.accepted, strict=True):
        if head.method == b"CONNECT":
            continue  # answered by the relay, never forwarded
        writer = BodyWriter(head.framing)
        raw = forward_request_head(head, host=b"web.shop.svc:8080") + writer.encode(body) + writer.end()
        target = h11.Connection(h11.SERVER)
        target.receive_data(raw)
        request = target.next_event()
        assert isinstance(request, h11.Request)
        assert (request.method, request.target) == (expected.method, expected.target)
        assert [value for name, value in request.headers if name == b"host"] == [b"web.shop.svc:8080"]
        received = b""
        while isinstance(event := target.next_event(), h11.Data):
            received += bytes(event.data)
        assert isinstance(event, h11.EndOfMessage)
        assert received == expected.body
        assert target.trailing_data == (b"", False)


@pytest.mark.parametrize("vector", RESPONSES, ids=as_name)
def test_a_targets_bytes_become_what_the_vector_says(vector: ResponseVector) -> None:
    seen = answer([vector.data], vector.method)
    assert seen.reject == vector.reject
    if vector.reject is None:
        assert seen.head is not None
        assert (seen.head.status, seen.body, seen.reusable) == (vector.status, vector.body, vector.reusable)


@pytest.mark.parametrize("vector", [v for v in RESPONSES if len(v.data) < SLOW_BYTES], ids=as_name)
def test_the_pieces_in_which_answers_arrive_change_nothing(vector: ResponseVector) -> None:
    seen = answer(in_single_bytes(vector.data), vector.method)
    assert (seen.reject is None) == (vector.reject is None)
    assert seen.body == vector.body or vector.reject is not None


def test_another_preview_host_can_stand_in_a_vector() -> None:
    plain = next(vector for vector in VISITORS if vector.name == "heads: plain GET")
    assert HOST not in plain.bytes_for(b"a.example")
    assert b"Host: a.example\r\n" in plain.bytes_for(b"a.example")
