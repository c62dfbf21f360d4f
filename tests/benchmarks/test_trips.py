"""The load that no program in Debian gives, against targets in memory of this process."""

import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.echo import accept_of, take_frames
from benchmarks.load import download_command
from benchmarks.trips import MESSAGE, Load, dial
from benchmarks.visit import Visit, read_visit, write_visit

PROXIED = Visit(
    url="http://127.0.0.1:8080/small",
    proxy=Visit(
        url="https://proxy.localhost:8443", headers=(("proxy-authorization", "Bearer sdk_x"),), ca_file=Path("ca.pem")
    ),
)


@pytest.fixture
def port() -> Iterator[int]:
    """A server that answers each CONNECT and each GET of one connection, 12 bytes at a time."""

    def serve() -> None:
        connection, _ = server.accept()
        with connection:
            while head := connection.recv(65536):
                body = b"" if head.startswith(b"CONNECT") else b"hello world\n"
                length = b"" if not body else b"content-length: 12\r\n"
                connection.sendall(b"HTTP/1.1 200 OK\r\n" + length + b"\r\n" + body)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve)
        thread.start()
        yield server.getsockname()[1]
        thread.join()


def test_trips_are_counted_with_their_times(port: int) -> None:
    load = Load(Visit(url=f"http://127.0.0.1:{port}/small"), websocket=False, at_once=1)
    load.open(1)
    trips = load.run(0.05)
    load.close()
    assert trips["count"] > 0
    assert 0 < trips["p50"] <= trips["p99"]


def test_way_by_a_proxy_begins_with_connect(port: int) -> None:
    proxy = Visit(url=f"http://127.0.0.1:{port}")
    dial(Visit(url="http://192.0.2.1:1/small", proxy=proxy)).close()


def test_visit_is_the_same_on_the_other_side() -> None:
    read = read_visit(json.loads(write_visit(PROXIED)))
    assert read.proxy is not None
    assert (read.url, read.proxy.url, read.proxy.ca_file) == (
        PROXIED.url,
        "https://proxy.localhost:8443",
        Path("ca.pem"),
    )
    assert list(read.proxy.headers) == [("proxy-authorization", "Bearer sdk_x")]


def test_curl_goes_by_the_proxy_with_the_proxys_own_headers() -> None:
    command = download_command(PROXIED)
    assert command[command.index("--proxy") + 1] == "https://proxy.localhost:8443"
    assert command[command.index("--proxy-header") + 1] == "proxy-authorization: Bearer sdk_x"
    assert command[command.index("--proxy-cacert") + 1] == "ca.pem"
    assert command[-1] == PROXIED.url


def test_echo_accepts_as_the_standard_says() -> None:
    assert accept_of(b"dGhlIHNhbXBsZSBub25jZQ==") == b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="  # RFC 6455, 1.3


def test_echo_gives_whole_frames_back_without_their_mask() -> None:
    masked = bytes([0x81, 0x85, 0x37, 0xFA, 0x21, 0x3D, 0x7F, 0x9F, 0x4D, 0x51, 0x58])  # RFC 6455, 5.7: "Hello"
    buffer = bytearray(masked + MESSAGE + masked[:7])
    assert take_frames(buffer) == b"\x81\x05Hello" + b"\x82\x0chello world\n"
    assert buffer == masked[:7]
