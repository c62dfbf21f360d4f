"""A running relay as its users see it: the API, preview hosts and the proxy host, by address and key."""

import json
from contextlib import AbstractContextManager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from tests.support.https import TIMEOUT_SECONDS, Answer, Connection
from tests.support.processes import Running

PREVIEW = "preview.localhost"
API = "api.localhost"
APP = "app.localhost"
TUNNEL = "tunnel.localhost"
PROXY = "proxy.localhost"


Target = int | str | dict[str, Any]
"""A loopback port, a URL, or an endpoint of the API."""


class ApiError(AssertionError):
    """The API refused what a test takes for granted."""


@dataclass(slots=True, kw_only=True)
class Site:
    """What a person with an API key can do."""

    port: int
    ca_file: Path
    org: str
    api_key: str
    cluster: str = "staging"
    api_host: str = API
    timeout_seconds: float = TIMEOUT_SECONDS
    """How long a test waits for bytes; nothing of the relay's takes longer."""

    @classmethod
    def of(cls, site: "Site") -> "Site":
        """The plain addresses and keys of a site that can do more."""
        return cls(**{field.name: getattr(site, field.name) for field in fields(cls)})

    def connect(self, server_name: str, *, receive_buffer_bytes: int | None = None) -> Connection:
        """A TLS connection for one host name."""
        return Connection(
            self.port,
            server_name=server_name,
            ca_file=self.ca_file,
            receive_buffer_bytes=receive_buffer_bytes,
            timeout_seconds=self.timeout_seconds,
        )

    def authority(self, host: str) -> str:
        """The host with the port, as it stands in Host."""
        return f"{host}:{self.port}"

    @property
    def key_header(self) -> tuple[str, str]:
        """The header that authenticates on the API and on previews."""
        return ("signadot-api-key", self.api_key)

    def ask(
        self,
        host: str,
        target: str = "/",
        *,
        method: str = "GET",
        headers: tuple[tuple[str, str], ...] = (),
        body: bytes | None = None,
        api_key: str | None = None,
    ) -> Answer:
        """One request on a connection of its own; an empty API key sends none."""
        key = self.api_key if api_key is None else api_key
        sent = [*([("signadot-api-key", key)] if key else []), *headers]
        with self.connect(host) as connection:
            return connection.request(method, target, self.authority(host), headers=sent, body=body)

    def call(self, method: str, path: str, value: Any = None, *, api_key: str | None = None) -> Answer:
        """Calls the API, whatever it answers."""
        body = None if value is None else json.dumps(value).encode()
        headers = () if value is None else (("content-type", "application/json"),)
        return self.ask(self.api_host, "/api/v2" + path, method=method, headers=headers, body=body, api_key=api_key)

    def post(self, path: str, value: Any) -> Answer:
        """POSTs JSON to any path of the API host."""
        headers = (("content-type", "application/json"),)
        return self.ask(self.api_host, path, method="POST", headers=headers, body=json.dumps(value).encode())

    def api(self, method: str, path: str, value: Any = None) -> Any:
        """Calls the API and gives the JSON answer. Raises ApiError when it refuses."""
        answer = self.call(method, f"/orgs/{self.org}{path}", value)
        if answer.status >= 400:
            raise ApiError(f"{method} {path}: {answer.status} {answer.body.decode(errors='replace')}")
        return answer.json() if answer.body else None

    def add_cluster(self, name: str) -> tuple[str, str]:
        """Registers a cluster; gives a token for its agent and the token's id."""
        self.api("PUT", f"/clusters/{name}", {})
        token = self.api("POST", f"/clusters/{name}/tokens", {"description": "test"})
        return token["token"], token["id"]

    def apply(self, workspace: str, cluster: str | None = None, /, **targets: Target) -> None:
        """Makes a workspace with an endpoint for each loopback port, target URL or endpoint object."""
        endpoints = [{"name": name, **_endpoint(target)} for name, target in targets.items()]
        self.api(
            "PUT", f"/workspaces/{workspace}", {"spec": {"cluster": cluster or self.cluster, "endpoints": endpoints}}
        )

    def tunnel_request(self, authority: str, *, cluster: str | None = None, api_key: str | None = None) -> bytes:
        """The head of a CONNECT for the proxy host."""
        key = self.api_key if api_key is None else api_key
        return (
            f"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\nProxy-Authorization: Bearer {key}\r\n"
            f"signadot-cluster: {cluster or self.cluster}\r\n\r\n"
        ).encode()


def preview(endpoint: str, workspace: str) -> str:
    """The name of a preview."""
    return f"{endpoint}--{workspace}.{PREVIEW}"


def _endpoint(target: Target) -> dict[str, Any]:
    if isinstance(target, dict):
        return target
    return {"target": f"http://127.0.0.1:{target}" if isinstance(target, int) else target}


class SampleApp(AbstractContextManager["SampleApp"]):
    """The demo's sample web app as a process of its own."""

    def __init__(self) -> None:
        self._process = Running.module("relay.demo.sample")
        try:
            self.port = int(self._process.wait_for_line(r"^([0-9]+)$")[1])
        except BaseException:
            self._process.close()
            raise

    def __exit__(self, *_error: object) -> None:
        self._process.close()
