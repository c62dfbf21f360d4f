"""What only our own relay has: a store to fill, and a program to end and start again."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.visit import Visit

ORG = CLUSTER = WORKSPACE = "bench"
HOSTS = {name: f"{name}.localhost" for name in ("preview", "api", "app", "tunnel", "proxy")}
API_KEY_HEADER = "signadot-api-key"


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Files and commands of a relay under test."""

    config: Path
    ca_file: Path
    port: int
    """Where it listens."""
    api_key: str
    """Of the org's admin."""
    serve: Sequence[str]
    """The command that serves."""

    def host(self, workspace: str) -> str:
        """The preview host of a workspace's endpoint `web`."""
        return f"web--{workspace}.{HOSTS['preview']}"

    def visit(self, workspace: str) -> Visit:
        """How a visitor asks the target for its small answer through a workspace."""
        return Visit(
            url=f"https://{self.host(workspace)}:{self.port}/small",
            headers=((API_KEY_HEADER, self.api_key),),
            ca_file=self.ca_file,
        )

    def write_hosts(self, path: Path, workspaces: Sequence[str]) -> Path:
        """The file that `python -m benchmarks.visitors` takes: where to ask, and with which key."""
        hosts = [self.host(workspace) for workspace in workspaces]
        path.write_text(json.dumps({"port": self.port, "api_key": self.api_key, "hosts": hosts}))
        return path
