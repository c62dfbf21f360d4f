"""This project: visitor TLS -> relay -> tunnel TLS -> agent -> target, each program a process of its own."""

import json
import platform
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.peers.base import LivePeer, Peer
from benchmarks.peers.https import answers, https_request
from benchmarks.peers.site import API_KEY_HEADER, CLUSTER, HOSTS, ORG, WORKSPACE, Site
from benchmarks.processes import BenchmarkError, Ground, free_port, run, wait_until
from benchmarks.target import Target
from benchmarks.visit import Visit, visits
from certs import Authority, write_file

CONNECTIONS = 16384
"""All visitors and agents of a benchmark come from one address."""


class Relay(Peer):
    """`signadot-relay serve` and `signadot-agent run`, set up as docs/operations.md says."""

    name = "relay"

    def __init__(self, *, python: Path | None = None, workers: int = 1) -> None:
        """The relay and its agent.

        Args:
            python: The interpreter that runs both, which the peer is then named after; this
                project must be installed in it. None: this one.
            workers: How many processes serve.

        Raises:
            BenchmarkError: the interpreter cannot run them.
        """
        self._python = sys.executable
        self._workers = workers
        self._interpreter = f"{platform.python_implementation()} {platform.python_version()}"
        if python is not None:
            # Not resolved: a virtual environment is found by the path of its link.
            self._python = str(python.absolute())
            self._interpreter = _interpreter(self._python)
            self.name = f"{self.name}-{self._interpreter.split()[-1]}"

    def serve_command(self, config: Path) -> list[str]:
        """How the relay is started."""
        # One worker is the default, and a relay of before there were workers does not know the option.
        workers = ("--workers", str(self._workers)) if self._workers > 1 else ()
        return [self._python, "-m", "relay", "serve", "--config", str(config), *workers]

    def start(self, ground: Ground, target: Target) -> LivePeer:
        """Makes the store, starts both programs and registers a workspace through the API."""
        state = ground.folder / self.name
        state.mkdir()
        port = free_port()
        config = configure(state, port)
        python = [self._python, "-m"]
        made = run([*python, "relay", "init", "--config", str(config), "--org", ORG, "--json"])
        api_key = str(json.loads(made)["api_key"])
        site = Site(
            config=config,
            ca_file=state / "ca.pem",
            port=port,
            api_key=api_key,
            serve=self.serve_command(config),
        )
        relay = ground.start("front", site.serve, name=f"{self.name}-serve")
        ground.wait_listening(port, name=f"{self.name}-serve")
        token = _register(Api(site), target)
        token_file = state / "cluster.token"
        write_file(token_file, token.encode(), mode=0o600)
        arguments = agent_arguments(ground.far(port), token_file=token_file, ca_file=state / "ca.pem")
        agent = ground.start("back", [*python, "client", *arguments], name=f"{self.name}-agent")
        roles = {"front": [relay], "back": [agent]}
        live = replace(
            _live(ground, target, site=site, token_file=token_file, roles=roles),
            name=self.name,
            # What is killed and waited for is one process.
            site=site if self._workers == 1 else None,
            version=self._interpreter,
            note=f"API key, headers, access log and metrics on, workers: {self._workers}, {self._interpreter}",
        )
        if not wait_until(lambda: answers(live.visits["small"])):
            logs = f"{ground.log_tail(f'{self.name}-serve')}\n{ground.log_tail(f'{self.name}-agent')}"
            raise BenchmarkError(f"the preview does not answer; relay and agent say:\n{logs}")
        return live


def _interpreter(python: str) -> str:
    script = "import platform, client, relay.app; print(platform.python_implementation(), platform.python_version())"
    if not Path(python).is_file():
        raise BenchmarkError(f"there is no program {python}")
    try:
        return run([python, "-c", script]).strip()
    except BenchmarkError as error:
        reason = str(error).strip().splitlines()[-1].removeprefix(f"{python} ")
        raise BenchmarkError(f"{python} cannot run the relay: {reason}") from error


