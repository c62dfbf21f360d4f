"""The agent: links to the relay, the streams they bring, health, and an orderly stop."""

import secrets
import signal
import socket

import structlog
import trio

from client import __version__
from client.backoff import Backoff
from client.health import HealthServer, open_health_listeners
from client.kubernetes.access import KubernetesAccess
from client.link import Link
from client.links import Links, Welcomed
from client.login import RelayLogin
from client.relays import RelayDialler
from client.serve import StreamServer
from client.settings import Endpoint, Settings
from client.status import AgentStatus, Metrics
from client.targets import Dialler
from client.token import TokenChanges, WatchedToken

log = structlog.get_logger("agent")


class Agent:
    """One agent process without its health listener; `run` until `stop`."""

    def __init__(self, settings: Settings, token: WatchedToken) -> None:
        self.status = AgentStatus(token_problem=lambda: token.problem)
        self.metrics = Metrics(__version__)
        self._settings = settings
        self._token = token
        self._token_changes = TokenChanges(token)
        self._kubernetes: KubernetesAccess | None = None
        if settings.kubernetes is not None:
            self._kubernetes = KubernetesAccess(
                settings.kubernetes, self.metrics, on_change=self._token_changes.announce
            )
            self.status.kubernetes = self._kubernetes.line
        self._stopping = trio.Event()

    def stop(self) -> None:
        """Begins the orderly end: no new streams, the open ones finish, then `run` returns."""
        self.status.is_stopping = True
        self._stopping.set()

    async def run(self) -> None:
        """Keeps tunnels up until `stop`, and after it until their streams have finished or the drain time is over."""
        async with trio.open_nursery() as tunnels:
            await self._keep_links(self._login(tunnels))
            if self._kubernetes is not None:
                self._kubernetes.stop()
            # Each link has let its tunnel go; what is left in this nursery ends with the last stream.
            tunnels.cancel_scope.deadline = trio.current_time() + self._settings.drain_seconds

    async def _keep_links(self, login: RelayLogin) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._token_changes.watch)
            if self._kubernetes is not None:
                await nursery.start(self._kubernetes.watch)

            def make_link(address: Endpoint, welcomed: Welcomed) -> Link:
                return Link(
                    address,
                    login=login,
                    backoff=Backoff(random=secrets.SystemRandom().random),
                    token_changes=self._token_changes,
                    on_welcome=welcomed,
                )

            nursery.start_soon(Links(self._settings.relay, make_link=make_link, status=self.status).run)
            await self._stopping.wait()
            nursery.cancel_scope.cancel()

    def _login(self, tunnels: trio.Nursery) -> RelayLogin:
        return RelayLogin(
            tunnels,
            dialler=RelayDialler(self._settings),
            token=self._token,
            streams=StreamServer(
                Dialler(self._settings.policy),
                self.metrics,
                others={} if self._kubernetes is None else self._kubernetes.streams,
            ),
            kubernetes=self._kubernetes,
            metrics=self.metrics,
            # The host's name, which in Kubernetes is the pod's, for people; the rest so that no two are alike.
            instance_id=f"{socket.gethostname()[:100]}-{secrets.token_hex(8)}",
        )


async def run_agent(settings: Settings, token: WatchedToken) -> None:
    """Runs an agent with health until SIGTERM or SIGINT, and drains it then.

    Raises:
        OSError: the health address cannot be listened on.
    """
    listeners = await open_health_listeners(settings.health)
    agent = Agent(settings, token)
    host, port = listeners[0].socket.getsockname()[:2]
    log.info(
        "agent starts",
        version=__version__,
        relay=str(settings.relay),
        transport=settings.transport,
        health=str(Endpoint(host=host, port=port)),
        allow_targets=[pattern.text for pattern in settings.policy.patterns],
        kubernetes=settings.kubernetes is not None,
    )
    async with trio.open_nursery() as nursery:
        nursery.start_soon(HealthServer(agent.status, agent.metrics).serve, listeners)
        nursery.start_soon(_stop_on_signal, agent, nursery.cancel_scope)
        await agent.run()
        nursery.cancel_scope.cancel()
    log.info("agent stopped")


async def _stop_on_signal(agent: Agent, everything: trio.CancelScope) -> None:
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as received:
        async for number in received:
            if agent.status.is_stopping:
                # Whoever asks twice does not want to wait for the streams.
                everything.cancel()
            log.info("stopping", signal=signal.Signals(number).name)
            agent.stop()
