"""The services of one relay process, and what ties them together."""

import secrets
import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

import trio

from certs import TUNNEL_ALPN, ReloadingContext
from relay import config, dashboard
from relay.auth import PREVIEW_COOKIE
from relay.cluster_access import ClusterAccess
from relay.control import Services, make_api
from relay.control.github import GithubClient, GithubService, Memberships, Urls
from relay.control.kubernetes import LogLimits, WorkspaceKeeper
from relay.errors import StoreUnavailableError
from relay.github_setup import load_github
from relay.http1 import HeadLimits
from relay.ingress import Admission, AsgiApp, CookieKeys, Hosts, Ingress, IngressLimits, PreviewLogins, Shared
from relay.mux import CloseCode, Limits, ReceiveBudget
from relay.operations import serve_operations
from relay.page_services import page_services
from relay.store import Change, Database, LoginLookups, Lookups, orgs
from relay.telemetry import Telemetry
from relay.transport import Handshakes, ListenerLimits, TlsStream, serve_tls
from relay.tunnels import Registry, TunnelAcceptor
from relay.upkeep import Upkeep
from relay.workers import Post

# Of the time between two looks at a membership this much passes on the connections, the rest in the look-ups' memory.
DECISION_SHARE = 0.2
RETRY_WINDOW_SECONDS = 5.0  # agents come back spread over this: 5,000 of them are 1,000 TLS handshakes a second
LOGINS_PER_SECOND = 1000.0  # what one process takes; see above
TUNNEL_DRAIN_SECONDS = 1.0  # visitors have had their time by then; this lets the last frames leave
TUNNEL_TLS_VERSION = "TLSv1.3"


class Process(Protocol):
    """The process that the parts are built for."""

    settings: config.Settings
    public_address: tuple[str, int]
    stopping: trio.Event
    telemetry: Telemetry
    contexts: ReloadingContext
    post: Post | None

    @property
    def port_suffix(self) -> str:
        """What follows a hostname in URLs."""

    def preview_url(self, endpoint: str, workspace: str, org: str | None) -> str:
        """Where a preview is visited."""

    def dashboard_url(self, org: str, workspace: str) -> str:
        """Where people see a workspace."""