def configure(state: Path, port: int) -> Path:
    """Writes certificates and relay.toml into `state`; gives the path of the latter."""
    authority = Authority.create()
    write_file(state / "ca.pem", authority.pem, mode=0o644)
    names = [HOSTS[name] for name in ("api", "app", "tunnel", "proxy")] + [f"*.{HOSTS['preview']}"]
    authority.leaf(names).write(state / "relay.pem", state / "relay.key")
    config = state / "relay.toml"
    lines = ["[listen]", f'public = "127.0.0.1:{port}"', 'metrics = "127.0.0.1:0"']
    lines += ["[hosts]", *(f'{name} = "{host}"' for name, host in HOSTS.items())]
    lines += ["[tls]", 'certificate = "relay.pem"', 'key = "relay.key"']
    lines += ["[store]", 'url = "sqlite:///relay.db"', "[keys]", 'master = "master.key"']
    lines += ["[limits]", f"connections_per_address = {CONNECTIONS}"]
    config.write_text("\n".join([*lines, ""]))
    return config


def agent_arguments(port: int, *, token_file: Path, ca_file: Path) -> list[str]:
    """The command line of an agent that dials `port` on this machine."""
    return [
        *("run", "--relay", f"{HOSTS['tunnel']}:{port}", "--token-file", str(token_file)),
        *("--ca-file", str(ca_file), "--allow-target", "127.0.0.1:*", "--health", "127.0.0.1:0"),
    ]


class Api:
    """The REST API of a relay on this machine."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def call(self, method: str, path: str, value: dict[str, Any]) -> dict[str, Any]:
        """One call. Raises BenchmarkError for any answer but success."""
        visit = Visit(
            url=f"https://{HOSTS['api']}:{self._site.port}/api/v2/orgs/{ORG}{path}",
            headers=((API_KEY_HEADER, self._site.api_key), ("content-type", "application/json")),
            ca_file=self._site.ca_file,
        )
        status, body = https_request(visit, method=method, body=json.dumps(value).encode())
        if status not in {200, 201}:
            raise BenchmarkError(f"{method} {path}: {status} {body.decode(errors='replace')}")
        answer: dict[str, Any] = json.loads(body)
        return answer


def _register(api: Api, target: Target) -> str:
    """Makes cluster, token and workspace; gives the token."""
    api.call("PUT", f"/clusters/{CLUSTER}", {})
    token = api.call("POST", f"/clusters/{CLUSTER}/tokens", {})["token"]
    endpoints = [
        {"name": "web", "target": f"http://127.0.0.1:{target.port}"},
        {"name": "sink", "target": f"http://127.0.0.1:{target.sink_port}"},
        {"name": "echo", "target": f"http://127.0.0.1:{target.echo_port}"},
    ]
    api.call("PUT", f"/workspaces/{WORKSPACE}", {"spec": {"cluster": CLUSTER, "endpoints": endpoints}})
    return str(token)


def _live(ground: Ground, target: Target, *, site: Site, token_file: Path, roles: dict[str, list[int]]) -> LivePeer:
    web, sink, echo = (
        f"https://{endpoint}--{WORKSPACE}.{HOSTS['preview']}:{site.port}" for endpoint in ("web", "sink", "echo")
    )
    proxy = Visit(
        url=f"https://{HOSTS['proxy']}:{site.port}",
        headers=(("proxy-authorization", f"Bearer {site.api_key}"), ("signadot-cluster", CLUSTER)),
        ca_file=site.ca_file,
    )
    straight = visits(f"http://127.0.0.1:{target.port}")
    return LivePeer(
        name=Relay.name,
        visits=visits(web, sink=sink, echo=echo, headers=((API_KEY_HEADER, site.api_key),), ca_file=site.ca_file),
        roles=roles,
        placement=ground.placement,
        hold=[
            *(sys.executable, "-m", "benchmarks.hold", "--port", str(site.port), "--host", HOSTS["tunnel"]),
            *("--ca-file", str(site.ca_file), "--token-file", str(token_file)),
        ],
        raw={name: replace(visit, proxy=proxy) for name, visit in straight.items()},
        takes_link=True,
        site=site,
    )
