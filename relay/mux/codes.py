"""Numbers of the wire: frame types, reset codes and close codes (docs/protocol.md)."""

from enum import IntEnum
from typing import Final

PROTOCOL_VERSION: Final = 1
"""The version this package speaks; sent in HELLO and WELCOME."""

FIRST_IGNORED_TYPE: Final = 0x80
"""Frame types from here on are extensions: a peer that does not know them skips them."""


class FrameType(IntEnum):
    """The type byte of a frame."""

    HELLO = 0x01
    WELCOME = 0x02
    OPEN = 0x03
    OPENED = 0x04
    DATA = 0x05
    FINISH = 0x06
    RESET = 0x07
    CREDIT = 0x08
    PING = 0x09
    PONG = 0x0A
    GOAWAY = 0x0B


class ResetCode(IntEnum):
    """Why one stream ended before its time; carried by RESET."""

    NO_ERROR = 0
    """The sender needs nothing more of this stream and no fault occurred."""
    CANCELLED = 1
    """Whoever wanted the stream has left."""
    REFUSED = 2
    """The target refused the connection."""
    NOT_ALLOWED = 3
    """The agent's policy forbids this target."""
    NOT_FOUND = 4
    """The target's name does not resolve."""
    TIMED_OUT = 5
    """The dial, or a half-closed stream, took too long."""
    UNREACHABLE = 6
    """There is no route to the target."""
    PROTOCOL_ERROR = 7
    """The peer broke a rule on this stream."""
    FLOW_CONTROL_ERROR = 8
    """The peer sent beyond its window, or granted more than a window can hold."""
    LIMIT = 9
    """A limit on streams or memory is reached; another stream may succeed later."""
    TARGET_RESET = 10
    """The target's connection broke in the middle."""
    INTERNAL = 11
    """A fault of the sender."""
    GOING_AWAY = 12
    """The sender takes no new streams (it sent GOAWAY), or its drain deadline passed."""


class CloseCode(IntEnum):
    """Why a session takes no new streams, or ends; carried by GOAWAY."""

    SHUTDOWN = 0
    """No new streams from now on; open ones finish."""
    DRAIN = 1
    """A hint: bring up another tunnel; this one still takes streams until then."""
    REPLACED = 2
    """The same agent logged in again; open streams finish."""
    UNAUTHENTICATED = 3
    """The cluster token is missing, malformed, unknown or revoked."""
    PROTOCOL_ERROR = 4
    """The peer sent what the protocol does not allow."""
    FRAME_SIZE = 5
    """A payload is longer or shorter than its type allows."""
    FLOW_CONTROL = 6
    """Windows are broken beyond one stream."""
    TIMEOUT = 7
    """The handshake or a PING was not answered in time."""
    ABUSE = 8
    """A rate limit was passed."""
    UNSUPPORTED_VERSION = 9
    """The relay does not speak the agent's protocol version, or the agent's program is too old for it."""
    INTERNAL = 10
    """A fault of the sender."""


ORDERLY: Final = frozenset({CloseCode.SHUTDOWN, CloseCode.DRAIN, CloseCode.REPLACED})
"""Close codes after which open streams go on. Any other code, known or not, ends the session at once."""


def is_orderly(code: int) -> bool:
    """Whether open streams go on after a GOAWAY with this code."""
    return code in ORDERLY


def reset_code(value: int) -> ResetCode:
    """The named code for a number from the wire; a number we do not know counts as INTERNAL."""
    try:
        return ResetCode(value)
    except ValueError:
        return ResetCode.INTERNAL
