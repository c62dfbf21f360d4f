"""The strict reader of request heads: RFC 9112 2 to 6 and RFC 9110, checked on the raw bytes."""

import re
from enum import Enum
from typing import NamedTuple, Never

from relay.errors import BadRequestError
from relay.http1.authority import read_authority, read_host
from relay.http1.fields import (
    CONTENT_LENGTH,
    NO_NAMES,
    REQUEST_FIELD,
    REQUEST_FIELD_PADDED,
    Headers,
    first_values,
    flaw_of_beginning,
    flaw_of_bytes,
    flaw_of_lines,
    split_list,
    values_of,
)
from relay.http1.framing import CHUNKED, NO_BODY, Framing, FramingKind
from relay.http1.limits import DEFAULT_LIMITS, HeadLimits
from relay.http1.names import is_protected

# A method is upper-case letters in words: all registered ones are. RFC 9110 9.1 makes methods case-sensitive, and a
# target that reads `connect` as CONNECT would see another request than we do.
METHOD = rb"[A-Z]{1,32}+(?:-[A-Z]{1,32}+){0,3}+"
# Targets: visible ASCII without `#` (RFC 9112 3.2 has no fragment). Browsers send `|`, `{` and the like bare.
TARGET = rb"[\x21\x22\x24-\x7e]++"
REQUEST_LINE = re.compile(rb"(" + METHOD + rb") (" + TARGET + rb") HTTP/1\.([01])\r\n")
REQUEST_LINE_BEGINNING = re.compile(METHOD + rb"(?:-| (?:" + TARGET + rb"(?: [HTP/1.0]{0,8}\r?)?)?)?")
ABSOLUTE_FORM = re.compile(rb"(?:http|https)://([^/?]*)(.*)", re.IGNORECASE)

SLASH = ord("/")

# A second line of any of these would leave it to each reader which one counts.
SINGLE = frozenset(
    {
        b"host", b"content-length", b"transfer-encoding", b"content-type", b"authorization", b"proxy-authorization",
        b"expect", b"origin", b"max-forwards", b"signadot-api-key", b"signadot-cluster", b"sec-websocket-key",
        b"sec-websocket-version", b"sec-fetch-site", b"sec-fetch-mode", b"sec-fetch-dest",
        b"access-control-request-method",
    }
)  # fmt: skip


class Form(Enum):
    """The forms of a request target (RFC 9112 3.2)."""

    ORIGIN = "origin"
    ABSOLUTE = "absolute"
    AUTHORITY = "authority"
    ASTERISK = "asterisk"


class RequestHead(NamedTuple):
    """A request head that passed every rule; all of it may be relied on."""

    method: bytes
    target: bytes
    """As to be forwarded: path and query, `*`, or for CONNECT `host:port`."""
    form: Form
    version: tuple[int, int]
    """(1, 0) or (1, 1)."""
    host: str
    """The Host header's name in lower case, without port and brackets; for CONNECT the target's."""
    port: int | None
    """The Host header's port, None where it has none; for CONNECT the target's."""
    headers: Headers
    framing: Framing
    keep_alive: bool
    """Whether the visitor wants the connection to carry another request."""
    upgrade: bytes | None
    """`b"websocket"` for a WebSocket handshake; every other Upgrade is ignored (RFC 9110 7.8 allows that)."""
    expects_continue: bool
    connection_names: frozenset[bytes]
    """Header names that Connection lists: they are meant for us alone (RFC 9110 7.6.1)."""
    fields: dict[bytes, bytes]
    """The first value of each header; not to be changed."""
    raw: bytes
    """The head as it was received, with its empty line."""
    section: bytes
    """The part of `raw` after the request line."""

    def get(self, name: bytes) -> bytes | None:
        """The first value of a header; `name` in lower case."""
        return self.fields.get(name)

    @property
    def cookies(self) -> tuple[bytes, ...]:
        """The values of all Cookie lines, in order."""
        first = self.fields.get(b"cookie")
        if first is None:
            return ()
        if len(self.fields) == len(self.headers):  # no header is there twice
            return (first,)
        return tuple(values_of(self.headers, b"cookie"))

    @property
    def has_body(self) -> bool:
        """Whether body bytes may follow the head."""
        return self.framing.kind is not FramingKind.NONE

    @property
    def is_grpc(self) -> bool:
        """Whether this is a gRPC call, told by its content type (gRPC over HTTP/2, "Requests")."""
        return self.fields.get(b"content-type", b"").startswith(b"application/grpc")

    def __repr__(self) -> str:
        """Method, host and path: a head holds credentials, and representations end up in logs."""
        path = self.target.partition(b"?")[0].decode("latin-1")
        return f"<RequestHead {self.method.decode()} {self.host} {path}>"


