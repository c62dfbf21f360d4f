import json
import os
import shlex
import sys
from pathlib import Path

import pytest
import trio
import yaml

import client.cli.api
from client.cli.api import ApiClient
from client.cli.errors import ApiError
from client.cli.settings import load
from client.cli.workspaces import wait_until_ready
from tests.cli.server import Server

WORKSPACE = """
name: shop-@{pr}
spec:
  cluster: c1
  images: [{name: acme/web, newTag: "@{tag}"}]
  github: {repository: acme/shop, pullRequest: "@{pr[raw]}"}
  endpoints:
    - {name: web, target: "http://web.shop.svc:8080"}
    - {name: api, target: "http://api.shop.svc:8080"}
"""


async def test_cluster_add_prints_lines_with_the_token_that_was_made(server: Server) -> None:
    page = await server.done("cluster", "add", "c1")
    listed = json.loads(await server.done("cluster", "token", "list", "--cluster", "c1", "-o", "json"))
    last_four = listed["items"][0]["lastFour"]
    helm = next(line for line in page.splitlines() if "helm upgrade" in line)
    kubectl = next(line for line in page.splitlines() if "kubectl create secret" in line)
    assert f"relay.address=tunnel.localhost:{server.port}" in helm
    assert helm.endswith(last_four)
    assert kubectl.endswith(last_four)
    assert "sdt_" in helm
    assert f"signadot-agent run --relay tunnel.localhost:{server.port} --token-file TOKEN_FILE" in page


async def test_cluster_token_create_prints_the_token_alone(server: Server) -> None:
    await server.done("cluster", "add", "c1")
    token = await server.done("cluster", "token", "create", "--cluster", "c1")
    assert token.startswith("sdt_")
    assert len(token.strip()) == 40
    tokens = yaml.safe_load(await server.done("cluster", "token", "list", "--cluster", "c1", "-o", "yaml"))["items"]
    assert len(tokens) == 2
    assert "revoked" in await server.done("cluster", "token", "delete", tokens[1]["id"], "--cluster", "c1")
    table = (await server.done("cluster", "token", "list", "--cluster", "c1")).splitlines()
    assert table[0].split() == ["ID", "TOKEN", "DESCRIPTION", "CREATED", "LAST", "USED"]
    assert [line.split()[0] for line in table[1:]] == [tokens[0]["id"]]


async def test_clusters_are_listed_and_deleted(server: Server) -> None:
    await server.done("cluster", "add", "c1")
    server.online = True
    table = (await server.done("cluster", "list")).splitlines()
    assert table[0].split()[:7] == ["NAME", "STATUS", "SINCE", "TUNNELS", "AGENT", "KUBERNETES", "CAPABILITIES"]
    assert table[1].split()[:8] == ["c1", "online", "-", "1", "0.1.0", "v1.33.1", "kubernetes,", "pod-logs"]
    await server.done("cluster", "delete", "c1")
    assert (await server.done("cluster", "list")).splitlines()[1:] == []


async def test_a_workspace_is_applied_from_a_file_with_values(server: Server, tmp_path: Path) -> None:
    await server.done("cluster", "add", "c1")
    file = tmp_path / "workspace.yaml"
    file.write_text(WORKSPACE)
    arguments = ("workspace", "apply", "-f", str(file), "--set", "pr=42", "--set", "tag=1e10")
    table = [line.split() for line in (await server.done(*arguments)).splitlines()]
    assert table == [
        ["ENDPOINT", "URL"],
        ["web", "https://web--shop-42.preview.localhost:8443/"],
        ["api", "https://api--shop-42.preview.localhost:8443/"],
    ]
    got = json.loads(await server.done("workspace", "get", "shop-42", "-o", "json"))
    assert got["spec"]["images"] == [{"name": "acme/web", "newTag": "1e10"}]
    assert got["spec"]["github"]["pullRequest"] == 42
    assert (await server.done("workspace", "get", "shop-42")).splitlines()[0].endswith("no agent has connected yet")
    assert (await server.done("workspace", "list")).splitlines()[1].split()[:3] == ["shop-42", "c1", "ClusterOffline"]
    await server.done("workspace", "delete", "shop-42")
    assert "'shop-42'" in await server.failed(1, "workspace", "get", "shop-42")


