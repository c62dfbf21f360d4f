"""Why a tunnel ended, and how its transport is let go."""

import contextlib
from dataclasses import dataclass

import trio


@dataclass(frozen=True, slots=True, kw_only=True)
class TunnelEnd:
    """Why a tunnel ended."""

    code: int | None
    """A `CloseCode`, or a number of a later version; None when the transport just ended or broke."""
    reason: str
    """A sentence for logs and for /readyz."""
    remote: bool
    """Whether the peer ended it."""
    retry_after_seconds: float = 0.0
    """The window over which to spread the next login, as the relay named it."""


async def hang_up(transport: trio.abc.Stream) -> None:
    """After a goodbye of ours, lets the peer be the one to close; the caller bounds how long that may take.

    Bytes that reach a closed socket make the kernel break the connection and drop what has not left yet.
    """
    if isinstance(transport, trio.abc.HalfCloseableStream):
        with contextlib.suppress(OSError, trio.BrokenResourceError, trio.ClosedResourceError):  # it is over either way
            await transport.send_eof()
            async for _ in transport:
                pass
