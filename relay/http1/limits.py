"""How large heads and chunk lines may be."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadLimits:
    """Limits on what is kept while a head or a chunk line is incomplete, and on what is accepted at all."""

    request_line_bytes: int = 8192
    """The line with the target; RFC 9112 3 asks for at least 8000, and common servers stop at 8 KiB too."""
    head_bytes: int = 32768
    """The whole head with its empty line: room for the cookies of several applications on one domain."""
    headers: int = 128
    """Header lines of a head, or of a trailer section; browsers send about 20."""
    chunk_line_bytes: int = 4096
    """A chunk's size with its extensions (RFC 9112 7.1.1 asks for a limit); 3 to 10 bytes are usual."""


DEFAULT_LIMITS = HeadLimits()
