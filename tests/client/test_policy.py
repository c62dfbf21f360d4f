from collections.abc import Iterator
from ipaddress import IPv4Address, ip_address

import pytest

from client.patterns import TargetPattern
from client.policy import API_SERVER_NAMES, DEFAULT_PATTERNS, DialPolicy
from client.targets import DialError, Dialler
from relay.mux.codes import ResetCode
from tests.client.network import RecordingNetwork

# As permissive as an operator can make it: every name, every address, every port, and nothing that names loopback.
EVERYTHING = ["*:*", "*.*:*", "*.*.*:*", "*.*.*.*:*", "*.*.*.*.*:*", "0.0.0.0/0:*", "[::/0]:*"]
API_SERVER = "10.96.0.1"
REFUSED_V4 = ["127.0.0.1", "127.1.2.3", "169.254.169.254", "169.254.170.2", "0.0.0.0"]
REFUSED_V6 = ["::1", "::", "fe80::1", "fd00:ec2::254", "ff02::1"]


def policy(*patterns: str) -> DialPolicy:
    return DialPolicy(
        patterns=tuple(TargetPattern.parse(pattern) for pattern in patterns or DEFAULT_PATTERNS),
        api_server=frozenset({ip_address(API_SERVER)}),
    )


def numeric_spellings(text: str) -> Iterator[str]:
    """What inet_aton and lenient URL parsers read as the IPv4 address."""
    address = IPv4Address(text)
    number, octets = int(address), address.packed
    yield text
    yield f"{text}."
    yield f"{text}.."
    yield str(number)
    yield f"{number}."
    yield f"0x{number:x}"
    yield f"0X{number:08X}"
    yield f"0{number:o}"
    yield ".".join(f"0x{octet:x}" for octet in octets)
    yield ".".join(f"0{octet:o}" for octet in octets)
    yield ".".join(f"{octet:03d}" for octet in octets)
    yield f"{octets[0]}.{int.from_bytes(octets[1:])}"
    yield f"{octets[0]}.{octets[1]}.{int.from_bytes(octets[2:])}"
    yield f"0x{octets[0]:x}.{octets[1]}.0{int.from_bytes(octets[2:]):o}"
    yield f" {text}"
    yield f"{text}\n"
    yield f"{text}%25"
    yield f"{text}\x00.shop.svc"
    yield f"[{text}]"
    yield text.replace(".", "\u3002")
    yield text.translate({ord(str(digit)): 0xFF10 + digit for digit in range(10)})
    yield text.translate({ord(str(digit)): 0x0660 + digit for digit in range(10)})


def embedded_spellings(text: str) -> Iterator[str]:
    """IPv6 addresses that stand for the IPv4 address somewhere."""
    address = IPv4Address(text)
    high, low = int(address) >> 16, int(address) & 0xFFFF
    yield f"::ffff:{text}"
    yield f"::FFFF:{high:x}:{low:x}"
    yield f"0:0:0:0:0:ffff:{high:x}:{low:x}"
    yield f"0000:0000:0000:0000:0000:ffff:{high:04x}:{low:04x}"
    yield f"::ffff:0:{text}"
    yield f"::{high:x}:{low:x}"
    yield f"64:ff9b::{text}"
    yield f"64:ff9b::{high:x}:{low:x}"
    yield f"64:ff9b:1::{high:x}:{low:x}"
    yield f"2002:{high:x}:{low:x}::1"
    yield f"2001:0:{high:x}:{low:x}::1"
    yield f"fd12:3456::5efe:{high:x}:{low:x}"
    yield f"fd12:3456::200:5efe:{high:x}:{low:x}"
    yield f"[::ffff:{text}]"
    yield f"::ffff:{text}%eth0"


def ipv6_spellings(text: str) -> Iterator[str]:
    exploded = ip_address(text).exploded
    yield text
    yield text.upper()
    yield exploded
    yield exploded.replace(":0000", ":0")
    yield f"{text}%eth0"
    yield f"{text}%1"
    yield f"{text}%25lo"
    yield f"[{text}]"
    yield f"{text}."


NAMES = [
    "localhost",
    "LOCALHOST",
    "localhost.",
    "web.localhost",
    "Web.LocalHost.",
    "ⓛocalhost",
    "localhost\u200b",
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "Kubernetes.Default.SVC.",
    "kubernetes.default.svc.cluster.local",
    "kubernetes.default.svc.cluster.local.",
    API_SERVER,
    "255.255.255.255",
    "224.0.0.1",
    "239.255.255.250",
    "100.100.100.200",
    "168.63.129.16",
    "192.0.0.192",
    "192.88.99.1",
    "fd20:ce::254",
    "fd00:c1::a9fe:a9fe",
    "fec0::1",
    "",
    ".",
    "..",
    "a..svc",
    "web.shop.svc\r\nHost: x",
    "web.shop.svc/..",
    "user@127.0.0.1",
    "127.0.0.1:80",
    "127.0.0.1#.shop.svc",
    "http://127.0.0.1",
    "-oProxyCommand",
    "a" * 64,
    ("a" * 60 + ".") * 5,
]

