"""Frames as bytes: the header, and the payload of every type but HELLO and WELCOME (docs/protocol.md)."""

import re
from collections.abc import Mapping
from struct import Struct
from typing import Final, NamedTuple, NoReturn

from relay.errors import LocalProtocolError, RemoteProtocolError
from relay.mux.codes import CloseCode, FrameType
from relay.mux.limits import (
    MAX_HOST_BYTES,
    MAX_KIND_BYTES,
    MAX_METADATA_ENTRIES,
    MAX_METADATA_NAME_BYTES,
    MAX_WINDOW_BYTES,
)

HEADER: Final = Struct("!II")
"""Length of the payload (24 bits) and type (8 bits); stream id."""
HEADER_BYTES: Final = HEADER.size
PING_BYTES: Final = 8

_NUMBER: Final = Struct("!I")
_CREDIT: Final = Struct("!III")
_GOAWAY: Final = Struct("!IIII")
_OPEN: Final = Struct("!IHBBB")

MAX_PORT: Final = 2**16 - 1
NO_DEADLINE: Final = 2**32 - 1
"""In GOAWAY: no drain deadline is set."""
MAX_MILLISECONDS: Final = 2**32 - 2

# Kinds and metadata names are lower-case tokens; hosts are ASCII without spaces (names as A-labels, IP literals).
_TOKEN: Final = re.compile(r"[a-z0-9][a-z0-9-]*", re.ASCII)
_HOST: Final = re.compile(r"[!-~]+", re.ASCII)


class OpenPayload(NamedTuple):
    """Fields of an OPEN."""

    window: int
    """Bytes the opener takes on this stream before it sends CREDIT."""
    kind: str
    host: str
    port: int
    metadata: Mapping[str, str]


class GoawayPayload(NamedTuple):
    """Fields of a GOAWAY; times in seconds."""

    last_stream: int
    code: int
    retry_after_seconds: float
    drain_deadline_seconds: float | None
    reason: str


def frame(kind: int, stream_id: int, payload: bytes = b"") -> bytes:
    """One frame as it goes on the wire."""
    return HEADER.pack(len(payload) << 8 | kind, stream_id) + payload


def credit_frame(stream_id: int, granted: int) -> bytes:
    """A CREDIT: `granted` more bytes may be sent on the stream."""
    return _CREDIT.pack(_CREDIT_WORD, stream_id, granted)


def reset_frame(stream_id: int, code: int, reason: bytes) -> bytes:
    """A RESET."""
    return frame(FrameType.RESET, stream_id, _NUMBER.pack(code) + reason)


def open_frame(stream_id: int, fields: OpenPayload, max_metadata_bytes: int) -> bytes:
    """An OPEN. Raises LocalProtocolError for fields that the peer would refuse."""
    try:
        _check_open(fields)
        metadata = _encode_metadata(fields.metadata, max_metadata_bytes)
    except (ValueError, UnicodeEncodeError) as error:
        raise LocalProtocolError(f"cannot open a stream: {error}") from None
    kind, host = fields.kind.encode(), fields.host.encode()
    fixed = _OPEN.pack(fields.window, fields.port, len(kind), len(host), len(fields.metadata))
    return frame(FrameType.OPEN, stream_id, fixed + kind + host + metadata)


def goaway_frame(fields: GoawayPayload) -> bytes:
    """A GOAWAY."""
    deadline = fields.drain_deadline_seconds
    payload = _GOAWAY.pack(
        fields.last_stream,
        fields.code,
        _milliseconds(fields.retry_after_seconds),
        NO_DEADLINE if deadline is None else _milliseconds(deadline),
    )
    return frame(FrameType.GOAWAY, 0, payload + fields.reason.encode())


def cut_reason(reason: str, max_bytes: int) -> str:
    """`reason` as the peer may receive it: valid Unicode and at most `max_bytes` of UTF-8."""
    return reason.encode(errors="replace")[:max_bytes].decode(errors="ignore")


def decode_number(payload: bytes) -> int:
    """The payload of a CREDIT. Raises RemoteProtocolError."""
    if len(payload) != _NUMBER.size:
        _wrong_size("CREDIT")
    return int.from_bytes(payload)


def decode_reset(payload: bytes) -> tuple[int, str]:
    """Code and reason of a RESET. Raises RemoteProtocolError."""
    if len(payload) < _NUMBER.size:
        _wrong_size("RESET")
    return int.from_bytes(payload[:4]), _text(payload[4:], "RESET")


