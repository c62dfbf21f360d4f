"""The composition root: builds the parts of one relay process, wires them, and owns their nursery."""

import gc
import itertools
import math
import secrets
import signal
import socket
from collections.abc import Sequence
from typing import TextIO

import structlog
import trio

from certs import TUNNEL_ALPN, ReloadingContext
from relay import config
from relay.auth import PREVIEW_COOKIE
from relay.control import Services, make_api
from relay.control.github import GithubClient, GithubService, Memberships, Urls
from relay.dashboard import make_app
from relay.errors import ConflictError, RelayError, StoreUnavailableError
from relay.github_setup import load_github
from relay.http1 import HeadLimits
from relay.ingress import Admission, CookieKeys, Hosts, Ingress, IngressLimits, PreviewLogins, Shared
from relay.mux import CloseCode, Limits, ReceiveBudget
from relay.operations import serve_operations
from relay.routing import PreviewHost, print_preview_host
from relay.setup import open_store
from relay.store import Change, Database, LoginLookups, Lookups, clusters, logins, orgs, workspaces
from relay.telemetry import Telemetry
from relay.transport import ListenerLimits, TlsStream, listen, serve_tls
from relay.tunnels import Registry, TunnelAcceptor

CERTIFICATE_POLL_SECONDS = 5.0
SWEEP_SECONDS = 30.0  # how late a workspace whose time is over is deleted
SEEN_SECONDS = 60.0  # how precise a cluster's last-seen time is after a crash
SWEEP_MINUTES = 5  # what has run out counts for nothing anyway; this keeps the tables small
# Of the time between two looks at a membership this much passes on the connections, the rest in the look-ups' memory.
DECISION_SHARE = 0.2
RETRY_WINDOW_SECONDS = 5.0  # agents come back spread over this: 5,000 of them are 1,000 TLS handshakes a second
TUNNEL_DRAIN_SECONDS = 1.0  # visitors have had their time by then; this lets the last frames leave
OUTAGE_LOG_SECONDS = 30.0
HTTPS_PORT = 443
TUNNEL_TLS_VERSION = "TLSv1.3"

log = structlog.get_logger()


class Relay:
    """One relay process. `run` serves until it is told to stop; what it opens is closed with it."""

    def __init__(self, settings: config.Settings, *, access_log: TextIO | None = None) -> None:
        """`access_log`: where its lines go, standard error unless told."""
        self.settings = settings
        self.public_address: tuple[str, int] = ("", 0)
        """Where visitors and agents are listened for, once it runs."""
        self.metrics_address: tuple[str, int] = ("", 0)
        self.stopping = trio.Event()
        """Set when a stop was asked for, by a signal or by `stop`."""
        self.stopped = trio.Event()
        """Set when nothing is served any more."""
        self.telemetry = Telemetry(output=access_log)
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
        public = _listen(self.settings.listen.public, "listen.public")
        operations = _listen(self.settings.listen.metrics, "listen.metrics")
        self.public_address = public[0].getsockname()[:2]
        self.metrics_address = operations[0].getsockname()[:2]
        parts = _Parts(self, database)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._watch_signals)
            nursery.start_soon(self._watch_certificate)
            nursery.start_soon(self.telemetry.run)
            nursery.start_soon(parts.keep_records)
            nursery.start_soon(parts.watch_database)
            nursery.start_soon(parts.sweep_workspaces)
            if parts.github is not None:
                nursery.start_soon(parts.github.run)
            await nursery.start(parts.ingress.run)
            nursery.start_soon(parts.serve_operations, operations)
            accepting = trio.CancelScope()
            nursery.start_soon(parts.accept, public, accepting)
            # What was built so far lives as long as the process: the collector need not look at it again.
            gc.freeze()
            task_status.started()
            # Says that visitors and agents may come, and where: port 0 in the configuration takes a free one.
            log.info("listening", public=_printed(self.public_address), metrics=_printed(self.metrics_address))
            await self.stopping.wait()
            accepting.cancel()
            await parts.drain()
            nursery.cancel_scope.cancel()

    async def _watch_signals(self) -> None:
        with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as received:
            async for number in received:
                if self.stopping.is_set():
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


