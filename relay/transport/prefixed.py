"""A stream some bytes of which were read before."""

import trio


class PrefixedStream(trio.abc.Stream):
    """Gives `initial` first, then what `stream` has; sends straight to `stream`."""

    def __init__(self, initial: bytes, stream: trio.abc.Stream) -> None:
        self._initial = initial
        self._stream = stream

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        """At least one byte; b"" at the end."""
        if not self._initial:
            return await self._stream.receive_some(max_bytes)
        await trio.lowlevel.checkpoint()
        size = len(self._initial) if max_bytes is None else max_bytes
        data, self._initial = self._initial[:size], self._initial[size:]
        return data

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Sends everything."""
        await self._stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        """As of the stream below."""
        await self._stream.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        """Closes the stream below."""
        await self._stream.aclose()
