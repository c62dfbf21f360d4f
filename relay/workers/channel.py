"""Lines between the supervisor and a worker, over a socket pair that ends with either of them."""

from typing import Final

import trio

READ_BYTES: Final = 65536
STARTED: Final = 0
"""In place of a question's number: the worker serves."""
LAST: Final = -1
"""The same: the metrics of a worker that ends."""
MAX_LINE_BYTES: Final = 16 * 1024 * 1024
"""Metrics are the longest: some KiB."""


class Channel:
    """One end: sends lines, and receives them until the other end is gone."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self._stream = stream
        self._buffer = bytearray()
        self._sending = trio.Lock()

    async def send(self, line: str) -> None:
        """Sends one line. That nobody reads any more is not an error here: the reading side says it."""
        try:
            async with self._sending:
                await self._stream.send_all(line.encode() + b"\n")
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            await trio.lowlevel.checkpoint()

    async def receive(self) -> str | None:
        """The next line; None when there is none any more."""
        searched = 0
        while (end := self._buffer.find(b"\n", searched)) < 0:
            searched = len(self._buffer)
            try:
                data = await self._stream.receive_some(READ_BYTES)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                return None
            if not data or searched > MAX_LINE_BYTES:
                return None
            self._buffer += data
        line = self._buffer[:end].decode()
        del self._buffer[: end + 1]
        return line

    async def aclose(self) -> None:
        """Closes this end."""
        await self._stream.aclose()