class _Parts:
    """The services of one process and what ties them together."""

    def __init__(self, relay: Relay, database: Database) -> None:
        settings = relay.settings
        limits, hosts = settings.limits, settings.hosts
        self._settings = settings
        self._relay = relay
        self._database = database
        self._lookups = Lookups(database)
        self.memberships: Memberships | None = None
        self._logins = LoginLookups(
            database,
            recheck=self._recheck if settings.github is not None else None,
            check_seconds=limits.membership_check_seconds * (1 - DECISION_SHARE),
            grace_seconds=limits.membership_grace_seconds,
        )
        self._preview_logins = PreviewLogins(
            self._logins,
            CookieKeys(keys=self._cookie_keys, refresh=self._refresh_cookie_keys),
            app_url=f"https://{hosts.app}{relay.port_suffix}",
            port_suffix=relay.port_suffix,
            seconds=limits.preview_login_seconds,
        )
        self._registry = Registry()
        database.subscribe(self._on_change)
        budget = ReceiveBudget(limits.receive_budget_bytes)
        self._acceptor = TunnelAcceptor(
            self._registry,
            self._lookups.agent_identity,
            limits=Limits(
                max_streams=limits.streams_per_tunnel,
                ping_interval_seconds=limits.keepalive_seconds,
                # One cluster must not take the memory of all.
                receive_budget_bytes=limits.receive_budget_bytes // 2,
            ),
            budget=budget,
            process_id=secrets.token_hex(4),
        )
        shared = Shared(
            hosts=Hosts(preview=hosts.preview, api=hosts.api, app=hosts.app, tunnel=hosts.tunnel, proxy=hosts.proxy),
            limits=_ingress_limits(limits),
            admission=Admission(
                self._lookups,
                hosts.preview,
                self._preview_logins,
                login_seconds=limits.membership_check_seconds * DECISION_SHARE,
            ),
            tunnels=self._registry,
            telemetry=relay.telemetry,
            memory_short=lambda: budget.is_short,
        )
        self.github = self._make_github()
        self.ingress = Ingress(
            shared,
            api=make_api(
                Services(
                    database=database,
                    lookups=self._lookups,
                    cluster_status=self._registry.status,
                    preview_url=relay.preview_url,
                    requests_per_minute=limits.api_requests_per_minute,
                ),
                webhook=None if self.github is None else self.github.receiver,
            ),
            app=make_app(preview=hosts.preview + relay.port_suffix, api_url=f"https://{hosts.api}{relay.port_suffix}"),
            accept_tunnel=self._accept_websocket,
        )
        self._add_gauges(relay.telemetry)

    def _make_github(self) -> GithubService | None:
        app = load_github(self._settings)
        if app is None:
            return None
        client = GithubClient(app)
        self.memberships = Memberships(self._database, client)
        service = GithubService(
            database=self._database,
            client=client,
            secrets=app.webhook_secrets,
            urls=Urls(preview=self._relay.preview_url, dashboard=self._relay.dashboard_url),
            is_online=lambda cluster_id: self._registry.status(cluster_id).online,
            attempts=self._settings.limits.delivery_attempts,
        )
        self._registry.on_online(service.cluster_came_online)
        return service

    def _add_gauges(self, telemetry: Telemetry) -> None:
        registry = self._registry
        telemetry.gauge(
            "signadot_visitor_connections", "Open connections of visitors.", lambda: self.ingress.connection_count
        )
        telemetry.gauge("signadot_tunnels", "Live tunnels.", lambda: len(registry))
        telemetry.gauge("signadot_clusters_online", "Clusters with a live tunnel.", lambda: registry.online_clusters)
        telemetry.gauge("signadot_streams", "Open streams on all tunnels.", lambda: registry.open_streams)

    def _on_change(self, change: Change) -> None:
        """Ends the tunnels of a token that was revoked, by this process or by another one on the same database."""
        if change.kind == "cluster_token" and change.deleted:
            self._registry.close_by_token(change.id)
        elif change.kind == "keys":
            self._preview_logins.rekey()

    async def _recheck(self, user_id: str) -> None:
        """Asks GitHub where a user belongs."""
        if self.memberships is not None:
            await self.memberships.refresh(user_id)

    def _cookie_keys(self) -> Sequence[tuple[str, bytes]]:
        """The keys of preview cookies: every process on one database has the same."""
        return self._database.sealer.derive(PREVIEW_COOKIE)

    async def _refresh_cookie_keys(self) -> None:
        await self._database.refresh_keys()

    async def accept(self, listeners: list[socket.socket], scope: trio.CancelScope) -> None:
        """Accepts visitors and agents until `scope` is cancelled; connections that are open go on."""
        limits = self._settings.limits
        refused = self._relay.telemetry.refused_connections

        def count(reason: str) -> None:
            refused[reason] += 1

        await serve_tls(
            listeners,
            self._relay.contexts.context,
            self._serve,
            limits=ListenerLimits(
                handshake_seconds=limits.handshake_seconds, connections_per_address=limits.connections_per_address
            ),
            on_refused=count,
            accepting=scope,
        )

    async def _serve(self, stream: TlsStream) -> None:
        """One connection: an agent's by its ALPN and name, a visitor's otherwise."""
        if stream.alpn != TUNNEL_ALPN:
            await self.ingress.serve(stream)
        elif stream.version != TUNNEL_TLS_VERSION or stream.server_name not in {None, self._settings.hosts.tunnel}:
            self._relay.telemetry.refused_connections["tunnel_tls"] += 1
        else:
            await self._acceptor.serve(stream)

    async def _accept_websocket(self, stream: TlsStream, initial: bytes) -> None:
        if stream.version != TUNNEL_TLS_VERSION:
            self._relay.telemetry.refused_connections["tunnel_tls"] += 1
        else:
            await self._acceptor.serve_websocket(stream, initial)

    async def serve_operations(self, sockets: list[socket.socket]) -> None:
        """Serves metrics and probes for ever."""
        listeners = [trio.SocketListener(trio.socket.from_stdlib_socket(opened)) for opened in sockets]
        await serve_operations(listeners, metrics=self._relay.telemetry.exposition, readiness=self._readiness)

    async def _readiness(self) -> str:
        if self._relay.stopping.is_set():
            return "draining"
        try:
            await self._database.read(orgs.find_all, limit=1)
        except StoreUnavailableError as error:
            return str(error)
        return ""

    async def watch_database(self) -> None:
        """Notices what other processes change in the database, so that a revocation counts at once here too."""
        said_at = -math.inf

        def say(error: StoreUnavailableError) -> None:
            nonlocal said_at
            if trio.current_time() > said_at + OUTAGE_LOG_SECONDS:  # it looks about twice a second
                said_at = trio.current_time()
                log.warning("database_not_watched", problem=str(error))

        await self._database.watch(on_error=say)

    async def sweep_workspaces(self) -> None:
        """Deletes workspaces whose time to live is over; several processes may do it at once."""
        while True:
            try:
                while await self._database.read(workspaces.has_expired):
                    removed = await self._database.write(workspaces.remove_expired)
                    log.info("workspaces_expired", count=removed)
            except RelayError as error:
                log.warning("workspaces_not_swept", problem=str(error))
            await trio.sleep(SWEEP_SECONDS)

    async def keep_records(self) -> None:
        """Writes down now and then which credentials were used and which clusters were there; removes what is over."""
        for minutes in itertools.count(1):
            await trio.sleep(SEEN_SECONDS)
            await self._record()
            if minutes % SWEEP_MINUTES == 0:
                await self._sweep()

    async def _sweep(self) -> None:
        try:
            await self._database.write(logins.sweep)
        except (StoreUnavailableError, ConflictError) as error:
            log.warning("logins_not_swept", problem=str(error))

    async def _record(self) -> None:
        try:
            await self._lookups.record_usage()
            await self._logins.record_usage()
            identities = [self._registry.identity(tunnel) for tunnel in self._registry]
            online = {identity.cluster_id for identity in identities if identity is not None}
            await self._database.write(clusters.record_seen, online)
        except StoreUnavailableError as error:
            log.warning("records_not_written", problem=str(error))

    async def drain(self) -> None:
        """Tells agents and visitors to go elsewhere, and lets what is under way finish."""
        await self._record()
        for tunnel in self._registry:
            # A hint: the tunnel still takes streams, for requests that have been read and not yet forwarded.
            tunnel.goaway(CloseCode.DRAIN, "this relay process is ending", retry_after_seconds=RETRY_WINDOW_SECONDS)
        with trio.move_on_after(self._settings.limits.drain_seconds):
            await self.ingress.drain()
        await self._registry.drain(retry_window_seconds=RETRY_WINDOW_SECONDS, deadline_seconds=TUNNEL_DRAIN_SECONDS)


