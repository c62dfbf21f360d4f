"""A WebSocket target that sends every message back, at hardly any cost: run with the port as its argument.

It reads what the load of these benchmarks sends (RFC 6455, 5.2): masked frames of at most 125 bytes, unfragmented.
"""

import asyncio
import base64
import hashlib
import re
import sys
from typing import cast

KEY = re.compile(rb"\r\nsec-websocket-key:[ \t]*([^\r\n ]+)", re.IGNORECASE)
END_OF_HEAD = b"\r\n\r\n"
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
HEAD_BYTES = 6
"""Of a short masked frame: two, and the mask."""


def accept_of(key: bytes) -> bytes:
    """Sec-WebSocket-Accept for a key (RFC 6455, 4.2.2)."""
    return base64.b64encode(hashlib.sha1(key + GUID, usedforsecurity=False).digest())


def take_frames(buffer: bytearray) -> bytes:
    """Takes whole frames off the buffer; gives them as a server sends them, without mask."""
    out = bytearray()
    while len(buffer) >= HEAD_BYTES and len(buffer) >= HEAD_BYTES + (buffer[1] & 0x7F):
        size = buffer[1] & 0x7F
        mask, masked = buffer[2:HEAD_BYTES], buffer[HEAD_BYTES : HEAD_BYTES + size]
        out += bytes([buffer[0], size]) + bytes(byte ^ mask[at % 4] for at, byte in enumerate(masked))
        del buffer[: HEAD_BYTES + size]
    return bytes(out)


class Echo(asyncio.Protocol):
    """One connection."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._open = False
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remembers where to answer."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """The opening handshake, then frames."""
        assert self._transport is not None  # noqa: S101 - asyncio says so first
        self._buffer += data
        if not self._open:
            if END_OF_HEAD not in self._buffer:
                return
            head, _, rest = bytes(self._buffer).partition(END_OF_HEAD)
            key = KEY.search(head)
            if key is None:
                self._transport.close()
                return
            lines = [b"HTTP/1.1 101 Switching Protocols", b"upgrade: websocket", b"connection: upgrade"]
            self._transport.write(b"\r\n".join([*lines, b"sec-websocket-accept: " + accept_of(key[1]), b"", b""]))
            self._open, self._buffer = True, bytearray(rest)
        if out := take_frames(self._buffer):
            self._transport.write(out)


async def serve(port: int) -> None:
    """For ever."""
    server = await asyncio.get_running_loop().create_server(Echo, "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
