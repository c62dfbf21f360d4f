"""The strict reader of response heads from targets."""

import re
from typing import NamedTuple

from relay.errors import BadResponseError
from relay.http1.fields import (
    CONTENT_LENGTH,
    NO_NAMES,
    RESPONSE_FIELD,
    RESPONSE_FIELD_PADDED,
    Headers,
    first_values,
    flaw_of_beginning,
    flaw_of_bytes,
    flaw_of_lines,
    split_list,
    values_of,
)
from relay.http1.framing import CHUNKED, NO_BODY, UNTIL_CLOSE, Framing, FramingKind
from relay.http1.limits import DEFAULT_LIMITS, HeadLimits

# RFC 9112 4; the blank before an empty reason is often left out, and nothing hangs on it.
STATUS_LINE = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9]{2})(?: ([\t\x20-\x7e\x80-\xff]*+))?+\r\n")
SINGLE = frozenset({b"content-length", b"transfer-encoding", b"content-type"})
SWITCHING_PROTOCOLS = 101
OK = 200
NO_CONTENT = 204
NOT_MODIFIED = 304


class ResponseHead(NamedTuple):
    """A response head that passed every rule."""

    status: int
    reason: bytes
    version: tuple[int, int]
    headers: Headers
    framing: Framing
    keep_alive: bool
    """Whether the target's stream may carry another request after this body."""
    is_informational: bool
    """1xx: another head follows, except after 101."""
    content_length: int | None
    """Content-Length as sent; to a HEAD request or with 304 it describes a body that does not follow."""
    connection_names: frozenset[bytes]
    fields: dict[bytes, bytes]
    """The first value of each header; not to be changed."""
    raw: bytes
    """The head as it was received, with its empty line; empty where the request gave it a special meaning."""

    def get(self, name: bytes) -> bytes | None:
        """The first value of a header; `name` in lower case."""
        return self.fields.get(name)


def read_response_head(
    buffer: bytes | bytearray,
    *,
    request_method: bytes,
    upgrade: bytes | None = b"websocket",
    limits: HeadLimits = DEFAULT_LIMITS,
    earlier: ResponseHead | None = None,
) -> tuple[ResponseHead, int] | None:
    """Reads the head at the beginning of `buffer`, which it leaves as it is.

    `upgrade` is the protocol to which a 101 may switch, None where the request asked for none.
    Gives the head and how many bytes it takes, or None while it is incomplete. Raises BadResponseError.

    `earlier` is a head that was read with the same limits: it is given itself where the same bytes came again.
    """
    end = buffer.find(b"\r\n\r\n") + 4
    if end <= 3:  # noqa: PLR2004 - find gave -1
        if buffer:
            _check_beginning(bytes(buffer), limits)
        return None
    if end > limits.head_bytes:
        raise _too_large(limits)
    raw = bytes(buffer) if end == len(buffer) else bytes(buffer[:end])
    if earlier is not None and raw == earlier.raw and request_method != b"HEAD":
        return earlier, end
    line = STATUS_LINE.match(raw)
    if line is None:
        slug, sentence = flaw_of_bytes(raw.partition(b"\r\n")[0]) or ("status_line", "The status line is malformed.")
        raise BadResponseError(sentence, reason=slug)
    fields = RESPONSE_FIELD.findall(raw, line.end())
    if len(fields) != raw.count(b"\r\n") - 2:
        fields = _read_slowly(raw, line.end(), limits)
    if len(fields) > limits.headers:
        raise BadResponseError(f"There are more than {limits.headers} header lines.", reason="too_many_headers")
    headers = [(name.lower(), value) for name, value in fields]
    return _read(line, headers, request_method, upgrade), end


