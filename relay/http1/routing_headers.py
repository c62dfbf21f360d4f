"""The routing key in the headers that tracing libraries carry along (W3C Baggage, W3C Trace Context)."""

import re

from relay.http1.fields import TOKEN_CLASS, values_of
from relay.http1.request import RequestHead

OUR_KEYS = frozenset({b"sd-routing-key", b"sd-workspace"})
MAX_BAGGAGE_MEMBERS = 64  # W3C Baggage 3.3.2: what everybody has to carry
MAX_BAGGAGE_BYTES = 8192
MAX_TRACESTATE_MEMBERS = 32  # W3C Trace Context 3.3.1.1
MAX_TRACESTATE_BYTES = 512  # W3C Trace Context 3.3.1.5: what everybody has to carry

_BAGGAGE_MEMBER = re.compile(rb"(" + TOKEN_CLASS + rb"+)[ \t]*=[\t\x20\x21\x23-\x2b\x2d-\x5b\x5d-\x7e]*")
_TRACESTATE_MEMBER = re.compile(
    rb"([a-z0-9][_0-9a-z\-*/@]{0,255})=([\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e])"
)
_TRACEPARENT = re.compile(rb"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?")


def merge_routing_headers(head: RequestHead, routing_key: bytes) -> bytes:
    """Header lines, each with its CRLF, that carry the routing key; the visitor's own entries are kept beside it.

    Entries of the visitor under our keys are removed, malformed and surplus ones dropped from the end.
    """
    baggage = tracestate = b"sd-routing-key=%b,sd-workspace=%b" % (routing_key, routing_key)
    if b"baggage" in head.fields:
        baggage = _merge_baggage(baggage, b",".join(values_of(head.headers, b"baggage")))
    if b"tracestate" in head.fields and has_traceparent(head):
        tracestate = _merge_tracestate(tracestate, b",".join(values_of(head.headers, b"tracestate")))
    return (
        b"baggage: %b\r\ntracestate: %b\r\nuberctx-sd-workspace: %b\r\not-baggage-sd-workspace: %b\r\n"
        b"sd-routing-key: %b\r\n"
    ) % (baggage, tracestate, routing_key, routing_key, routing_key)


def has_traceparent(head: RequestHead) -> bool:
    """Whether the request has one valid traceparent; without one its tracestate counts for nothing (3.3)."""
    values = values_of(head.headers, b"traceparent")
    return len(values) == 1 and _TRACEPARENT.fullmatch(values[0]) is not None


def _merge_baggage(ours: bytes, theirs: bytes) -> bytes:
    merged = ours
    count = ours.count(b",") + 1
    for part in theirs.split(b","):
        member = part.strip(b" \t")
        match = _BAGGAGE_MEMBER.fullmatch(member)
        if match is None or match[1].lower() in OUR_KEYS:
            continue
        if count == MAX_BAGGAGE_MEMBERS or len(merged) + 1 + len(member) > MAX_BAGGAGE_BYTES:
            break
        merged += b"," + member
        count += 1
    return merged


def _merge_tracestate(ours: bytes, theirs: bytes) -> bytes:
    """Ours stand first, as a vendor's changed entries must (3.5)."""
    merged = ours
    seen = set(OUR_KEYS)
    for part in theirs.split(b","):
        member = part.strip(b" \t")
        match = _TRACESTATE_MEMBER.fullmatch(member)
        if match is None or match[1] in seen:
            continue
        if len(seen) == MAX_TRACESTATE_MEMBERS or len(merged) + 1 + len(member) > MAX_TRACESTATE_BYTES:
            break
        seen.add(match[1])
        merged += b"," + member
    return merged
