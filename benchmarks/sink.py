"""Takes uploads and throws them away: a target that reads a whole body before it answers, at hardly any cost.

nginx alone cannot: `return` answers before the body has come. Run as a program with the port as its argument; bodies
need a Content-Length.
"""

import re
import socket
import sys
import threading

READ_BYTES = 1 << 20
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 12\r\n\r\nhello world\n"
CONTENT_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]+)", re.IGNORECASE)
END_OF_HEAD = b"\r\n\r\n"


def body_length(head: bytes) -> int:
    """Content-Length of a request head; 0 when it has none."""
    found = CONTENT_LENGTH.search(head)
    return int(found[1]) if found else 0


def serve(connection: socket.socket) -> None:
    """Answers requests on one connection until the peer closes it."""
    buffer = bytearray(READ_BYTES)
    seen = b""
    with connection:
        while True:
            while END_OF_HEAD not in seen:
                data = connection.recv(READ_BYTES)
                if not data:
                    return
                seen += data
            head, _, rest = seen.partition(END_OF_HEAD)
            left = body_length(head) - len(rest)
            seen = rest[left + len(rest) :] if left < 0 else b""
            while left > 0:
                # MSG_TRUNC on TCP drops the bytes inside the kernel: the sink must cost less than what is measured.
                taken = connection.recv_into(buffer, min(left, READ_BYTES), socket.MSG_TRUNC)
                if not taken:
                    return
                left -= taken
            connection.sendall(ANSWER)


def main() -> None:
    """Listens on the port named on the command line."""
    with socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=128) as server:
        while True:
            connection, _ = server.accept()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=serve, args=(connection,), daemon=True).start()


if __name__ == "__main__":
    main()