class Parts:
    """The services of one process and what ties them together."""

    def __init__(self, relay: Process, database: Database) -> None:
        self._settings = settings = relay.settings
        self._relay = relay
        self._database = database
        self._lookups = Lookups(database)
        self._pages_of_github: dashboard.Github | None = None
        self._logins = LoginLookups(
            database,
            recheck=None if settings.github is None else self._recheck,
            check_seconds=settings.limits.membership_check_seconds * (1 - DECISION_SHARE),
            grace_seconds=settings.limits.membership_grace_seconds,
        )
        self._preview_logins = self._make_preview_logins()
        self.memberships: Memberships | None = None
        self._registry = Registry()
        self._handshakes = Handshakes()
        self.clusters = ClusterAccess(self._registry)
        self.workspaces = WorkspaceKeeper(database, self.clusters)
        self._registry.on_online(self.workspaces.cluster_came_online)
        database.subscribe(self._on_change)
        budget = ReceiveBudget(settings.limits.receive_budget_bytes // _processes(relay.post))
        self._acceptor = self._make_acceptor(budget)
        self.github = self._make_github()
        self.ingress = Ingress(
            self._shared(budget), api=self._make_api(), app=self._make_app(), accept_tunnel=self._accept_websocket
        )
        self.upkeep = Upkeep(database, self._lookups, self._logins, self._registry)
        self._add_gauges(relay.telemetry)

    def _make_preview_logins(self) -> PreviewLogins:
        suffix = self._relay.port_suffix
        return PreviewLogins(
            self._logins,
            CookieKeys(keys=self._cookie_keys, refresh=self._refresh_cookie_keys),
            app_url=f"https://{self._settings.hosts.app}{suffix}",
            port_suffix=suffix,
            seconds=self._settings.limits.preview_login_seconds,
        )

    def _make_acceptor(self, budget: ReceiveBudget) -> TunnelAcceptor:
        limits, post = self._settings.limits, self._relay.post
        return TunnelAcceptor(
            self._registry,
            self._lookups.agent_identity,
            limits=Limits(
                max_streams=limits.streams_per_tunnel,
                ping_interval_seconds=limits.keepalive_seconds,
                # One cluster must not take the memory of all.
                receive_budget_bytes=limits.receive_budget_bytes // _processes(post) // 2,
            ),
            budget=budget,
            process_id=secrets.token_hex(4) if post is None else post.assignment.process_id,
            processes=() if post is None else post.assignment.processes,
        )

    def _shared(self, budget: ReceiveBudget) -> Shared:
        hosts, limits = self._settings.hosts, self._settings.limits
        return Shared(
            hosts=Hosts(preview=hosts.preview, api=hosts.api, app=hosts.app, tunnel=hosts.tunnel, proxy=hosts.proxy),
            limits=_ingress_limits(limits),
            admission=Admission(
                self._lookups,
                hosts.preview,
                self._preview_logins,
                login_seconds=limits.membership_check_seconds * DECISION_SHARE,
            ),
            tunnels=self._registry,
            telemetry=self._relay.telemetry,
            memory_short=lambda: budget.is_short,
        )

    def _make_api(self) -> AsgiApp:
        limits = self._settings.limits
        return make_api(
            Services(
                database=self._database,
                lookups=self._lookups,
                cluster_status=self._registry.status,
                preview_url=self._relay.preview_url,
                cluster_api=self.clusters.api,
                log_limits=LogLimits(
                    streams_per_org=limits.log_streams_per_org,
                    containers_per_org=limits.log_containers_per_org,
                    stream_seconds=limits.log_seconds,
                ),
                requests_per_minute=limits.api_requests_per_minute,
            ),
            webhook=None if self.github is None else self.github.receiver,
        )

    def _make_app(self) -> AsgiApp:
        return dashboard.make_app(
            page_services(
                self._settings,
                self._database,
                lookups=self._logins,
                github=self._pages_of_github,
                cluster_status=self._registry.status,
                preview_url=self._relay.preview_url,
                port=lambda: self._relay.public_address[1],
            )
        )

    def _make_github(self) -> GithubService | None:
        app = load_github(self._settings)
        if app is None:
            return None
        client = GithubClient(app)
        self.memberships = Memberships(self._database, client)
        self._pages_of_github = dashboard.Github(provider=client, memberships=self.memberships, url=app.web_url)
        service = GithubService(
            database=self._database,
            client=client,
            secrets=app.webhook_secrets,
            urls=Urls(preview=self._relay.preview_url, dashboard=self._relay.dashboard_url),
            cluster_status=self._registry.status,
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
        await self._accept(listeners, scope, self._serve)

    async def accept_agents(self, listeners: list[socket.socket], scope: trio.CancelScope) -> None:
        """The same where there is nothing for visitors."""
        await self._accept(listeners, scope, self._serve_agent)

    async def _accept(
        self,
        listeners: list[socket.socket],
        scope: trio.CancelScope,
        serve: Callable[[TlsStream], Awaitable[None]],
    ) -> None:
        limits = self._settings.limits
        refused = self._relay.telemetry.refused_connections

        def count(reason: str) -> None:
            refused[reason] += 1

        await serve_tls(
            listeners,
            self._relay.contexts.context,
            serve,
            limits=ListenerLimits(
                handshake_seconds=limits.handshake_seconds, connections_per_address=limits.connections_per_address
            ),
            on_refused=count,
            accepting=scope,
            handshakes=self._handshakes,
        )

    async def _serve(self, stream: TlsStream) -> None:
        """One connection: an agent's by its ALPN and name, a visitor's otherwise."""
        if stream.alpn != TUNNEL_ALPN:
            await self.ingress.serve(stream)
        elif stream.version != TUNNEL_TLS_VERSION or stream.server_name not in {None, self._settings.hosts.tunnel}:
            self._relay.telemetry.refused_connections["tunnel_tls"] += 1
        else:
            await self._acceptor.serve(stream)

    async def _serve_agent(self, stream: TlsStream) -> None:
        """A connection to a port for agents; a WebSocket's is made for the tunnel's name, which serves nothing else."""
        if stream.alpn == TUNNEL_ALPN or stream.server_name == self._settings.hosts.tunnel:
            await self._serve(stream)
        else:
            self._relay.telemetry.refused_connections["not_an_agent"] += 1

    async def _accept_websocket(self, stream: TlsStream, initial: bytes) -> None:
        if stream.version != TUNNEL_TLS_VERSION:
            self._relay.telemetry.refused_connections["tunnel_tls"] += 1
        else:
            await self._acceptor.serve_websocket(stream, initial)

    async def serve_operations(self, sockets: list[socket.socket]) -> None:
        """Serves metrics and probes for ever."""
        listeners = [trio.SocketListener(trio.socket.from_stdlib_socket(opened)) for opened in sockets]
        await serve_operations(listeners, metrics=self._metrics, readiness=self.readiness)

    async def _metrics(self) -> bytes:
        return self._relay.telemetry.exposition()

    @property
    def online_clusters(self) -> int:
        """How many clusters have a live tunnel to this process."""
        return self._registry.online_clusters

    def give_way(self) -> None:
        """Takes no more tunnels, and tells agents to come again: a successor listens. Open tunnels serve on."""
        self._acceptor.gives_way = True
        # As soon as a process can take them: until they have come, the successor serves nobody.
        window = min(RETRY_WINDOW_SECONDS, len(self._registry) / LOGINS_PER_SECOND)
        for tunnel in self._registry:
            tunnel.goaway(CloseCode.DRAIN, "another process takes its place", retry_after_seconds=max(window, 0.01))

    async def readiness(self) -> str:
        """Empty when requests can be served, otherwise a sentence that says why not."""
        if self._relay.stopping.is_set():
            return "draining"
        try:
            await self._database.read(orgs.find_all, limit=1)
        except StoreUnavailableError as error:
            return str(error)
        return ""

    async def drain(self) -> None:
        """Tells agents and visitors to go elsewhere, and lets what is under way finish."""
        self.workspaces.stop()
        await self.upkeep.record()
        for tunnel in self._registry:
            # A hint: the tunnel still takes streams, for requests that have been read and not yet forwarded.
            tunnel.goaway(CloseCode.DRAIN, "this relay process is ending", retry_after_seconds=RETRY_WINDOW_SECONDS)
        with trio.move_on_after(self._settings.limits.drain_seconds):
            await self._handshakes.over()
            await self.ingress.drain()
        await self._registry.drain(retry_window_seconds=RETRY_WINDOW_SECONDS, deadline_seconds=TUNNEL_DRAIN_SECONDS)


def _processes(post: Post | None) -> int:
    """How many processes share what a machine has."""
    return 1 if post is None else len(post.assignment.processes)


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
