import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from client import __version__


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("SIGNADOT_", "KUBERNETES_"))}
    return subprocess.run(
        [sys.executable, "-m", "client", *arguments],
        env=clean | environment,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_help_and_version_end_with_0() -> None:
    shown = run("--help")
    assert shown.returncode == 0
    assert "signadot-agent" in shown.stdout
    shown = run("run", "--help")
    assert shown.returncode == 0
    for flag in (
        "--relay",
        "--token-file",
        "--ca-file",
        "--allow-target",
        "--transport",
        "--health",
        "--pod-logs",
        "--allow-namespace",
    ):
        assert flag in shown.stdout
    assert run("--version").stdout == f"signadot-agent {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "required: COMMAND"),
        (["serve"], "invalid choice"),
        (["run", "--rely", "x"], "--rely"),
        (["run", "--token-file", "/dev/null"], "--relay (or SIGNADOT_RELAY) is required"),
        (["run", "--relay", "r.example", "--token-file", "/nowhere"], "cannot read the token file /nowhere"),
        (["run", "--relay", "r.example", "--token-file", "/dev/null"], "the token file /dev/null is empty"),
    ],
)
def test_wrong_usage_is_one_line_and_2(arguments: list[str], says: str) -> None:
    failed = run(*arguments)
    assert failed.returncode == 2
    assert says in failed.stderr
    assert failed.stderr.count("\n") == 1
    assert failed.stdout == ""


def test_wrong_settings_for_kubernetes_have_a_line_each() -> None:
    failed = run(
        *("run", "--relay", "r.example", "--token-file", "x", "--kubernetes-api", "http://k", "--no-pod-logs"),
        SIGNADOT_PREVIEWS="perhaps",
    )
    assert failed.returncode == 2
    assert "SIGNADOT_PREVIEWS is 'perhaps'" in failed.stderr
    assert "must begin with https://" in failed.stderr
    assert "--kubernetes-token-file" in failed.stderr
    assert "Traceback" not in failed.stderr


def test_every_wrong_setting_has_a_line() -> None:
    failed = run("run", "--transport", "quic", "--allow-target", "169.254.169.254:80", SIGNADOT_RELAY="r.example:x")
    assert failed.returncode == 2
    assert failed.stderr.count("\n") == 4
    assert "Traceback" not in failed.stderr


def test_a_health_port_in_use_is_one_line_and_1(tmp_path: Path) -> None:

    token = tmp_path / "token"
    token.write_text("sdt_x")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        failed = run("run", "--relay", "r.example", "--token-file", str(token), "--health", f"127.0.0.1:{port}")
    assert failed.returncode == 1
    assert failed.stderr.count("\n") == 1
    assert f"cannot listen on 127.0.0.1:{port}" in failed.stderr