async def test_apply_reads_standard_input(server: Server) -> None:
    await server.done("cluster", "add", "c1")
    answer = await server.done(
        "workspace", "apply", "-f", "-", "-o", "json", stdin='{"name":"w","spec":{"cluster":"c1"}}'
    )
    assert json.loads(answer)["name"] == "w"


async def test_wait_ends_when_ready_and_says_what_was_missing_when_not(server: Server) -> None:
    await server.done("cluster", "add", "c1")
    document = '{"name": "w", "spec": {"cluster": "c1"}}'
    said = await server.failed(1, "workspace", "apply", "-f", "-", "--wait", "--wait-timeout", "0.2", stdin=document)
    missing = "cluster 'c1' is offline: no agent has connected yet"
    assert said.splitlines() == [
        f"waiting for workspace w: {missing}",
        f"signadot: workspace w is not ready after 0.2 s: {missing}",
    ]
    server.online = True
    await server.done("workspace", "apply", "-f", "-", "--wait", stdin=document)


async def test_api_keys_are_made_listed_and_revoked_and_events_tell_of_it(server: Server) -> None:
    key = (await server.done("apikey", "create", "ci")).strip()
    assert key.startswith("sdk_")
    assert json.loads(await server.done("cluster", "list", "-o", "json", SIGNADOT_API_KEY=key)) == {
        "items": [],
        "nextCursor": None,
    }
    refused = await server.failed(1, "cluster", "add", "c1", SIGNADOT_API_KEY=key)
    assert "member" in refused
    items = json.loads(await server.done("apikey", "list", "-o", "json"))["items"]
    key_id = next(item["id"] for item in items if item["name"] == "ci")
    await server.done("apikey", "delete", key_id)
    assert "revoked" in await server.failed(1, "cluster", "list", SIGNADOT_API_KEY=key)
    lines = (await server.done("events", "list")).splitlines()
    assert lines[1].split()[1:4] == ["delete", "api_key", "ci"]
    assert lines[1].endswith(f"api_key …{server.key[-4:]}")


async def test_the_configuration_file_is_read_and_the_environment_wins(server: Server, tmp_path: Path) -> None:
    folder = tmp_path / ".signadot"
    folder.mkdir()
    values = {"org": "other", "api_key": server.key, "api_url": f"https://api.localhost:{server.port}"}
    (folder / "config.yaml").write_text(yaml.safe_dump(values | {"ca_file": "~/ca.pem"}))
    nothing = {"SIGNADOT_ORG": "", "SIGNADOT_API_KEY": "", "SIGNADOT_API_URL": "", "SIGNADOT_CA_FILE": ""}
    assert "'other'" in await server.failed(1, "cluster", "list", **nothing)
    await server.done("cluster", "list", **(nothing | {"SIGNADOT_ORG": "acme"}))


