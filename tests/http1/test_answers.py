import json
import re

import h11
import pytest

from relay.http1 import error_answer, wants_html
from tests.http1.heads import request

PLAIN = {"status": 404, "code": "not_found", "message": 'No <b>such</b> & "thing".', "request_id": "r1"}


def read(raw: bytes) -> tuple[h11.Response, bytes]:
    client = h11.Connection(h11.CLIENT)
    client.send(h11.Request(method="GET", target="/", headers=[("host", "x")]))
    client.receive_data(raw)
    response = client.next_event()
    assert isinstance(response, h11.Response)
    body = b""
    while isinstance(event := client.next_event(), h11.Data):
        body += bytes(event.data)
    assert isinstance(event, h11.EndOfMessage)
    return response, body


def test_programs_get_json_with_the_request_id() -> None:
    response, body = read(error_answer(**PLAIN, html=False, keep_alive=True))  # type: ignore[arg-type]
    assert response.status_code == 404
    assert json.loads(body) == {"code": "not_found", "error": PLAIN["message"], "requestId": "r1"}
    assert dict(response.headers)[b"content-type"] == b"application/json"
    assert b"connection" not in dict(response.headers)


def test_people_get_a_page_that_escapes_and_loads_nothing() -> None:
    response, body = read(error_answer(**PLAIN, html=True, keep_alive=False))  # type: ignore[arg-type]
    page = body.decode()
    assert "No &lt;b&gt;such&lt;/b&gt; &amp; &quot;thing&quot;." in page
    assert "<h1>Not found</h1>" in page
    assert "404 not_found, request r1" in page
    assert "prefers-color-scheme: dark" in page
    assert not re.search(r"src=|href=|<script|url\(", page)
    assert b"default-src 'none'" in dict(response.headers)[b"content-security-policy"]
    assert dict(response.headers)[b"connection"] == b"close"


def test_an_answer_to_head_has_the_length_but_no_body() -> None:
    raw = error_answer(**PLAIN, html=False, keep_alive=True, head_only=True)  # type: ignore[arg-type]
    assert raw.endswith(b"\r\n\r\n")
    assert b"content-length: " in raw


def test_further_headers_are_added() -> None:
    raw = error_answer(**PLAIN, html=False, keep_alive=True, extra_headers=[(b"retry-after", b"5")])  # type: ignore[arg-type]
    assert b"\r\nretry-after: 5\r\n" in raw


@pytest.mark.parametrize(
    ("lines", "start", "html"),
    [
        (("Sec-Fetch-Mode: navigate",), "GET / HTTP/1.1", True), (("Accept: text/html,*/*",), "GET / HTTP/1.1", True),
        (("Accept: */*",), "GET / HTTP/1.1", False), ((), "GET / HTTP/1.1", False),
        (("Accept: text/html", "Sec-Fetch-Mode: cors"), "GET / HTTP/1.1", False),
        (("Accept: text/html",), "POST / HTTP/1.1", False), (("Sec-Fetch-Mode: navigate",), "HEAD / HTTP/1.1", True),
    ],
)  # fmt: skip
def test_navigations_want_html(lines: tuple[str, ...], start: str, html: bool) -> None:  # noqa: FBT001 - a test's parameter
    assert wants_html(request(*lines, start=start)) is html
