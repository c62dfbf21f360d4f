"""The patterns of `--allow-target`: `*.shop.svc:8080`, `10.1.0.0/16:80`, `127.0.0.1:*`, `[::1]:9000`. Pure."""

import re
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Self

from client.addresses import LOOPBACK, REFUSED, Address, Network

MAX_NAME_LENGTH = 253
"""The longest DNS name that can be written (RFC 1035, 2.3.4: 255 octets on the wire)."""
MAX_PORT = 65535

# LDH labels (RFC 1123, 2.1) and the underscore, which service discovery uses.
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\Z", re.ASCII)
_NAME_PATTERN = re.compile(rf"(?:\*|{_LABEL})(?:\.(?:\*|{_LABEL}))*\Z", re.ASCII)
# A last label of digits or of 0x and hexadecimal digits makes resolvers read the whole as an IPv4 address, in spellings
# such as 127.1, 0x7f000001 or 2130706433 (WHATWG URL, "ends in a number checker").
_NUMBER_AT_THE_END = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)\Z", re.ASCII)
_PATTERN = re.compile(r"(?:\[(?P<bracketed>[^\]]*)\]|(?P<plain>[^\[\]:]+)):(?P<port>\*|[0-9]{1,5})\Z")


def parse_name(host: str) -> str | None:
    """The DNS name that `host` spells, lower case and without the root's dot, or None when it is none.

    Names that a resolver may take for a number are none, and so is anything outside ASCII: an international name has
    an ASCII form (`xn--`), and every other way to read one is a second spelling of something.
    """
    if not host.isascii():
        return None
    name = host.lower().removesuffix(".")
    if len(name) > MAX_NAME_LENGTH or _NAME.match(name) is None or _NUMBER_AT_THE_END.match(name) is not None:
        return None
    return name


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetPattern:
    """One allow pattern. Exactly one of `labels` and `networks` has something in it."""

    labels: tuple[str, ...] = ()
    """For names: each label as it must be, `*` for any one label."""
    networks: tuple[Network, ...] = ()
    """For addresses: the networks that they may lie in."""
    port: int | None
    """The port, None for any."""
    text: str
    """As it was written."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Reads one pattern.

        Raises:
            ValueError: it cannot be read, or allows only what is always refused; the message says which.
        """
        match = _PATTERN.match(text)
        if match is None:
            raise ValueError(f"{text!r} is not HOST:PORT; the port is a number or *, an IPv6 address stands in []")
        host = (match["bracketed"] or match["plain"] or "").lower()
        port = None if match["port"] == "*" else int(match["port"])
        if port is not None and not 1 <= port <= MAX_PORT:
            raise ValueError(f"{text!r}: the port must be 1 to {MAX_PORT}")
        if host == "localhost":
            return cls(networks=LOOPBACK, port=port, text=text)
        if match["bracketed"] is None and (name := host.removesuffix(".")) and _is_name_pattern(name):
            return cls(labels=tuple(name.split(".")), port=port, text=text)
        return cls(networks=(_network(host, text),), port=port, text=text)

    def matches_name(self, name: str, port: int) -> bool:
        """Whether a name (as `parse_name` gives it) and port are allowed by this pattern."""
        labels = name.split(".")
        return (
            self.port in {None, port}
            and len(labels) == len(self.labels)
            and all(want in {"*", label} for want, label in zip(self.labels, labels, strict=True))
        )

    def matches_address(self, address: Address, port: int) -> bool:
        """Whether an address and port are allowed by this pattern."""
        return self.port in {None, port} and any(address in network for network in self.networks)

    def names_loopback(self) -> bool:
        """Whether the pattern speaks of loopback and nothing else; one that merely contains it does not open it."""
        return bool(self.networks) and all(
            any(_within(network, whole) for whole in LOOPBACK) for network in self.networks
        )


def _is_name_pattern(name: str) -> bool:
    return _NAME_PATTERN.match(name) is not None and _NUMBER_AT_THE_END.match(name) is None


def _network(host: str, text: str) -> Network:
    try:
        if "%" in host:
            raise ValueError("zones are not supported")  # noqa: TRY301 - one place turns each cause into the sentence
        network = ip_network(host)
    except ValueError as error:
        raise ValueError(f"{text!r} is neither a name pattern nor an address or network: {error}") from error
    for refused, what in REFUSED:
        if _within(network, refused) and not any(_within(network, loopback) for loopback in LOOPBACK):
            raise ValueError(f"{text!r} is {what}, which is always refused")
    return network


def _within(network: Network, whole: Network) -> bool:
    return network.version == whole.version and network.subnet_of(whole)  # type: ignore[arg-type]
