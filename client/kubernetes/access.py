"""Kubernetes as a part of the agent: what it serves to the relay, and what it says of itself at login."""

from collections.abc import Callable, Mapping
from typing import Final

import structlog
import trio

from client.kubernetes.api import KubeApi
from client.kubernetes.controller import Controller
from client.kubernetes.gateway import Gateway
from client.kubernetes.settings import KubernetesSettings
from client.serve import ServeStream
from client.status import Metrics
from relay.errors import RelayError
from relay.kubernetes import CAPABILITY_KUBERNETES, CAPABILITY_POD_LOGS, CAPABILITY_WORKSPACES, STREAM_KIND
from relay.mux import MAX_NAMESPACES, KubernetesCluster

FIRST_SECONDS: Final = 2.0
"""How long the first login waits for the API server's version: it answers in milliseconds, or visitors come first."""
LOOK_SECONDS: Final = 600.0
"""Clusters are upgraded a few times a year; this is how late people see it."""
RETRY_SECONDS: Final = 30.0
"""After a failure: the API server of a small cluster is away for a minute when it is upgraded."""
MAX_VERSION_CHARACTERS: Final = 64

log = structlog.get_logger("agent")


class KubernetesAccess:
    """The API server, the gateway to it, and the version of Kubernetes."""

    def __init__(self, settings: KubernetesSettings, metrics: Metrics, *, on_change: Callable[[], None]) -> None:
        """`on_change` is called when `cluster` says something else than before."""
        self.api = KubeApi(settings.cluster)
        """For the agent's own requests."""
        self._gateway = Gateway(self.api, settings.scope, metrics)
        self.streams: Mapping[str, ServeStream] = {STREAM_KIND: self._gateway.serve}
        """Serves streams, by kind."""
        self._settings = settings
        self._on_change = on_change
        self._version = ""
        self._problem = ""
        self._said = False  # whether a login may have said the version

    @property
    def capabilities(self) -> tuple[str, ...]:
        """What the relay may ask, in the words of HELLO."""
        scope = self._settings.scope
        optional = {CAPABILITY_POD_LOGS: scope.pod_logs, CAPABILITY_WORKSPACES: scope.previews}
        return (CAPABILITY_KUBERNETES, *(name for name, is_on in optional.items() if is_on))

    @property
    def cluster(self) -> KubernetesCluster:
        """What HELLO says of the cluster."""
        allowed = sorted(self._settings.scope.allow_namespaces)
        return KubernetesCluster(
            namespace=self._settings.cluster.namespace,
            version=self._version,
            # Where the operator allows more than a HELLO may name, the first ones are looked at.
            allowed_namespaces=tuple(allowed[:MAX_NAMESPACES]),
        )

    def stop(self) -> None:
        """The agent takes no new streams any more: those that would never end are ended."""
        self._gateway.stop()

    def line(self) -> str:
        """One line for /readyz."""
        known = f"kubernetes {self._version or 'of unknown version'}"
        return f"{known}: {self._problem}" if self._problem else known

    async def watch(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Asks for the version of Kubernetes until cancelled; started once it is known, or after `FIRST_SECONDS`."""
        async with trio.open_nursery() as nursery:
            answered = trio.Event()
            nursery.start_soon(self._watch, answered)
            if self._settings.scope.previews:
                nursery.start_soon(self._keep_workspaces)
            with trio.move_on_after(FIRST_SECONDS):
                await answered.wait()
            self._said = True
            task_status.started()

    async def _watch(self, answered: trio.Event) -> None:
        while True:
            await self._look()
            answered.set()
            await trio.sleep(RETRY_SECONDS if self._problem else LOOK_SECONDS)

    async def _keep_workspaces(self) -> None:
        """Runs the controller for ever: visitors do not depend on it, so no fault of it may end the agent."""
        scope = self._settings.scope
        while True:
            try:
                await Controller(self.api, namespace=scope.namespace, allow_namespaces=scope.allow_namespaces).run()
            except Exception:
                log.exception("the controller failed")
            await trio.sleep(RETRY_SECONDS)

    async def _look(self) -> None:
        try:
            version = (await self.api.version())[:MAX_VERSION_CHARACTERS]
        except RelayError as error:
            if str(error) != self._problem:
                log.warning("the API server of Kubernetes cannot be asked", reason=str(error))
            self._problem = str(error)
            return
        self._problem = ""
        if version != self._version:
            log.info("kubernetes", version=version)
            self._version = version
            if self._said:
                self._on_change()
