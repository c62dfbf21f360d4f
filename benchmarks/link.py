"""A link with delay, in user space: `python -m benchmarks.link --help`.

Every byte leaves so many seconds after it came, in each direction, in order and unchanged. A new connection carries
nothing for a round trip, as long as its own handshake would have taken. What is under way is bounded far above what a
fast link holds, so the link does not slow down what it delays.
"""

import argparse
import contextlib
import socket
import threading
import time
from collections import deque
from collections.abc import Sequence

from benchmarks.processes import LOOPBACK

READ_BYTES = 1 << 20
"""At a time: fewer turns of the interpreter for each byte."""
MOST_BYTES = 256 << 20
"""Under way in one direction: a round trip of 100 ms at 2.5 GB/s."""


class Delay:
    """One direction of a connection."""

    def __init__(self, source: socket.socket, drain: socket.socket, seconds: float) -> None:
        self._source = source
        self._drain = drain
        self._seconds = seconds
        self._under_way: deque[tuple[float, bytes]] = deque()
        self._held_bytes = 0
        self._broken = False
        self._changed = threading.Condition()

    def start(self) -> list[threading.Thread]:
        """The two threads that carry it."""
        threads = [threading.Thread(target=work, daemon=True) for work in (self._take, self._give)]
        for thread in threads:
            thread.start()
        return threads

    def _take(self) -> None:
        data = b"-"
        while data:
            try:
                data = self._source.recv(READ_BYTES)
            except OSError:
                data = b""
            due = time.monotonic() + self._seconds
            with self._changed:
                self._changed.wait_for(lambda: self._held_bytes < MOST_BYTES or self._broken)
                self._held_bytes += len(data)
                self._under_way.append((due, data))
                self._changed.notify_all()

    def _give(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._under_way)
                due, data = self._under_way.popleft()
            if (wait := due - time.monotonic()) > 0:
                time.sleep(wait)
            try:
                if not data:
                    self._drain.shutdown(socket.SHUT_WR)
                    return
                self._drain.sendall(data)
            except OSError:
                self._give_up()
                return
            with self._changed:
                self._held_bytes -= len(data)
                self._changed.notify_all()

    def _give_up(self) -> None:
        """The far end is gone: so is what it would have been sent, and its sender hears of it."""
        with self._changed:
            self._broken = True
            self._changed.notify_all()
        with contextlib.suppress(OSError):
            self._source.shutdown(socket.SHUT_RDWR)


def carry(connection: socket.socket, port: int, seconds: float) -> None:
    """Carries one connection to its end."""
    time.sleep(2 * seconds)
    with connection, socket.create_connection((LOOPBACK, port)) as far:
        for end in (connection, far):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threads = Delay(connection, far, seconds).start() + Delay(far, connection, seconds).start()
        for thread in threads:
            thread.join()


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs until ended by a signal."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.link", description=__doc__)
    parser.add_argument("--listen", type=int, required=True, metavar="PORT")
    parser.add_argument("--to", type=int, required=True, metavar="PORT")
    parser.add_argument("--seconds", type=float, required=True, help="in each direction")
    options = parser.parse_args(arguments)
    with socket.create_server((LOOPBACK, options.listen), backlog=128) as server:
        while True:
            connection, _ = server.accept()
            threading.Thread(target=carry, args=(connection, options.to, options.seconds), daemon=True).start()


if __name__ == "__main__":
    main()
