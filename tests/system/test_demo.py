"""The demo: the facts it writes, the line it prints, its end."""

import json
import re
import shlex
import socket
from pathlib import Path

import psutil
import pytest

from tests.support.processes import run, run_module
from tests.system.conftest import Demo

pytestmark = pytest.mark.system

FACTS = {
    "preview_url", "api_url", "app_url", "org", "api_key", "cluster", "cluster_token", "tunnel_address", "ca_file",
    "metrics_url", "relay_pid", "agent_pid", "login_url",
}  # fmt: skip


def test_the_info_file_has_the_facts_of_the_contract(demo: Demo) -> None:
    assert set(demo.facts) >= FACTS
    assert re.fullmatch(r"sdk_[0-9A-Za-z]{36}", demo.facts["api_key"])
    assert re.fullmatch(r"sdt_[0-9A-Za-z]{36}", demo.facts["cluster_token"])
    assert demo.facts["relay_pid"] == demo.process.pid
    assert psutil.Process(demo.facts["agent_pid"]).ppid() == demo.process.pid


def test_the_printed_curl_line_shows_the_sample_app(demo: Demo) -> None:
    line = re.search(r"^.*(curl --cacert .*)$", demo.process.output, re.MULTILINE)
    assert line is not None
    done = run(*shlex.split(line[1]), "--silent", "--show-error", "--fail")
    assert done.returncode == 0, done.stderr
    assert "Hello from the sample app" in done.stdout
    assert "sd-routing-key" in done.stdout


def test_the_printed_link_asks_whether_to_sign_in(demo: Demo) -> None:
    url = demo.facts["login_url"]
    assert url in demo.process.output
    done = run("curl", "--cacert", str(demo.ca_file), "--silent", "--fail", url)
    assert done.returncode == 0, done.stderr
    assert "Sign in as demo?" in done.stdout


def test_the_metrics_listener_counts_requests(demo: Demo) -> None:
    text = run("curl", "--silent", "--fail", demo.facts["metrics_url"]).stdout
    assert re.search(r'^signadot_requests_total\{kind="preview",status="200"\} [1-9]', text, re.MULTILINE)
    assert re.search(r"^signadot_tunnels [1-9]", text, re.MULTILINE)


def test_exit_after_check_ends_with_0_and_leaves_no_process(tmp_path: Path) -> None:
    info = tmp_path / "info.json"
    arguments = ("demo", "--port", "0", "--state-dir", tmp_path / "state", "--info", info, "--exit-after-check")
    for _ in range(2):  # the second run finds the state of the first
        done = run_module("relay", *arguments)
        assert done.returncode == 0, done.stderr
        facts = json.loads(info.read_text())
        assert set(facts) >= FACTS
        assert not psutil.pid_exists(facts["agent_pid"])


def test_a_port_in_use_is_one_clear_line(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = run_module("relay", "demo", "--port", str(port), "--state-dir", tmp_path, "--exit-after-check")
    assert done.returncode == 1
    assert re.fullmatch(rf"signadot-relay: .*{port}.*in use.*\n", done.stderr, re.IGNORECASE), done.stderr
