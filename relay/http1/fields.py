"""Header lines: their grammar, and which names are treated specially on the way."""

import re
from collections.abc import Iterable

from relay.errors import BadRequestError, BadResponseError
from relay.http1.limits import HeadLimits

Headers = list[tuple[bytes, bytes]]
"""Names in lower case with their values, in the order of arrival."""
NO_NAMES: frozenset[bytes] = frozenset()

# RFC 9110 5.6.2 `token`, without `_`: several servers and CGI read `-` and `_` alike, so a header with `_` could pass
# for another one behind us.
NAME_CLASS = rb"[!#$%&'*+\-.^`|~0-9A-Za-z]"
TOKEN_CLASS = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]"
# RFC 9110 5.5 `field-value` with its inner blanks: no control bytes, obs-text passes as opaque bytes.
VALUE_CLASS = rb"[\t\x20-\x7e\x80-\xff]"

# Each match is one whole line that begins after a CRLF: as many matches as CRLFs means that nothing else stands there.
# A value that ends in blanks does not match; that is rare, and FIELD_PADDED takes it.
REQUEST_FIELD = re.compile(
    rb"(?<=\r\n)(" + NAME_CLASS + rb"++):[ \t]*+(" + VALUE_CLASS + rb"*+)(?<![ \t])\r\n",
)
REQUEST_FIELD_PADDED = re.compile(rb"(?<=\r\n)(" + NAME_CLASS + rb"++):[ \t]*+(" + VALUE_CLASS + rb"*+)\r\n")
# From targets `_` is taken, and blanks before the colon are removed as RFC 9112 5.1 orders for responses.
RESPONSE_FIELD = re.compile(
    rb"(?<=\r\n)(" + TOKEN_CLASS + rb"++):[ \t]*+(" + VALUE_CLASS + rb"*+)(?<![ \t])\r\n",
)
RESPONSE_FIELD_PADDED = re.compile(rb"(?<=\r\n)(" + TOKEN_CLASS + rb"++)[ \t]*+:[ \t]*+(" + VALUE_CLASS + rb"*+)\r\n")

# RFC 9110 5.6.1 lists of tokens; empty elements are taken, as the RFC orders (a reasonable number of them).
TOKEN_LIST = re.compile(
    rb"[ \t]*+(?:" + TOKEN_CLASS + rb"++[ \t]*+)?+(?:,[ \t]*+(?:" + TOKEN_CLASS + rb"++[ \t]*+)?+){0,64}+"
)

CONTENT_LENGTH = re.compile(rb"0|[1-9][0-9]{0,17}")  # below 10**18: no 64-bit integer of any peer overflows

EARLY_BYTES = 2048  # most heads are shorter, so that nearly all flaws are found before the end of the head

HOP_BY_HOP = frozenset(
    {
        # RFC 9110 7.6.1, and what HTTP/1.0 and HTTP/2 upgrades left behind
        b"connection", b"keep-alive", b"proxy-connection", b"proxy-authenticate", b"proxy-authorization",
        b"te", b"trailer", b"transfer-encoding", b"upgrade", b"http2-settings",
    }
)  # fmt: skip


def split_list(value: bytes) -> list[bytes] | None:
    """The members of a comma-separated list of tokens in lower case; None where it is not such a list."""
    if TOKEN_LIST.fullmatch(value) is None:
        return None
    return [member for part in value.lower().split(b",") if (member := part.strip(b" \t"))]


def values_of(headers: Headers, name: bytes) -> list[bytes]:
    """All values of one header, in order; `name` in lower case."""
    return [value for key, value in headers if key == name]


def join_headers(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Header lines, each with its CRLF; names and values must be valid already."""
    return b"".join([b"%b: %b\r\n" % header for header in headers])


def flaw_of_lines(lines: Iterable[bytes], limits: HeadLimits, *, strict: bool) -> tuple[str, str] | None:
    """What is wrong with header lines (without their CRLF), as (slug, sentence); None where nothing is.

    Slow and exact: called only for heads that the compiled grammar has not matched.
    """
    for count, line in enumerate(lines):
        if count == limits.headers:
            return "too_many_headers", f"There are more than {limits.headers} header lines."
        flaw = flaw_of_bytes(line) or _flaw_of_line(line, strict=strict)
        if flaw is not None:
            return flaw
    return None


def flaw_of_beginning(data: bytes, limits: HeadLimits, *, strict: bool) -> tuple[str, str] | None:
    """The same for header lines that are still arriving; `data` begins with a line and ends anywhere.

    Of long beginnings only the end is looked at: all of it is checked once the head is complete, and whoever sends
    single bytes must not buy a scan of everything with each.
    """
    tail = data[-EARLY_BYTES:]
    if len(tail) < len(data):
        _, line_end, after = tail.partition(b"\r\n")
        if not line_end:
            return flaw_of_bytes(tail.removeprefix(b"\n").removesuffix(b"\r"))
        tail = after
    lines = tail.split(b"\r\n")
    last = lines.pop().removesuffix(b"\r")
    return flaw_of_lines(lines, limits, strict=strict) or flaw_of_bytes(last)


def _flaw_of_line(line: bytes, *, strict: bool) -> tuple[str, str] | None:
    if line[:1] in {b" ", b"\t"}:
        return "obs_fold", "A header line begins with a blank (obsolete line folding)."
    name, colon, _ = line.partition(b":")
    if not colon:
        return "no_colon", "A header line has no colon."
    trimmed = name.rstrip(b" \t")
    if re.fullmatch(TOKEN_CLASS + rb"+", trimmed) is None:
        return "header_name", "A header name is not a token."
    if strict and trimmed != name:
        return "space_before_colon", "There is a blank between a header name and its colon."
    if strict and b"_" in name:
        return "underscore", "A header name has an underscore."
    return None


def flaw_of_bytes(line: bytes) -> tuple[str, str] | None:
    """A byte that may stand in no line of a head: CR, LF, NUL and other control bytes."""
    found = re.search(rb"[\x00-\x08\x0a-\x1f\x7f]", line)
    if found is None:
        return None
    byte = found[0]
    if byte == b"\n":
        return "bare_lf", "A line ends with LF alone, without CR."
    if byte == b"\r":
        return "bare_cr", "There is a CR without LF."
    return "control_byte", f"There is a control byte (0x{byte.hex()}) in the head."


def first_values(
    headers: Headers, single: frozenset[bytes], error: type[BadRequestError] | type[BadResponseError]
) -> dict[bytes, bytes]:
    """The first value of each header. Raises `error` for a repeated header that is in `single`."""
    by_name: dict[bytes, bytes] = {}
    for name, value in headers:
        if name in by_name and name in single:
            raise error(f"The header {name.decode()} is there twice.", reason="repeated_header")
        by_name.setdefault(name, value)
    return by_name
