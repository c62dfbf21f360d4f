"""Every bound of a session, each with its reason. Sizes in bytes, times in seconds."""

from dataclasses import dataclass
from typing import Final

KIB: Final = 1024
MIB: Final = 1024 * KIB

MAX_WINDOW_BYTES: Final = 2**31 - 1
"""No window may pass this, as in HTTP/2 (RFC 9113 6.9.1): sums stay far from 32 bits."""
SLICE_BYTES: Final = 16 * KIB
"""Longest DATA while several streams have something to send: one TLS record, so turns are short."""
MIN_WINDOW_BYTES: Final = 16 * KIB
"""No stream starts with less: one slice."""
MAX_UNCREDITED_BYTES: Final = MIB
"""What a receiver may have used without telling its peer: of a large window a small part, so that all of it serves the
link, and still a CREDIT in a thousandth of its own bytes and a millisecond of a fast stream at most."""
MIN_PAYLOAD_BYTES: Final = SLICE_BYTES
"""What every peer must be able to take in one DATA."""
MAX_PAYLOAD_BYTES: Final = MIB
"""The largest payload a peer may announce: beyond it a frame only delays the others."""
MAX_HELLO_BYTES: Final = 16 * KIB
"""HELLO comes from somebody not yet authenticated: keep it small."""
MAX_WELCOME_BYTES: Final = 64 * KIB
"""Room for the addresses of several hundred relay processes."""
MAX_KIND_BYTES: Final = 32
MAX_HOST_BYTES: Final = 253
"""Longest DNS name (RFC 1035 2.3.4)."""
MAX_METADATA_ENTRIES: Final = 32
MAX_METADATA_NAME_BYTES: Final = 64
MAX_STREAM_ID: Final = 2**32 - 1
"""Also, in GOAWAY: the last stream is not settled yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one end allows, and how patient it is."""

    max_payload_bytes: int = 256 * KIB
    """Largest DATA we accept: as much as one write or read of bulk has, which so costs the handling of one frame."""
    initial_window_bytes: int = 256 * KIB
    """Receive window of a new stream: any ordinary answer fits without waiting for credit."""
    max_window_bytes: int = 32 * MIB
    """Where growth ends: 650 MB/s on a link with a round trip of 50 ms."""
    min_growth_round_trip_seconds: float = 0.001
    """Floor for the round trip when growth is decided: below it the schedulers are the delay, not the link."""
    max_streams: int = 1024
    """Streams open at once: with the initial window they fit the session's receive budget exactly."""
    max_pending_opens: int = 512
    """The backlog: OPENs the agent has not answered yet; dials are slow, so this may be a burst of visitors."""
    max_control_frames_per_second: int = 10_000
    """PING, PONG, CREDIT, OPENED, GOAWAY, extensions and strays: about 2 percent of a core; bursts of as many again."""
    max_resets_per_second: int = 1000
    """RESETs received by an agent (rapid reset, CVE-2023-44487); all open streams may be reset at once besides."""
    max_reason_bytes: int = 1024
    """Text of RESET and GOAWAY: a sentence, not a document."""
    max_metadata_bytes: int = 8 * KIB
    """Metadata of one OPEN, all entries together."""
    max_queued_control_bytes: int = MIB
    """Answers (PONG) that the peer makes us queue and does not read: beyond it the session ends."""
    receive_budget_bytes: int = 256 * MIB
    """Sum of the windows that one session grants."""
    send_queue_bytes: int = 256 * KIB
    """High mark of one stream's send queue: `send_data` says stop there; `SendReady` comes at half of it."""
    ping_interval_seconds: float = 15.0
    """Silence after which we ask: below the shortest idle timeout seen on NATs and load balancers (30 s)."""
    max_unanswered_pings: int = 2
    """With the interval: a dead link is noticed after 45 s of silence."""
    half_closed_linger_seconds: float = 3600.0
    """How long a half-closed stream may stay without a byte in either direction: longer than any sane long poll."""
    handshake_seconds: float = 10.0
    """From the first byte possible until WELCOME."""
