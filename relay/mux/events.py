"""What a session tells the program above it. NamedTuples: the cheapest immutable objects Python makes."""

from collections.abc import Mapping
from typing import NamedTuple

from relay.mux.handshake import Hello, Welcome


class HelloReceived(NamedTuple):
    """Relay: the agent introduced itself; answer with `Session.accept` or `Session.goaway`."""

    hello: Hello


class WelcomeReceived(NamedTuple):
    """Agent: the relay took the login; streams may come."""

    welcome: Welcome


class StreamOpened(NamedTuple):
    """Agent: the relay opened a stream; dial, then `Session.accept_stream` or `Session.reset`."""

    stream_id: int
    kind: str
    host: str
    port: int
    metadata: Mapping[str, str]


class StreamAccepted(NamedTuple):
    """Relay: the agent's dial succeeded."""

    stream_id: int


class DataReceived(NamedTuple):
    """Bytes of a stream; tell `Session.consume` once they are used."""

    stream_id: int
    data: memoryview
    """A part of what `Session.receive_bytes` was given, good until it is called again: whoever keeps it copies it."""


class StreamFinished(NamedTuple):
    """The peer sends nothing more on this stream."""

    stream_id: int


class StreamReset(NamedTuple):
    """The stream is gone, in both directions; `code` is a number of `ResetCode`, or one we do not know."""

    stream_id: int
    code: int
    reason: str


class SendReady(NamedTuple):
    """The send queue that `Session.send_data` called full has room again."""

    stream_id: int


class GoawayReceived(NamedTuple):
    """The peer takes no new streams above `last_stream`; unless `code` is orderly, `SessionEnded` follows."""

    last_stream: int
    code: int
    reason: str
    retry_after_seconds: float
    """The window over which to spread the next login."""
    drain_deadline_seconds: float | None
    """How long open streams may still go on, from now."""


class SessionEnded(NamedTuple):
    """Nothing more goes in or out, except what `Session.bytes_to_send` still holds."""

    reason: str


Event = (
    HelloReceived
    | WelcomeReceived
    | StreamOpened
    | StreamAccepted
    | DataReceived
    | StreamFinished
    | StreamReset
    | SendReady
    | GoawayReceived
    | SessionEnded
)
