"""Round trips on many connections in lock-step: `python -m benchmarks.trips --help`.

wrk speaks neither CONNECT nor WebSocket; this does, from one thread on blocking sockets, which costs little: some
messages are sent, each on another connection, then all their answers are read, and so on. Reads commands: `open N`
opens so many more connections and prints `up`; `run SECONDS` prints a line of JSON: `count`, `seconds`, and `p50` and
`p99` in microseconds, which mean something where `--at-once` is 1. Stays until its input ends.
"""

import argparse
import base64
import json
import os
import re
import socket
import ssl
import sys
import time
from collections.abc import Sequence
from itertools import cycle, islice

from benchmarks.processes import LOOPBACK
from benchmarks.visit import Visit, read_visit

TIMEOUT_SECONDS = 10.0
READ_BYTES = 65536
END_OF_HEAD = b"\r\n\r\n"
CONTENT_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]+)", re.IGNORECASE)
MASK_BYTES = 4
"""Only what a client sends is masked."""
MESSAGE = bytes([0x82, 0x80 | 12, 0, 0, 0, 0]) + b"hello world\n"
"""A binary WebSocket frame of 12 bytes, under a mask of zeros, which is as good as any for a measurement."""


def dial(visit: Visit) -> socket.socket:
    """A connection by which the visit's URL can be asked for: TLS and CONNECT are done where it wants them."""
    way = visit.proxy or visit
    connection = socket.create_connection((LOOPBACK, way.port), timeout=TIMEOUT_SECONDS)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if way.secure:
        context = ssl.create_default_context(cafile=way.ca_file)
        context.set_alpn_protocols(["http/1.1"])
        connection = context.wrap_socket(connection, server_hostname=way.host)
    if visit.proxy is not None:
        authority = f"{visit.host}:{visit.port}"
        _ask(connection, f"CONNECT {authority} HTTP/1.1", authority, visit.proxy, expected=b"200")
    return connection


def upgrade(connection: socket.socket, visit: Visit) -> None:
    """The opening handshake of a WebSocket (RFC 6455, 4.1)."""
    key = base64.b64encode(os.urandom(16)).decode()
    wanted = ["Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13", f"Sec-WebSocket-Key: {key}"]
    _ask(connection, f"GET {visit.path} HTTP/1.1", f"{visit.host}:{visit.port}", visit, *wanted, expected=b"101")


def _ask(connection: socket.socket, first: str, host: str, visit: Visit, *more: str, expected: bytes) -> None:
    headers = [f"{name}: {value}" for name, value in visit.headers]
    connection.sendall("\r\n".join([first, f"Host: {host}", *headers, *more, "", ""]).encode())
    head = b""
    while END_OF_HEAD not in head:
        # Byte by byte, so that nothing of what follows is taken.
        byte = connection.recv(1)
        if not byte:
            break
        head += byte
    if not head.startswith(b"HTTP/1.1 " + expected):
        raise SystemExit(f"{first}: {head[:200]!r}")


class Load:
    """Connections with one kind of message."""

    def __init__(self, visit: Visit, *, websocket: bool, at_once: int) -> None:
        self._visit = visit
        self._websocket = websocket
        self._at_once = at_once
        self._connections: list[socket.socket] = []
        lines = [f"GET {visit.path} HTTP/1.1", f"Host: {visit.host}:{visit.port}"]
        lines += [f"{name}: {value}" for name, value in visit.headers]
        self._message = MESSAGE if websocket else "\r\n".join([*lines, "", ""]).encode()
        self._answer_bytes = 0

    def open(self, count: int) -> None:
        """That many more; each has had one answer when this returns."""
        for _ in range(count):
            connection = dial(self._visit)
            if self._websocket:
                upgrade(connection, self._visit)
            self._connections.append(connection)
            connection.sendall(self._message)
            self._answer_bytes = self._answer_bytes or self._length(connection)
            if len(self._connections) > 1:
                _receive(connection, self._answer_bytes)

    def _length(self, connection: socket.socket) -> int:
        """Reads the first answer and tells how long all are: they differ in nothing but the date."""
        if self._websocket:
            return len(_receive(connection, len(MESSAGE) - MASK_BYTES))
        seen = _receive(connection, len(END_OF_HEAD))
        while not seen.endswith(END_OF_HEAD):
            seen += _receive(connection, 1)
        if not seen.startswith(b"HTTP/1.1 200 "):
            raise SystemExit(f"the target answered {seen[:200]!r}")
        return len(seen) + len(_receive(connection, int(CONTENT_LENGTH.findall(seen)[0])))

    def close(self) -> None:
        """Closes all connections."""
        for connection in self._connections:
            connection.close()

    def run(self, seconds: float) -> dict[str, float]:
        """Messages on one connection after the other, some at once, until the time is over."""
        turn = cycle(self._connections)
        started = time.perf_counter()
        times: list[float] = []
        while (now := time.perf_counter()) < started + seconds:
            some = list(islice(turn, min(self._at_once, len(self._connections))))
            for connection in some:
                connection.sendall(self._message)
            for connection in some:
                _receive(connection, self._answer_bytes)
                times.append(time.perf_counter() - now)
        times.sort()
        return {
            "count": len(times),
            "seconds": time.perf_counter() - started,
            "p50": 1e6 * times[len(times) // 2],
            "p99": 1e6 * times[len(times) * 99 // 100],
        }


def _receive(connection: socket.socket, size: int) -> bytes:
    """So many bytes. Ends the program when there are less."""
    data = connection.recv(size)
    while len(data) < size:
        more = connection.recv(size - len(data))
        if not more:
            raise SystemExit(f"the connection ended after {data[:200]!r}")
        data += more
    return data


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs until its input ends."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.trips", description=__doc__)
    parser.add_argument("--visit", type=json.loads, required=True, help="JSON of what `benchmarks.visit.Visit` holds")
    parser.add_argument("--websocket", action="store_true", help="echoed messages instead of requests")
    parser.add_argument("--at-once", type=int, required=True, help="messages under way")
    options = parser.parse_args(arguments)
    load = Load(read_visit(options.visit), websocket=options.websocket, at_once=options.at_once)
    for line in sys.stdin:
        command, _, value = line.partition(" ")
        if command == "open":
            load.open(int(value))
            sys.stdout.write("up\n")
        else:
            sys.stdout.write(json.dumps(load.run(float(value))) + "\n")
        sys.stdout.flush()
    load.close()


if __name__ == "__main__":
    main()
