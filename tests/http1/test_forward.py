import pytest

from relay.http1 import (
    PREVIEW_COOKIE,
    forward_request_head,
    forward_response_head,
    has_traceparent,
    merge_routing_headers,
    read_own_cookie,
)
from tests.http1.heads import lines_of, request, response

WEBSOCKET = ("Connection: keep-alive, Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: k")


def forwarded(*lines: str, start: str = "GET / HTTP/1.1", **options: object) -> list[str]:
    return lines_of(forward_request_head(request(*lines, start=start), host=b"web:80", **options))  # type: ignore[arg-type]


def returned(
    *lines: str, start: str = "HTTP/1.1 200 OK", visitor: str = "GET / HTTP/1.1", keep: bool = True
) -> list[str]:
    head = request(start=visitor)
    return lines_of(
        forward_response_head(response(*lines, start=start, method=head.method), request=head, keep_alive=keep)
    )


def test_the_targets_host_replaces_the_visitors() -> None:
    assert forwarded() == ["GET / HTTP/1.1", "host: web:80"]


def test_other_headers_pass_in_order_with_their_bytes() -> None:
    assert forwarded("Accept: a", "X-B: \xe4  c", "accept: d") == [
        "GET / HTTP/1.1", "host: web:80", "accept: a", "x-b: \xe4  c", "accept: d",
    ]  # fmt: skip


def test_absolute_form_becomes_origin_form_and_http_1_0_becomes_1_1() -> None:
    assert forwarded(start="GET http://web--demo.preview.test/a?b HTTP/1.0")[0] == "GET /a?b HTTP/1.1"


@pytest.mark.parametrize(
    "line",
    [
        "Connection: close", "Keep-Alive: timeout=5", "Proxy-Connection: close", "Proxy-Authorization: Bearer x",
        "TE: trailers", "Trailer: X-Sum", "Upgrade: h2c", "HTTP2-Settings: AAA", "signadot-api-key: sdk_x",
        "signadot-cluster: c", "Signadot-Later: x", "sd-routing-key: x", "sd-workspace: x", "uberctx-sd-workspace: x",
        "ot-baggage-sd-workspace: x", "X-Request-Id: x", "Forwarded: for=1.2.3.4", "X-Forwarded-For: 1.2.3.4",
        "X-Forwarded-Proto: http", "X-Forwarded-Host: x", "x-forwarded-prefix: /x", "baggage: sd-routing-key=x",
        "tracestate: a=b", "Expect: 100-continue",
    ],
)  # fmt: skip
def test_a_hop_by_hop_or_trusted_header_of_a_visitor_never_reaches_a_target(line: str) -> None:
    name = line.partition(":")[0].lower()
    lines = forwarded(line, start="GET / HTTP/1.0" if name == "expect" else "GET / HTTP/1.1")
    assert not [other for other in lines[1:] if other.startswith(f"{name}:")]


def test_headers_that_connection_names_are_removed() -> None:
    assert forwarded("Connection: close, X-Mine", "X-Mine: a", "X-Other: b")[2:] == ["x-other: b"]


def test_further_names_are_removed_and_our_headers_added() -> None:
    lines = forwarded("X-Team: forged", "A: b", drop_names={b"x-team"}, set_headers=b"x-team: real\r\n")
    assert lines[2:] == ["a: b", "x-team: real"]


def test_framing_is_written_anew() -> None:
    assert forwarded("Content-Length: 5", start="POST / HTTP/1.1")[2:] == ["content-length: 5"]
    assert forwarded("Transfer-Encoding: chunked", start="POST / HTTP/1.1")[2:] == ["transfer-encoding: chunked"]
    assert forwarded("Content-Length: 0", start="POST / HTTP/1.1")[2:] == ["content-length: 0"]


def test_expect_is_asked_of_the_target() -> None:
    assert "expect: 100-continue" in forwarded("Expect: 100-continue", "Content-Length: 5", start="POST / HTTP/1.1")


def test_a_websocket_handshake_keeps_its_upgrade() -> None:
    assert forwarded(*WEBSOCKET)[2:] == ["sec-websocket-key: k", "connection: upgrade", "upgrade: websocket"]


def test_te_trailers_passes_for_grpc_only() -> None:
    assert "te: trailers" in forwarded("TE: trailers", "Content-Type: application/grpc+proto", start="POST / HTTP/1.1")
    assert "te: trailers" not in forwarded("TE: trailers", "Content-Type: text/plain", start="POST / HTTP/1.1")


