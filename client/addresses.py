"""Which addresses an agent never dials, whatever its patterns say. Pure."""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

LOOPBACK: tuple[Network, ...] = (IPv4Network("127.0.0.0/8"), IPv6Network("::1/128"))
"""The agent's own host: reached only by a pattern that names an address in here."""

NAT64 = IPv6Network("64:ff9b::/96")
"""The well-known prefix of NAT64 (RFC 6052, 2.1): what counts is the IPv4 address in its last 32 bits."""

_REFUSED: tuple[tuple[str, str], ...] = (
    ("0.0.0.0/8", "an unspecified address, which reaches the agent's own host"),
    ("169.254.0.0/16", "a link-local address, where cloud metadata is served"),
    ("100.100.100.200/32", "a cloud metadata address"),  # Alibaba Cloud
    ("168.63.129.16/32", "a cloud metadata address"),  # Azure's host agent
    ("192.0.0.0/24", "a cloud metadata or protocol address"),  # RFC 6890; Oracle Cloud serves metadata at .192
    ("192.88.99.0/24", "an IPv4-in-IPv6 relay address"),  # RFC 7526
    ("224.0.0.0/4", "a multicast address"),
    ("240.0.0.0/4", "a reserved or broadcast address"),
    ("::/128", "an unspecified address, which reaches the agent's own host"),
    ("fe80::/10", "a link-local address"),
    ("fec0::/10", "a deprecated site-local address"),  # RFC 3879
    ("ff00::/8", "a multicast address"),
    ("fd00:ec2::/32", "a cloud metadata address"),  # Amazon: ::254 instance metadata, ::23 pod identity
    ("fd20:ce::/32", "a cloud metadata address"),  # Google Cloud: ::254
    ("fd00:c1::/32", "a cloud metadata address"),  # Oracle Cloud: ::a9fe:a9fe
    # The ways to write an IPv4 address inside an IPv6 one. A Service never has such an address, and each would be
    # a second spelling of something that the rows above refuse.
    ("::ffff:0:0/96", "an IPv4-mapped address"),  # RFC 4291, 2.5.5.2
    ("::/96", "an IPv4-compatible address"),  # RFC 4291, 2.5.5.1; `::1` is judged before
    ("::ffff:0:0:0/96", "an IPv4-translated address"),  # RFC 2765, 2.1
    ("64:ff9b:1::/48", "a local NAT64 address"),  # RFC 8215
    ("2001::/32", "a Teredo address"),  # RFC 4380
    ("2002::/16", "a 6to4 address"),  # RFC 3056
)
REFUSED: tuple[tuple[Network, str], ...] = tuple((ip_network(network), what) for network, what in _REFUSED)
"""Networks that are never dialled, with what an address in them is. The first that contains an address names it."""


def is_loopback(address: Address) -> bool:
    """Whether the address is the agent's own host."""
    return any(address in network for network in LOOPBACK)


def refusal(address: Address) -> str | None:
    """What makes the address one that is never dialled ("a link-local address ..."), or None.

    Loopback is not judged here: patterns decide about it.
    """
    if is_loopback(address):
        return None
    if isinstance(address, IPv6Address):
        # ISATAP (RFC 5214, 6.1) writes an IPv4 address after 0:5efe or 200:5efe in the interface id.
        if (int(address) >> 32) & 0xFDFFFFFF == 0x5EFE:  # noqa: PLR2004 - the constant of the RFC
            return "an ISATAP address"
        if (embedded := behind_nat64(address)) is not None:
            return _embedded_refusal(embedded)
    return next((what for network, what in REFUSED if address in network), None)


def behind_nat64(address: Address) -> IPv4Address | None:
    """The IPv4 address that an address behind NAT64 leads to; None for all others."""
    if isinstance(address, IPv6Address) and address in NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return None


def _embedded_refusal(address: IPv4Address) -> str | None:
    what = "a loopback address" if is_loopback(address) else refusal(address)
    return f"{what} behind NAT64" if what is not None else None


def parse_address(text: str) -> Address | None:
    """The address that `text` spells, where there is no doubt which.

    That is four decimal numbers without leading zeros, or IPv6 without a zone. All else is None, other spellings of
    addresses among it.
    """
    if "%" in text:
        return None
    try:
        return ip_address(text)
    except ValueError:
        return None
