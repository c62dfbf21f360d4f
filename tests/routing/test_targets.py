"""Targets, headers and origins that a workspace may name."""

import pytest

from relay.errors import InvalidError
from relay.routing import parse_target, print_target_authority, require_origin, require_routing_header


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("http://web.shop.svc:8080", ("web.shop.svc", 8080)),
        ("http://web.shop.svc", ("web.shop.svc", 80)),
        ("http://web.shop.svc/", ("web.shop.svc", 80)),
        ("http://WEB.shop.svc:1", ("web.shop.svc", 1)),
        ("http://10.1.2.3:65535", ("10.1.2.3", 65535)),
        ("http://[::1]:9000", ("::1", 9000)),
        ("http://[FD00:0::1]", ("fd00::1", 80)),
    ],
)
def test_a_target_has_host_and_port(target: str, expected: tuple[str, int]) -> None:
    assert parse_target(target) == expected


@pytest.mark.parametrize(
    "target",
    [
        "", "web", "web:80", "https://web", "ftp://web", "http://", "http:///", "http://web:0", "http://web:65536",
        "http://web:", "http://web:8080/path", "http://web?x", "http://web#x", "http://user@web", "http://a_b",
        "http://-a", "http://a-", "http://a..b", "http://a.", f"http://{'a' * 64}", "http://127.1", "http://1",
        "http://0x7f.1", "http://256.1.1.1", "http://0127.0.0.1", "http://[::1", "http://::1", "http://[1.2.3.4]",
        "http://[fe80::1%25eth0]", "http://web\n", " http://web", "http://wéb",
    ],
)  # fmt: skip
def test_a_target_outside_the_grammar_is_refused(target: str) -> None:
    with pytest.raises(InvalidError, match=r"^spec\.target: "):
        parse_target(target, field="spec.target")


def test_the_host_header_of_a_target_brackets_ipv6_and_omits_the_default_port() -> None:
    assert print_target_authority("web.shop.svc", 8080) == "web.shop.svc:8080"
    assert print_target_authority("::1", 80) == "[::1]"


@pytest.mark.parametrize(
    "name",
    [
        "Host", "content-length", "TRANSFER-ENCODING", "X-Forwarded-For", "sec-fetch-site", "cookie", "sd-routing-key",
        "signadot-api-key", "a_b", "", "a b", "a:", "a\r\nb",
    ],
)  # fmt: skip
def test_a_routing_header_cannot_disturb_framing_credentials_or_our_own(name: str) -> None:
    with pytest.raises(InvalidError):
        require_routing_header(name, "v", field="h")


@pytest.mark.parametrize("value", ["", " a", "a ", "a\r\nb: c", "a\x00", "\u00e9", "a" * 1025])
def test_a_routing_header_value_is_printable_ascii(value: str) -> None:
    with pytest.raises(InvalidError):
        require_routing_header("x-route", value, field="h")


def test_a_routing_header_name_is_brought_to_lower_case() -> None:
    assert require_routing_header("X-Route", "a b", field="h") == ("x-route", "a b")


def test_origins_are_as_browsers_send_them() -> None:
    assert require_origin("https://app.example.com:8443", field="o") == "https://app.example.com:8443"
    for origin in ("*", "null", "https://App.example.com", "https://a/", "https://a/b", "ws://a", "https://a:0", "a"):
        with pytest.raises(InvalidError):
            require_origin(origin, field="o")