def read_request_head(
    buffer: bytes | bytearray, limits: HeadLimits = DEFAULT_LIMITS, *, earlier: RequestHead | None = None
) -> tuple[RequestHead, int] | None:
    """Reads the head at the beginning of `buffer`, which it leaves as it is.

    Gives the head and how many bytes it takes, or None while it is incomplete. One empty line before it is skipped
    (RFC 9112 2.2). Raises BadRequestError as soon as the bytes cannot become an acceptable head, limits included.

    `earlier` is a head that was read with the same limits: clients mostly repeat their header lines to the byte, and
    then its values are taken over (`fields` is the same object) instead of being read again.
    """
    end = buffer.find(b"\r\n\r\n") + 4
    if end <= 3:  # noqa: PLR2004 - find gave -1
        if buffer:
            _check_beginning(bytes(buffer), limits)
        return None
    if end > limits.head_bytes:
        raise _too_large(limits)
    raw = bytes(buffer) if end == len(buffer) else bytes(buffer[:end])
    skipped = 0
    line = REQUEST_LINE.match(raw)
    if line is None:
        if raw.startswith(b"\r\n"):
            skipped = 2
            raw = raw[2:]
            line = REQUEST_LINE.match(raw)
        if line is None:
            _refuse_request_line(raw.partition(b"\r\n")[0])
    if line.end() > limits.request_line_bytes:
        raise _line_too_long(limits)
    section = raw[line.end() :]
    if earlier is not None and section == earlier.section:
        head = _reread(raw, line, earlier)
        if head is not None:
            return head, len(raw) + skipped
    return _read(raw, line, section, limits), len(raw) + skipped


def _reread(raw: bytes, line: re.Match[bytes], earlier: RequestHead) -> RequestHead | None:
    """The head whose header section is that of `earlier`; None where its request line may give it another meaning."""
    method, target, minor = line.groups()
    if method != earlier.method or minor != b"%d" % earlier.version[1]:
        return None
    if earlier.form is not Form.ORIGIN or target[0] != SLASH:
        return None
    return RequestHead(method, target, *earlier[2:-2], raw, earlier.section)


def _read(raw: bytes, line: re.Match[bytes], section: bytes, limits: HeadLimits) -> RequestHead:
    fields = REQUEST_FIELD.findall(raw, line.end())
    if len(fields) != raw.count(b"\r\n") - 2:
        fields = _read_slowly(raw, line.end(), limits)
    if len(fields) > limits.headers:
        raise BadRequestError(f"There are more than {limits.headers} header lines.", reason="too_many_headers")
    headers = [(name.lower(), value) for name, value in fields]
    by_name = dict(headers)
    if len(by_name) != len(headers):
        by_name = first_values(headers, SINGLE, BadRequestError)
    method, target, minor = line.groups()
    recent = minor == b"1"
    host, port = read_host(by_name.get(b"host"))
    form = Form.ORIGIN
    if target[0] != SLASH or method == b"CONNECT":
        target, form = _read_target(method, target, (host, port))
        if form is Form.AUTHORITY:
            host, port = read_authority(target)
    framing = NO_BODY
    if b"content-length" in by_name or b"transfer-encoding" in by_name:
        framing = _read_framing(by_name, method, recent=recent)
    connection = by_name.get(b"connection")
    keep_alive, names, upgrade = recent, NO_NAMES, None
    if connection == b"keep-alive" and len(by_name) == len(headers):  # no second Connection line says more
        keep_alive = True
    elif connection is not None:
        keep_alive, names, upgrade = _read_connection(headers, method, recent=recent)
        if upgrade is not None and framing.kind is not FramingKind.NONE:
            raise BadRequestError("A WebSocket handshake has a body.", reason="upgrade_with_body")
    return RequestHead(
        method,
        target,
        form,
        (1, 1) if recent else (1, 0),
        host,
        port,
        headers,
        framing,
        keep_alive,
        upgrade,
        b"expect" in by_name and _read_expect(by_name[b"expect"], recent=recent),
        names,
        by_name,
        raw,
        section,
    )


def _read_framing(by_name: dict[bytes, bytes], method: bytes, *, recent: bool) -> Framing:
    """RFC 9112 6, without any of its leniencies: exactly one way of delimiting the body, in exactly one spelling."""
    length = by_name.get(b"content-length")
    coding = by_name.get(b"transfer-encoding")
    if method in {b"CONNECT", b"TRACE"}:  # RFC 9110 9.3.6 and 9.3.8: neither has content
        raise BadRequestError(f"A {method.decode()} request has no body.", reason="unexpected_body")
    if coding is None:
        if length is None or CONTENT_LENGTH.fullmatch(length) is None:
            raise BadRequestError("Content-Length is not a plain number.", reason="content_length")
        return Framing(FramingKind.LENGTH, int(length))
    if length is not None:
        raise BadRequestError("Both Content-Length and Transfer-Encoding are there.", reason="two_framings")
    if not recent:
        raise BadRequestError("HTTP/1.0 has no Transfer-Encoding.", reason="transfer_encoding")
    if coding != b"chunked":
        raise BadRequestError("Transfer-Encoding is not `chunked`.", reason="transfer_encoding")
    return CHUNKED


