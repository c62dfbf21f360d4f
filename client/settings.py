"""The agent's settings: flags first, environment second, defaults last; every problem is reported at once."""

import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypedDict

from client.addresses import Address, parse_address
from client.kubernetes.settings import KubernetesFlags, KubernetesReader, KubernetesSettings
from client.patterns import MAX_PORT, TargetPattern, parse_name
from client.policy import API_SERVER_NAMES, CLUSTER_DOMAIN, DEFAULT_PATTERNS, DialPolicy
from relay.errors import ConfigurationError
from relay.transport.proxy import proxy_for

RELAY_PORT = 443
"""Where a relay listens when the flag names no port."""
HEALTH_ADDRESS = "127.0.0.1:8088"
"""Loopback: a pod's probes of kind `exec` reach it, others need the pod's own address to be named."""
DRAIN_SECONDS = 30.0
"""How long open streams may go on after SIGTERM. Kubernetes kills a pod after 30 s unless it is told otherwise."""

Transport = Literal["tls", "websocket"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A host and a port to connect to or to listen on."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Flags:
    """What the command line said; None or empty where it said nothing."""

    relay: str | None = None
    token_file: str | None = None
    ca_file: str | None = None
    allow_targets: Sequence[str] = ()
    transport: str | None = None
    health: str | None = None
    cluster_domain: str | None = None
    drain_seconds: str | None = None
    kubernetes: KubernetesFlags = field(default_factory=KubernetesFlags)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything the agent needs to know before it starts."""

    relay: Endpoint
    """The relay's public address. Its host is also the name that the certificate must have and that SNI carries."""
    token_file: Path
    """File with the cluster token."""
    ca_file: Path | None
    """Root certificates to trust instead of the system's."""
    policy: DialPolicy
    """What may be dialled."""
    transport: Transport
    """How the tunnel's bytes travel."""
    health: Endpoint
    """Where /livez, /readyz and /metrics are served."""
    drain_seconds: float
    """How long open streams may go on after SIGTERM."""
    proxy_environment: Mapping[str, str]
    """HTTPS_PROXY, ALL_PROXY, NO_PROXY and their lower-case forms, as far as set."""
    kubernetes: KubernetesSettings | None = None
    """The cluster's API; None where there is none, or it is not to be used."""


def load_settings(flags: Flags, environment: Mapping[str, str]) -> Settings:
    """Flags and environment together.

    Raises:
        ConfigurationError: with every problem found, each naming the flag and the variable that it is about.
    """
    reader = _Reader(environment)
    relay = reader.relay(flags.relay)
    token_file = reader.file(flags.token_file, "--token-file", "SIGNADOT_TOKEN_FILE", required=True)
    ca_file = reader.ca_file(flags.ca_file)
    kubernetes = KubernetesReader(environment, reader.problems).read(flags.kubernetes)
    policy = reader.policy(flags.allow_targets, flags.cluster_domain, kubernetes)
    transport = reader.transport(flags.transport)
    health = reader.endpoint(flags.health, "--health", "SIGNADOT_HEALTH", HEALTH_ADDRESS)
    drain_seconds = reader.drain_seconds(flags.drain_seconds)
    proxy_environment = reader.proxy_environment(relay)
    if reader.problems or relay is None or token_file is None or health is None or transport is None:
        raise ConfigurationError(*reader.problems)
    return Settings(
        relay=relay,
        token_file=token_file,
        ca_file=ca_file,
        policy=policy,
        transport=transport,
        health=health,
        drain_seconds=drain_seconds,
        proxy_environment=proxy_environment,
        kubernetes=kubernetes,
    )


def parse_endpoint(text: str, *, default_port: int | None = None) -> Endpoint:
    """Reads `host:port`, `[::1]:port` or, with a default port, a host alone.

    Raises:
        ValueError: it is none of these; the message says what is wrong.
    """
    host, port = _split_port(text)
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise ValueError("an IPv6 address stands in brackets, as in [::1]:443")
    if parse_address(host) is None and parse_name(host) is None:
        raise ValueError(f"{host!r} is neither a host name nor an IP address")
    if port is None:
        if default_port is None:
            raise ValueError("the port is missing")
        return Endpoint(host=host.lower(), port=default_port)
    if not (port.isascii() and port.isdecimal() and len(port) <= len(str(MAX_PORT)) and int(port) <= MAX_PORT):
        raise ValueError(f"{port!r} is not a port")
    return Endpoint(host=host.lower(), port=int(port))


def _split_port(text: str) -> tuple[str, str | None]:
    head, colon, tail = text.rpartition(":")
    if not colon or text.endswith("]"):
        return text, None
    return head, tail


class _ApiServer(TypedDict):
    api_server: frozenset[Address]
    api_server_names: frozenset[str]


class _Reader:
    """Collects problems, so that one run shows them all."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self.problems: list[str] = []

    def relay(self, flag: str | None) -> Endpoint | None:
        relay = self.endpoint(flag, "--relay", "SIGNADOT_RELAY", None, default_port=RELAY_PORT)
        if relay is not None and relay.port == 0:
            self.problems.append(f"--relay (SIGNADOT_RELAY) is {str(relay)!r}: the port must be 1 to {MAX_PORT}")
        return relay

    def endpoint(
        self, flag: str | None, name: str, variable: str, default: str | None, *, default_port: int | None = None
    ) -> Endpoint | None:
        text = self._text(flag, variable) or default
        if text is None:
            self.problems.append(f"{name} (or {variable}) is required")
            return None
        try:
            return parse_endpoint(text, default_port=default_port)
        except ValueError as error:
            self.problems.append(f"{name} ({variable}) is {text!r}: {error}")
            return None

    def file(self, flag: str | None, name: str, variable: str, *, required: bool = False) -> Path | None:
        text = self._text(flag, variable)
        if text is None:
            if required:
                self.problems.append(f"{name} (or {variable}) is required")
            return None
        return Path(text)

    def ca_file(self, flag: str | None) -> Path | None:
        path = self.file(flag, "--ca-file", "SIGNADOT_CA_FILE")
        if path is None:
            return None
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
        except ssl.SSLError:
            self.problems.append(f"--ca-file (SIGNADOT_CA_FILE): {path} holds no PEM certificates")
        except OSError as error:
            self.problems.append(f"--ca-file (SIGNADOT_CA_FILE): cannot read {path}: {error.strerror or error}")
        return path

    def policy(
        self, flags: Sequence[str], cluster_domain: str | None, kubernetes: KubernetesSettings | None
    ) -> DialPolicy:
        variable = self._environment.get("SIGNADOT_ALLOW_TARGETS", "")
        # Commas and white space both separate: values files and shells differ in which of them is easy to write.
        texts = list(flags) or variable.replace(",", " ").split() or list(DEFAULT_PATTERNS)
        patterns: list[TargetPattern] = []
        for text in texts:
            try:
                patterns.append(TargetPattern.parse(text))
            except ValueError as error:
                self.problems.append(f"--allow-target (SIGNADOT_ALLOW_TARGETS): {error}")
        domain = self._text(cluster_domain, "SIGNADOT_CLUSTER_DOMAIN") or CLUSTER_DOMAIN
        name = parse_name(domain)
        if name is None:
            self.problems.append(f"--cluster-domain (SIGNADOT_CLUSTER_DOMAIN) is {domain!r}: not a domain name")
        return DialPolicy(
            patterns=tuple(patterns), cluster_domain=name or CLUSTER_DOMAIN, **self._api_server(kubernetes)
        )

    def transport(self, flag: str | None) -> Transport | None:
        text = self._text(flag, "SIGNADOT_TRANSPORT") or "tls"
        match text:
            case "tls" | "websocket":
                return text
        self.problems.append(f"--transport (SIGNADOT_TRANSPORT) is {text!r}: it must be tls or websocket")
        return None

    def drain_seconds(self, flag: str | None) -> float:
        text = self._text(flag, "SIGNADOT_DRAIN_SECONDS") or str(DRAIN_SECONDS)
        try:
            seconds = float(text)
        except ValueError:
            seconds = -1.0
        if not 0.0 <= seconds <= 3600.0:  # noqa: PLR2004 - an hour; also refuses nan
            self.problems.append(f"--drain-seconds (SIGNADOT_DRAIN_SECONDS) is {text!r}: it must be 0 to 3600")
        return seconds

    def proxy_environment(self, relay: Endpoint | None) -> Mapping[str, str]:
        names = {"HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"}
        found = {name: value for name, value in self._environment.items() if name.upper() in names and value}
        if relay is not None:
            try:
                proxy_for(relay.host, relay.port, found)
            except ConfigurationError as error:
                self.problems.extend(error.problems)
        return found

    def _api_server(self, kubernetes: KubernetesSettings | None) -> _ApiServer:
        # The kubelet sets this variable in every pod, to an address or, where the control plane is hosted, to a name;
        # outside a cluster there is no API server to keep away from.
        host = self._environment.get("KUBERNETES_SERVICE_HOST", "").strip("[]")
        if host and parse_address(host) is None and parse_name(host) is None:
            self.problems.append(f"KUBERNETES_SERVICE_HOST is {host!r}: neither an IP address nor a host name")
        # Also where --kubernetes-api names it otherwise: each is a way to the same server.
        hosts = [host, kubernetes.cluster.host if kubernetes is not None else ""]
        addresses = {address for text in hosts if (address := parse_address(text)) is not None}
        names = {name for text in hosts if (name := parse_name(text)) is not None}
        return {"api_server": frozenset(addresses), "api_server_names": API_SERVER_NAMES | names}

    def _text(self, flag: str | None, variable: str) -> str | None:
        text = flag if flag is not None else self._environment.get(variable)
        return text.strip() or None if text is not None else None