SPELLINGS = sorted(
    {
        *NAMES,
        *(spelling for text in REFUSED_V4 for spelling in numeric_spellings(text)),
        *(spelling for text in REFUSED_V4 for spelling in embedded_spellings(text)),
        *(spelling for text in REFUSED_V6 for spelling in ipv6_spellings(text)),
    }
)


def test_there_are_more_than_two_hundred_spellings() -> None:
    assert len(SPELLINGS) > 200


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("patterns", [EVERYTHING, list(DEFAULT_PATTERNS)], ids=["everything", "default"])
async def test_no_spelling_of_a_refused_target_is_dialled_or_looked_up(spelling: str, patterns: list[str]) -> None:
    network = RecordingNetwork({spelling: ["127.0.0.1"], spelling.lower().rstrip("."): ["127.0.0.1"]})
    with pytest.raises(DialError) as caught:
        await Dialler(policy(*patterns), network=network).dial(spelling, 80)
    assert caught.value.wire_code is ResetCode.NOT_ALLOWED
    assert network.dialled == []
    assert network.resolved == []


API_SERVER_V6 = "fd00:10:96::1"
API_SERVER_NAME = "c1.hcp.example"


def api_server_spellings() -> Iterator[str]:
    """Every way that we know to write the API server of a cluster whose Service has two addresses and a name."""
    yield from numeric_spellings(API_SERVER)
    yield from embedded_spellings(API_SERVER)
    yield from ipv6_spellings(API_SERVER_V6)
    yield "fd00:10:96:0:0:0:0:1"
    yield "FD00:0010:0096::0001"
    yield "fd00:10:96::0.0.0.1"
    for name in ("kubernetes", "kubernetes.default", "kubernetes.default.svc", API_SERVER_NAME):
        for suffix in ("", ".cluster.local") if name.endswith(".svc") else ("",):
            full = name + suffix
            for text in (full, full.upper(), full.title(), full.swapcase()):
                yield from (text, f"{text}.", f"{text}..", f".{text}", f" {text}", f"{text} ", f"{text}\t", f"{text}\n")
                yield from (f"{text}\x00", f"{text}:443", f"{text}/", f"{text}#", f"{text}?", f"{text}%00", f"x@{text}")
                yield from (f"https://{text}", f"[{text}]", f"{text}\u200b", text.replace(".", "\u3002"), f"{text}%2e")
            yield full.replace("e", "\u0435")
            yield full.replace("s", "\u017f")


API_SERVER_SPELLINGS = sorted(set(api_server_spellings()))


def test_there_are_more_than_two_hundred_spellings_of_the_api_server() -> None:
    assert len(API_SERVER_SPELLINGS) > 200


@pytest.mark.parametrize("port", [443, 6443])
async def test_no_spelling_of_the_api_server_is_dialled_as_a_stream_of_bytes(port: int) -> None:
    """Nor does a resolver that answers everything with its addresses bring about a dial."""
    own = DialPolicy(
        patterns=tuple(TargetPattern.parse(pattern) for pattern in EVERYTHING),
        api_server=frozenset({ip_address(API_SERVER), ip_address(API_SERVER_V6)}),
        api_server_names=API_SERVER_NAMES | {API_SERVER_NAME},
    )
    names = {text.lower().rstrip("."): [API_SERVER, API_SERVER_V6] for text in API_SERVER_SPELLINGS}
    network = RecordingNetwork(names)
    dialler = Dialler(own, network=network)
    for spelling in API_SERVER_SPELLINGS:
        with pytest.raises(DialError) as caught:
            await dialler.dial(spelling, port)
        assert caught.value.wire_code is ResetCode.NOT_ALLOWED, spelling
    assert network.dialled == []


RESOLVED = [
    *REFUSED_V4,
    *REFUSED_V6,
    API_SERVER,
    "::ffff:10.1.2.3",
    "::ffff:127.0.0.1",
    "64:ff9b::7f00:1",
    "2002:7f00:1::",
    "100.100.100.200",
    "255.255.255.255",
]


