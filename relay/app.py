"""The composition root: one relay process, its signals, certificates and nursery."""

import gc
import signal
from typing import TextIO

import structlog
import trio

from certs import ReloadingContext
from relay import config
from relay.doors import OwnDoors, WorkerDoors
from relay.parts import Parts
from relay.routing import PreviewHost, print_preview_host
from relay.setup import open_store
from relay.store import Database
from relay.telemetry import Telemetry
from relay.workers import Post

CERTIFICATE_POLL_SECONDS = 5.0
HTTPS_PORT = 443

log = structlog.get_logger()


class Relay:
    """One relay process. `run` serves until it is told to stop; what it opens is closed with it."""

    def __init__(
        self, settings: config.Settings, *, access_log: TextIO | None = None, post: Post | None = None
    ) -> None:
        """`access_log`: where its lines go, standard error unless told. `post`: of a worker under a supervisor."""
        self.post = post
        self.settings = settings
        self.public_address: tuple[str, int] = ("", 0)
        """Where visitors and agents are listened for, once it runs."""
        self.metrics_address: tuple[str, int] = ("", 0)
        self.stopping = trio.Event()
        """Set when a stop was asked for, by a signal or by `stop`."""
        self.stopped = trio.Event()
        """Set when nothing is served any more."""
        self.telemetry = Telemetry(output=access_log, shares_output=post is not None)
        self.contexts = ReloadingContext(settings.tls.certificate, settings.tls.key)

    def stop(self) -> None:
        """Begins the drain; `run` returns after it."""
        self.stopping.set()

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serves until SIGTERM, SIGINT or `stop`, then drains. Raises ConfigurationError and OSError at its start."""
        database = open_store(self.settings)
        try:
            await self._serve(database, task_status)
        finally:
            database.close()
            self.stopped.set()

    async def _serve(self, database: Database, task_status: trio.TaskStatus[None]) -> None:
        doors = self._doors()
        self.public_address, self.metrics_address = doors.public_address, doors.metrics_address
        parts = Parts(self, database)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._watch_signals)
            nursery.start_soon(self._watch_certificate)
            nursery.start_soon(self.telemetry.run)
            nursery.start_soon(parts.upkeep.run)
            nursery.start_soon(parts.workspaces.run)
            if parts.github is not None:
                nursery.start_soon(parts.github.run)
            await nursery.start(parts.ingress.run)
            # What was built so far lives as long as the process: the collector need not look at it again.
            gc.freeze()
            doors.begin(parts, nursery)
            task_status.started()
            await self.stopping.wait()
            doors.close()
            await parts.drain()
            await doors.end()
            nursery.cancel_scope.cancel()

    def _doors(self) -> OwnDoors | WorkerDoors:
        if self.post is None:
            return OwnDoors(self.settings.listen)
        return WorkerDoors(self.post, self.telemetry, stop=self.stop)

    async def _watch_signals(self) -> None:
        with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as received:
            async for number in received:
                if number == signal.SIGHUP:
                    log.warning("not_replaced", reason="with `serve --workers 2` or more SIGHUP replaces the processes")
                    continue
                if self.stopping.is_set():
                    if self.post is not None:
                        continue  # the supervisor is told as well, and ends this process when it wants it ended
                    raise KeyboardInterrupt  # the second signal: at once
                log.info("stopping", signal=signal.Signals(number).name)
                self.stop()

    async def _watch_certificate(self) -> None:
        problem = None
        while True:
            await trio.sleep(CERTIFICATE_POLL_SECONDS)
            if self.contexts.refresh():
                log.info("certificate_reloaded", expires_at=self.contexts.expires_at)
            if self.contexts.problem not in {None, problem}:
                log.error("certificate_not_reloaded", problem=self.contexts.problem)
            problem = self.contexts.problem

    def preview_url(self, endpoint: str, workspace: str, org: str | None) -> str:
        """The URL of an endpoint of a workspace; names the org where one is given."""
        preview = PreviewHost(endpoint=endpoint, workspace=workspace, org=org)
        return f"https://{print_preview_host(preview, self.settings.hosts.preview)}{self.port_suffix}/"

    def dashboard_url(self, org: str, workspace: str) -> str:
        """Where people see a workspace of an org."""
        return f"https://{self.settings.hosts.app}{self.port_suffix}/orgs/{org}/workspaces/{workspace}"

    @property
    def port_suffix(self) -> str:
        """What follows a hostname in URLs."""
        port = self.public_address[1]
        return "" if port == HTTPS_PORT else f":{port}"
