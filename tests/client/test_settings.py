from ipaddress import ip_address
from pathlib import Path

import pytest

from certs import Authority
from client.settings import Endpoint, Flags, Settings, load_settings, parse_endpoint
from relay.errors import ConfigurationError

LEAST = Flags(relay="tunnel.example.com", token_file="/run/token")


def problems(flags: Flags, **environment: str) -> tuple[str, ...]:
    with pytest.raises(ConfigurationError) as caught:
        load_settings(flags, environment)
    return caught.value.problems


def test_a_relay_and_a_token_file_are_enough() -> None:
    settings = load_settings(LEAST, {})
    assert settings.relay == Endpoint(host="tunnel.example.com", port=443)
    assert settings.token_file == Path("/run/token")
    assert settings.ca_file is None
    assert settings.transport == "tls"
    assert settings.health == Endpoint(host="127.0.0.1", port=8088)
    assert [pattern.text for pattern in settings.policy.patterns] == ["*.*.svc:*"]
    assert settings.policy.api_server == frozenset()


def test_the_environment_says_the_same_as_the_flags(tmp_path: Path) -> None:
    ca_file = tmp_path / "ca.pem"
    ca_file.write_bytes(Authority.create().pem)
    by_flags = load_settings(
        Flags(
            relay="[::1]:8443",
            token_file="token",
            ca_file=str(ca_file),
            allow_targets=["*.shop.svc:80", "127.0.0.1:*"],
            transport="websocket",
            health="0.0.0.0:9",
            cluster_domain="k8s.example",
            drain_seconds="5",
        ),
        {},
    )
    by_environment = load_settings(
        Flags(),
        {
            "SIGNADOT_RELAY": "[::1]:8443",
            "SIGNADOT_TOKEN_FILE": "token",
            "SIGNADOT_CA_FILE": str(ca_file),
            "SIGNADOT_ALLOW_TARGETS": "*.shop.svc:80, 127.0.0.1:*",
            "SIGNADOT_TRANSPORT": "websocket",
            "SIGNADOT_HEALTH": "0.0.0.0:9",
            "SIGNADOT_CLUSTER_DOMAIN": "k8s.example",
            "SIGNADOT_DRAIN_SECONDS": "5",
        },
    )
    assert by_flags == by_environment
    assert by_flags.drain_seconds == 5


def test_a_flag_wins_over_the_environment() -> None:
    settings = load_settings(LEAST, {"SIGNADOT_RELAY": "other.example:1", "SIGNADOT_TOKEN_FILE": "other"})
    assert settings.relay.host == "tunnel.example.com"


def test_every_problem_is_reported_at_once() -> None:
    found = problems(
        Flags(
            relay="a b",
            ca_file="/nowhere/ca.pem",
            allow_targets=["x", "169.254.169.254:80"],
            transport="quic",
            health="127.0.0.1",
            cluster_domain="..",
            drain_seconds="-1",
        ),
        KUBERNETES_SERVICE_HOST="not an address",
    )
    assert len(found) == 10
    for text in (
        "--relay",
        "--token-file",
        "/nowhere/ca.pem",
        "'x'",
        "169.254.169.254",
        "'quic'",
        "port is missing",
        "'..'",
        "KUBERNETES_SERVICE_HOST",
        "--drain-seconds",
    ):
        assert any(text in problem for problem in found), text
    assert all("\n" not in problem for problem in found)


@pytest.mark.parametrize("text", ["", "x.example:0", "x.example:65536", "x.example:http", "::1", "https://x", "x:1:2"])
def test_a_relay_that_is_no_address_is_refused(text: str) -> None:
    assert any("--relay" in problem for problem in problems(Flags(relay=text, token_file="t")))


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("A.example:1", "a.example", 1),
        ("[::1]:2", "::1", 2),
        ("127.0.0.1:0", "127.0.0.1", 0),
        ("[fd00::1]", "fd00::1", 7),
    ],
)
def test_endpoints_are_read(text: str, host: str, port: int) -> None:
    assert parse_endpoint(text, default_port=7) == Endpoint(host=host, port=port)


def test_an_endpoint_is_written_as_it_is_read() -> None:
    for text in ("a.example:1", "[::1]:2", "127.0.0.1:3"):
        assert str(parse_endpoint(text)) == text


def test_a_file_without_certificates_is_no_ca_file(tmp_path: Path) -> None:
    path = tmp_path / "ca.pem"
    path.write_text("nothing")
    assert "holds no PEM certificates" in problems(Flags(relay="a", token_file="t", ca_file=str(path)))[0]


def test_the_api_server_of_the_pod_is_refused_by_address_or_name() -> None:
    def load(host: str) -> Settings:
        return load_settings(LEAST, {"KUBERNETES_SERVICE_HOST": host})

    assert load("10.96.0.1").policy.api_server == {ip_address("10.96.0.1")}
    assert load("[fd00::1]").policy.api_server == {ip_address("fd00::1")}
    assert "c1.hcp.example" in load("c1.hcp.example").policy.api_server_names


def test_only_proxy_variables_are_taken_from_the_environment() -> None:
    environment = {"HTTPS_PROXY": "http://p:1", "no_proxy": "x", "HTTP_PROXY": "http://q:1", "NO_PROXY": ""}
    assert load_settings(LEAST, environment).proxy_environment == {"HTTPS_PROXY": "http://p:1", "no_proxy": "x"}


def test_a_drain_time_that_is_no_number_is_refused() -> None:
    assert "--drain-seconds" in problems(LEAST, SIGNADOT_DRAIN_SECONDS="soon")[0]
    assert "--drain-seconds" in problems(LEAST, SIGNADOT_DRAIN_SECONDS="nan")[0]


def test_a_forward_proxy_that_cannot_be_read_is_found_at_the_start() -> None:
    (problem,) = problems(LEAST, HTTPS_PROXY="socks5://user:secret@proxy:1080")
    assert "HTTPS_PROXY" in problem
    assert "secret" not in problem
