"""The apps behind the previews: they answer what a test tells them, and keep every request that reaches them."""

import base64
import hashlib
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

WAIT_SECONDS = 10.0
_WEBSOCKET_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A request that reached a target."""

    method: str
    target: str
    headers: list[tuple[str, str]]
    """Names in lower case."""
    body: bytes

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key == name), None)

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What a path answers."""

    body: str = ""
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    kind: str = "text/html; charset=utf-8"


METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


class TargetApp:
    """An HTTP server on loopback. Unless told otherwise it greets, with a secret that is this app's own."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.secret = f"secret-of-{name}"
        self.replies: dict[str, Reply] = {}
        self._seen: list[Seen] = []
        self._changed = threading.Condition()
        app = self

        class Handler(_Handler):
            target_app = app

        for method in METHODS:
            setattr(Handler, f"do_{method}", Handler.answer)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self.port = int(self._server.server_address[1])

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def seen(self) -> list[Seen]:
        """All requests so far."""
        with self._changed:
            return list(self._seen)

    def seen_at(self, path: str) -> list[Seen]:
        """The requests for a path so far."""
        return [request for request in self.seen if request.path == path]

    def wait_for(self, path: str) -> Seen:
        """The first request for a path. Raises AssertionError when none comes."""
        deadline = time.monotonic() + WAIT_SECONDS
        with self._changed:
            while True:
                for request in self._seen:
                    if request.path == path:
                        return request
                left = deadline - time.monotonic()
                if left <= 0:
                    raise AssertionError(f"no request for {path} reached {self.name}")
                self._changed.wait(left)

    def keep(self, request: Seen) -> None:
        """Notes a request."""
        with self._changed:
            self._seen.append(request)
            self._changed.notify_all()


class _Handler(BaseHTTPRequestHandler):
    target_app: TargetApp
    protocol_version = "HTTP/1.1"

    def answer(self) -> None:
        app = self.target_app
        length = int(self.headers.get("content-length") or 0)
        headers = [(name.lower(), value) for name, value in self.headers.items()]
        request = Seen(method=self.command, target=self.path, headers=headers, body=self.rfile.read(length))
        app.keep(request)
        if (self.headers.get("upgrade") or "").lower() == "websocket":
            self._accept_websocket()
            return
        greeting = f"<!doctype html><title>{app.name}</title><h1>Hello from {app.name}</h1><p>{app.secret}</p>"
        reply = app.replies.get(request.path, Reply(body=greeting))
        body = reply.body.encode()
        self.send_response(reply.status)
        self.send_header("content-type", reply.kind)
        for name, value in reply.headers:
            self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _accept_websocket(self) -> None:
        key = (self.headers.get("sec-websocket-key") or "").encode()
        accept = base64.b64encode(hashlib.sha1(key + _WEBSOCKET_GUID, usedforsecurity=False).digest()).decode()
        self.send_response(101)
        for name, value in (("upgrade", "websocket"), ("connection", "Upgrade"), ("sec-websocket-accept", accept)):
            self.send_header(name, value)
        self.end_headers()
        text = self.target_app.secret.encode()
        self.wfile.write(bytes([0x81, len(text)]) + text + b"\x88\x00")
        self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """What happened is in `seen`."""
