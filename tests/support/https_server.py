"""An HTTPS server whose port can refuse connections and come back, and what is built on it."""

import contextlib
import socket
import socketserver
import ssl
import sys
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from types import TracebackType
from typing import Any, Self

from tests.support.https import TIMEOUT_SECONDS

RELEASE_SECONDS = 0.05
MOST_RELEASES = 200
"""Together ten seconds: more than any handler takes that does not hang."""
Handler = Callable[..., BaseHTTPRequestHandler]
"""What makes the handler of a connection, called as socketserver does."""


class HttpsServer:
    """Bound to one loopback port all the time; listens between `start` and `stop`."""

    def __init__(
        self, handler: Handler, context: ssl.SSLContext, *, port: int = 0, release: Callable[[], None] = lambda: None
    ) -> None:
        self._handler = handler
        self._release = release
        self._context = context
        self._thread: threading.Thread | None = None
        self._inner = self._bind(port)
        self.port = int(self._inner.server_address[1])

    @property
    def listening(self) -> bool:
        """Whether it takes connections."""
        return self._thread is not None

    def start(self) -> None:
        """Takes connections."""
        if self._thread is None:
            self._inner.server_activate()
            self._thread = threading.Thread(
                target=self._inner.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
            )
            self._thread.start()

    def stop(self) -> None:
        """Refuses connections and ends those there are; the port stays taken, so that nobody else can get it."""
        if self._thread is not None:
            self._end()
            self._inner = self._bind(self.port)

    def close(self) -> None:
        """Gives the port back."""
        self._end()

    def end_connections(self) -> None:
        """Ends the connections there are; it goes on taking new ones."""
        self._inner.end_connections(self._release)

    def _bind(self, port: int) -> "_Server":
        return _Server(self._handler, self._context, port)

    def _end(self) -> None:
        if self._thread is not None:
            self._inner.shutdown()
            self._thread.join()
            self._thread = None
        self._inner.server_close()
        self._inner.end_connections(self._release)


class HttpsFake(ABC):
    """Something that serves HTTPS for the time of a block, and can be away in it."""

    _server: HttpsServer

    def __enter__(self) -> Self:
        self.listen()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def listen(self) -> None:
        """Takes connections; again after `stop_listening`, with the same state."""
        self._server.start()

    def stop_listening(self) -> None:
        """Ends all connections and refuses new ones; the port stays the same."""
        self._server.stop()

    @contextlib.contextmanager
    def down(self) -> Iterator[None]:
        """Refuses connections for the time of the block."""
        self.stop_listening()
        try:
            yield
        finally:
            self.listen()

    @abstractmethod
    def close(self) -> None:
        """Ends the fake and gives the port back."""


class HttpHandler(BaseHTTPRequestHandler):
    """A connection of HTTP/1.1, which says nothing of what it does: fakes keep records of their own."""

    protocol_version = "HTTP/1.1"
    sys_version = ""
    wbufsize = -1  # one write for head and body
    disable_nagle_algorithm = True

    def log_message(self, *_arguments: object) -> None:
        """Nothing."""


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, handler: Handler, context: ssl.SSLContext, port: int) -> None:
        super().__init__(("127.0.0.1", port), handler, bind_and_activate=False)
        self._context = context
        self._open: set[socket.socket] = set()
        self._changed = threading.Condition()
        try:
            self.server_bind()
        except BaseException:
            self.server_close()
            raise

    def finish_request(self, request: Any, client_address: Any) -> None:
        """The handshake belongs here, in the connection's own thread: a slow one holds up nobody else."""
        request.settimeout(TIMEOUT_SECONDS)
        try:
            secure = self._context.wrap_socket(request, server_side=True)
        except OSError:
            return  # the client does not trust us, or is not speaking TLS
        with self._changed:
            self._open.add(secure)
        try:
            super().finish_request(secure, client_address)
        finally:
            self.shutdown_request(secure)
            with self._changed:
                self._open.discard(secure)
                self._changed.notify_all()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that leave in the middle are what tests of failures make; anything else is a fault of the fake."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)

    def end_connections(self, release: Callable[[], None]) -> None:
        """Ends all connections, and waits until their threads have noticed; `release` frees those that hang."""
        with self._changed:
            ending = set(self._open)
            for secure in ending:
                with contextlib.suppress(OSError):
                    # Below TLS: SSLSocket.shutdown would pull the session away under the thread that uses it.
                    socket.socket.shutdown(secure, socket.SHUT_RDWR)
            for _ in range(MOST_RELEASES):  # a call may have begun to hang after the last one
                release()
                if self._changed.wait_for(lambda: not ending & self._open, RELEASE_SECONDS):
                    return
