"""A relay and its agents as an operator runs them: `init`, `serve`, `run`, each a process that can be killed."""

import json
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

from certs import Authority
from tests.support.processes import ProcessError, Running, run_module
from tests.support.site import API, APP, PREVIEW, PROXY, TUNNEL, Site

ORG = "acme"
LOOPBACK_TARGETS = "127.0.0.1:*"


class Deployment(Site):
    """A folder with CA, certificate, configuration and database, and the processes that use it.

    `init` makes the organisation; `start_relay` and `start_agent` may be called again after a kill.
    """

    def __init__(
        self,
        folder: Path,
        *,
        listen: str = "127.0.0.1",
        names: Mapping[str, str] | None = None,
        domains: Sequence[str] = ("localhost",),
        org: str = ORG,
        ca: Authority | None = None,
        settings: Mapping[str, Mapping[str, str | int | float]] | None = None,
    ) -> None:
        """`ca`: its authority, a new one unless given; `settings`: further sections and keys of relay.toml."""
        super().__init__(port=0, ca_file=folder / "ca.pem", org=org, api_key="")
        self.ca = ca or Authority.create(domains)
        self.settings = {name: dict(values) for name, values in (settings or {}).items()}
        self.folder = folder
        self.config = folder / "relay.toml"
        self.metrics_port = 0
        self._listen = listen
        self._stack = ExitStack()
        self.host_names = {"preview": PREVIEW, "api": API, "app": APP, "tunnel": TUNNEL, "proxy": PROXY} | dict(
            names or {}
        )
        self.api_host = self.host_names["api"]
        self.write_files()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stack.close()

    def write_files(self) -> None:
        """CA, leaf and relay.toml."""
        self.ca.write(self.ca_file, self.folder / "ca.key")
        names = [
            f"*.{self.host_names['preview']}",
            *(self.host_names[name] for name in ("api", "app", "tunnel", "proxy")),
        ]
        self.ca.leaf(names).write(self.folder / "relay.pem", self.folder / "relay.key")
        sections: dict[str, dict[str, str | int | float]] = {
            "listen": {"public": f"{self._listen}:0", "metrics": "127.0.0.1:0"},
            "hosts": dict(self.host_names),
            "tls": {"certificate": "relay.pem", "key": "relay.key"},
            "store": {"url": "sqlite:///relay.db"},
            "keys": {"master": "master.key"},
        }
        for name, values in self.settings.items():
            sections[name] = sections.get(name, {}) | values
        lines = []
        for name, values in sections.items():
            # A JSON string or number is one of TOML's too.
            lines += [f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in values.items())]
        self.config.write_text("\n".join([*lines, ""]))

    def init(self) -> None:
        """`signadot-relay init`: schema, keys, org and its admin key."""
        self.api_key = self.init_org(self.org)

    def init_org(self, org: str, *options: str) -> str:
        """Makes one more organisation; gives its admin API key."""
        done = run_module("relay", "init", "--config", self.config, "--org", org, *options, "--json")
        if done.returncode:
            raise ProcessError(f"init ended with {done.returncode}: {done.stderr}")
        return str(json.loads(done.stdout)["api_key"])

    def start_second_relay(self) -> tuple["Site", Running]:
        """One more `signadot-relay serve` on the same configuration and database, on a port of its own."""
        relay = Running.module("relay", "serve", "--config", self.config)
        self._stack.callback(relay.close)
        line = json.loads(relay.wait_for_line(r'"event": "listening".*').string)
        port = int(line["public"].rpartition(":")[2])
        return replace(Site.of(self), port=port), relay

    def start_relay(self, *, environment: Mapping[str, str] | None = None) -> Running:
        """`signadot-relay serve`; from the second start on it takes the port that it had."""
        address = {"SIGNADOT_RELAY__LISTEN__PUBLIC": f"{self._listen}:{self.port}"} if self.port else {}
        relay = Running.module("relay", "serve", "--config", self.config, environment=address | dict(environment or {}))
        self._stack.callback(relay.close)
        match = relay.wait_for_line(r'"event": "listening".*')
        line = json.loads(match.string)
        self.port = int(line["public"].rpartition(":")[2])
        self.metrics_port = int(line["metrics"].rpartition(":")[2])
        return relay

    def token_file(self, cluster: str, token: str) -> Path:
        """The file that an agent of the cluster reads its token from."""
        path = self.folder / f"{cluster}.token"
        path.write_text(token + "\n")
        return path

    def agent_arguments(self, token_file: Path) -> list[str]:
        """How an agent on this machine is started."""
        return [
            "run",
            *("--relay", f"{self.host_names['tunnel']}:{self.port}"),
            *("--token-file", str(token_file)),
            *("--ca-file", str(self.ca_file)),
            *("--allow-target", LOOPBACK_TARGETS),
            *("--health", "127.0.0.1:0"),
        ]

    def start_agent(
        self,
        *extra: str,
        cluster: str | None = None,
        token: str | None = None,
        environment: Mapping[str, str] | None = None,
        wait: bool = True,
        module: str = "client",
    ) -> Running:
        """`signadot-agent run` for a cluster, registered first where no token is given; waits for its tunnel."""
        name = cluster or self.cluster
        file = self.token_file(name, token or self.add_cluster(name)[0])
        agent = Running.module(module, *self.agent_arguments(file), *extra, environment=environment)
        self._stack.callback(agent.close)
        if wait:
            wait_tunnel(agent)
        return agent


def wait_tunnel(agent: Running, *, after: int = 0) -> float:
    """Waits until the agent says that its tunnel is up; gives the seconds that it took."""
    started = time.monotonic()
    agent.wait_for_line(r'"event": "tunnel up"', after=after)
    return time.monotonic() - started