def _read_connection(headers: Headers, method: bytes, *, recent: bool) -> tuple[bool, frozenset[bytes], bytes | None]:
    """What Connection says: whether to keep the connection, the names it lists, the upgrade it asks for."""
    options = split_list(b",".join(values_of(headers, b"connection")))
    if options is None:
        raise BadRequestError("Connection is not a list of names.", reason="connection")
    names = frozenset(options)
    for name in names:
        if is_protected(name):
            raise BadRequestError(f"Connection names the header {name.decode()}.", reason="connection_names")
    keep_alive = b"close" not in names and (recent or b"keep-alive" in names)
    asked = recent and method == b"GET" and b"upgrade" in names
    if asked and b",".join(values_of(headers, b"upgrade")).lower() == b"websocket":
        return keep_alive, names, b"websocket"
    return keep_alive, names, None


def _read_expect(value: bytes, *, recent: bool) -> bool:
    if value.lower() != b"100-continue":
        raise BadRequestError("Expect is not `100-continue`.", reason="expect")
    return recent  # RFC 9110 10.1.1: ignored from HTTP/1.0


def _read_target(method: bytes, target: bytes, host: tuple[str, int | None]) -> tuple[bytes, Form]:
    """Every form but the usual one. Raises where the target's authority is not the Host header's."""
    if method == b"CONNECT":
        name, port = read_authority(target)
        if port is None:
            raise BadRequestError("CONNECT needs `host:port` as its target.", reason="target")
        if host[0] != name or host[1] not in {None, port}:
            raise BadRequestError("Host disagrees with the target.", reason="host_disagrees")
        return target.lower(), Form.AUTHORITY
    if target == b"*" and method == b"OPTIONS":
        return target, Form.ASTERISK
    absolute = ABSOLUTE_FORM.fullmatch(target)
    if absolute is None:
        raise BadRequestError("The request target has no form that this method allows.", reason="target")
    if read_authority(absolute[1]) != host:
        raise BadRequestError("Host disagrees with the target.", reason="host_disagrees")
    rest = absolute[2]
    if not rest.startswith(b"/"):  # RFC 9112 3.2.4 for OPTIONS, RFC 9110 4.2.3 for the others
        rest = b"*" if not rest and method == b"OPTIONS" else b"/" + rest
    return rest, Form.ABSOLUTE


def _read_slowly(raw: bytes, start: int, limits: HeadLimits) -> list[tuple[bytes, bytes]]:
    """For heads with blanks after a value; any other deviation is an error, named here."""
    fields = REQUEST_FIELD_PADDED.findall(raw, start)
    if len(fields) == raw.count(b"\r\n") - 2:
        return [(name, value.rstrip(b" \t")) for name, value in fields]
    flaw = flaw_of_lines(raw[start:-4].split(b"\r\n"), limits, strict=True)
    slug, sentence = flaw or ("header", "A header line is malformed.")
    raise BadRequestError(sentence, reason=slug)


def _refuse_request_line(line: bytes) -> Never:
    flaw = flaw_of_bytes(line)
    if flaw is not None:
        raise BadRequestError(flaw[1], reason=flaw[0])
    parts = line.split(b" ")
    if len(parts) != 3 or not all(parts):  # noqa: PLR2004 - method, target, version
        raise BadRequestError("The request line is not `METHOD target HTTP/1.1`.", reason="request_line")
    if re.fullmatch(METHOD, parts[0]) is None:
        raise BadRequestError("The method is not a word of upper-case letters.", reason="method")
    if re.fullmatch(rb"HTTP/1\.[01]", parts[2]) is None:
        raise BadRequestError("The version is not HTTP/1.1 or HTTP/1.0.", reason="version")
    raise BadRequestError("The request target has bytes that may not stand there.", reason="target")


def _check_beginning(data: bytes, limits: HeadLimits) -> None:
    """Refuses an incomplete head that can no longer become a good one."""
    if len(data) > limits.head_bytes:
        raise _too_large(limits)
    data = data.removeprefix(b"\r\n")
    line, complete, rest = data.partition(b"\r\n")
    if len(line) + 2 > limits.request_line_bytes:
        raise _line_too_long(limits)
    if not complete:
        if data and data != b"\r" and REQUEST_LINE_BEGINNING.fullmatch(data) is None:
            _refuse_beginning(data.removesuffix(b"\r"))
        return
    if REQUEST_LINE.fullmatch(line + complete) is None:
        _refuse_request_line(line)
    flaw = flaw_of_beginning(rest, limits, strict=True)
    if flaw is not None:
        raise BadRequestError(flaw[1], reason=flaw[0])


def _refuse_beginning(data: bytes) -> Never:
    flaw = flaw_of_bytes(data)
    if flaw is not None:
        raise BadRequestError(flaw[1], reason=flaw[0])
    if re.match(METHOD + rb"(?: |\Z)", data) is None:
        raise BadRequestError("The method is not a word of upper-case letters.", reason="method")
    raise BadRequestError("The request line is not `METHOD target HTTP/1.1`.", reason="request_line")


def _too_large(limits: HeadLimits) -> BadRequestError:
    return BadRequestError(f"The head is larger than {limits.head_bytes} bytes.", reason="head_too_large")


def _line_too_long(limits: HeadLimits) -> BadRequestError:
    return BadRequestError(
        f"The request line is longer than {limits.request_line_bytes} bytes.", reason="request_line_too_long"
    )
