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


def fixed_headers(head: RequestHead, route: Route, *, peer: str) -> bytes:
    """Whole header lines with their CRLF that depend on visitor, header lines and route alone.

    They tell the visitor's address and host and carry the routing key; `trace_line` and the request's id are the rest.
    """
    host = head.fields[b"host"].decode("latin-1")
    lines = f"x-forwarded-for: {peer}\r\nx-forwarded-host: {host}\r\nx-forwarded-proto: https\r\n"
    for name, value in route.routing_headers:
        lines += f"{name}: {value}\r\n"
    return lines.encode("latin-1") + merge_routing_headers(head, route.routing_key.encode())


def trace_line() -> bytes:
    """A traceparent for a request that has none, with its CRLF.

    W3C Trace Context 3.2.2: ids need to be unique, not secret. The flag 00 leaves sampling to the app.
    """
    return b"traceparent: 00-%032x-%016x-00\r\n" % (random.getrandbits(128) | 1, random.getrandbits(64) | 1)
