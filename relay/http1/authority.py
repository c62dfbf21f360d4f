"""The Host header and the authority of targets (RFC 9110 7.2, RFC 3986 3.2)."""

import ipaddress
import re

from relay.errors import BadRequestError

MAX_NAME_BYTES = 254  # RFC 1035 3.1: 253 characters, and the dot of the root
MAX_PORT = 65535

_LABEL = rb"(?!-)[0-9A-Za-z-]{1,63}+(?<!-)"
# Names as DNS has them: no user information, percent encoding or underscore, which readers take differently.
AUTHORITY = re.compile(
    rb"(" + _LABEL + rb"(?:\." + _LABEL + rb")*+\.?+|\[[0-9A-Fa-f:.]{2,45}+\])(?::([1-9][0-9]{0,4}+))?+"
)


def read_host(value: bytes | None) -> tuple[str, int | None]:
    """Name in lower case, without brackets, and port of a Host header. Raises BadRequestError."""
    if value is None:
        raise BadRequestError("There is no Host header.", reason="host_missing")
    match = AUTHORITY.fullmatch(value)
    if match is None:
        raise _malformed()
    name, port = match.groups()
    if len(name) > MAX_NAME_BYTES:
        raise _malformed()
    if name.startswith(b"["):
        name = name[1:-1]
        _check_ipv6(name)
    return name.decode("ascii").lower(), None if port is None else _port(port)


def read_authority(value: bytes) -> tuple[str, int | None]:
    """The same for the authority of a request target. Raises BadRequestError."""
    try:
        return read_host(value)
    except BadRequestError:
        raise BadRequestError("The request target's authority is malformed.", reason="target") from None


def _port(text: bytes) -> int:
    port = int(text)
    if port > MAX_PORT:
        raise _malformed()
    return port


def _check_ipv6(name: bytes) -> None:
    try:
        ipaddress.IPv6Address(name.decode("ascii"))
    except ValueError:
        raise _malformed() from None


def _malformed() -> BadRequestError:
    return BadRequestError("The Host header is not a hostname with an optional port.", reason="host")
