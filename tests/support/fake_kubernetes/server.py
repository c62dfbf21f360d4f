"""How HTTP requests come to the fake, and its answers go out, in chunks where they go on."""

import contextlib
import select
import ssl
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any
from urllib.parse import parse_qsl

from tests.support.fake_kubernetes.wire import Refusal, Reply, Request, failure
from tests.support.https_server import HttpHandler, HttpsServer

Handle = Callable[[Request], Reply | None]
"""None ends the connection without an answer."""
MOST_BODY_BYTES = 3 << 20
"""What the API server takes of a request."""
STALL_SECONDS = 120.0
"""How long a client may take nothing before its connection ends."""


class Server(HttpsServer):
    """An HTTPS server whose answers may go on."""

    def __init__(
        self, handle: Handle, context: ssl.SSLContext, *, port: int = 0, release: Callable[[], None] = lambda: None
    ) -> None:
        super().__init__(partial(_Handler, handle), context, port=port, release=release)


class _Handler(HttpHandler):
    server_version = "kube-apiserver"
    timeout = STALL_SECONDS

    def __init__(self, answer: Handle, *arguments: Any) -> None:
        self._answer = answer
        super().__init__(*arguments)

    def _serve(self) -> None:
        length = self.headers.get("content-length") or "0"
        if "transfer-encoding" in self.headers or not length.isdigit():
            self.send_error(411)
            self.close_connection = True
            return
        if int(length) > MOST_BODY_BYTES:
            message = f"Request entity too large: limit is {MOST_BODY_BYTES}"
            self._send(Refusal(failure(413, "RequestEntityTooLarge", message)).reply())
            self.close_connection = True
            return
        path, _, query = self.path.partition("?")
        request = Request(
            method=self.command,
            path=path,
            query=dict(parse_qsl(query, keep_blank_values=True)),
            headers={name.lower(): value for name, value in self.headers.items()},
            body=self.rfile.read(int(length)),
        )
        reply = self._answer(request)
        if reply is None:
            self.close_connection = True
        else:
            self._send(reply)

    def _send(self, reply: Reply) -> None:
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        if isinstance(reply.body, bytes):
            self.send_header("content-length", str(len(reply.body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(reply.body)
            return
        with contextlib.closing(reply.body) as parts:  # type: ignore[type-var]
            self.send_header("transfer-encoding", "chunked")
            self.end_headers()
            self.wfile.flush()
            self._send_parts(parts)

    def _send_parts(self, parts: Iterator[bytes]) -> None:
        for part in parts:
            if part:
                self.wfile.write(b"%x\r\n%b\r\n" % (len(part), part))
                self.wfile.flush()
            elif self._client_has_left():
                self.close_connection = True
                return
        self.wfile.write(b"0\r\n\r\n")

    def _client_has_left(self) -> bool:
        """Whether the client ended its side; it has nothing else to say before the answer is over."""
        if not select.select([self.connection], [], [], 0)[0]:
            return False
        before = self.connection.gettimeout()
        self.connection.setblocking(False)  # noqa: FBT003 - the standard library's own signature
        try:
            self.connection.recv(1)
        except (ssl.SSLWantReadError, BlockingIOError):
            return False  # a record of TLS itself
        except OSError:
            return True
        finally:
            self.connection.settimeout(before)
        return True

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815 - as http.server wants them
