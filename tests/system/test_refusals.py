"""Wrong keys, tokens, hosts, targets and files: each is one clear line or the contract's answer."""

import json
import re
import socket
import ssl
import string
from collections.abc import Iterator
from pathlib import Path

import pytest

from relay.auth import TokenKind, mint
from tests.support.deployment import Deployment, wait_tunnel
from tests.support.processes import run_module
from tests.support.site import PROXY, SampleApp, preview

pytestmark = pytest.mark.system

HOST = preview("web", "shop")


@pytest.fixture(scope="module")
def relay(tmp_path_factory: pytest.TempPathFactory, sample: SampleApp) -> Iterator[Deployment]:
    with Deployment(tmp_path_factory.mktemp("refusals")) as deployment:
        deployment.init()
        deployment.start_relay()
        deployment.start_agent()
        deployment.apply("shop", web=sample.port, forbidden="http://10.1.2.3:80", metadata="http://169.254.169.254")
        yield deployment


def damaged(secret: str) -> str:
    """The secret with another last character, so that its checksum is wrong."""
    others = string.ascii_letters.replace(secret[-1], "")
    return secret[:-1] + others[0]


@pytest.mark.parametrize(
    "key", ["nonsense", "sdk_", "sdk_" + "0" * 36, "sdt_" + "a" * 36, "é" * 40, "x" * 4000], ids=lambda key: key[:8]
)
def test_a_malformed_key_is_refused_everywhere(relay: Deployment, key: str) -> None:
    for answer in (relay.call("GET", "/orgs", api_key=key), relay.ask(HOST, api_key=key)):
        assert (answer.status, answer.json()["code"]) == (401, "unauthenticated")


def test_a_wrong_key_is_refused_everywhere(relay: Deployment) -> None:
    for key in (damaged(relay.api_key), mint(TokenKind.API_KEY), relay.add_cluster("other")[0]):
        for answer in (relay.call("GET", "/orgs", api_key=key), relay.ask(HOST, api_key=key)):
            assert (answer.status, answer.json()["code"]) == (401, "unauthenticated")


def test_a_revoked_key_is_worth_nothing_from_the_next_request_on(relay: Deployment) -> None:
    made = relay.api("POST", "/api-keys", {"name": "short", "role": "member"})
    assert relay.ask(HOST, "/headers", api_key=made["key"]).status == 200
    relay.api("DELETE", f"/api-keys/{made['id']}")
    assert relay.ask(HOST, "/headers", api_key=made["key"]).status == 401
    assert relay.call("GET", "/orgs", api_key=made["key"]).status == 401


def test_without_a_key_programs_get_json_and_browsers_the_way_to_sign_in(relay: Deployment) -> None:
    program = relay.ask(HOST, api_key="")
    assert (program.status, program.json()["code"]) == (401, "unauthenticated")
    browser = relay.ask(HOST, api_key="", headers=(("Accept", "text/html"), ("Sec-Fetch-Mode", "navigate")))
    assert browser.status == 302
    assert (browser.header("location") or "").startswith("https://app.localhost:")
    assert (browser.header("set-cookie") or "").startswith("__Host-sd-nonce=")


def test_a_host_of_another_org_is_refused(relay: Deployment, sample: SampleApp) -> None:
    key = relay.init_org("rival")
    named = f"web--shop--{relay.org}.preview.localhost"
    assert relay.ask(named, "/headers").status == 200
    foreign = relay.ask(named, "/headers", api_key=key)
    assert (foreign.status, foreign.json()["code"]) == (403, "forbidden")
    by_short_name = relay.ask(HOST, "/headers", api_key=key)
    assert (by_short_name.status, by_short_name.json()["code"]) == (404, "not_found")
    assert relay.call("GET", f"/orgs/{relay.org}/workspaces", api_key=key).status in {403, 404}
    with relay.connect(PROXY) as visitor:
        visitor.send(relay.tunnel_request(f"127.0.0.1:{sample.port}", api_key=key))
        assert visitor.read_answer().status == 404


