"""What a stream needs of its tunnel, and how it says that either is over."""

from typing import Any, Protocol

import trio

from relay.errors import StreamResetError, TunnelClosedError
from relay.mux import Session


class BrokenStreamError(StreamResetError, trio.BrokenResourceError):
    """The stream was reset; trio's own helpers see the broken resource that it is."""


class BrokenTunnelError(TunnelClosedError, trio.BrokenResourceError):
    """The tunnel under the stream ended."""


class Carrier(Protocol):
    """What a stream needs of its tunnel."""

    @property
    def session(self) -> Session:
        """The state that the stream belongs to."""

    @property
    def is_leaving(self) -> bool:
        """Whether the peer has said that the tunnel will end."""

    def flush(self) -> None:
        """Has queued frames sent in the next pass of the scheduler."""

    def forget(self, stream: Any) -> None:
        """Ends the stream's registration: nothing more will arrive for it."""
