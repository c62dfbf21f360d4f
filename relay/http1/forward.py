"""Heads on their way through the relay: rebuilt from parsed values, hop by hop (RFC 9110 7.6)."""

from collections.abc import Collection

from relay.http1.body import visitor_framing
from relay.http1.cookies import may_set_cookie, strip_own_cookies
from relay.http1.fields import HOP_BY_HOP, NO_NAMES, Headers, split_list, values_of
from relay.http1.framing import Framing, FramingKind
from relay.http1.names import MERGED, OUR_PREFIXES, OURS
from relay.http1.request import RequestHead
from relay.http1.response import ResponseHead

_FRAMING = frozenset({b"content-length", b"transfer-encoding"})
_NOT_FROM_VISITORS = HOP_BY_HOP | _FRAMING | OURS | MERGED | {b"host", b"expect"}
_NOT_FROM_TARGETS = HOP_BY_HOP | _FRAMING | {b"x-request-id"}
CRLF = b"\r\n"
_SWITCH = b"connection: upgrade\r\nupgrade: websocket\r\n"


def forward_request_head(
    head: RequestHead,
    *,
    host: bytes,
    set_headers: bytes = b"",
    drop_names: Collection[bytes] = NO_NAMES,
) -> bytes:
    """The head as a target gets it.

    `host` is the value of Host, `set_headers` whole header lines with their CRLF that are added, `drop_names` further
    names (lower case) whose inbound copies are removed. What `relay.http1.names` lists as ours never passes; baggage
    and tracestate pass through `merge_routing_headers` only, whose lines belong into `set_headers`.
    """
    return request_start(head, host) + request_rest(head, set_headers=set_headers, drop_names=drop_names)


def request_start(head: RequestHead, host: bytes) -> bytes:
    """The first two lines of `forward_request_head`."""
    return b"%b %b HTTP/1.1\r\nhost: %b\r\n" % (head.method, head.target, host)


def request_rest(head: RequestHead, *, set_headers: bytes = b"", drop_names: Collection[bytes] = NO_NAMES) -> bytes:
    """The lines after `request_start`, with the empty one; they depend on the head's `section` alone."""
    headers = head.headers
    if b"cookie" in head.fields:
        headers = strip_own_cookies(headers)
    dropped = _NOT_FROM_VISITORS
    if head.connection_names or drop_names:
        dropped = dropped.union(head.connection_names, drop_names)
    lines = b"".join(
        [
            name + b": " + value + b"\r\n"
            for name, value in headers
            if name not in dropped and not name.startswith(OUR_PREFIXES)
        ]
    )
    return lines + set_headers + _framing_line(head.framing) + _request_extras(head) + CRLF


def _request_extras(head: RequestHead) -> bytes:
    """Hop-by-hop headers that are said again to the next hop, and those that count hops."""
    extras = b""
    if head.expects_continue:
        extras += b"expect: 100-continue\r\n"
    if head.upgrade is not None:
        extras += _SWITCH
    if b"te" in head.fields and head.is_grpc:
        members = split_list(b",".join(values_of(head.headers, b"te"))) or ()
        extras += b"te: trailers\r\n" if b"trailers" in members else b""
    return extras


def _framing_line(framing: Framing) -> bytes:
    if framing.kind is FramingKind.LENGTH:
        return b"content-length: %d\r\n" % framing.length
    if framing.kind is FramingKind.CHUNKED:
        return b"transfer-encoding: chunked\r\n"
    return b""


def forward_response_head(
    head: ResponseHead,
    *,
    request: RequestHead,
    keep_alive: bool,
    set_headers: bytes = b"",
) -> bytes:
    """The head as the visitor gets it, with the framing that `visitor_framing` gives.

    `keep_alive` says whether the visitor's connection will carry another request. `set_headers` are whole header
    lines with their CRLF. An informational head gives b"" for an HTTP/1.0 visitor (RFC 9110 15.2), as does none other.
    """
    if head.is_informational and request.version < (1, 1):
        return b""
    before, after = response_parts(head, request=request, keep_alive=keep_alive)
    return before + set_headers + after


def response_parts(head: ResponseHead, *, request: RequestHead, keep_alive: bool) -> tuple[bytes, bytes]:
    """What stands before and after the lines that are added to a response head.

    Of the request only its version and host count.
    """
    dropped = _NOT_FROM_TARGETS
    if head.connection_names:
        dropped = dropped.union(head.connection_names)
    headers = head.headers
    if b"set-cookie" in head.fields:
        headers = _allowed_cookies(headers, request.host)
    lines = b"".join([name + b": " + value + b"\r\n" for name, value in headers if name not in dropped])
    ending = _response_framing(head, request) + _response_connection(head, request, keep_alive=keep_alive)
    return b"HTTP/1.1 %d %b\r\n" % (head.status, head.reason) + lines, ending + CRLF


def _allowed_cookies(headers: Headers, host: str) -> Headers:
    return [(name, value) for name, value in headers if name != b"set-cookie" or may_set_cookie(value, host=host)]


def _response_framing(head: ResponseHead, request: RequestHead) -> bytes:
    framing = visitor_framing(head, request)
    if framing.kind is not FramingKind.NONE:
        return _framing_line(framing)
    if head.content_length is None or head.is_informational or head.status == 204:  # noqa: PLR2004 - No Content
        return b""  # RFC 9110 8.6: these never have one
    return b"content-length: %d\r\n" % head.content_length


def _response_connection(head: ResponseHead, request: RequestHead, *, keep_alive: bool) -> bytes:
    if head.is_informational:
        return _SWITCH if head.status == 101 else b""  # noqa: PLR2004 - Switching Protocols
    if not keep_alive:
        return b"connection: close\r\n"
    return b"connection: keep-alive\r\n" if request.version < (1, 1) else b""