@pytest.mark.parametrize("host", [preview("web", "nowhere"), preview("nothing", "shop"), "x.preview.localhost"])
def test_an_unknown_host_says_what_was_looked_up(relay: Deployment, host: str) -> None:
    answer = relay.ask(host)
    assert (answer.status, answer.json()["code"]) == (404, "not_found")
    assert any(part in answer.json()["error"] for part in ("nowhere", "nothing", "x.preview.localhost"))


@pytest.mark.parametrize("endpoint", ["forbidden", "metadata"])
def test_a_target_that_the_agent_does_not_allow_is_a_502_with_its_reason(relay: Deployment, endpoint: str) -> None:
    answer = relay.ask(preview(endpoint, "shop"))
    assert (answer.status, answer.json()["code"]) == (502, "target_not_allowed")
    assert re.search("allows|not dialled", answer.json()["error"])


def test_a_target_that_refuses_is_a_502(relay: Deployment) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        relay.apply("refusing", web=closed.getsockname()[1])
        answer = relay.ask(preview("web", "refusing"))
    assert (answer.status, answer.json()["code"]) == (502, "target_refused")


def test_a_cluster_without_agent_is_a_503(relay: Deployment, sample: SampleApp) -> None:
    relay.add_cluster("empty")
    relay.apply("lonely", "empty", web=sample.port)
    answer = relay.ask(preview("web", "lonely"))
    assert (answer.status, answer.json()["code"]) == (503, "cluster_offline")
    assert "empty" in answer.json()["error"]
    assert int(answer.header("retry-after") or "0") > 0


def test_wrong_tokens_are_refused_with_a_sentence_and_a_new_one_is_used_without_a_restart(relay: Deployment) -> None:
    token, token_id = relay.add_cluster("fourth")
    relay.api("DELETE", f"/clusters/fourth/tokens/{token_id}")
    with relay.start_agent(cluster="fourth", token=token, wait=False) as agent:
        line = json.loads(agent.wait_for_line(r'"event": "will log in again"').string)
        assert "token" in line["reason"]
        assert line["wait_seconds"] >= 30  # slowly: it will not get better by itself
        assert token not in agent.output
        mark = agent.mark()
        relay.token_file("fourth", relay.add_cluster("fourth")[0])
        wait_tunnel(agent, after=mark)


def test_a_damaged_token_is_refused(relay: Deployment) -> None:
    token = damaged(relay.add_cluster("fifth")[0])
    with relay.start_agent(cluster="fifth", token=token, wait=False) as agent:
        agent.wait_for_line("credential is malformed: its checksum is wrong")


def test_a_revoked_token_ends_its_tunnel_at_once(relay: Deployment, sample: SampleApp) -> None:
    token, token_id = relay.add_cluster("sixth")
    with relay.start_agent(cluster="sixth", token=token) as agent:
        relay.apply("sixth", "sixth", web=sample.port)
        assert relay.ask(preview("web", "sixth"), "/headers").status == 200
        mark = agent.mark()
        relay.api("DELETE", f"/clusters/sixth/tokens/{token_id}")
        agent.wait_for_line(r'"event": "will log in again"', after=mark)
        assert relay.ask(preview("web", "sixth"), "/headers").status == 503


def test_an_agent_does_not_log_in_to_a_relay_that_it_does_not_trust(relay: Deployment, tmp_path: Path) -> None:
    other = Deployment(tmp_path)
    other.port = relay.port
    token = relay.add_cluster("seventh")[0]
    with other.start_agent(cluster="seventh", token=token, wait=False) as agent:
        agent.wait_for_line("is not trusted for tunnel.localhost")


def test_host_and_server_name_must_agree(relay: Deployment) -> None:
    with relay.connect(HOST) as connection:
        answer = connection.request("GET", "/", preview("other", "shop"), headers=[relay.key_header])
        assert (answer.status, answer.json()["code"]) == (421, "misdirected")


def test_tls_below_1_2_is_refused(relay: Deployment) -> None:
    context = ssl.create_default_context(cafile=str(relay.ca_file))
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    with socket.create_connection(("127.0.0.1", relay.port)) as plain, pytest.raises((ssl.SSLError, ConnectionError)):
        context.wrap_socket(plain, server_hostname=HOST).close()


