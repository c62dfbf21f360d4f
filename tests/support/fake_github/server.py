"""How HTTP requests come to the fake, and its answers go out."""

import ssl
from collections.abc import Callable
from functools import partial
from typing import Any
from urllib.parse import parse_qsl

from tests.support.fake_github.wire import Reply, Request
from tests.support.https_server import HttpHandler, HttpsServer

Handle = Callable[[Request], Reply | None]
"""None ends the connection without an answer."""


class Server(HttpsServer):
    """An HTTPS server that answers whole requests."""

    def __init__(
        self, handle: Handle, context: ssl.SSLContext, *, port: int = 0, release: Callable[[], None] = lambda: None
    ) -> None:
        super().__init__(partial(_Handler, handle), context, port=port, release=release)


class _Handler(HttpHandler):
    server_version = "GitHub.com"

    def __init__(self, answer: Handle, *arguments: Any) -> None:
        self._answer = answer
        super().__init__(*arguments)

    def _serve(self) -> None:
        if "transfer-encoding" in self.headers:
            self.send_error(411)
            self.close_connection = True
            return
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        path, _, query = self.path.partition("?")
        reply = self._answer(
            Request(
                method=self.command,
                path=path,
                query=dict(parse_qsl(query, keep_blank_values=True)),
                headers={name.lower(): value for name, value in self.headers.items()},
                body=body,
            )
        )
        if reply is None:
            self.close_connection = True
            return
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        if reply.status != 204:  # RFC 9110 8.6: it has no Content-Length
            self.send_header("content-length", str(len(reply.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(reply.body)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815 - as http.server wants them
