import pytest

from client.addresses import parse_address
from client.patterns import TargetPattern, parse_name


@pytest.mark.parametrize(
    ("pattern", "host", "port", "allowed"),
    [
        ("*.shop.svc:8080", "web.shop.svc", 8080, True),
        ("*.shop.svc:8080", "web.shop.svc", 8081, False),
        ("*.shop.svc:8080", "web.other.svc", 8080, False),
        ("*.shop.svc:8080", "a.web.shop.svc", 8080, False),
        ("*.shop.svc:8080", "shop.svc", 8080, False),
        ("*.shop.svc:8080", "web.shop.svc.evil.example", 8080, False),
        ("*.*.svc:*", "web.shop.svc", 1, True),
        ("*.*.svc:*", "web.shop.svc", 65535, True),
        ("*.*.svc:*", "web.shop.svcx", 80, False),
        ("db.internal.example:5432", "db.internal.example", 5432, True),
        ("DB.Internal.Example.:5432", "db.internal.example", 5432, True),
        ("db.internal.example:5432", "db-internal.example", 5432, False),
        ("*:80", "web", 80, True),
        ("*:80", "web.shop.svc", 80, False),
    ],
)
def test_a_star_stands_for_exactly_one_label(pattern: str, host: str, port: int, *, allowed: bool) -> None:
    assert TargetPattern.parse(pattern).matches_name(host, port) is allowed


@pytest.mark.parametrize(
    ("pattern", "host", "port", "allowed"),
    [
        ("10.1.0.0/16:80", "10.1.255.255", 80, True),
        ("10.1.0.0/16:80", "10.2.0.0", 80, False),
        ("10.1.0.0/16:80", "10.1.0.1", 81, False),
        ("10.1.2.3:*", "10.1.2.3", 9, True),
        ("10.1.2.3:*", "10.1.2.4", 9, False),
        ("[::1]:9000", "::1", 9000, True),
        ("[fd00:1::/32]:9000", "fd00:1::5", 9000, True),
        ("[fd00:1::/32]:9000", "fd00:2::5", 9000, False),
        ("0.0.0.0/0:*", "10.0.0.1", 80, True),
        ("0.0.0.0/0:*", "fd00:1::5", 80, False),
        ("[::/0]:*", "fd00:1::5", 80, True),
        ("localhost:3000", "127.0.0.1", 3000, True),
        ("localhost:3000", "::1", 3000, True),
        ("localhost:3000", "10.0.0.1", 3000, False),
    ],
)
def test_an_address_must_lie_in_the_network(pattern: str, host: str, port: int, *, allowed: bool) -> None:
    address = parse_address(host)
    assert address is not None
    assert TargetPattern.parse(pattern).matches_address(address, port) is allowed


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("127.0.0.1:*", True),
        ("127.0.0.0/8:80", True),
        ("[::1]:9000", True),
        ("localhost:1", True),
        ("0.0.0.0/0:*", False),
        ("[::/0]:*", False),
        ("126.0.0.0/7:*", False),
        ("*.*.svc:*", False),
    ],
)
def test_only_a_pattern_inside_loopback_names_it(pattern: str, *, names: bool) -> None:
    assert TargetPattern.parse(pattern).names_loopback() is names


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "not HOST:PORT"),
        ("web.shop.svc", "not HOST:PORT"),
        ("web.shop.svc:", "not HOST:PORT"),
        (":80", "not HOST:PORT"),
        ("web.shop.svc:http", "not HOST:PORT"),
        ("http://web.shop.svc:80", "not HOST:PORT"),
        ("::1:80", "not HOST:PORT"),
        ("web.shop.svc:0", "the port must be"),
        ("web.shop.svc:65536", "the port must be"),
        ("we*b.shop.svc:80", "neither a name pattern nor an address"),
        ("web..svc:80", "neither a name pattern nor an address"),
        ("10.1.0.1/16:80", "has host bits set"),
        ("10.1:80", "neither a name pattern nor an address"),
        ("010.1.0.0:80", "neither a name pattern nor an address"),
        ("[fe80::1%eth0]:80", "zones"),
        ("[web.shop.svc]:80", "neither a name pattern nor an address"),
        ("wéb.shop.svc:80", "neither a name pattern nor an address"),
        ("169.254.169.254:80", "always refused"),
        ("169.254.0.0/16:*", "always refused"),
        ("0.0.0.0:80", "always refused"),
        ("224.0.0.1:80", "always refused"),
        ("[fe80::/10]:*", "always refused"),
        ("[fd00:ec2::254]:80", "always refused"),
        ("[::ffff:10.0.0.1]:80", "always refused"),
        ("[::ffff:0:0/96]:80", "always refused"),
        ("[2002:7f00:1::]:80", "always refused"),
    ],
)
def test_a_pattern_that_cannot_work_is_refused_with_the_reason(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        TargetPattern.parse(text)


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("Web.Shop.SVC", "web.shop.svc"),
        ("web.shop.svc.", "web.shop.svc"),
        ("web", "web"),
        ("_grpc.web.shop.svc", "_grpc.web.shop.svc"),
        ("3scale.shop.svc", "3scale.shop.svc"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("web.shop.svc..", None),
        (".web", None),
        ("-web.svc", None),
        ("web-.svc", None),
        ("a" * 64, None),
        (".".join(["a" * 50] * 6), None),
        ("bücher.example", None),
        ("web.svc\n", None),
        ("web svc", None),
        ("web.svc\x00", None),
        ("1.2.3.4", None),
        ("127.1", None),
        ("0x7f.1", None),
        ("web.0x", None),
        ("web.1", None),
        ("", None),
        (".", None),
    ],
)
def test_a_name_has_one_spelling_or_is_none(host: str, name: str | None) -> None:
    assert parse_name(host) == name
