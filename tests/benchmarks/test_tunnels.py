"""Configurations of other tunnels: what they promise in the tables is what is asked for."""

import json
import platform
import sys
import tomllib
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import pkcs12

from benchmarks.options import parser, peers_of
from benchmarks.peers import TUNNELS, Relay, Tunnel
from benchmarks.peers.tunnel import PLAIN, Plan, Setting, find_programs, write_certificates
from benchmarks.processes import BenchmarkError
from benchmarks.target import Target
from benchmarks.visit import FETCHED

PROGRAMS = ("frps", "frpc", "piko", "chisel", "rathole", "bore")
TARGET = Target(port=7001, sink_port=7002, pids=(), bulk_file=Path("bulk"))


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in PROGRAMS:
        (folder / name).write_text("#!/bin/sh\n")
        (folder / name).chmod(0o755)
    return folder


@pytest.fixture(params=sorted(TUNNELS))
def tunnel(request: pytest.FixtureRequest, programs: Path) -> Tunnel:
    return TUNNELS[request.param](programs)


def plan(tunnel: Tunnel, programs: Path) -> Plan:
    setting = Setting(
        folder=Path("/run/peer"),
        programs=find_programs(programs, tunnel.programs),
        control=7003,
        web=7004,
        sink=7005,
        spare=(7006, 7007),
        target=TARGET,
        secret="s3cret",
    )
    return tunnel.plan(setting)


def test_every_resource_can_be_visited(tunnel: Tunnel, programs: Path) -> None:
    made = plan(tunnel, programs)
    assert set(made.visits) == {*FETCHED, "upload"}
    assert {visit.port for visit in made.visits.values()} <= {7004, 7005}
    web, upload = made.visits["small"], made.visits["upload"]
    assert (web.host, web.port) != (upload.host, upload.port)


def test_note_says_where_visitors_have_no_tls(tunnel: Tunnel, programs: Path) -> None:
    assert (PLAIN in tunnel.note) is not plan(tunnel, programs).visits["small"].secure


def test_everything_listens_and_dials_on_loopback(tunnel: Tunnel, programs: Path) -> None:
    made = plan(tunnel, programs)
    text = "\n".join([*made.files.values(), *made.front, *(word for command in made.back for word in command)])
    assert "0.0.0.0" not in text
    assert "127.0.0.1" in " ".join(made.front) + "".join(made.files.values())


def test_agent_and_server_speak_tls_where_there_is_any(tunnel: Tunnel, programs: Path) -> None:
    made = plan(tunnel, programs)
    text = "\n".join([*made.files.values(), *made.front, *(word for command in made.back for word in command)])
    assert ("no TLS at all" in tunnel.note) is not ("/run/peer/ca.pem" in text and "/run/peer/server." in text)


def test_frp_routes_by_host_over_forced_tls(programs: Path) -> None:
    made = plan(TUNNELS["frp"](programs), programs)
    server, agent = json.loads(made.files["frps.json"]), json.loads(made.files["frpc.json"])
    assert server["vhostHTTPPort"] == 7004
    assert server["transport"]["tls"]["force"] is True
    assert agent["transport"]["tls"] == {
        "enable": True,
        "serverName": "localhost",
        "trustedCaFile": "/run/peer/ca.pem",
    }
    assert [(proxy["type"], proxy["customDomains"], proxy["localPort"]) for proxy in agent["proxies"]] == [
        ("http", ["web.localhost"], 7001),
        ("http", ["sink.localhost"], 7002),
    ]
    assert server["auth"] == agent["auth"] == {"method": "token", "token": "s3cret"}
    assert made.visits["small"].url == "http://web.localhost:7004/small"


def test_frp_passes_tls_through_or_bytes_on(programs: Path) -> None:
    secure = plan(TUNNELS["frp-https"](programs), programs)
    (web, _) = json.loads(secure.files["frpc.json"])["proxies"]
    assert web["plugin"]["type"] == "https2http"
    assert web["plugin"]["localAddr"] == "127.0.0.1:7001"
    assert secure.visits["small"].url == "https://web.localhost:7004/small"
    raw = plan(TUNNELS["frp-tcp"](programs), programs)
    assert [(proxy["remotePort"], proxy["localPort"]) for proxy in json.loads(raw.files["frpc.json"])["proxies"]] == [
        (7004, 7001),
        (7005, 7002),
    ]


def test_rathole_has_a_service_for_each_target(programs: Path) -> None:
    made = plan(TUNNELS["rathole"](programs), programs)
    server, agent = (
        tomllib.loads(made.files["server.toml"])["server"],
        tomllib.loads(made.files["agent.toml"])["client"],
    )
    assert server["transport"]["type"] == agent["transport"]["type"] == "tls"
    assert server["services"]["web"]["bind_addr"] == "127.0.0.1:7004"
    assert agent["services"]["sink"]["local_addr"] == "127.0.0.1:7002"
    assert server["default_token"] == agent["default_token"]


