import pytest

from relay.errors import BadRequestError, BadResponseError
from relay.http1 import (
    CHUNKED,
    NO_BODY,
    UNTIL_CLOSE,
    BodyReader,
    BodyWriter,
    Framing,
    FramingKind,
    HeadLimits,
    fields,
    read_request_head,
)
from tests.http1.heads import request, response

FIVE = Framing(FramingKind.LENGTH, 5)


def test_a_counted_body_is_given_without_a_copy() -> None:
    data = b"hell"
    reader = BodyReader(FIVE)
    assert reader.feed(data) is data
    assert (reader.done, reader.feed(b"oGET")) == (False, b"o")
    assert (reader.done, reader.leftover) == (True, b"GET")
    assert reader.feed(b" /") == b""
    assert reader.leftover == b"GET /"


def test_the_middle_of_a_chunk_is_given_without_a_copy() -> None:
    reader = BodyReader(CHUNKED)
    data = b"x" * 100
    assert reader.feed(b"3e8\r\n") == b""
    assert reader.feed(data) is data


def test_chunks_are_given_as_they_arrive() -> None:
    reader = BodyReader(CHUNKED)
    assert reader.feed(b"5\r\nhello\r\n") == b"hello"
    assert reader.feed(b"1\r\n!\r\n1\r\n?\r\n0\r\nX: y\r\n\r\nrest") == b"!?"
    assert reader.done
    assert reader.trailers == ((b"x", b"y"),)
    assert reader.feed(b"more") == b""
    assert reader.leftover == b"restmore"


def test_no_body_is_done_at_once() -> None:
    reader = BodyReader(NO_BODY)
    assert reader.done
    assert reader.feed(b"x") == b""
    assert reader.leftover == b"x"
    reader.eof()


def test_a_body_until_close_ends_with_the_stream() -> None:
    reader = BodyReader(UNTIL_CLOSE, response=True)
    assert (reader.feed(b"x"), reader.done) == (b"x", False)
    reader.eof()
    assert reader.done


@pytest.mark.parametrize("framing", [FIVE, CHUNKED])
def test_an_early_end_is_an_error_of_the_side_that_ended(framing: Framing) -> None:
    with pytest.raises(BadRequestError) as visitors:
        BodyReader(framing).eof()
    with pytest.raises(BadResponseError) as targets:
        BodyReader(framing, response=True).eof()
    assert visitors.value.reason == targets.value.reason == "incomplete"


def test_broken_chunks_of_a_target_are_its_own_error() -> None:
    with pytest.raises(BadResponseError):
        BodyReader(CHUNKED, response=True).feed(b"x\r\n")


def test_limits_of_chunk_lines_are_obeyed() -> None:
    limits = HeadLimits(chunk_line_bytes=16)
    with pytest.raises(BadRequestError) as refused:
        BodyReader(CHUNKED, limits).feed(b"5;a=" + b"b" * 20)
    assert refused.value.reason == "chunk_line_too_long"


def test_many_small_pieces_of_a_chunk_line_stay_bounded() -> None:
    reader = BodyReader(CHUNKED)
    for byte in b"5;a=" + b"b" * 4091:
        reader.feed(bytes([byte]))
    with pytest.raises(BadRequestError):
        reader.feed(b"b")


def test_the_writer_frames_anew_and_counts() -> None:
    chunked = BodyWriter(CHUNKED)
    assert chunked.encode(b"x" * 26) == b"1a\r\n" + b"x" * 26 + b"\r\n"
    assert chunked.encode(b"") == b""
    assert chunked.end([(b"a", b"b")]) == b"0\r\n\r\n"
    counted = BodyWriter(FIVE)
    assert counted.encode(b"hell") == b"hell"
    with pytest.raises(ValueError, match="less"):
        counted.end()
    with pytest.raises(ValueError, match="more"):
        counted.encode(b"oo")


def test_trailers_pass_for_grpc_only() -> None:
    answer = response("Transfer-Encoding: chunked")
    trailers = [(b"grpc-status", b"0")]
    grpc = request("Content-Type: application/grpc", start="POST / HTTP/1.1")
    assert BodyWriter.for_response(answer, grpc).end(trailers) == b"0\r\ngrpc-status: 0\r\n\r\n"
    assert BodyWriter.for_response(answer, request()).end(trailers) == b"0\r\n\r\n"
    assert BodyWriter.for_response(answer, request(start="GET / HTTP/1.0")).until_close


def test_a_long_head_in_single_bytes_does_not_cost_a_full_scan_each(monkeypatch: pytest.MonkeyPatch) -> None:
    scanned = 0

    def counted(lines: list[bytes], limits: HeadLimits, *, strict: bool) -> None:
        nonlocal scanned
        scanned += sum(map(len, lines))

    monkeypatch.setattr(fields, "flaw_of_lines", counted)
    head = b"GET / HTTP/1.1\r\n" + (b"A: " + b"b" * 200 + b"\r\n") * 100
    for end in range(4096, len(head), 64):
        read_request_head(bytearray(head[:end]))
    assert scanned <= fields.EARLY_BYTES * len(range(4096, len(head), 64))
