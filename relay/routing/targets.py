"""Targets as a workspace names them: `http://web.shop.svc:8080`."""

import re
from ipaddress import AddressValueError, IPv4Address, IPv6Address

from relay.errors import InvalidError

DEFAULT_PORT = 80
"""Port of an http URL without one, RFC 9110 section 4.2.1."""
MAX_HOST_CHARACTERS = 253
"""Longest hostname in text, RFC 1035 section 2.3.4."""
MAX_PORT = 65535

_TARGET = re.compile(
    r"http://(?:\[(?P<v6>[0-9A-Fa-f:.]{2,45})\]|(?P<host>[A-Za-z0-9.-]{1,253}))(?::(?P<port>[0-9]{1,5}))?/?"
)
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


def parse_target(target: str, *, field: str = "target") -> tuple[str, int]:
    """Returns host (lower case, IPv6 without brackets) and port of an endpoint's target.

    Raises InvalidError that names `field` and the rule.
    """
    match = _TARGET.fullmatch(target)
    if match is None:
        raise InvalidError(f"{field}: {target!r} must be http://HOST[:PORT], for example http://web.shop.svc:8080")
    port = int(match["port"] or DEFAULT_PORT)
    if not 1 <= port <= MAX_PORT:
        raise InvalidError(f"{field}: the port of {target!r} must be from 1 to {MAX_PORT}")
    host = _ipv6(match["v6"]) if match["v6"] else _hostname(match["host"].lower())
    if host is None:
        raise InvalidError(f"{field}: the host of {target!r} is neither a DNS name nor an IP address")
    return host, port


def print_target_authority(host: str, port: int) -> str:
    """Prints host and port as the Host header of a request to the target has them (RFC 9110 section 7.2)."""
    bracketed = f"[{host}]" if ":" in host else host
    return bracketed if port == DEFAULT_PORT else f"{bracketed}:{port}"


def _ipv6(text: str) -> str | None:
    try:
        return str(IPv6Address(text))
    except AddressValueError:
        return None


def _hostname(text: str) -> str | None:
    labels = text.split(".")
    if not all(map(_LABEL.fullmatch, labels)):
        return None
    # A name whose last label is a number is an IPv4 address or nothing (WHATWG URL, "ends in a number"):
    # resolvers read 127.1 and 0x7f.1 as addresses, so only the four-part decimal form may pass for one.
    if re.fullmatch(r"[0-9]+|0x[0-9a-f]*", labels[-1]):
        try:
            return str(IPv4Address(text))
        except AddressValueError:
            return None
    return text
