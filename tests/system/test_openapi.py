"""Schemathesis, an outside judge: asks a running relay all sorts of things, and holds it to its own description."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.deployment import Deployment

pytestmark = pytest.mark.system

EXAMPLES = 25  # for each operation; seconds in all
SECONDS = 120
CONFIGURATION = """
[parameters]
org = "acme"

[phases.coverage]
# Not TRACE: it is sent with a body, which the front door refuses before it looks for a resource (RFC 9110 9.3.8).
unexpected-methods = ["GET", "PUT", "POST", "DELETE", "OPTIONS", "PATCH", "QUERY"]

[[operations]]
# 503 is what they say of a cluster without an agent, as this one is.
include-path-regex = "/workspaces/[^/]+/(logs|pods)$"
checks = { not_a_server_error = { expected-statuses = ["2xx", "3xx", "4xx", "503"] } }

[checks]
# A schema cannot say that a cluster must be registered, that a template must exist, or that a condition must hold.
positive_data_acceptance = { enabled = false }
# After 60 attempts in a minute without a valid key the answer is 429; tests/control/test_access.py asks all operations.
ignored_auth = { enabled = false }
"""


def test_a_relay_does_what_its_openapi_document_says(tmp_path: Path) -> None:
    with Deployment(tmp_path, names={"api": "localhost"}) as deployment:
        deployment.init()
        relay = deployment.start_relay(environment={"SIGNADOT_RELAY__LIMITS__API_REQUESTS_PER_MINUTE": "1000000"})
        deployment.api("PUT", "/clusters/c1", {})
        report = tmp_path / "report.json"
        done = _judge(deployment, report)
        assert done.returncode == 0, done.stdout[-20_000:]
        assert "api_failed" not in relay.tail()
        outcome = json.loads(report.read_text())
        assert outcome["operations"]["tested"] == outcome["operations"]["total"] > 0
        assert {phase["status"] for phase in outcome["phases"].values()} == {"success"}
        assert outcome["test_cases"]["generated"] > 1000


def _judge(deployment: Deployment, report: Path) -> "subprocess.CompletedProcess[str]":
    configuration = deployment.folder / "schemathesis.toml"
    configuration.write_text(CONFIGURATION)
    # A process of its own: its warnings are not ours, and its environment has no proxy for this machine's names.
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "--config-file", configuration, "run"),
        f"https://localhost:{deployment.port}/api/v2/openapi.json",
        *("--tls-verify", deployment.ca_file),
        *("--header", f"signadot-api-key: {deployment.api_key}"),
        *("--phases", "examples,coverage,fuzzing,stateful", "--max-examples", str(EXAMPLES)),
        *("--continue-on-failure", "--no-shrink", "--generation-deterministic", "--no-color"),
        *("--report", "json", "--report-json-path", report),
    ]
    return subprocess.run(
        [str(part) for part in command],
        cwd=deployment.folder,
        env={**os.environ, "NO_PROXY": "localhost"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=SECONDS,
        check=False,
    )
