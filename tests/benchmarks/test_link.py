import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from benchmarks.placement import Placement
from benchmarks.processes import Ground

DELAY_SECONDS = 0.01
PATIENCE_SECONDS = 10.0


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[Ground]:
    with ExitStack() as stack:
        yield Ground(tmp_path, Placement.here(), stack, delay_seconds=DELAY_SECONDS)


@pytest.fixture
def ends(ground: Ground) -> Iterator[tuple[socket.socket, socket.socket]]:
    """Both ends of a connection over the link."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(PATIENCE_SECONDS)
        port = ground.far(server.getsockname()[1])
        near = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_SECONDS)
        near.sendall(b"!")
        far, _ = server.accept()
        while far.recv(1) != b"!":  # the one that looked whether the link listens
            far.close()
            far, _ = server.accept()
        far.settimeout(PATIENCE_SECONDS)
        with near, far:
            yield near, far


def read_all(end: socket.socket) -> bytes:
    return b"".join(iter(lambda: end.recv(1 << 20), b""))


def test_bytes_and_ends_come_through_both_ways_in_order(ends: tuple[socket.socket, socket.socket]) -> None:
    data = bytes(range(256)) * 4096
    for source, drain in (ends, ends[::-1]):
        source.settimeout(PATIENCE_SECONDS)
        source.sendall(data)
        source.shutdown(socket.SHUT_WR)
        assert read_all(drain) == data


def test_no_byte_is_faster_than_the_delay(ends: tuple[socket.socket, socket.socket]) -> None:
    near, far = ends
    for source, drain in ((near, far), (far, near)):
        sent_at = time.monotonic()
        source.sendall(b"x")
        assert drain.recv(1) == b"x"
        assert time.monotonic() - sent_at >= DELAY_SECONDS


def test_sender_hears_that_the_far_end_is_gone(ends: tuple[socket.socket, socket.socket]) -> None:
    near, far = ends
    far.close()
    with pytest.raises(OSError, match=r"reset|pipe|aborted"):
        near.sendall(bytes(1 << 28))


def test_without_delay_there_is_no_link(tmp_path: Path) -> None:
    with ExitStack() as stack:
        assert Ground(tmp_path, Placement.here(), stack).far(80) == 80


def test_one_port_has_one_link(ground: Ground) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        port = server.getsockname()[1]
        assert ground.far(port) == ground.far(port) != port
    assert len(ground.link_pids) == 1
