"""Brings up every real part on this machine and sends one request through the whole path."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import trio

from certs import Authority, write_file
from relay import config
from relay.app import Relay
from relay.auth import Role
from relay.demo.client import DemoClient
from relay.errors import RelayError, UnauthenticatedError
from relay.login_links import LinkRequest, make_login_link
from relay.setup import initialise

ORG = "demo"
CLUSTER = "demo"
WORKSPACE = "hello"
ENDPOINT = "web"
USER = "demo"
LINK_SECONDS = 3600.0  # the demo is looked at later than a link that was asked for
HOSTS = {name: f"{name}.localhost" for name in ("preview", "api", "app", "tunnel", "proxy")}
ATTEMPTS_SECONDS = 30.0  # an agent on the same machine is there within one; a loaded machine gets time
RETRY_SECONDS = 0.1
CHILD_STOP_SECONDS = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoOptions:
    """What the command line says."""

    port: int
    """Public port on loopback; 0 takes a free one."""
    state_dir: Path
    info: Path | None
    exit_after_check: bool


class DemoError(RelayError):
    """The demo did not come up."""

    code = "demo"


async def run_demo(options: DemoOptions) -> None:
    """Runs until Ctrl-C or SIGTERM, or until the check succeeded. Raises DemoError, OSError, ConfigurationError."""
    state = options.state_dir.absolute()
    state.mkdir(parents=True, exist_ok=True)
    state.chmod(0o700)  # keys and logs are for nobody else
    settings = prepare(state, options.port)
    api_key = await _api_key(state, settings)
    with (
        (state / "access.log").open("a", encoding="utf-8") as access_log,
        (state / "agent.log").open("ab") as agent_log,
    ):
        await _run(options, Relay(settings, access_log=access_log), agent_log, api_key)


async def _run(options: DemoOptions, relay: Relay, agent_log: BinaryIO, api_key: str) -> None:
    state = options.state_dir.absolute()
    async with trio.open_nursery() as nursery:
        await nursery.start(relay.run)
        port = relay.public_address[1]
        client = DemoClient(port=port, ca_file=state / "ca.pem", api_key=api_key)
        async with _child("relay.demo.sample", capture=True) as sample:
            sample_port = int(await _first_line(sample))
            token = await _register(client, sample_port)
            write_file(state / "cluster.token", token.encode() + b"\n", mode=0o600)
            async with _child("client", *_agent_arguments(state, port), stderr=agent_log) as agent:
                await _check(client)
                facts = {
                    **_addresses(relay, state),
                    "login_url": await _login_url(relay),
                    "api_key": api_key,
                    "cluster_token": token,
                    "agent_pid": agent.pid,
                }
                _publish(facts, options.info)
                if not options.exit_after_check:
                    await _until_stopped(relay, {"agent": agent, "sample app": sample})
                relay.stop()
                await relay.stopped.wait()  # drained before its agent and the sample app go


async def _until_stopped(relay: Relay, children: dict[str, trio.Process]) -> None:
    async with trio.open_nursery() as watching:
        for name, process in children.items():
            watching.start_soon(_fail_when_it_ends, process, name)
        await relay.stopping.wait()
        watching.cancel_scope.cancel()


def prepare(state: Path, port: int) -> config.Settings:
    """Makes the CA, the certificate and relay.toml where they are missing; gives the settings."""
    ca_certificate, ca_key = state / "ca.pem", state / "ca.key"
    names = [HOSTS[name] for name in ("api", "app", "tunnel", "proxy")] + [f"*.{HOSTS['preview']}"]
    if not (ca_certificate.exists() and ca_key.exists()):
        Authority.create().write(ca_certificate, ca_key)
    Authority.load(ca_certificate, ca_key).leaf(names).write(state / "relay.pem", state / "relay.key")
    lines = [
        "# Written by `signadot-relay demo`.",
        "[listen]",
        f'public = "127.0.0.1:{port}"',
        'metrics = "127.0.0.1:0"',
    ]
    lines += ["[hosts]", *(f'{name} = "{host}"' for name, host in HOSTS.items())]
    lines += ["[tls]", 'certificate = "relay.pem"', 'key = "relay.key"']
    lines += ["[store]", 'url = "sqlite:///relay.db"', "[keys]", 'master = "master.key"']
    path = state / "relay.toml"
    write_file(path, "\n".join([*lines, ""]).encode(), mode=0o644)
    return config.load(path, os.environ)


async def _api_key(state: Path, settings: config.Settings) -> str:
    """The demo's API key: made at the first run, kept in the state folder because a database shows it only once."""
    path = state / "api.key"
    if path.exists():
        return path.read_text().strip()
    api_key = await initialise(settings, ORG)
    write_file(path, api_key.encode() + b"\n", mode=0o600)
    return api_key


async def _register(client: DemoClient, sample_port: int) -> str:
    """Makes cluster, token and workspace through the API, as a person would; gives the cluster token."""
    try:
        await client.api("PUT", f"/orgs/{ORG}/clusters/{CLUSTER}", {})
    except UnauthenticatedError as error:
        raise DemoError(f"{error} The state folder's api.key does not fit its database; delete the folder.") from error
    token = await client.api("POST", f"/orgs/{ORG}/clusters/{CLUSTER}/tokens", {"description": "the demo's agent"})
    spec = {
        "cluster": CLUSTER,
        "description": "the demo's sample app",
        "endpoints": [{"name": ENDPOINT, "target": f"http://127.0.0.1:{sample_port}"}],
    }
    await client.api("PUT", f"/orgs/{ORG}/workspaces/{WORKSPACE}", {"spec": spec})
    return str(token["token"])


