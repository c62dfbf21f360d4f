"""Where the API server is, and what the relay may ask of it: from flags, environment, and the pod's ServiceAccount."""

import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from client.addresses import parse_address
from client.kubernetes.table import MAX_NAMESPACE_LENGTH, NAMESPACE, Scope
from client.patterns import MAX_PORT, parse_name

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where Kubernetes puts the files of a pod's ServiceAccount."""
HTTPS_PORT = 443

_TRUE = frozenset({"true", "1", "yes", "on"})
_FALSE = frozenset({"false", "0", "no", "off"})


@dataclass(frozen=True, slots=True, kw_only=True)
class KubernetesFlags:
    """What the command line said; None or empty where it said nothing."""

    mode: str | None = None
    api: str | None = None
    token_file: str | None = None
    ca_file: str | None = None
    namespace: str | None = None
    pod_logs: bool | None = None
    previews: bool | None = None
    allow_namespaces: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class InCluster:
    """The API server of the agent's cluster, and as whom it is asked."""

    host: str
    """Name or address, which the API server's certificate must have."""
    port: int
    token_file: Path
    """Bearer token; rotated by the kubelet."""
    ca_file: Path
    """Who may vouch for the API server."""
    namespace: str
    """The agent's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KubernetesSettings:
    """Kubernetes, as far as this agent uses it."""

    cluster: InCluster
    scope: Scope
    """What the relay may ask."""


class KubernetesReader:
    """Reads these settings; appends to `problems` what is wrong with them."""

    def __init__(self, environment: Mapping[str, str], problems: list[str], *, folder: Path = SERVICE_ACCOUNT) -> None:
        self._environment = environment
        self._problems = problems
        self._folder = folder

    def read(self, flags: KubernetesFlags) -> KubernetesSettings | None:
        """The settings; None where there is no Kubernetes, or it is not to be used, or after a problem."""
        mode = self._text(flags.mode, "SIGNADOT_KUBERNETES") or "auto"
        if mode not in {"auto", "off"}:
            self._problems.append(f"--kubernetes (SIGNADOT_KUBERNETES) is {mode!r}: it must be auto or off")
        pod_logs = self._switch(flags.pod_logs, "SIGNADOT_POD_LOGS")
        previews = self._switch(flags.previews, "SIGNADOT_PREVIEWS")
        namespaces = self._namespaces(flags.allow_namespaces)
        api = self._text(flags.api, "SIGNADOT_KUBERNETES_API")
        in_pod = "KUBERNETES_SERVICE_HOST" in self._environment and (self._folder / "token").exists()
        if mode == "off" or not (api or in_pod):
            return None
        before = len(self._problems)
        cluster = self._cluster(flags, api)
        if cluster is None or len(self._problems) > before:
            return None
        return KubernetesSettings(
            cluster=cluster,
            scope=Scope(namespace=cluster.namespace, allow_namespaces=namespaces, pod_logs=pod_logs, previews=previews),
        )

    def _cluster(self, flags: KubernetesFlags, api: str | None) -> InCluster | None:
        address = self._api(api) if api else self._service()
        token_file = self._file(flags.token_file, "--kubernetes-token-file", "SIGNADOT_KUBERNETES_TOKEN_FILE", "token")
        ca_file = self._file(flags.ca_file, "--kubernetes-ca-file", "SIGNADOT_KUBERNETES_CA_FILE", "ca.crt")
        self._check_ca(ca_file)
        namespace = self._namespace(flags.namespace)
        if address is None or namespace is None:
            return None
        host, port = address
        return InCluster(host=host, port=port, token_file=token_file, ca_file=ca_file, namespace=namespace)

    def _service(self) -> tuple[str, int] | None:
        """What the kubelet sets in every pod. The host was judged with the dial policy, which it is part of."""
        host = self._environment["KUBERNETES_SERVICE_HOST"].strip("[]")
        port = self._environment.get("KUBERNETES_SERVICE_PORT", str(HTTPS_PORT))
        if not _is_port(port):
            self._problems.append(f"KUBERNETES_SERVICE_PORT is {port!r}: not a port")
            return None
        return host, int(port)

    def _api(self, text: str) -> tuple[str, int] | None:
        try:
            return parse_api(text)
        except ValueError as error:
            self._problems.append(f"--kubernetes-api (SIGNADOT_KUBERNETES_API) is {text!r}: {error}")
            return None

    def _file(self, flag: str | None, name: str, variable: str, default: str) -> Path:
        path = Path(self._text(flag, variable) or self._folder / default)
        if not path.is_file():
            self._problems.append(f"{name} ({variable}): there is no file {path}")
        return path

    def _check_ca(self, path: Path) -> None:
        if not path.is_file():
            return
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
        except OSError as error:  # ssl.SSLError is one
            self._problems.append(
                f"--kubernetes-ca-file (SIGNADOT_KUBERNETES_CA_FILE): {path} holds no PEM certificates: {error}"
            )

    def _namespace(self, flag: str | None) -> str | None:
        text = self._text(flag, "SIGNADOT_KUBERNETES_NAMESPACE")
        if text is None:
            try:
                text = (self._folder / "namespace").read_text().strip()
            except OSError:
                self._problems.append("--kubernetes-namespace (SIGNADOT_KUBERNETES_NAMESPACE) is required")
                return None
        if not _is_namespace(text):
            self._problems.append(f"--kubernetes-namespace (SIGNADOT_KUBERNETES_NAMESPACE) is {text!r}: not a name")
            return None
        return text

    def _namespaces(self, flags: Sequence[str]) -> frozenset[str]:
        variable = self._environment.get("SIGNADOT_ALLOW_NAMESPACES", "")
        names = list(flags) or variable.replace(",", " ").split()
        for name in names:
            if not _is_namespace(name):
                self._problems.append(f"--allow-namespace (SIGNADOT_ALLOW_NAMESPACES): {name!r} is not a name")
        return frozenset(names)

    def _switch(self, flag: bool | None, variable: str) -> bool:  # noqa: FBT001 - what the command line said
        if flag is not None:
            return flag
        text = self._environment.get(variable, "").strip().lower()
        if text and text not in _TRUE | _FALSE:
            self._problems.append(f"{variable} is {text!r}: it must be true or false")
        return text in _TRUE

    def _text(self, flag: str | None, variable: str) -> str | None:
        text = flag if flag is not None else self._environment.get(variable)
        return text.strip() or None if text is not None else None


def parse_api(text: str) -> tuple[str, int]:
    """Host and port of `https://host[:port]`.

    Raises:
        ValueError: it is none; the message says what is wrong.
    """
    scheme, separator, rest = text.partition("://")
    if not separator or scheme != "https":
        raise ValueError("it must begin with https://")
    authority = rest.removesuffix("/")
    host, colon, port = authority.rpartition(":")
    if not colon or authority.endswith("]"):
        host, port = authority, str(HTTPS_PORT)
    bracketed = host.startswith("[") and host.endswith("]")
    host = host[1:-1] if bracketed else host
    address = parse_address(host)
    if (":" in host) != bracketed or (address is None and parse_name(host) is None):
        raise ValueError("it must be https://HOST or https://HOST:PORT, an IPv6 address in brackets")
    if not _is_port(port):
        raise ValueError(f"{port!r} is not a port")
    return host.lower(), int(port)


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= len(str(MAX_PORT)) and 0 < int(text) <= MAX_PORT


def _is_namespace(text: str) -> bool:
    return len(text) <= MAX_NAMESPACE_LENGTH and NAMESPACE.fullmatch(text) is not None
