"""The buffer into which all tunnels of a process read."""

from typing import Final, Protocol, runtime_checkable

import trio

READ_BYTES: Final = 256 * 1024
"""One for all: what was read is used up before the next task runs."""

_read_buffer: trio.lowlevel.RunVar[bytearray] = trio.lowlevel.RunVar("tunnel-read-buffer")


@runtime_checkable
class ReadsInto(Protocol):
    """A transport that can read into a buffer of ours."""

    async def receive_into(self, buffer: bytearray) -> int:
        """As `TlsStream.receive_into`."""


def shared_buffer() -> bytearray:
    """The buffer of this process, made when it is first asked for."""
    try:
        return _read_buffer.get()
    except LookupError:
        buffer = bytearray(READ_BYTES)
        _read_buffer.set(buffer)
        return buffer