@pytest.mark.parametrize(
    ("cookie", "left"),
    [
        ("__Host-sd-preview=t", None),
        ("a=1; __Host-sd-preview=t; b=2", "a=1; b=2"),
        ("__Host-sd-preview=t; a=1", "a=1"),
        ("a=1;__Host-sd-preview=t", "a=1"),
        ("__Host-sd-preview=t; a=1; __Host-sd-preview=u", "a=1"),
        ('__Host-sd-preview="t"; a=1', "a=1"),
        ('__Host-sd-preview="t; t2"; a=1', "a=1"),
        ('a="x; __Host-sd-preview=t"; b=1', 'a="x; b=1'),
        ("__host-SD-preview=t; a=1", "a=1"),
        ("__Host-sd-preview = t; a=1", "a=1"),
        ("=__Host-sd-preview=t; a=1", "a=1"),
        ("__Host-sd-preview; a=1", "a=1"),
        ("\t__Host-sd-preview=t;a=1", "a=1"),
        ("a=__Host-sd-preview", "a=__Host-sd-preview"),
        ("__Host-sd-preview2=x", "__Host-sd-preview2=x"),
        ("a=1;b=2; ;c", "a=1;b=2; ;c"),
        ("__Host-sd-nonce=n; a=1; __Host-sd-preview=t", "a=1"),
        ("=__HOST-SD-NONCE=n", None),
        ('__Host-sd-nonce="n; x"; a=1', "a=1"),
        ("__Host-sd-login=l; __Host-sd-oauth=o; a=1", "a=1"),
        ("__Host-sd-other=x", "__Host-sd-other=x"),
    ],
)
def test_our_cookie_is_stripped_and_others_stay(cookie: str, left: str | None) -> None:
    assert forwarded(f"Cookie: {cookie}")[2:] == ([] if left is None else [f"cookie: {left}"])


def test_our_cookie_is_stripped_from_every_cookie_line() -> None:
    assert forwarded("Cookie: a=1", "Cookie: __Host-sd-preview=t; b=2")[2:] == ["cookie: a=1", "cookie: b=2"]


def test_an_answer_passes_with_its_own_headers() -> None:
    assert returned("Content-Length: 2", "X-A: b", "Connection: keep-alive", "Keep-Alive: timeout=5") == [
        "HTTP/1.1 200 OK", "x-a: b", "content-length: 2",
    ]  # fmt: skip


def test_an_answer_until_close_becomes_chunked_or_closes_for_http_1_0() -> None:
    assert returned()[1:] == ["transfer-encoding: chunked"]
    assert returned(visitor="GET / HTTP/1.0", keep=False)[1:] == ["connection: close"]
    assert returned("Transfer-Encoding: chunked", visitor="GET / HTTP/1.0", keep=False)[1:] == ["connection: close"]


def test_keep_alive_is_said_to_http_1_0_and_close_to_1_1() -> None:
    assert returned("Content-Length: 0", visitor="GET / HTTP/1.0")[1:] == [
        "content-length: 0",
        "connection: keep-alive",
    ]
    assert returned("Content-Length: 0", keep=False)[1:] == ["content-length: 0", "connection: close"]


def test_answers_without_body_keep_the_length_that_describes_it() -> None:
    assert returned("Content-Length: 7", visitor="HEAD / HTTP/1.1")[1:] == ["content-length: 7"]
    assert returned("Content-Length: 7", start="HTTP/1.1 304 x")[1:] == ["content-length: 7"]
    assert returned("Content-Length: 0", start="HTTP/1.1 204 x")[1:] == []


def test_switching_protocols_is_said_by_us() -> None:
    lines = returned("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Accept: a", start="HTTP/1.1 101 x")
    assert lines[1:] == ["sec-websocket-accept: a", "connection: upgrade", "upgrade: websocket"]


def test_http_1_0_gets_no_informational_answers() -> None:
    early = response(start="HTTP/1.1 103 Early Hints")
    assert forward_response_head(early, request=request(start="GET / HTTP/1.0"), keep_alive=True) == b""


