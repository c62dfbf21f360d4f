"""Header lines that the relay adds to a visitor's request."""

import random
from collections.abc import Collection

from relay.http1 import RequestHead, has_traceparent, merge_routing_headers
from relay.routing import Route

HTTP_PORT = 80
NONE: Collection[bytes] = ()


def target_host(route: Route) -> bytes | None:
    """The Host that the target sees: its own; None where the endpoint wants the visitor's."""
    if route.host_header == "visitor":
        return None
    name = f"[{route.target_host}]" if ":" in route.target_host else route.target_host
    return (name if route.target_port == HTTP_PORT else f"{name}:{route.target_port}").encode()


def dropped_names(head: RequestHead, route: Route) -> Collection[bytes]:
    """Inbound headers that the relay sets anew for this route, beside those it always sets."""
    api_key = head.fields.get(b"authorization", b"")[:7].lower() == b"apikey "  # the API takes keys like that
    broken_trace = b"traceparent" in head.fields and not has_traceparent(head)
    if not (broken_trace or api_key or route.routing_headers):
        return NONE
    names = [name.encode("latin-1") for name, _ in route.routing_headers]
    if api_key:
        names.append(b"authorization")
    if broken_trace:
        names.append(b"traceparent")
    return names


def added_headers(head: RequestHead, route: Route, *, peer: str, request_id: str) -> bytes:
    """Whole header lines with their CRLF: the request's id, the visitor's address and host, tracing, routing key."""
    host = head.fields[b"host"].decode("latin-1")
    lines = (
        f"x-request-id: {request_id}\r\nx-forwarded-for: {peer}\r\n"
        f"x-forwarded-host: {host}\r\nx-forwarded-proto: https\r\n"
    )
    if not has_traceparent(head):
        # W3C Trace Context 3.2.2: ids need to be unique, not secret. The flag 00 leaves sampling to the app.
        lines += f"traceparent: 00-{random.getrandbits(128) | 1:032x}-{random.getrandbits(64) | 1:016x}-00\r\n"
    for name, value in route.routing_headers:
        lines += f"{name}: {value}\r\n"
    return lines.encode("latin-1") + merge_routing_headers(head, route.routing_key.encode())
