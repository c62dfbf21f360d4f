"""Every problem of a configuration is said at once, with the key's path."""

import os
from pathlib import Path

import pytest

from relay import config
from relay.errors import ConfigurationError

MINIMAL = '[tls]\ncertificate = "a.pem"\nkey = "a.key"\n'


def load(folder: Path, text: str, environment: dict[str, str] | None = None) -> config.Settings:
    path = folder / "relay.toml"
    path.write_text(text)
    return config.load(path, environment or {})


def problems(folder: Path, text: str, environment: dict[str, str] | None = None) -> str:
    with pytest.raises(ConfigurationError) as raised:
        load(folder, text, environment)
    return str(raised.value)


def test_defaults_are_those_of_the_contract(tmp_path: Path) -> None:
    settings = load(tmp_path, MINIMAL)
    assert settings.listen.public == "0.0.0.0:8443"
    assert settings.hosts.preview == "preview.signadot.com"
    assert settings.limits.head_bytes == 32768


def test_relative_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    settings = load(tmp_path, MINIMAL)
    assert settings.tls.certificate == tmp_path / "a.pem"
    assert settings.keys.master == tmp_path / "var/master.key"
    assert settings.store.url == f"sqlite:///{tmp_path}/var/relay.db"


def test_the_environment_overrides_a_key(tmp_path: Path) -> None:
    settings = load(tmp_path, MINIMAL, {"SIGNADOT_RELAY__LIMITS__HEAD_SECONDS": "3.5", "OTHER": "x"})
    assert settings.limits.head_seconds == 3.5


def test_all_problems_are_said_at_once(tmp_path: Path) -> None:
    text = '[listen]\npublic = "nowhere"\n[limits]\nhead_bytes = -1\ntypo = 1\n[tls]\nkey = "a"\n'
    said = problems(tmp_path, text, {"SIGNADOT_RELAY__NONSENSE": "1"})
    for part in (
        "listen.public: must be HOST:PORT",
        "limits.head_bytes: ",
        "limits.typo: unknown key",
        "tls.certificate: missing",
        "SIGNADOT_RELAY__NONSENSE: must be SIGNADOT_RELAY__SECTION__KEY",
    ):
        assert part in said


def test_broken_toml_is_one_sentence_with_the_line(tmp_path: Path) -> None:
    said = problems(tmp_path, "[listen\n")
    assert "not valid TOML" in said
    assert "line 1" in said


def test_a_missing_file_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="No such file"):
        config.load(tmp_path / "none.toml", {})


def test_hosts_must_not_be_previews_and_must_differ(tmp_path: Path) -> None:
    assert "must not be inside" in problems(tmp_path, MINIMAL + '[hosts]\napi = "api.preview.signadot.com"\n')
    assert "must differ" in problems(tmp_path, MINIMAL + '[hosts]\napi = "app.signadot.com"\n')


def test_files_are_checked_for_presence_and_mode(tmp_path: Path) -> None:
    settings = load(tmp_path, MINIMAL)
    (tmp_path / "a.key").write_text("key")
    (tmp_path / "a.key").chmod(0o644)
    said = "\n".join(config.check_files(settings))
    assert f"tls.certificate: {tmp_path}/a.pem: No such file or directory" in said
    assert "tls.key: " in said
    assert "chmod 600" in said
    assert "`signadot-relay init` makes it" in said


@pytest.mark.parametrize(
    ("mode", "owner", "reader", "exposed"),
    [
        (0o400, 7, 7, False),
        (0o440, 7, 7, True),
        (0o440, 0, 7, False),  # a mounted Secret, read by the pod's group
        (0o640, 0, 7, False),
        (0o460, 0, 7, True),
        (0o444, 0, 7, True),
        (0o440, 0, 0, True),  # root could have it to itself
        (0o440, 8, 7, True),
    ],
    ids=lambda value: f"{value:o}" if isinstance(value, int) else None,
)
def test_only_roots_file_may_be_shared_with_the_group_of_another_user(
    mode: int, owner: int, reader: int, *, exposed: bool
) -> None:
    status = os.stat_result((0o100000 | mode, 0, 0, 1, owner, 7, 0, 0, 0, 0))
    assert config.is_exposed(status, reader=reader) is exposed


@pytest.mark.parametrize("value", ["inf", "nan", "-inf", "1e300", "0", "-1"])
def test_a_time_without_an_end_is_refused(tmp_path: Path, value: str) -> None:
    names = [name for name in config.Limits.model_fields if name.endswith("_seconds")]
    assert len(names) > 10
    if value == "0":
        names.remove("membership_grace_seconds")
    environment = {f"SIGNADOT_RELAY__LIMITS__{name.upper()}": value for name in names}
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path, MINIMAL, environment)
    assert all(f"limits.{name}:" in str(caught.value) for name in names)


def test_a_query_may_take_an_hour_and_no_longer(tmp_path: Path) -> None:
    assert load(tmp_path, MINIMAL + "[limits]\nquery_seconds = 3600\n").limits.query_seconds == 3600
    with pytest.raises(ConfigurationError, match=r"limits\.query_seconds: .*3600"):
        load(tmp_path, MINIMAL + "[limits]\nquery_seconds = 3601\n")
