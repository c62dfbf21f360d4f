"""Opens TLS connections with a request on each: `python -m benchmarks.handshake --help`.

No load generator in Debian resumes sessions; this one does with `--resume`, and does the same without. Prints one line
of JSON: `connections`, `resumed`, `seconds`.
"""

import argparse
import json
import socket
import ssl
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from benchmarks.processes import LOOPBACK

THREADS = 8
"""Handshakes under way; OpenSSL works without the interpreter's lock."""
TIMEOUT_SECONDS = 10.0
READ_BYTES = 65536
ANSWERED = b"HTTP/1.1 200 "


class Client:
    """One thread's connections; with `--resume` each resumes what the one before it was given."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._port: int = options.port
        self._host: str = options.host
        self._context = ssl.create_default_context(cafile=options.ca_file)
        self._context.set_alpn_protocols(["http/1.1"])
        lines = [f"GET {options.path} HTTP/1.1", f"host: {options.host}:{options.port}", "connection: close"]
        self._request = "\r\n".join([*lines, *options.header, "", ""]).encode()
        self._resume: bool = options.resume
        self._session: ssl.SSLSession | None = None
        self.resumed = 0

    def visit(self) -> None:
        """One connection, one request. Raises OSError, and for an answer that is not 200 too."""
        plain = socket.create_connection((LOOPBACK, self._port), timeout=TIMEOUT_SECONDS)
        with self._context.wrap_socket(plain, server_hostname=self._host, session=self._session) as connection:
            self.resumed += bool(connection.session_reused)
            connection.sendall(self._request)
            answer = b""
            while data := connection.recv(READ_BYTES):
                answer += data
            # In TLS 1.3 the ticket comes after the handshake (RFC 8446, 4.6.1): it is there once all has been read.
            self._session = connection.session if self._resume else None
        if not answer.startswith(ANSWERED):
            raise OSError(f"the answer was {answer[:80]!r}")


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs to its end."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.handshake", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--host", required=True, help="SNI and the name on the certificate")
    parser.add_argument("--path", default="/small")
    parser.add_argument("-H", dest="header", action="append", default=[], help="a header line; repeatable")
    parser.add_argument("--ca-file", required=True)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--resume", action="store_true", help="resume the session of the connection before")
    options = parser.parse_args(arguments)
    clients = [Client(options) for _ in range(THREADS)]
    each = max(1, options.count // THREADS)
    for client in clients:
        client.visit()  # not counted: a full handshake in any case
    started = time.monotonic()
    with ThreadPoolExecutor(THREADS) as threads:
        list(threads.map(lambda client: [client.visit() for _ in range(each)], clients))
    values = {
        "connections": each * THREADS,
        "resumed": sum(client.resumed for client in clients),
        "seconds": time.monotonic() - started,
    }
    sys.stdout.write(json.dumps(values) + "\n")


if __name__ == "__main__":
    main()
