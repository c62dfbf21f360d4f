import socket
import threading

import pytest

from benchmarks.sink import body_length, serve


@pytest.mark.parametrize(
    ("head", "length"),
    [
        (b"POST /upload HTTP/1.1\r\nhost: a\r\nContent-Length: 1024", 1024),
        (b"POST /upload HTTP/1.1\r\ncontent-length:7\r\nhost: a", 7),
        (b"GET / HTTP/1.1\r\nx-content-length: 9", 0),
        (b"GET / HTTP/1.1", 0),
    ],
)
def test_body_length_is_read_from_the_head(head: bytes, length: int) -> None:
    assert body_length(head) == length


def test_sink_answers_when_the_whole_body_has_come_and_keeps_the_connection() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as visitor:
        accepted, _ = server.accept()
        thread = threading.Thread(target=serve, args=(accepted,))
        thread.start()
        visitor.sendall(b"POST /a HTTP/1.1\r\nhost: a\r\ncontent-length: 100000\r\n\r\n" + b"x" * 99_999)
        visitor.settimeout(0.05)
        with pytest.raises(TimeoutError):
            visitor.recv(1)
        visitor.settimeout(10)
        visitor.sendall(b"x" + b"POST /b HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\nhi")
        answers = b""
        while answers.count(b"hello world\n") < 2:
            answers += visitor.recv(65536)
        visitor.shutdown(socket.SHUT_WR)
        thread.join(10)
    assert answers.count(b"HTTP/1.1 200 OK\r\n") == 2
    assert not thread.is_alive()
