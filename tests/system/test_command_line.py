"""The user's command line against a running relay, and psql through its port-forward."""

import json
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.support import postgres
from tests.support.processes import Running, run, run_module
from tests.support.site import Site
from tests.support.step_target import StepTarget
from tests.system.conftest import Demo

pytestmark = pytest.mark.system


def environment(site: Site) -> dict[str, str]:
    return {
        "SIGNADOT_ORG": site.org,
        "SIGNADOT_API_KEY": site.api_key,
        "SIGNADOT_API_URL": f"https://{site.authority('api.localhost')}",
        "SIGNADOT_CA_FILE": str(site.ca_file),
        "HOME": "/nonexistent",
    }


def signadot(site: Site, *arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    return run_module("client.cli", *arguments, environment=environment(site))


@contextmanager
def forwarded(site: Site, port: int) -> Iterator[int]:
    """`signadot port-forward` to a loopback port of the demo's agent; gives the local port."""
    arguments = ("port-forward", f"0:127.0.0.1:{port}", "--cluster", site.cluster)
    with Running.module("client.cli", *arguments, environment=environment(site)) as process:
        yield int(process.wait_for_line(r"127\.0\.0\.1:([0-9]+)")[1])


def test_a_workspace_is_applied_listed_visited_and_deleted(demo: Demo, tmp_path: Path) -> None:
    port = demo.api("GET", "/workspaces/hello")["spec"]["endpoints"][0]["target"]
    file = tmp_path / "workspace.yaml"
    file.write_text(
        f"name: by-hand\nspec:\n  cluster: {demo.cluster}\n  endpoints:\n    - name: web\n      target: {port}\n"
    )
    applied = signadot(demo, "workspace", "apply", "-f", file, "--wait")
    assert applied.returncode == 0, applied.stderr
    assert "web--by-hand.preview.localhost" in applied.stdout
    listed = signadot(demo, "workspace", "list", "-o", "json")
    assert "by-hand" in [item["name"] for item in json.loads(listed.stdout)["items"]]
    assert demo.ask("web--by-hand.preview.localhost", "/headers").status == 200
    assert signadot(demo, "workspace", "delete", "by-hand").returncode == 0
    assert demo.ask("web--by-hand.preview.localhost", "/headers").status == 404


def test_a_wrong_key_is_one_clear_line(demo: Demo) -> None:
    wrong = environment(demo) | {"SIGNADOT_API_KEY": demo.api_key[:-1] + ("a" if demo.api_key[-1] != "a" else "b")}
    done = run_module("client.cli", "workspace", "list", environment=wrong)
    assert done.returncode == 1
    assert done.stderr.startswith("signadot: ")
    assert done.stderr.count("\n") == 1


def test_port_forward_carries_raw_bytes_and_both_ends(demo: Demo) -> None:
    with (
        StepTarget() as target,
        forwarded(demo, target.port) as port,
        socket.create_connection(("127.0.0.1", port), 20) as local,
    ):
        exchange = target.accept()
        local.sendall(b"question")
        local.shutdown(socket.SHUT_WR)
        assert b"".join(iter(exchange.receive, b"")) == b"question"
        exchange.send(b"answer")
        exchange.finish()
        assert b"".join(iter(lambda: local.recv(100), b"")) == b"answer"


@pytest.mark.skipif(bool(postgres.why_not()), reason=postgres.why_not() or "can run")
def test_psql_works_through_the_relay(demo: Demo) -> None:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))  # pytest's own is closed to other users
        folder.chmod(0o755)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            free = probe.getsockname()[1]
        stack.enter_context(postgres.PostgresServer(folder, free))
        port = stack.enter_context(forwarded(demo, free))
        query = "SELECT count(*), md5(string_agg(repeat('x', 100), '')) FROM generate_series(1, 20000)"
        done = run("psql", f"host=127.0.0.1 port={port} user=tester dbname=postgres", "-Atc", query)
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith("20000|")
