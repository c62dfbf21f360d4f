"""/livez, /readyz and /metrics over plain HTTP, for the kubelet and for Prometheus.

It answers one request per connection and reads nothing but the request line, so it needs no HTTP library.
"""

import re
from http import HTTPStatus

import trio

from client.settings import Endpoint
from client.status import AgentStatus, Metrics

REQUEST_SECONDS = 5.0
"""From accepting until the answer is written: probes time out after one second by default, scrapes after ten."""
MAX_HEAD_BYTES = 8192
"""Probes send a few hundred bytes."""
MAX_CONNECTIONS = 32
"""More at once than a kubelet and a few Prometheus servers ever open; the rest wait in the backlog."""

_REQUEST_LINE = re.compile(rb"(GET|HEAD) (/[^ ?]*)(?:\?[^ ]*)? HTTP/1\.[01]\r?\n")
_TEXT = "text/plain; charset=utf-8"
_METRICS = "text/plain; version=0.0.4; charset=utf-8"


async def open_health_listeners(endpoint: Endpoint) -> list[trio.SocketListener]:
    """Listens on the address for health; done before anything else starts, so a taken port is found at once.

    Raises:
        OSError: the address cannot be listened on; the message names it.
    """
    try:
        return await trio.open_tcp_listeners(endpoint.port, host=endpoint.host)
    except OSError as error:
        raise OSError(f"cannot listen on {endpoint} for health: {error.strerror or error}") from error


class HealthServer:
    """Serves the state of one agent."""

    def __init__(self, status: AgentStatus, metrics: Metrics) -> None:
        self._status = status
        self._metrics = metrics
        self._slots = trio.Semaphore(MAX_CONNECTIONS)

    async def serve(self, listeners: list[trio.SocketListener]) -> None:
        """Answers on `listeners` until it is cancelled."""
        await trio.serve_listeners(self._answer, listeners)

    async def _answer(self, stream: trio.SocketStream) -> None:
        async with self._slots, stream:
            with trio.move_on_after(REQUEST_SECONDS):
                try:
                    head = await _read_head(stream)
                    await stream.send_all(self._response(head))
                except (trio.BrokenResourceError, trio.ClosedResourceError):
                    return  # whoever asked has left; there is nobody to tell

    def _response(self, head: bytes) -> bytes:
        match = _REQUEST_LINE.match(head)
        if match is None:
            return _http(HTTPStatus.BAD_REQUEST, b"bad request\n", _TEXT)
        status, body, content_type = self._page(match[2])
        return _http(status, body, content_type, with_body=match[1] == b"GET")

    def _page(self, path: bytes) -> tuple[HTTPStatus, bytes, str]:
        match path:
            case b"/livez":
                return HTTPStatus.OK, b"ok\n", _TEXT
            case b"/readyz":
                ready = self._status.is_ready
                lines = [("ready" if ready else "not ready"), *self._status.lines()]
                body = "".join(f"{line}\n" for line in lines).encode()
                return (HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE), body, _TEXT
            case b"/metrics":
                return HTTPStatus.OK, self._metrics.text(), _METRICS
        return HTTPStatus.NOT_FOUND, b"not found: try /livez, /readyz or /metrics\n", _TEXT


async def _read_head(stream: trio.SocketStream) -> bytes:
    head = bytearray()
    # The whole head is taken: closing with bytes unread would reset the connection under the answer.
    while not head.endswith((b"\r\n\r\n", b"\n\n")) and len(head) <= MAX_HEAD_BYTES:
        chunk = await stream.receive_some(MAX_HEAD_BYTES)
        if not chunk:
            break
        head += chunk
    return bytes(head)


def _http(status: HTTPStatus, body: bytes, content_type: str, *, with_body: bool = True) -> bytes:
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: {content_type}\r\n"
        f"Content-Length: {len(body)}\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n"
    )
    return head.encode("ascii") + (body if with_body else b"")