def _ingress_limits(limits: config.Limits) -> IngressLimits:
    return IngressLimits(
        head=HeadLimits(
            request_line_bytes=limits.request_line_bytes,
            head_bytes=limits.head_bytes,
            headers=limits.header_count,
            chunk_line_bytes=limits.chunk_line_bytes,
        ),
        head_seconds=limits.head_seconds,
        body_idle_seconds=limits.body_idle_seconds,
        write_stalled_seconds=limits.write_stalled_seconds,
        keep_alive_idle_seconds=limits.keep_alive_idle_seconds,
        response_head_seconds=limits.response_head_seconds,
        response_idle_seconds=limits.response_idle_seconds,
        upgraded_idle_seconds=limits.upgraded_idle_seconds,
        requests_per_cluster=limits.requests_per_cluster,
        public_requests_per_address=limits.public_requests_per_address,
        api_body_bytes=limits.api_body_bytes,
        api_bodies_bytes=limits.api_bodies_bytes,
    )


def _listen(address: str, key: str) -> list[socket.socket]:
    host, port = config.split_address(address)
    try:
        return listen(host, port)
    except OSError as error:
        raise OSError(f"{key}: cannot listen on {address}: {error.strerror or error}") from error


def _printed(address: tuple[str, int]) -> str:
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
