"""Which addresses count as one caller. Pure."""

from ipaddress import IPv6Address, IPv6Network, ip_address

IPV6_NETWORK_BITS = 64
"""What one home or one machine has at least of IPv6: whoever owns it can use any address of it."""


def network_of(address: str) -> str:
    """The network that an address stands for where callers are counted.

    That is an IPv4 address itself, also where it is written as an IPv6 one, and the network of an IPv6 address. What is
    no address stands for itself.
    """
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(IPv6Network((parsed, IPV6_NETWORK_BITS), strict=False))
    return str(parsed)
