"""A relay process with a GitHub App: `init` links, `check` looks at the files, deliveries become statuses."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.processes import run_module
from tests.support.with_github import ACCOUNT, REPOSITORY, GithubDeployment

pytestmark = pytest.mark.system


@pytest.fixture
def site(tmp_path: Path) -> Iterator[GithubDeployment]:
    with GithubDeployment(tmp_path) as deployment:
        deployment.init()
        yield deployment


def test_a_pull_request_moves_the_workspace_of_ci_and_gets_statuses_that_survive_kill_9(site: GithubDeployment) -> None:
    relay = site.start_relay()
    site.api("PUT", "/clusters/staging", {})
    github = {"repository": REPOSITORY, "pullRequest": 1, "branch": "feat", "headCommit": "0" * 40}
    endpoints = [{"name": "web", "target": "http://127.0.0.1:1"}]
    site.api("PUT", "/workspaces/shop-1", {"spec": {"cluster": "staging", "github": github, "endpoints": endpoints}})
    site.fake.troubles.error(503, path="/pulls/1", times=2)
    opened = site.fake.open_pull_request(REPOSITORY, number=1)
    assert opened.delivery is not None
    assert opened.delivery.attempts[-1].status == 202
    relay.kill()
    site.start_relay()
    sha = opened.payload["pull_request"]["head"]["sha"]
    site.fake.wait_for_status("pending", REPOSITORY, sha=sha, context="signadot/web", seconds=90)
    assert site.fake.redeliver(opened.delivery.guid).attempts[-1].status == 200
    assert site.fake.deliver("pull_request", opened.payload, secret="wrong").attempts[-1].status == 401


def test_check_says_what_is_wrong_with_the_files_and_an_org_can_be_linked_later(site: GithubDeployment) -> None:
    config = site.config
    assert run_module("relay", "check", "--config", config).returncode == 0
    site.init_org("globex")
    done = run_module("relay", "org", "link", "--config", config, "--org", "globex", "--github-org", ACCOUNT)
    assert done.returncode == 2
    assert "is linked to the GitHub account" in done.stderr
    site.fake.add_org("globex-inc")
    done = run_module("relay", "org", "link", "--config", config, "--org", "globex", "--github-org", "globex-inc")
    assert (done.returncode, done.stderr) == (0, "")
    assert "not installed there yet" in done.stdout
    (site.folder / "github/github-app.pem").write_text("nonsense")
    done = run_module("relay", "check", "--config", config)
    assert done.returncode == 2
    assert "github.private_key_file" in done.stderr
    assert "Traceback" not in done.stderr
