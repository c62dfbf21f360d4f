from pathlib import Path

import pytest
import trio

from tests.cli.server import Server


async def test_help_and_version_need_no_configuration(server: Server) -> None:
    assert (await server.done("--version", SIGNADOT_ORG="")).startswith("signadot ")
    assert "workspace" in await server.done("--help", SIGNADOT_ORG="")


async def test_wrong_usage_is_2(server: Server) -> None:
    assert "No such command" in await server.failed(2, "cluster", "frobnicate")
    assert "--cluster" in await server.failed(2, "cluster", "token", "create")


async def test_every_missing_value_is_named_at_once(server: Server) -> None:
    said = await server.failed(2, "cluster", "list", SIGNADOT_ORG="", SIGNADOT_API_KEY="", SIGNADOT_API_URL="ftp://x")
    assert [line.split()[1].rstrip(":") for line in said.splitlines()] == ["org", "api_key", "api_url"]


async def test_a_configuration_file_that_was_named_must_exist(server: Server) -> None:
    assert "there is no such file" in await server.failed(2, "--config", "/nowhere.yaml", "cluster", "list")
    assert "there is no such file" in await server.failed(2, "cluster", "list", SIGNADOT_CA_FILE="/nowhere.pem")


async def test_a_ca_file_that_holds_no_certificate_is_named(server: Server, tmp_path: Path) -> None:
    (tmp_path / "bad.pem").write_text("nothing")
    said = await server.failed(2, "cluster", "list", SIGNADOT_CA_FILE=str(tmp_path / "bad.pem"))
    assert said.endswith("bad.pem: no PEM certificates can be read from it\n")


async def test_nobody_listening_is_one_line(server: Server) -> None:
    with trio.socket.socket() as unused:
        await unused.bind(("127.0.0.1", 0))
        url = f"https://api.localhost:{unused.getsockname()[1]}"
        said = await server.failed(1, "cluster", "list", SIGNADOT_API_URL=url)
    assert said == f"signadot: {url} cannot be reached: [Errno 111] Connection refused\n"


async def test_a_certificate_that_is_not_trusted_is_one_line_with_the_remedy(server: Server) -> None:
    said = await server.failed(1, "cluster", "list", SIGNADOT_CA_FILE="")
    assert "its certificate is not trusted" in said
    assert "SIGNADOT_CA_FILE" in said
    assert said.count("\n") == 1


@pytest.mark.parametrize("key", ["sdk_wrong", "x" * 40])
async def test_a_wrong_key_is_one_line_that_does_not_repeat_it(server: Server, key: str) -> None:
    said = await server.failed(1, "cluster", "list", SIGNADOT_API_KEY=key)
    assert "malformed" in said
    assert "(status 401, request r1)" in said
    assert key not in said


async def test_a_key_that_cannot_stand_in_a_header_is_refused_before_it_is_sent(server: Server) -> None:
    assert "api_key: must be ASCII" in await server.failed(2, "cluster", "list", SIGNADOT_API_KEY="schlüssel")
    assert server.heads == []


async def test_an_answer_that_is_not_the_apis_is_said_to_be_so(server: Server) -> None:
    server.answer = b"HTTP/1.1 404 X\r\ncontent-length: 4\r\nconnection: close\r\n\r\noops"
    assert "is api_url right?" in await server.failed(1, "cluster", "list")
    server.answer = b"HTTP/1.1 200 X\r\ncontent-length: 4\r\nconnection: close\r\n\r\noops"
    assert "is api_url right?" in await server.failed(1, "cluster", "list")


async def test_names_are_escaped_in_the_path(server: Server) -> None:
    said = await server.failed(1, "cluster", "delete", "../../x?y#z")
    assert server.heads[-1].target == b"/api/v2/orgs/acme/clusters/..%2F..%2Fx%3Fy%23z"
    assert "status 4" in said


async def test_a_workspace_file_that_cannot_be_used_is_one_line(server: Server) -> None:
    lines = (await server.failed(2, "workspace", "apply", "-f", "-", stdin="a: [")).splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("signadot: -: not valid YAML in line 1")
    assert server.heads == []


async def test_what_the_api_refuses_is_shown_with_its_path(server: Server) -> None:
    await server.done("cluster", "add", "c1")
    document = '{"name": "w", "spec": {"cluster": "c1", "endpoints": [{"name": "web", "target": "web:80"}]}}'
    said = await server.failed(1, "workspace", "apply", "-f", "-", stdin=document)
    assert said.startswith("signadot: spec.endpoints.0.target: ")