@pytest.mark.parametrize("address", RESOLVED)
@pytest.mark.parametrize("beside", [[], ["10.1.2.3"]], ids=["alone", "behind a good one"])
async def test_an_allowed_name_that_resolves_to_a_refused_address_is_not_dialled(
    address: str, beside: list[str]
) -> None:
    network = RecordingNetwork({"web.shop.svc": [*beside, address]})
    with pytest.raises(DialError, match="which is not dialled") as caught:
        await Dialler(policy(*EVERYTHING), network=network).dial("web.shop.svc", 80)
    assert caught.value.wire_code is ResetCode.NOT_ALLOWED
    assert network.dialled == []


async def test_a_name_that_resolves_differently_the_second_time_gains_nothing() -> None:
    network = RecordingNetwork({"web.shop.svc": [["10.1.2.3"], ["169.254.169.254"]]})
    dialler = Dialler(policy(), network=network)
    async with await dialler.dial("web.shop.svc", 80):
        assert network.resolved == ["web.shop.svc"]
        assert network.dialled == [("10.1.2.3", 80)]
    with pytest.raises(DialError, match=r"169\.254\.169\.254"):
        await dialler.dial("web.shop.svc", 80)
    assert network.dialled == [("10.1.2.3", 80)]


@pytest.mark.parametrize(
    ("host", "resolves"),
    [
        ("web.shop.svc", "web.shop.svc"),
        ("WEB.Shop.svc.", "web.shop.svc"),
        ("web.shop.svc.cluster.local", "web.shop.svc.cluster.local"),
    ],
)
async def test_a_service_is_dialled_by_default_at_the_address_that_was_checked(host: str, resolves: str) -> None:
    network = RecordingNetwork({resolves: ["10.1.2.3"]})
    async with await Dialler(policy(), network=network).dial(host, 8080):
        assert network.dialled == [("10.1.2.3", 8080)]


@pytest.mark.parametrize(
    "host", ["10.1.2.3", "example.com", "svc", "shop.svc", "a.b.c.svc", "web.shop.svc.evil.example", "web.shop.pod"]
)
async def test_what_no_pattern_allows_is_neither_resolved_nor_dialled(host: str) -> None:
    network = RecordingNetwork({host: ["10.1.2.3"]})
    with pytest.raises(DialError, match="not among the targets") as caught:
        await Dialler(policy(), network=network).dial(host, 80)
    assert caught.value.wire_code is ResetCode.NOT_ALLOWED
    assert (network.resolved, network.dialled) == ([], [])


@pytest.mark.parametrize("port", [0, -1, 65536])
async def test_a_port_out_of_range_is_refused(port: int) -> None:
    with pytest.raises(DialError, match="is not a port"):
        await Dialler(policy(), network=RecordingNetwork()).dial("web.shop.svc", port)


@pytest.mark.parametrize(
    ("pattern", "host", "dialled"),
    [
        ("127.0.0.1:3000", "127.0.0.1", "127.0.0.1"),
        ("127.0.0.1:*", "localhost", "127.0.0.1"),
        ("[::1]:3000", "localhost", "::1"),
        ("localhost:3000", "web.localhost", "127.0.0.1"),
        ("localhost:3000", "::1", "::1"),
        ("10.1.0.0/16:3000", "10.1.2.3", "10.1.2.3"),
        ("[64:ff9b::/96]:3000", "64:ff9b::808:808", "64:ff9b::808:808"),
    ],
)
async def test_an_address_is_dialled_by_a_pattern_that_names_it(pattern: str, host: str, dialled: str) -> None:
    network = RecordingNetwork()
    async with await Dialler(policy(pattern), network=network).dial(host, 3000):
        assert network.dialled == [(dialled, 3000)]
    assert network.resolved == []


async def test_a_loopback_pattern_does_not_open_names_that_resolve_there() -> None:
    network = RecordingNetwork({"web.shop.svc": ["127.0.0.1"]})
    with pytest.raises(DialError, match="loopback"):
        await Dialler(policy("127.0.0.1:*", "*.*.svc:*"), network=network).dial("web.shop.svc", 80)
    assert network.dialled == []


async def test_another_cluster_domain_is_understood() -> None:
    own = DialPolicy(patterns=(TargetPattern.parse("*.shop.svc:80"),), cluster_domain="k8s.example")
    network = RecordingNetwork({"web.shop.svc.k8s.example": ["10.1.2.3"]})
    async with await Dialler(own, network=network).dial("web.shop.svc.k8s.example", 80):
        assert network.dialled == [("10.1.2.3", 80)]
    with pytest.raises(DialError, match="API server"):
        await Dialler(own, network=network).dial("kubernetes.default.svc.k8s.example", 443)