def _agent_arguments(state: Path, port: int) -> list[str]:
    return [
        "run",
        *("--relay", f"{HOSTS['tunnel']}:{port}"),
        *("--token-file", str(state / "cluster.token")),
        *("--ca-file", str(state / "ca.pem")),
        # The demo's targets are on this machine; an agent in a cluster never needs loopback.
        *("--allow-target", "127.0.0.1:*"),
        *("--health", "127.0.0.1:0"),
    ]


async def _check(client: DemoClient) -> None:
    """Sends a request through the whole path, again while the agent is still on its way. Raises DemoError."""
    problem = "no answer"
    with trio.move_on_after(ATTEMPTS_SECONDS):
        while True:
            try:
                status, body = await client.request("GET", f"{ENDPOINT}--{WORKSPACE}.{HOSTS['preview']}", "/headers")
                if status == 200 and b"sd-routing-key" in body:  # noqa: PLR2004 - HTTP status
                    return
                problem = f"status {status}: {body.decode(errors='replace').strip()}"
            except (RelayError, OSError) as error:
                problem = str(error)
            await trio.sleep(RETRY_SECONDS)
    raise DemoError(f"The preview did not answer within {ATTEMPTS_SECONDS:.0f} s; last: {problem}")


def _addresses(relay: Relay, state: Path) -> dict[str, Any]:
    port = relay.public_address[1]
    metrics_host, metrics_port = relay.metrics_address[:2]
    return {
        "preview_url": f"https://{ENDPOINT}--{WORKSPACE}.{HOSTS['preview']}:{port}/",
        "api_url": f"https://{HOSTS['api']}:{port}",
        "app_url": f"https://{HOSTS['app']}:{port}/",
        "org": ORG,
        "cluster": CLUSTER,
        "tunnel_address": f"{HOSTS['tunnel']}:{port}",
        "ca_file": str(state / "ca.pem"),
        "metrics_url": f"http://{metrics_host}:{metrics_port}/metrics",
        "relay_pid": os.getpid(),
    }


async def _login_url(relay: Relay) -> str:
    """A link that signs a browser in as the demo's own user."""
    request = LinkRequest(user=USER, org=ORG, role=Role.ADMIN, seconds=LINK_SECONDS, port=relay.public_address[1])
    return await make_login_link(relay.settings, request)


def _publish(facts: dict[str, Any], info: Path | None) -> None:
    if info is not None:
        write_file(info.absolute(), json.dumps(facts, indent=2).encode() + b"\n", mode=0o600)
    ca_file = os.path.relpath(facts["ca_file"])
    state_dir = Path(ca_file).parent
    port_option = f" --port {facts['api_url'].rpartition(':')[2]}"
    sys.stdout.write(
        f"""
The relay, an agent and a sample app are running, and a request went through all of them.

  Preview    {facts["preview_url"]}
  Try it     curl --cacert {ca_file} -H 'signadot-api-key: {facts["api_key"]}' {facts["preview_url"]}
  Browser    {facts["login_url"]}
             signs you in, once; then open the preview. The browser must accept {ca_file}.
             Another link: signadot-relay login-link --config {state_dir}/relay.toml --user {USER}{port_option}
  API key    {facts["api_key"]}   (organisation {facts["org"]}, admin)
  Dashboard  {facts["app_url"]}
  API        {facts["api_url"]}/api/v2/openapi.json
  Metrics    {facts["metrics_url"]}
  Logs       {state_dir}/access.log, agent.log

The sample app also has /headers, /echo, /sha256, /bytes?n=, /events, /wait?seconds= and WebSockets on every path.
The demo's agent may dial any port of 127.0.0.1. Stop with Ctrl-C.
"""
    )
    sys.stdout.flush()


@asynccontextmanager
async def _child(
    module: str, *arguments: str, capture: bool = False, stderr: BinaryIO | None = None
) -> AsyncIterator[trio.Process]:
    """A process of the demo's own, ended with the block."""
    process = await trio.lowlevel.open_process(
        [sys.executable, "-m", module, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE if capture else None,
        stderr=stderr,
        start_new_session=True,  # Ctrl-C is for the relay, which then ends its children in order
    )
    try:
        yield process
    finally:
        with trio.CancelScope(shield=True), trio.move_on_after(CHILD_STOP_SECONDS):
            process.send_signal(signal.SIGTERM)
            await process.wait()
        if process.returncode is None:
            process.kill()
        if process.stdout is not None:
            await trio.aclose_forcefully(process.stdout)


async def _first_line(process: trio.Process) -> str:
    line = b""
    assert process.stdout is not None  # noqa: S101 - asked for above
    while not line.endswith(b"\n"):
        data = await process.stdout.receive_some(64)
        if not data:
            raise DemoError("The sample app did not start.")
        line += data
    return line.decode().strip()


async def _fail_when_it_ends(process: trio.Process, name: str) -> None:
    code = await process.wait()
    raise DemoError(f"The {name} ended with code {code}.")
