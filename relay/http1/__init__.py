"""Strict HTTP/1 heads, body framing, forwarding rules and plain error answers; pure."""

from relay.http1.answers import error_answer, response_head, wants_html
from relay.http1.body import BodyReader, BodyWriter, visitor_framing
from relay.http1.cookies import read_own_cookie
from relay.http1.forward import (
    forward_request_head,
    forward_response_head,
    request_rest,
    request_start,
    response_parts,
)
from relay.http1.framing import CHUNKED, NO_BODY, UNTIL_CLOSE, Framing, FramingKind
from relay.http1.limits import HeadLimits
from relay.http1.look import STYLE, STYLE_SOURCE
from relay.http1.names import NONCE_COOKIE, PREVIEW_COOKIE
from relay.http1.request import Form, RequestHead, read_request_head
from relay.http1.response import ResponseHead, read_response_head
from relay.http1.routing_headers import has_traceparent, merge_routing_headers

__all__ = [
    "CHUNKED",
    "NONCE_COOKIE",
    "NO_BODY",
    "PREVIEW_COOKIE",
    "STYLE",
    "STYLE_SOURCE",
    "UNTIL_CLOSE",
    "BodyReader",
    "BodyWriter",
    "Form",
    "Framing",
    "FramingKind",
    "HeadLimits",
    "RequestHead",
    "ResponseHead",
    "error_answer",
    "forward_request_head",
    "forward_response_head",
    "has_traceparent",
    "merge_routing_headers",
    "read_own_cookie",
    "read_request_head",
    "read_response_head",
    "request_rest",
    "request_start",
    "response_head",
    "response_parts",
    "visitor_framing",
    "wants_html",
]