def test_chisel_agent_verifies_the_server_and_asks_for_both_ports(programs: Path) -> None:
    (agent,) = plan(TUNNELS["chisel"](programs), programs).back
    assert agent[agent.index("--tls-ca") + 1] == "/run/peer/ca.pem"
    assert agent[-3:] == [
        "https://127.0.0.1:7003",
        "R:127.0.0.1:7004:127.0.0.1:7001",
        "R:127.0.0.1:7005:127.0.0.1:7002",
    ]


def test_piko_has_an_agent_for_each_endpoint_and_no_time_limit(programs: Path) -> None:
    made = plan(TUNNELS["piko"](programs), programs)
    assert [command[3:5] for command in made.back] == [["web", "127.0.0.1:7001"], ["sink", "127.0.0.1:7002"]]
    assert made.front[made.front.index("--proxy.http.write-timeout") + 1] == "0s"
    assert made.front[made.front.index("--proxy.tls.cert") + 1] == "/run/peer/server.pem"


def test_bore_has_an_agent_for_each_port(programs: Path) -> None:
    made = plan(TUNNELS["bore"](programs), programs)
    assert [(command[2], command[command.index("--port") + 1]) for command in made.back] == [
        ("7001", "7004"),
        ("7002", "7005"),
    ]


def test_program_itself_may_be_named_and_the_others_are_beside_it(programs: Path) -> None:
    assert find_programs(programs / "frps", ("frps", "frpc")) == {
        "frps": programs / "frps",
        "frpc": programs / "frpc",
    }


@pytest.mark.parametrize("spoil", ["missing", "not executable"])
def test_program_that_cannot_run_is_named(programs: Path, spoil: str) -> None:
    if spoil == "missing":
        (programs / "frpc").unlink()
    else:
        (programs / "frpc").chmod(0o644)
    with pytest.raises(BenchmarkError, match=r"there is no program .*/frpc"):
        find_programs(programs, ("frps", "frpc"))


def test_certificates_are_written_in_both_forms(tmp_path: Path) -> None:
    write_certificates(tmp_path, "s3cret")
    key, certificate, _ = pkcs12.load_key_and_certificates((tmp_path / "server.pfx").read_bytes(), b"s3cret")
    assert key is not None
    assert certificate is not None
    assert b"BEGIN CERTIFICATE" in (tmp_path / "server.pem").read_bytes()
    assert (tmp_path / "server.pfx").stat().st_mode & 0o077 == 0


def names(*arguments: str) -> list[str]:
    return [peer.name for peer in peers_of(parser("").parse_args(arguments))]


def test_peers_with_a_path_come_beside_the_others(programs: Path) -> None:
    assert names() == ["relay", "nginx", "no relay"]
    assert names(f"--peer=rathole={programs}") == ["relay", "nginx", "no relay", "rathole"]
    assert names("--peer=relay", f"--peer=bore={programs}/bore") == ["relay", "bore"]


def test_workers_are_handed_to_the_relay() -> None:
    (relay,) = peers_of(parser("").parse_args(["--peer=relay", "--workers=2"]))
    assert isinstance(relay, Relay)
    assert relay.serve_command(Path("relay.toml"))[1:] == [
        *("-m", "relay", "serve", "--config", "relay.toml", "--workers", "2"),
    ]


def test_relay_under_another_interpreter_is_named_after_it(tmp_path: Path) -> None:
    relay, *_ = peers_of(parser("").parse_args([f"--python={sys.executable}"]))
    assert relay.name == f"relay-{platform.python_version()}"
    assert isinstance(relay, Relay)
    assert relay.serve_command(Path("relay.toml"))[0] == sys.executable


def test_interpreter_that_cannot_run_the_relay_is_one_clear_line(programs: Path, tmp_path: Path) -> None:
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\necho 'ModuleNotFoundError: no trio' >&2\nexit 1\n")
    broken.chmod(0o755)
    with pytest.raises(BenchmarkError) as caught:
        names(f"--python={broken}")
    assert str(caught.value) == f"{broken} cannot run the relay: ended with 1: ModuleNotFoundError: no trio"
    with pytest.raises(BenchmarkError, match="there is no program /nowhere"):
        names("--python=/nowhere")


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("frp", "frp needs its program: --peer frp=PATH"),
        ("caddy", "there is no peer caddy; there are nginx, no relay, relay, frp, "),
        ("nginx=/usr/sbin/nginx", "no peer nginx takes a path; those that do: frp, "),
        ("bore=/nowhere", "there is no program /nowhere"),
    ],
)
def test_wrong_peer_is_one_clear_line(argument: str, message: str) -> None:
    with pytest.raises(BenchmarkError, match=message.replace("(", r"\(")):
        names(f"--peer={argument}")
