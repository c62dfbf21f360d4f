"""What the agent knows about itself: its links to the relay, for /readyz, and its counters, for /metrics."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest

LinkState = Literal["connecting", "connected", "waiting", "refused"]


@dataclass(slots=True, kw_only=True)
class LinkStatus:
    """One relay address that the agent keeps a tunnel to."""

    address: str
    """host:port."""
    state: LinkState = "connecting"
    """What the link is about. It may well wait for a new tunnel while an old one still takes streams."""
    problem: str = ""
    """Why there is no tunnel: one sentence, the relay's own where it gave one."""
    relay_process_id: str = ""
    """The process that the present tunnel reached."""
    live_tunnels: int = 0
    """Tunnels over which streams can come; two while a new one takes over from one that drains."""

    @property
    def is_ready(self) -> bool:
        """Whether streams can come over this link now."""
        return self.live_tunnels > 0

    def line(self) -> str:
        """One line for /readyz."""
        detail = f": {self.problem}" if self.problem else ""
        return f"{self.address} {self.state}{detail}"


@dataclass(slots=True, kw_only=True)
class AgentStatus:
    """All links of an agent. Changed by the agent alone; read by the health endpoints."""

    links: dict[str, LinkStatus] = field(default_factory=dict)
    """By address."""
    is_stopping: bool = False
    """After SIGTERM: no new streams are taken."""
    token_problem: Callable[[], str | None] = lambda: None
    """Why the token file as it is now is not used: one sentence, or None."""
    kubernetes: Callable[[], str | None] = lambda: None
    """How things stand with the API server: one line, or None without Kubernetes. Visitors do not depend on it."""

    @property
    def is_ready(self) -> bool:
        """Whether visitors can reach this cluster through this agent."""
        return not self.is_stopping and any(link.is_ready for link in self.links.values())

    def lines(self) -> Iterable[str]:
        """What /readyz says, one line each."""
        if self.is_stopping:
            yield "stopping: open streams finish, new ones are not taken"
        if (problem := self.token_problem()) is not None:
            yield problem
        if (kubernetes := self.kubernetes()) is not None:
            yield kubernetes
        yield from (link.line() for link in self.links.values())


class Metrics:
    """The agent's counters, in a registry of their own."""

    def __init__(self, version: str) -> None:
        self.registry = CollectorRegistry()
        self.tunnels = Gauge("signadot_agent_tunnels", "Live tunnels to the relay.", registry=self.registry)
        self.streams_open = Gauge("signadot_agent_streams_open", "Streams being served.", registry=self.registry)
        self.logins = Counter(
            "signadot_agent_logins", "Attempts to bring up a tunnel.", ["result"], registry=self.registry
        )
        self.dials = Counter(
            "signadot_agent_dials",
            "Targets dialled, by the reset code of the failure.",
            ["result"],
            registry=self.registry,
        )
        self.bytes = Counter(
            "signadot_agent_bytes", "Bytes copied between targets and the relay.", ["direction"], registry=self.registry
        )
        self.kubernetes_requests = Counter(
            "signadot_agent_kubernetes_requests",
            "Requests of the relay to the API server: ok, refused by the table, failed, or left by the relay.",
            ["result"],
            registry=self.registry,
        )
        info = Gauge("signadot_agent_info", "The running version.", ["version"], registry=self.registry)
        info.labels(version).set(1)

    def text(self) -> bytes:
        """The exposition format of Prometheus."""
        return generate_latest(self.registry)
