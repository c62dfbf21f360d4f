"""A plain TCP connection read and written as `TlsStream` does: try first, wait only when the kernel says so."""

import socket
from collections.abc import Callable
from typing import Any, Final

import trio

BUDGET_BYTES: Final = 512 * 1024
"""What a task moves through a socket that is always ready before it lets the others run."""
STEP_BYTES: Final = 8192
"""The least that any one operation counts against the budget: many small ones cost time too."""
RECEIVE_BYTES: Final = 65536


class TcpStream(trio.abc.HalfCloseableStream):
    """One connected TCP socket. At most one task receives and one sends at a time.

    trio's own SocketStream yields at each call and passes through four coroutines; towards targets, where each request
    is a write and a read, that was half of the agent's work.
    """

    __slots__ = ("_budget", "_connection", "_drained", "_finished", "_receiving", "_sending")

    def __init__(self, connection: socket.socket) -> None:
        """Takes over a connected socket."""
        connection.settimeout(0)
        self._connection = connection
        self._budget = BUDGET_BYTES
        self._drained = False  # the last receive took all there was: waiting costs less than asking in vain
        self._finished = False
        self._receiving = False
        self._sending = False

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """At least one byte, at most `max_bytes`; b"" once the peer has finished. Raises BrokenResourceError."""
        if self._receiving:
            raise trio.BusyResourceError("another task is receiving from this stream")
        size = RECEIVE_BYTES if max_bytes is None else max_bytes
        if size < 1:
            raise ValueError("max_bytes must be at least 1")
        self._receiving = True
        try:
            await self._yield_sometimes()
            if self._drained:
                await self._wait(trio.lowlevel.wait_readable)
            while True:
                try:
                    data = self._connection.recv(size)
                except BlockingIOError:
                    await self._wait(trio.lowlevel.wait_readable)
                    continue
                self._drained = 0 < len(data) < size
                self._budget -= max(len(data), STEP_BYTES)
                return data
        except OSError as error:
            raise self._failure(error) from error
        finally:
            self._receiving = False

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Sends everything. Raises BrokenResourceError when the connection broke."""
        if self._sending:
            raise trio.BusyResourceError("another task is sending on this stream")
        if self._finished:
            raise trio.ClosedResourceError("this end has finished sending")
        self._sending = True
        try:
            await self._yield_sometimes()
            rest: bytes | bytearray | memoryview = data
            while True:
                try:
                    sent = self._connection.send(rest) if rest else 0
                except BlockingIOError:
                    await self._wait(trio.lowlevel.wait_writable)
                    continue
                self._budget -= max(sent, STEP_BYTES)
                if sent == len(rest):
                    return
                rest = memoryview(rest)[sent:]
        except OSError as error:
            raise self._failure(error) from error
        finally:
            self._sending = False

    async def wait_send_all_might_not_block(self) -> None:
        """Waits until the socket takes bytes."""
        if self._sending:
            raise trio.BusyResourceError("another task is sending on this stream")
        await self._wait(trio.lowlevel.wait_writable)

    async def send_eof(self) -> None:
        """Tells the peer that nothing more will come; receiving goes on."""
        if self._sending:
            raise trio.BusyResourceError("another task is sending on this stream")
        await trio.lowlevel.checkpoint()
        if self._finished:
            return
        self._finished = True
        try:
            self._connection.shutdown(socket.SHUT_WR)
        except OSError as error:
            raise self._failure(error) from error

    async def aclose(self) -> None:
        """Closes at once; what the kernel has taken is still delivered."""
        if self._connection.fileno() >= 0:
            trio.lowlevel.notify_closing(self._connection)
            self._connection.close()
        await trio.lowlevel.checkpoint()

    async def _yield_sometimes(self) -> None:
        if self._budget <= 0:
            self._budget = BUDGET_BYTES
            await trio.lowlevel.checkpoint()

    async def _wait(self, wait: Callable[[Any], Any]) -> None:
        if self._connection.fileno() < 0:
            raise trio.ClosedResourceError("this stream is closed")
        self._budget = BUDGET_BYTES
        await wait(self._connection)

    def _failure(self, error: OSError) -> Exception:
        if self._connection.fileno() < 0:
            return trio.ClosedResourceError("this stream is closed")
        return trio.BrokenResourceError(f"the connection broke: {error}")
