from pathlib import Path

import pytest

from client.cli.settings import Address, load
from relay.errors import ConfigurationError

REQUIRED = {"SIGNADOT_ORG": "acme", "SIGNADOT_API_KEY": "k"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [", "not valid YAML in line 1"),
        ("- a", "must be a mapping"),
        ("orgg: x", "orgg: unknown key"),
        ("org: 1", "org: must be text"),
        ("org: 0x_", "not valid YAML"),
    ],
)
def test_a_broken_file_is_one_problem(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "c.yaml"
    file.write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        load(file, REQUIRED)
    assert len(caught.value.problems) == 1
    assert caught.value.problems[0].startswith(f"{file}: {said}")


def test_an_org_that_looks_like_a_date_is_text(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("org: 2024-01-15\n")
    assert load(tmp_path / "c.yaml", {"SIGNADOT_API_KEY": "k"}).org == "2024-01-15"


def test_the_other_hosts_follow_from_the_apis_unless_they_are_named(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("api_url: https://api.example.com:8443\nproxy_address: p.example.com:1\n")
    settings = load(tmp_path / "c.yaml", REQUIRED)
    assert settings.api == Address(host="api.example.com", port=8443)
    assert settings.tunnel == Address(host="tunnel.example.com", port=8443)
    assert settings.proxy == Address(host="p.example.com", port=1)


@pytest.mark.parametrize(
    "url", ["http://api.x", "api.x", "https://", "https://a:b@x", "https://x/path", "https://x:99999", "https://[::1"]
)
def test_an_api_url_that_is_not_one_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"api_url: .* must be https://HOST"):
        load(None, REQUIRED | {"SIGNADOT_API_URL": url, "SIGNADOT_CONFIG": "/dev/null"})


def test_the_key_is_not_in_the_repr() -> None:
    settings = load(None, REQUIRED | {"SIGNADOT_API_KEY": "planted", "SIGNADOT_CONFIG": "/dev/null"})
    assert "planted" not in repr(settings)