def _read(line: re.Match[bytes], headers: Headers, method: bytes, upgrade: bytes | None) -> ResponseHead:
    by_name = dict(headers)
    if len(by_name) != len(headers):
        by_name = first_values(headers, SINGLE, BadResponseError)
    minor, digits, reason = line.groups()
    recent = minor == b"1"
    status = int(digits)
    framing, length = _read_framing(by_name, recent=recent)
    informational = status < OK
    if informational or status in {NO_CONTENT, NOT_MODIFIED} or method == b"HEAD":  # RFC 9112 6.3, rule 1
        framing = NO_BODY
    connection = by_name.get(b"connection")
    keep_alive, names = recent, NO_NAMES
    if connection == b"keep-alive" and len(by_name) == len(headers):  # no second Connection line says more
        keep_alive = True
    elif connection is not None:
        keep_alive, names = _read_connection(headers, recent=recent)
    if status == SWITCHING_PROTOCOLS:
        _check_switch(headers, names, upgrade)
    return ResponseHead(
        status,
        reason or b"",
        (1, 1) if recent else (1, 0),
        headers,
        framing,
        keep_alive and framing is not UNTIL_CLOSE,
        informational,
        length,
        names,
        by_name,
        b"" if informational or method == b"HEAD" else line.string,
    )


def _read_framing(by_name: dict[bytes, bytes], *, recent: bool) -> tuple[Framing, int | None]:
    """RFC 9112 6.3 for a response that has a body; with the value of Content-Length."""
    text = by_name.get(b"content-length")
    coding = by_name.get(b"transfer-encoding")
    if text is not None:
        if coding is not None:
            raise BadResponseError("Both Content-Length and Transfer-Encoding are there.", reason="two_framings")
        if CONTENT_LENGTH.fullmatch(text) is None:
            raise BadResponseError("Content-Length is not a plain number.", reason="content_length")
        length = int(text)
        return Framing(FramingKind.LENGTH, length), length
    if coding is None:
        return UNTIL_CLOSE, None
    if not recent or coding.lower() != b"chunked":
        raise BadResponseError("Transfer-Encoding is not `chunked`, or in HTTP/1.0.", reason="transfer_encoding")
    return CHUNKED, None


def _read_connection(headers: Headers, *, recent: bool) -> tuple[bool, frozenset[bytes]]:
    options = split_list(b",".join(values_of(headers, b"connection")))
    if options is None:
        raise BadResponseError("Connection is not a list of names.", reason="connection")
    names = frozenset(options)
    return b"close" not in names and (recent or b"keep-alive" in names), names


def _check_switch(headers: Headers, names: frozenset[bytes], upgrade: bytes | None) -> None:
    """RFC 9110 15.2.2: raw bytes follow only where they were asked for and are agreed to in full."""
    if upgrade is None:
        raise BadResponseError("The target switched protocols unasked.", reason="unasked_upgrade")
    if b"upgrade" not in names or b",".join(values_of(headers, b"upgrade")).lower() != upgrade:
        raise BadResponseError("The target switched to another protocol than asked for.", reason="unasked_upgrade")


def _read_slowly(raw: bytes, start: int, limits: HeadLimits) -> list[tuple[bytes, bytes]]:
    fields = RESPONSE_FIELD_PADDED.findall(raw, start)
    if len(fields) == raw.count(b"\r\n") - 2:
        return [(name, value.rstrip(b" \t")) for name, value in fields]
    flaw = flaw_of_lines(raw[start:-4].split(b"\r\n"), limits, strict=False)
    slug, sentence = flaw or ("header", "A header line is malformed.")
    raise BadResponseError(sentence, reason=slug)


def _check_beginning(data: bytes, limits: HeadLimits) -> None:
    """Refuses an incomplete head that can no longer become a good one."""
    if len(data) > limits.head_bytes:
        raise _too_large(limits)
    if not data.startswith(b"HTTP/1."[: len(data)]):
        raise BadResponseError("The target's answer is not HTTP/1.", reason="status_line")
    line, complete, rest = data.partition(b"\r\n")
    if complete and STATUS_LINE.fullmatch(line + complete) is None:
        raise BadResponseError("The status line is malformed.", reason="status_line")
    flaw = flaw_of_beginning(rest, limits, strict=False) if complete else flaw_of_bytes(line.removesuffix(b"\r"))
    if flaw is not None:
        raise BadResponseError(flaw[1], reason=flaw[0])


def _too_large(limits: HeadLimits) -> BadResponseError:
    return BadResponseError(f"The head is larger than {limits.head_bytes} bytes.", reason="head_too_large")