def assert_one_line(stderr: str, program: str, *parts: str) -> None:
    assert re.fullmatch(rf"{program}: [^\n]+\n", stderr), stderr
    assert all(part in stderr for part in parts), stderr


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("[listen\n", ("not valid TOML",)),
        ('[tls]\ncertificate = "c.pem"\n', ("tls.key", "missing")),
        ('[tls]\ncertificate = "c.pem"\nkey = "k.pem"\ncipher = "none"\n', ("tls.cipher", "unknown")),
        ('[tls]\ncertificate = "c.pem"\nkey = "k.pem"\n[listen]\npublic = "8443"\n', ("listen.public", "HOST:PORT")),
    ],
    ids=["broken", "missing", "unknown", "address"],
)
def test_a_wrong_configuration_is_one_clear_line(tmp_path: Path, text: str, parts: tuple[str, ...]) -> None:
    path = tmp_path / "relay.toml"
    path.write_text(text)
    for command in ("check", "serve"):
        done = run_module("relay", command, "--config", path)
        assert done.returncode == 2
        assert_one_line(done.stderr, "signadot-relay", *parts)


def test_every_problem_of_a_configuration_is_said_at_once(tmp_path: Path) -> None:
    path = tmp_path / "relay.toml"
    path.write_text('[listen]\npublic = "x"\nmetrics = "y"\n[limits]\nhead_bytes = -1\n')
    done = run_module("relay", "check", "--config", path)
    assert done.returncode == 2
    assert all(key in done.stderr for key in ("listen.public", "listen.metrics", "limits.head_bytes", "tls"))


def test_check_notices_files_that_serve_could_not_use(relay: Deployment, tmp_path: Path) -> None:
    assert run_module("relay", "check", "--config", relay.config).returncode == 0
    junk = tmp_path / "junk"
    junk.write_text("junk")
    junk.chmod(0o600)
    environment = {"SIGNADOT_RELAY__TLS__CERTIFICATE": str(junk), "SIGNADOT_RELAY__KEYS__MASTER": str(junk)}
    done = run_module("relay", "check", "--config", relay.config, environment=environment)
    assert done.returncode == 2
    assert "cannot use the certificate" in done.stderr
    assert "not a master key" in done.stderr


def test_a_missing_configuration_is_one_clear_line(tmp_path: Path) -> None:
    done = run_module("relay", "serve", "--config", tmp_path / "absent.toml")
    assert done.returncode == 2
    assert_one_line(done.stderr, "signadot-relay", "absent.toml", "No such file")


def test_a_port_in_use_is_one_clear_line(relay: Deployment) -> None:
    environment = {"SIGNADOT_RELAY__LISTEN__PUBLIC": f"127.0.0.1:{relay.port}"}
    done = run_module("relay", "serve", "--config", relay.config, environment=environment)
    assert done.returncode == 1
    assert_one_line(done.stderr, "signadot-relay", "listen.public", str(relay.port), "in use")


def test_a_database_of_another_key_is_one_clear_line(relay: Deployment, tmp_path: Path) -> None:
    with Deployment(tmp_path) as other:
        other.init()
        environment = {"SIGNADOT_RELAY__STORE__URL": f"sqlite:///{relay.folder / 'relay.db'}"}
        done = run_module("relay", "serve", "--config", other.config, environment=environment)
        assert done.returncode == 2
        assert_one_line(done.stderr, "signadot-relay", "relay.db", "key")


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        ((), ("required",)),
        (("run", "--relay", "h:1", "--token-file", "t", "--allow-target", "::::"), ("--allow-target",)),
        (("run", "--relay", "h:1", "--token-file", "t", "--transport", "pigeon"), ("tls or websocket",)),
        (("run", "--relay", "h:1", "--token-file", "/nonexistent/token"), ("/nonexistent/token",)),
    ],
    ids=["nothing", "pattern", "transport", "token-file"],
)
def test_a_wrong_agent_command_is_one_clear_line(arguments: tuple[str, ...], parts: tuple[str, ...]) -> None:
    done = run_module("client", *arguments)
    assert done.returncode == 2
    assert_one_line(done.stderr, "signadot-agent", *parts)
