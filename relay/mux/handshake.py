"""HELLO and WELCOME: JSON objects, read strictly; keys we do not know are left for later versions."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn, Self, TypeVar

from relay.errors import RemoteProtocolError
from relay.mux.codes import PROTOCOL_VERSION, CloseCode
from relay.mux.limits import (
    KIB,
    MAX_PAYLOAD_BYTES,
    MAX_WINDOW_BYTES,
    MIN_PAYLOAD_BYTES,
    MIN_WINDOW_BYTES,
    Limits,
)

T = TypeVar("T")

MAX_TEXT_CHARACTERS: Final = 256
"""Versions, ids, addresses and capabilities are short."""
MAX_TOKEN_CHARACTERS: Final = 1024
MAX_CAPABILITIES: Final = 64
MAX_PROCESSES: Final = 256
MAX_NAMESPACES: Final = 64
"""Namespaces that an operator lists by hand are few."""
MAX_COUNT: Final = 2**31 - 1
KEEPALIVE_SECONDS: Final = (1.0, 300.0)
"""Bounds for what a relay may ask: not a busy loop, not silence that a NAT forgets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerLimits:
    """What one end tells the other to keep to."""

    max_payload_bytes: int = 256 * KIB
    """Longest DATA payload the teller accepts."""
    initial_window_bytes: int = 256 * KIB
    """What the agent takes on a new stream before it sends CREDIT."""
    max_streams: int = 1024
    """Streams the agent serves at once."""
    max_pending_opens: int = 512
    """OPENs the agent keeps unanswered at once."""
    max_resets_per_second: int = 1000
    """RESETs the agent takes in the long run."""

    @classmethod
    def of(cls, limits: Limits) -> Self:
        """The part of `limits` that the peer must know."""
        return cls(
            max_payload_bytes=limits.max_payload_bytes,
            initial_window_bytes=limits.initial_window_bytes,
            max_streams=limits.max_streams,
            max_pending_opens=limits.max_pending_opens,
            max_resets_per_second=limits.max_resets_per_second,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class KubernetesCluster:
    """What an agent says of its cluster."""

    namespace: str
    """The agent's own namespace."""
    version: str = ""
    """As `GET /version` has it (`v1.33.1`); empty while the agent does not know."""
    allowed_namespaces: tuple[str, ...] = ()
    """Those that may be read; empty: all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hello:
    """The agent's introduction."""

    agent_version: str
    """For logs and for the list of tunnels."""
    token: str = field(repr=False)
    """The cluster token."""
    instance_id: str
    """Names one agent process: a second login with it replaces the first."""
    protocol_version: int = PROTOCOL_VERSION
    capabilities: tuple[str, ...] = ()
    """Names of what the agent can do beyond this version: `kubernetes`, `pod-logs`, `workspaces`."""
    kubernetes: KubernetesCluster | None = None
    """The cluster, for agents that have the capability `kubernetes`."""
    limits: PeerLimits = PeerLimits()
    """Filled in by the session from its own limits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayProcess:
    """One process of the relay that agents can dial."""

    id: str
    address: str
    """host:port"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Welcome:
    """The relay's answer to a HELLO that it accepts."""

    relay_process_id: str
    """Which process of the relay this is."""
    tunnel_id: str
    """Names this tunnel in logs at both ends."""
    keepalive_seconds: float = 15.0
    """The agent's PING interval from now on."""
    processes: tuple[RelayProcess, ...] = ()
    """All processes that should get a tunnel from this agent; empty: this one only."""
    protocol_version: int = PROTOCOL_VERSION
    limits: PeerLimits = PeerLimits()
    """Filled in by the session from its own limits."""


def encode_hello(hello: Hello) -> bytes:
    """The payload of a HELLO frame."""
    kubernetes = {} if hello.kubernetes is None else {"kubernetes": _kubernetes_document(hello.kubernetes)}
    return _encode(
        {
            "version": hello.protocol_version,
            "agent_version": hello.agent_version,
            "token": hello.token,
            "instance_id": hello.instance_id,
            "capabilities": list(hello.capabilities),
            "limits": {
                "max_payload_bytes": hello.limits.max_payload_bytes,
                "initial_window_bytes": hello.limits.initial_window_bytes,
                "max_streams": hello.limits.max_streams,
                "max_pending_opens": hello.limits.max_pending_opens,
                "max_resets_per_second": hello.limits.max_resets_per_second,
            },
            **kubernetes,
        }
    )


def _kubernetes_document(cluster: KubernetesCluster) -> Mapping[str, Any]:
    optional = {"version": cluster.version, "allowed_namespaces": list(cluster.allowed_namespaces)}
    return {"namespace": cluster.namespace} | {key: value for key, value in optional.items() if value}


def decode_hello(payload: bytes) -> Hello:
    """Reads a HELLO payload. Raises RemoteProtocolError for anything malformed or of another version."""
    fields = _Fields.read(payload, "HELLO")
    _check_version(fields)
    limits = fields.object("limits")
    return Hello(
        agent_version=fields.text("agent_version"),
        token=fields.text("token", MAX_TOKEN_CHARACTERS),
        instance_id=fields.text("instance_id"),
        capabilities=tuple(fields.items("capabilities", MAX_CAPABILITIES, _text)),
        kubernetes=_kubernetes(fields) if fields.has("kubernetes") else None,
        limits=PeerLimits(
            max_payload_bytes=limits.integer("max_payload_bytes", MIN_PAYLOAD_BYTES, MAX_PAYLOAD_BYTES),
            initial_window_bytes=limits.integer("initial_window_bytes", MIN_WINDOW_BYTES, MAX_WINDOW_BYTES),
            max_streams=limits.integer("max_streams", 1, MAX_COUNT),
            max_pending_opens=limits.integer("max_pending_opens", 1, MAX_COUNT),
            max_resets_per_second=limits.integer("max_resets_per_second", 1, MAX_COUNT),
        ),
    )


def encode_welcome(welcome: Welcome) -> bytes:
    """The payload of a WELCOME frame."""
    return _encode(
        {
            "version": welcome.protocol_version,
            "relay_process_id": welcome.relay_process_id,
            "tunnel_id": welcome.tunnel_id,
            "keepalive_seconds": welcome.keepalive_seconds,
            "processes": [{"id": process.id, "address": process.address} for process in welcome.processes],
            "limits": {"max_payload_bytes": welcome.limits.max_payload_bytes},
        }
    )


def decode_welcome(payload: bytes) -> Welcome:
    """Reads a WELCOME payload. Raises RemoteProtocolError for anything malformed or of another version."""
    fields = _Fields.read(payload, "WELCOME")
    _check_version(fields)
    limits = fields.object("limits")
    return Welcome(
        relay_process_id=fields.text("relay_process_id"),
        tunnel_id=fields.text("tunnel_id"),
        keepalive_seconds=fields.seconds("keepalive_seconds", *KEEPALIVE_SECONDS),
        processes=tuple(fields.items("processes", MAX_PROCESSES, _process)),
        limits=PeerLimits(max_payload_bytes=limits.integer("max_payload_bytes", MIN_PAYLOAD_BYTES, MAX_PAYLOAD_BYTES)),
    )


def _encode(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _check_version(fields: "_Fields") -> None:
    # Before every other field: a later version may have changed them.
    version = fields.integer("version", 0, MAX_COUNT)
    if version != PROTOCOL_VERSION:
        raise RemoteProtocolError(
            f"protocol version {version} is not supported, only {PROTOCOL_VERSION}",
            wire_code=CloseCode.UNSUPPORTED_VERSION,
        )


def _kubernetes(fields: "_Fields") -> KubernetesCluster:
    entry = fields.object("kubernetes")
    allowed = entry.items("allowed_namespaces", MAX_NAMESPACES, _text) if entry.has("allowed_namespaces") else ()
    return KubernetesCluster(
        namespace=entry.text("namespace"),
        version=entry.text("version") if entry.has("version") else "",
        allowed_namespaces=tuple(allowed),
    )


def _text(fields: "_Fields", key: str) -> str:
    return fields.text(key)


def _process(fields: "_Fields", key: str) -> RelayProcess:
    entry = fields.object(key)
    return RelayProcess(id=entry.text("id"), address=entry.text("address"))


class _Fields:
    """A JSON object from the peer and the path to it; every getter raises RemoteProtocolError with that path."""

    __slots__ = ("_path", "_values")

    def __init__(self, values: Mapping[str, Any], path: str) -> None:
        self._values = values
        self._path = path

    @classmethod
    def read(cls, payload: bytes, path: str) -> Self:
        try:
            # Strict UTF-8, one value per key, finite numbers: json.loads alone is lenient in all three.
            values = json.loads(payload.decode(), object_pairs_hook=_unique, parse_constant=_no_constant)
        except (ValueError, RecursionError):
            raise RemoteProtocolError(f"{path} is not JSON", wire_code=CloseCode.PROTOCOL_ERROR) from None
        if not isinstance(values, dict):
            raise RemoteProtocolError(f"{path} is not a JSON object", wire_code=CloseCode.PROTOCOL_ERROR)
        return cls(values, path)

    def _refuse(self, key: str, rule: str) -> NoReturn:
        raise RemoteProtocolError(f"{self._path}.{key} {rule}", wire_code=CloseCode.PROTOCOL_ERROR)

    def has(self, key: str) -> bool:
        return key in self._values

    def text(self, key: str, most: int = MAX_TEXT_CHARACTERS) -> str:
        value = self._values.get(key)
        if not isinstance(value, str) or not 0 < len(value) <= most or not value.isprintable():
            self._refuse(key, f"must be a string of 1 to {most} printable characters")
        return value

    def integer(self, key: str, least: int, most: int) -> int:
        value = self._values.get(key)
        if type(value) is not int or not least <= value <= most:
            self._refuse(key, f"must be an integer from {least} to {most}")
        return value

    def seconds(self, key: str, least: float, most: float) -> float:
        value = self._values.get(key)
        if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
            self._refuse(key, f"must be a number from {least:g} to {most:g}")
        return float(value)

    def object(self, key: str) -> "_Fields":
        value = self._values.get(key)
        if not isinstance(value, dict):
            self._refuse(key, "must be an object")
        return _Fields(value, f"{self._path}.{key}")

    def items(self, key: str, most: int, read: Callable[["_Fields", str], T]) -> list[T]:
        value = self._values.get(key)
        if not isinstance(value, list) or len(value) > most:
            self._refuse(key, f"must be a list of at most {most}")
        entries = _Fields({str(index): item for index, item in enumerate(value)}, f"{self._path}.{key}")
        return [read(entries, str(index)) for index in range(len(value))]


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) != len(pairs):
        raise ValueError("a key occurs twice")
    return values


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