def decode_goaway(payload: bytes) -> GoawayPayload:
    """Fields of a GOAWAY. Raises RemoteProtocolError."""
    if len(payload) < _GOAWAY.size:
        _wrong_size("GOAWAY")
    last_stream, code, retry_after, deadline = _GOAWAY.unpack_from(payload)
    return GoawayPayload(
        last_stream,
        code,
        retry_after / 1000,
        None if deadline == NO_DEADLINE else deadline / 1000,
        _text(payload[_GOAWAY.size :], "GOAWAY"),
    )


def decode_open(payload: bytes, max_metadata_bytes: int) -> OpenPayload:
    """Fields of an OPEN. Raises RemoteProtocolError."""
    if len(payload) < _OPEN.size:
        _wrong_size("OPEN")
    window, port, kind_bytes, host_bytes, entries = _OPEN.unpack_from(payload)
    host_at = _OPEN.size + kind_bytes
    metadata_at = host_at + host_bytes
    if metadata_at > len(payload):
        _wrong_size("OPEN")
    try:
        fields = OpenPayload(
            window,
            payload[_OPEN.size : host_at].decode("ascii"),
            payload[host_at:metadata_at].decode("ascii"),
            port,
            _decode_metadata(payload[metadata_at:], entries, max_metadata_bytes),
        )
        _check_open(fields)
    except ValueError as error:
        raise RemoteProtocolError(f"malformed OPEN: {error}", wire_code=CloseCode.PROTOCOL_ERROR) from None
    return fields


def _check_open(fields: OpenPayload) -> None:
    if fields.window > MAX_WINDOW_BYTES:
        raise ValueError("the window is beyond the largest")
    if not 0 < len(fields.kind) <= MAX_KIND_BYTES or not _TOKEN.fullmatch(fields.kind):
        raise ValueError("the kind is not a short lower-case token")
    if not 0 < len(fields.host) <= MAX_HOST_BYTES or not _HOST.fullmatch(fields.host):
        raise ValueError("the host is not 1 to 253 visible ASCII characters")
    if not 0 < fields.port <= MAX_PORT:
        raise ValueError("the port is not 1 to 65535")


def _encode_metadata(metadata: Mapping[str, str], max_bytes: int) -> bytes:
    if not metadata:
        return b""
    if len(metadata) > MAX_METADATA_ENTRIES:
        raise ValueError("too many metadata entries")
    parts: list[bytes] = []
    for name, value in metadata.items():
        _check_metadata_name(name)
        encoded = value.encode()
        if len(encoded) > max_bytes:
            raise ValueError("metadata is too long")
        parts += (bytes((len(name),)), name.encode(), len(encoded).to_bytes(2), encoded)
    encoded = b"".join(parts)
    if len(encoded) > max_bytes:
        raise ValueError("metadata is too long")
    return encoded


def _decode_metadata(payload: bytes, entries: int, max_bytes: int) -> dict[str, str]:
    if entries > MAX_METADATA_ENTRIES or len(payload) > max_bytes:
        raise ValueError("too much metadata")
    metadata: dict[str, str] = {}
    if not entries and not payload:
        return metadata
    at = 0
    for _ in range(entries):
        name, at = _take(payload, at, 1)
        value, at = _take(payload, at, 2)
        _check_metadata_name(key := name.decode("ascii"))
        metadata[key] = value.decode()
    if at != len(payload) or len(metadata) != entries:
        raise ValueError("bytes after the last entry, or a name twice")
    return metadata


def _take(payload: bytes, at: int, length_bytes: int) -> tuple[bytes, int]:
    """The length-prefixed field at `at`, and where it ends."""
    start = at + length_bytes
    end = start + int.from_bytes(payload[at:start])
    if end > len(payload):
        raise ValueError("a field is cut off")
    return payload[start:end], end


def _check_metadata_name(name: str) -> None:
    if len(name) > MAX_METADATA_NAME_BYTES or not _TOKEN.fullmatch(name):
        raise ValueError("a metadata name is not a short lower-case token")


def _milliseconds(seconds: float) -> int:
    return max(0, min(round(seconds * 1000), MAX_MILLISECONDS))


def _text(payload: bytes, name: str) -> str:
    try:
        return payload.decode()
    except UnicodeDecodeError:
        raise RemoteProtocolError(f"the reason of {name} is not UTF-8", wire_code=CloseCode.PROTOCOL_ERROR) from None


def _wrong_size(name: str) -> NoReturn:
    raise RemoteProtocolError(f"{name} has a payload of the wrong size", wire_code=CloseCode.FRAME_SIZE)


_CREDIT_WORD: Final = _NUMBER.size << 8 | FrameType.CREDIT
