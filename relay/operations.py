"""The operators' listener: /metrics, /livez and /readyz over plain HTTP, on an address that is not for the outside."""

from collections.abc import Awaitable, Callable
from functools import partial

import structlog
import trio

from relay.errors import BadRequestError
from relay.http1 import HeadLimits, RequestHead, read_request_head, response_head

READ_BYTES = 8192
REQUEST_SECONDS = 10.0
TEXT = b"text/plain; charset=utf-8"
EXPOSITION = b"text/plain; version=0.0.4; charset=utf-8"

log = structlog.get_logger("operations")

Metrics = Callable[[], Awaitable[bytes]]
"""Gives the figures in Prometheus' text format."""
Readiness = Callable[[], Awaitable[str]]
"""Gives an empty string when ready, otherwise a sentence that says why not."""


async def serve_operations(listeners: list[trio.SocketListener], *, metrics: Metrics, readiness: Readiness) -> None:
    """Serves for ever. One request per connection: scrapers and probes ask seldom."""
    await trio.serve_listeners(partial(_serve_one, metrics=metrics, readiness=readiness), listeners)


async def _serve_one(stream: trio.SocketStream, *, metrics: Metrics, readiness: Readiness) -> None:
    async with stream:
        try:
            with trio.move_on_after(REQUEST_SECONDS):
                await stream.send_all(await _answer_to(stream, metrics, readiness))
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # the scraper is gone
        except Exception:  # the boundary between one scrape and the process it asks about
            log.exception("scrape failed")


async def _answer_to(stream: trio.SocketStream, metrics: Metrics, readiness: Readiness) -> bytes:
    try:
        head = await _read_head(stream)
    except BadRequestError as error:
        return _response(400, TEXT, f"{error}\n".encode())
    return b"" if head is None else await _answer(head, metrics, readiness)


async def _read_head(stream: trio.SocketStream) -> RequestHead | None:
    buffer = bytearray()
    while data := await stream.receive_some(READ_BYTES):
        buffer += data
        parsed = read_request_head(buffer, HeadLimits())
        if parsed is not None:
            return parsed[0]
    return None


async def _answer(head: RequestHead, metrics: Metrics, readiness: Readiness) -> bytes:
    path = head.target.partition(b"?")[0]
    if head.method not in {b"GET", b"HEAD"}:
        return _response(405, TEXT, b"only GET\n")
    if path == b"/metrics":
        return _response(200, EXPOSITION, await metrics())
    if path == b"/livez":
        return _response(200, TEXT, b"ok\n")
    if path == b"/readyz":
        problem = await readiness()
        return _response(503, TEXT, f"{problem}\n".encode()) if problem else _response(200, TEXT, b"ok\n")
    return _response(404, TEXT, b"/metrics /livez /readyz\n")


def _response(status: int, content_type: bytes, body: bytes) -> bytes:
    headers = [
        (b"content-type", content_type),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),
    ]
    return response_head(status, headers) + body
