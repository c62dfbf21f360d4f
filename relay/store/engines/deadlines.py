"""Deadlines for threads that wait for a database server which may never answer.

A thread that waits inside libpq cannot be cancelled. But its socket can be shut down from another thread: the wait ends
at once as if the server had gone, and the connection is dropped. That works whatever the server does.
"""

import math
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager


class Guard:
    """The sockets of one thread's transaction, and when they are shut down."""

    def __init__(self, deadline: float) -> None:
        self.deadline = deadline
        """Of `time.monotonic`."""
        self.expired = False
        self._sockets: list[socket.socket] = []

    @property
    def remaining_seconds(self) -> float:
        """Until the deadline."""
        return self.deadline - time.monotonic()

    def watch(self, descriptor: int) -> None:
        """Shuts this socket down too, when the time comes. Raises OSError when the process has no descriptor left."""
        # A duplicate: the number may have gone to another file by the time it is used.
        duplicate = os.dup(descriptor)
        try:
            self._sockets.append(socket.socket(fileno=duplicate))
        except OSError:
            os.close(duplicate)
            raise

    def expire(self) -> None:
        """Ends all waits on the sockets."""
        self.expired = True
        for watched in self._sockets:
            try:
                watched.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue  # it was closed already, by either side

    def release(self) -> None:
        """Lets go of the sockets; the connections live on."""
        for watched in self._sockets:
            watched.close()


class Deadlines:
    """Holds the transactions of all threads to their deadlines, by one thread of its own."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._guards: set[Guard] = set()
        self._wakes_at = math.inf
        self._local = threading.local()
        self._thread: threading.Thread | None = None
        self._closed = False

    @property
    def current(self) -> Guard | None:
        """The guard of the calling thread."""
        return getattr(self._local, "guard", None)

    def watch(self, descriptor: int) -> None:
        """Puts a socket under the guard of the calling thread, if it has one. Raises OSError."""
        guard = self.current
        if guard is not None:
            with self._condition:
                guard.watch(descriptor)
                if guard.expired:
                    guard.expire()

    @contextmanager
    def within(self, seconds: float) -> Iterator[Guard]:
        """Guards the calling thread inside the block."""
        guard = Guard(time.monotonic() + seconds)
        before = self.current
        self._local.guard = guard
        with self._condition:
            self._guards.add(guard)
            if guard.deadline < self._wakes_at:
                self._start()
                self._condition.notify()
        try:
            yield guard
        finally:
            with self._condition:
                self._guards.discard(guard)
                guard.release()
            self._local.guard = before

    def close(self) -> None:
        """Ends the thread."""
        with self._condition:
            self._closed = True
            self._condition.notify()
        if self._thread is not None:
            self._thread.join()

    def _start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="store-deadlines", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        with self._condition:
            while not self._closed:
                now = time.monotonic()
                for guard in [guard for guard in self._guards if guard.deadline <= now and not guard.expired]:
                    guard.expire()
                # It sleeps on when a transaction ends in time, so the next one need not wake it.
                waiting = [guard.deadline for guard in self._guards if not guard.expired]
                self._wakes_at = min(waiting, default=math.inf)
                self._condition.wait(None if self._wakes_at == math.inf else self._wakes_at - now)
