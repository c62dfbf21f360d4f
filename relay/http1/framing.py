"""Where a message's body ends (RFC 9112 6)."""

from enum import Enum
from typing import NamedTuple


class FramingKind(Enum):
    """The ways in which a body's end is told."""

    NONE = "none"
    LENGTH = "length"
    CHUNKED = "chunked"
    UNTIL_CLOSE = "until_close"
    """Responses only: the body ends with the connection."""


class Framing(NamedTuple):
    """How one body is delimited."""

    kind: FramingKind
    length: int = 0
    """Bytes of the body; counts for LENGTH only."""


NO_BODY = Framing(FramingKind.NONE)
CHUNKED = Framing(FramingKind.CHUNKED)
UNTIL_CLOSE = Framing(FramingKind.UNTIL_CLOSE)
