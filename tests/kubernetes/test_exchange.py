"""Requests, answers and events of the API over byte streams that a test holds."""

import json
from collections.abc import Iterable

import pytest
import trio

from relay.kubernetes import (
    BadAnswerError,
    ConflictError,
    Event,
    Events,
    ForbiddenError,
    GoneError,
    KubernetesError,
    NotFoundError,
    Resource,
    TooManyRequestsError,
    UnavailableError,
    ask,
    error_of,
    query,
)
from relay.kubernetes.exchange import Answer
from relay.kubernetes.requests import DEPLOYMENTS, PODS, ApiRequest


class Scripted(trio.abc.Stream):
    """Gives these pieces, then the end; takes everything, or breaks while it does."""

    def __init__(self, pieces: Iterable[bytes], *, breaks: bool = False) -> None:
        self._pieces = list(pieces)
        self._breaks = breaks
        self.sent = b""

    async def receive_some(self, max_bytes: int | None = None) -> bytes:  # noqa: ARG002 - the interface has it
        await trio.lowlevel.checkpoint()
        return self._pieces.pop(0) if self._pieces else b""

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await trio.lowlevel.checkpoint()
        if self._breaks:
            raise trio.BrokenResourceError("the peer takes no more")
        self.sent += bytes(data)

    async def wait_send_all_might_not_block(self) -> None:
        await trio.lowlevel.checkpoint()

    async def aclose(self) -> None:
        await trio.lowlevel.checkpoint()


def chunked(*pieces: bytes) -> bytes:
    framed = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    return b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + framed + b"0\r\n\r\n"


def cut(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


async def answer_of(data: bytes, size: int = 1000) -> Answer:
    return await ask(Scripted(cut(data, size)), b"GET / HTTP/1.1\r\n\r\n", "GET")


async def test_an_answer_is_heard_from_a_server_that_did_not_take_the_whole_request() -> None:
    head = b"HTTP/1.1 413 X\r\ncontent-length: 24\r\n\r\n"
    answer = await ask(Scripted([head + b'{"message": "too large"} '[:24]], breaks=True), b"POST", "POST")
    with pytest.raises(KubernetesError, match="too large"):
        await answer.document()


async def test_a_connection_that_breaks_without_an_answer_is_unavailable() -> None:
    for stream in (Scripted([]), Scripted([b"HTTP/1.1 200 OK\r\n"]), Scripted([], breaks=True)):
        with pytest.raises(UnavailableError):
            await ask(stream, b"GET", "GET")


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
async def test_an_answer_may_be_cut_anywhere(size: int) -> None:
    data = b"HTTP/1.1 100 Continue\r\n\r\n" + chunked(b'{"a"', b": 1}")
    assert await (await answer_of(data, size)).document() == {"a": 1}


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"nothing", b'"text"', b"{", b"[" * 100_000],
    ids=["empty", "list", "no JSON", "text", "cut", "deep"],
)
async def test_what_is_no_json_object_is_a_bad_answer(body: bytes) -> None:
    with pytest.raises(BadAnswerError):
        await (await answer_of(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body) + body)).document()


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}x",
    ],
)
async def test_a_body_that_is_cut_off_is_not_taken_for_whole(data: bytes) -> None:
    with pytest.raises(BadAnswerError):
        await (await answer_of(data)).document()


async def test_a_body_larger_than_asked_for_is_given_up() -> None:
    answer = await answer_of(chunked(b"x" * 2000))
    with pytest.raises(BadAnswerError, match="more than 1000 bytes"):
        await answer.read(1000)


def lines(*events: object) -> bytes:
    return b"".join(json.dumps(event).encode() + b"\n" for event in events)


ADDED = {"type": "ADDED", "object": {"metadata": {"resourceVersion": "1"}, "text": "\u00e9 \n line"}}
BOOKMARK = {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "2"}}}


@pytest.mark.parametrize("size", [1, 3, 50, 10_000])
async def test_events_may_be_cut_anywhere(size: int) -> None:
    answer = await answer_of(chunked(*cut(lines(ADDED, BOOKMARK, ADDED), size)))
    events = [event async for event in Events(answer)]
    assert [event.type for event in events] == ["ADDED", "BOOKMARK", "ADDED"]
    assert events[0] == Event("ADDED", ADDED["object"])  # type: ignore[arg-type]
    assert [event.resource_version for event in events] == ["1", "2", "1"]


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (lines({"type": "ERROR", "object": {"code": 410, "message": "too old"}}), GoneError),
        (lines({"type": "ERROR", "object": {"code": 500, "message": "oops"}}), UnavailableError),
        (lines({"type": "ERROR", "object": None}), KubernetesError),
        (lines({"type": "NEW", "object": {}}), BadAnswerError),
        (lines({"type": "ADDED"}), BadAnswerError),
        (lines({"type": "ADDED", "object": []}), BadAnswerError),
        (lines([]), BadAnswerError),
        (b"no JSON\n", BadAnswerError),
        (b'{"type": "ADDED", ', BadAnswerError),
    ],
)
async def test_what_is_no_event_is_an_error(data: bytes, kind: type[Exception]) -> None:
    events = Events(await answer_of(chunked(data)))
    with pytest.raises(kind):
        await anext(events)


async def test_an_event_without_an_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("relay.kubernetes.watching.MAX_EVENT_BYTES", 1000)
    events = Events(await answer_of(chunked(*[b"x" * 100] * 20)))
    with pytest.raises(BadAnswerError, match="more than 1000 bytes"):
        await anext(events)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (403, ForbiddenError),
        (404, NotFoundError),
        (409, ConflictError),
        (410, GoneError),
        (429, TooManyRequestsError),
        (503, UnavailableError),
        (302, KubernetesError),
    ],
)
@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"message": 5, "reason": [], "code": "x"}', b"\xff"])
def test_an_error_has_its_kind_whatever_its_body(status: int, kind: type[KubernetesError], body: bytes) -> None:
    error = error_of(status, body, retry_after="soon")
    assert type(error) is kind
    assert str(status) in str(error)
    assert error.http_status == status


def test_names_cannot_become_other_paths() -> None:
    assert PODS.path("a/../b", "c?d#e", "log") == "/api/v1/namespaces/a%2F..%2Fb/pods/c%3Fd%23e/log"
    assert DEPLOYMENTS.path("shop") == "/apis/apps/v1/namespaces/shop/deployments"
    assert Resource(plural="pods").path() == "/api/v1/pods"


def test_a_request_is_written_as_it_is_meant() -> None:
    request = ApiRequest(
        method="GET", path="/x", query=query(a="b c&d=e", empty="", none=None, no=False, yes=True, n=0)
    )
    assert request.target == "/x?a=b%20c%26d%3De&yes=true&n=0"
    assert request.encode(host="h") == (
        b"GET /x?a=b%20c%26d%3De&yes=true&n=0 HTTP/1.1\r\nhost: h\r\naccept: application/json\r\n\r\n"
    )
