"""Targets that move only when the test says so: what a test proves with them does not depend on any clock."""

import socket
import socketserver
import struct
import threading
from types import TracebackType
from typing import Self

from tests.support.https import TIMEOUT_SECONDS


class Exchange:
    """One connection to the target, driven by the test."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._buffer = b""
        self.over = threading.Event()

    def read_head(self) -> bytes:
        """The request head, with its last empty line."""
        while b"\r\n\r\n" not in self._buffer:
            data = self._connection.recv(65536)
            if not data:
                raise AssertionError(f"the connection ended after {self._buffer!r}")
            self._buffer += data
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        return head + b"\r\n\r\n"

    def receive(self) -> bytes:
        """Whatever comes next; empty at the end. Raises ConnectionResetError."""
        if self._buffer:
            data, self._buffer = self._buffer, b""
            return data
        return self._connection.recv(65536)

    def send(self, data: bytes) -> None:
        """Sends raw bytes."""
        self._connection.sendall(data)

    def finish(self) -> None:
        """Ends the sending half."""
        self._connection.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Ends the connection with RST."""
        linger_on_for_no_time = struct.pack("ii", 1, 0)
        self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger_on_for_no_time)
        self._connection.close()

    def close(self) -> None:
        """Ends the connection."""
        self.over.set()


class StepTarget:
    """Listens on a free loopback port; `accept` gives each connection to the test."""

    def __init__(self) -> None:
        self._waiting: list[Exchange] = []
        self._given: list[Exchange] = []
        self._arrived = threading.Condition()
        target = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                self.request.settimeout(TIMEOUT_SECONDS)
                exchange = Exchange(self.request)
                with target._arrived:
                    target._waiting.append(exchange)
                    target._given.append(exchange)
                    target._arrived.notify_all()
                exchange.over.wait()

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.server_address[1])

    @property
    def connections(self) -> int:
        """How many connections came."""
        with self._arrived:
            return len(self._given)

    def accept(self) -> Exchange:
        """The next connection."""
        with self._arrived:
            if not self._arrived.wait_for(lambda: bool(self._waiting), TIMEOUT_SECONDS):
                raise AssertionError("no connection came to the target")
            return self._waiting.pop(0)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for exchange in self._given:
            exchange.close()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