@pytest.mark.parametrize(
    ("cookie", "passes"),
    [
        ("a=b; Path=/", True), ("__Host-sd-preview=x; Secure; Path=/", False), ("__host-sd-preview=x", False),
        ("__Host-sd-nonce=x; Secure; Path=/", False), ("__HOST-sd-login=x", False), ("=__Host-sd-oauth=x", False),
        ("__Host-sd-others=x", True),
        ("=__Host-sd-preview=x", False), (" __Host-sd-preview = x", False), ("a=b; Domain=preview.test", False),
        ("a=b; domain=.Preview.Test", False), ("a=b; DOMAIN = test", False), ("a=b; Domain=preview.test.", False),
        ('a=b; Domain="preview.test"', False), ("a=b; Domain=web--demo.preview.test", True), ("a=b; Domain=", True),
        ("a=b; Domain=web--demo.preview.test; Domain=preview.test", False), ("a=Domain=preview.test", True),
        ("a=__Host-sd-preview", True), ("a=b; Domain=unrelated.test", True),
        ("a=b; Domain=%70review.test", False), ("a=b; Domain=preview%2Etest", False),
        ("a=b; Domain=\xef\xbd\x90review.test", False), ("a=b; Domain=preview\xe3\x80\x82test", False),
    ],
)  # fmt: skip
def test_an_app_may_set_its_own_cookies_only(cookie: str, passes: bool) -> None:  # noqa: FBT001 - a test's parameter
    lines = returned(f"Set-Cookie: {cookie}", "Content-Length: 0")
    assert any(line.startswith("set-cookie:") for line in lines) is passes


PARENT = "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def merged(name: str, *lines: str) -> str:
    found = merge_routing_headers(request(*lines), b"key").decode("latin-1").split("\r\n")
    return next(line for line in found if line.startswith(f"{name}: ")).partition(": ")[2]


def test_the_routing_key_goes_into_every_header_that_carries_it() -> None:
    assert merge_routing_headers(request(), b"key").decode().split("\r\n") == [
        "baggage: sd-routing-key=key,sd-workspace=key",
        "tracestate: sd-routing-key=key,sd-workspace=key",
        "uberctx-sd-workspace: key",
        "ot-baggage-sd-workspace: key",
        "sd-routing-key: key",
        "",
    ]


@pytest.mark.parametrize(
    ("theirs", "kept"),
    [
        ("a=b", ",a=b"), ("a=b;p=q , c=d", ",a=b;p=q,c=d"), ("sd-routing-key=evil,a=b", ",a=b"),
        ("SD-Routing-Key=evil", ""), ("sd-workspace = evil", ""), ("sd-routing-key=x;p=1,z=1", ",z=1"), ("=b,,a", ""),
        ("a=b c\\", ""), ('a="b"', ""),
    ],
)  # fmt: skip
def test_baggage_of_the_visitor_is_kept_beside_ours(theirs: str, kept: str) -> None:
    assert merged("baggage", f"baggage: {theirs}") == "sd-routing-key=key,sd-workspace=key" + kept


def test_baggage_and_tracestate_stay_within_their_limits() -> None:
    many = ",".join(f"a{i}=b" for i in range(100))
    assert merged("baggage", f"baggage: {many}").count(",") == 63
    assert merged("tracestate", PARENT, f"tracestate: {many}").count(",") == 31
    assert len(merged("baggage", "baggage: " + ",".join(f"a{i}=" + "b" * 999 for i in range(20)))) <= 8192
    assert len(merged("tracestate", PARENT, "tracestate: " + ",".join(f"a{i}=" + "b" * 99 for i in range(20)))) <= 512


def test_tracestate_counts_only_beside_a_valid_traceparent() -> None:
    ours = "sd-routing-key=key,sd-workspace=key"
    assert merged("tracestate", PARENT, "tracestate: a=b,sd-routing-key=evil,a=c") == ours + ",a=b"
    assert merged("tracestate", "tracestate: a=b") == ours
    assert not has_traceparent(request(PARENT.replace("4bf92f3577b34da6a3ce929d0e0e4736", "0" * 32)))
    assert not has_traceparent(request(PARENT, PARENT))


@pytest.mark.parametrize(
    ("lines", "value", "count"),
    [
        (["__Host-sd-preview=t"], b"t", 1),
        (["a=1; __Host-sd-preview=t; b=2"], b"t", 1),
        (["a=1", "__Host-sd-preview=t"], b"t", 1),
        (["__Host-sd-preview=t; __Host-sd-preview=t"], None, 2),
        (["__Host-sd-preview=t", "a=1; __host-sd-preview=u"], None, 2),
        (["__Host-sd-preview=t; =__Host-sd-preview=u"], None, 2),
        (["__host-sd-preview=t"], None, 1),
        (["=__Host-sd-preview=t"], None, 1),
        (["a=__Host-sd-preview; __Host-sd-preview2=u; __Host-sd-nonce=n"], None, 0),
        ([], None, 0),
    ],
)
def test_our_cookie_is_read_only_where_there_is_one_in_our_spelling(
    lines: list[str], value: bytes | None, count: int
) -> None:
    assert read_own_cookie([line.encode() for line in lines], PREVIEW_COOKIE) == (value, count)