async def test_lists_are_whole_however_many_pages_they_have(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(3):
        await server.done("cluster", "add", f"c{number}")
    limited = json.loads(await server.done("events", "list", "--limit", "2", "-o", "json"))
    assert len(limited["items"]) == 2
    assert limited["nextCursor"]
    everything = json.loads(await server.done("events", "list", "-o", "json"))
    assert len(everything["items"]) == 8
    settings = load(None, server.environment())

    def page_by_page() -> list[str]:
        with ApiClient(settings) as api:
            return [item["name"] for item in api.list_all("clusters")["items"]]

    monkeypatch.setattr(client.cli.api, "PAGE_ITEMS", 1)
    server.heads.clear()
    assert await trio.to_thread.run_sync(page_by_page) == ["c0", "c1", "c2"]
    assert len(server.heads) == 3


async def test_whoami_names_the_credential_and_its_orgs(server: Server) -> None:
    lines = (await server.done("whoami", SIGNADOT_ORG="other")).splitlines()
    assert lines == [f"api_key …{server.key[-4:]}", "ORG    ROLE", "acme   admin"]


async def test_one_cluster_and_one_key_are_shown(server: Server) -> None:
    await server.done("cluster", "add", "c1")
    assert json.loads(await server.done("cluster", "get", "c1", "-o", "json"))["name"] == "c1"
    key_id = json.loads(await server.done("apikey", "list", "-o", "json"))["items"][0]["id"]
    assert key_id in await server.done("apikey", "get", key_id)


async def test_deleting_what_is_not_there_is_a_failure_unless_that_was_said(server: Server) -> None:
    await server.failed(1, "workspace", "delete", "w")
    assert await server.done("workspace", "delete", "w", "--if-exists") == "there is no workspace w\n"
    assert await server.done("cluster", "delete", "c", "--if-exists") == "there is no cluster c\n"
    await server.failed(1, "workspace", "delete", "w", "--if-exists", SIGNADOT_ORG="other")


async def test_an_api_that_is_asked_too_often_is_waited_for(server: Server) -> None:
    server.refusals = 2
    result = await server.run("cluster", "list")
    assert result.returncode == 0
    assert result.stderr == b"signadot: the API is asked too often; going on in 0 s\n" * 2
    assert len(server.heads) == 3


async def test_the_wait_for_the_api_ends(server: Server) -> None:
    server.answer = b"HTTP/1.1 429 X\r\nretry-after: 40\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
    slept: list[float] = []
    settings = load(None, server.environment())

    def ask() -> None:
        with ApiClient(settings, sleep=slept.append) as api:
            api.list_all("clusters")

    with pytest.raises(ApiError):
        await trio.to_thread.run_sync(ask)
    assert slept == [40, 40, 40]


async def test_the_requests_of_a_command_share_one_wait_for_the_api(server: Server) -> None:
    server.answer = b"HTTP/1.1 429 X\r\nretry-after: 40\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
    slept: list[float] = []
    settings = load(None, server.environment())

    def ask() -> None:
        with ApiClient(settings, sleep=slept.append) as api:
            for seconds in (41, None, None):
                with pytest.raises(ApiError):
                    api.call("GET", "clusters", seconds=seconds)

    await trio.to_thread.run_sync(ask)
    assert slept == [40, 40, 40]


async def test_waiting_for_a_workspace_does_not_wait_longer_for_an_api_that_is_asked_too_often(server: Server) -> None:
    server.answer = b"HTTP/1.1 429 X\r\nretry-after: 4\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
    slept: list[float] = []
    settings = load(None, server.environment())
    offline = {"name": "w", "status": {"ready": False, "message": "offline"}}

    def ask() -> None:
        with ApiClient(settings, sleep=slept.append) as api:
            wait_until_ready(api, offline, 0, iter([0.0, -0.01, -0.01, -0.0]).__next__)

    with pytest.raises(ApiError):
        await trio.to_thread.run_sync(ask)
    assert slept == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
async def test_a_script_for_the_shell_is_printed_without_configuration(server: Server, shell: str) -> None:
    script = await server.done("completion", shell, SIGNADOT_ORG="", SIGNADOT_API_KEY="")
    assert "_SIGNADOT_COMPLETE" in script
    words = {"_SIGNADOT_COMPLETE": "complete_bash", "COMP_WORDS": "signadot work", "COMP_CWORD": "1"}
    assert await server.done(**words) == "workspace\n"


async def test_bash_completes_by_the_script(server: Server, tmp_path: Path) -> None:
    program = tmp_path / "signadot"
    program.write_text(f"#!/bin/sh\nexec {shlex.quote(sys.executable)} -m client.cli\n")
    program.chmod(0o700)
    script = await server.done("completion", "bash")
    words = "COMP_WORDS=(signadot cluster to); COMP_CWORD=2"
    line = f'{script}\n{words}\n_signadot_completion signadot; echo "${{COMPREPLY[@]}}"'
    path = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = await trio.run_process(["bash", "-c", line], capture_stdout=True, env=server.environment() | path)
    assert done.stdout == b"token\n"
