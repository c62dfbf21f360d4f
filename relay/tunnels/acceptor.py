"""Agents log in: the relay's end of a fresh transport, from HELLO until the tunnel ends."""

import secrets
from collections.abc import Callable
from typing import Final

import structlog
import trio

from relay.errors import RelayError, TunnelClosedError, UnauthenticatedError
from relay.mux import CloseCode, Limits, ReceiveBudget, RelayProcess, Role, Welcome
from relay.transport import Tunnel, accept_websocket
from relay.tunnels.identity import AgentIdentity, Authenticate
from relay.tunnels.registry import Registry
from relay.tunnels.versions import too_old

RETRY_SECONDS: Final = 30.0
"""Over which agents spread their next login when it failed through no fault of theirs."""
WEBSOCKET_SECONDS: Final = 10.0
"""For the WebSocket's opening handshake."""
ELSEWHERE_SECONDS: Final = 0.3
"""The same where the next login reaches another process, or the successor of this one."""
DEFAULT_LIMITS: Final = Limits()

log = structlog.get_logger("tunnels")


class LoginResult:
    """Slugs given to `on_login`."""

    OK = "ok"
    UNAUTHENTICATED = "unauthenticated"
    UNAVAILABLE = "unavailable"
    NO_HELLO = "no_hello"
    TOO_OLD = "too_old"
    GIVING_WAY = "giving_way"


class TunnelAcceptor:
    """Serves agents' transports and keeps the registry true."""

    def __init__(
        self,
        registry: Registry,
        authenticate: Authenticate,
        *,
        process_id: str,
        processes: tuple[RelayProcess, ...] = (),
        limits: Limits = DEFAULT_LIMITS,
        budget: ReceiveBudget | None = None,
        on_login: Callable[[str], None] = lambda _: None,
    ) -> None:
        """`processes` names all relay processes for WELCOME; `budget` bounds the memory of all tunnels together."""
        self._registry = registry
        self._authenticate = authenticate
        self._process_id = process_id
        self._processes = processes
        self._limits = limits
        self._budget = budget if budget is not None else ReceiveBudget()
        self._on_login = on_login
        self.gives_way = False
        """Whether agents are sent on, because a successor of this process takes them."""

    def close_by_token(self, token_id: str) -> int:
        """Ends the tunnels of a revoked token at once; returns how many there were."""
        return self._registry.close_by_token(token_id)

    async def serve_websocket(self, stream: trio.abc.Stream, initial: bytes = b"") -> None:
        """The same as `serve` for a transport that starts with a WebSocket handshake, `initial` read already."""
        async with trio.open_nursery() as nursery:
            try:
                with trio.fail_after(WEBSOCKET_SECONDS):
                    websocket = await accept_websocket(stream, nursery=nursery, initial=initial)
            except (ConnectionError, trio.TooSlowError, trio.BrokenResourceError) as error:
                log.info("websocket refused", reason=str(error) or "the handshake took too long")
                self._on_login(LoginResult.NO_HELLO)
            else:
                await self.serve(websocket)
            nursery.cancel_scope.cancel()

    async def serve(self, stream: trio.abc.Stream) -> None:
        """Runs the relay's end of an agent's tunnel until it ends. Cancelled: says goodbye first."""
        tunnel = Tunnel(stream, Role.RELAY, limits=self._limits, budget=self._budget)
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._log_in, tunnel)
                try:
                    await tunnel.run()
                except TunnelClosedError as error:
                    log.info("agent did not log in", reason=str(error))
                    self._on_login(LoginResult.NO_HELLO)
                # Nobody is left to answer, if the login is still being looked up.
                nursery.cancel_scope.cancel()
        finally:
            self._forget(tunnel)

    async def _log_in(self, tunnel: Tunnel) -> None:
        try:
            await tunnel.greeted()
        except TunnelClosedError:
            return  # `run` says so
        hello = tunnel.hello
        assert hello is not None  # noqa: S101 - it greeted
        if (reason := too_old(hello.agent_version)) is not None:
            self._on_login(LoginResult.TOO_OLD)
            log.info("agent refused", instance=hello.instance_id, reason=reason)
            tunnel.goaway(CloseCode.UNSUPPORTED_VERSION, reason)
            return
        if self.gives_way:
            self._on_login(LoginResult.GIVING_WAY)
            tunnel.close(CloseCode.SHUTDOWN, "another process takes its place", retry_after_seconds=ELSEWHERE_SECONDS)
            return
        try:
            identity = await self._identify(hello.token)
        except UnauthenticatedError as error:
            self._on_login(LoginResult.UNAUTHENTICATED)
            log.info("agent refused", instance=hello.instance_id, reason=str(error))
            tunnel.goaway(CloseCode.UNAUTHENTICATED, str(error))
        except RelayError as error:
            self._on_login(LoginResult.UNAVAILABLE)
            log.warning("agent cannot be checked", instance=hello.instance_id, reason=str(error))
            tunnel.goaway(CloseCode.INTERNAL, "the relay cannot check tokens now", retry_after_seconds=RETRY_SECONDS)
        else:
            self._register(tunnel, identity)

    async def _identify(self, token: str) -> AgentIdentity:
        identity = await self._authenticate(token)
        if self._registry.is_revoked(identity.token_id):
            raise UnauthenticatedError("the cluster token was revoked")
        return identity

    def _register(self, tunnel: Tunnel, identity: AgentIdentity) -> None:
        welcome = Welcome(
            relay_process_id=self._process_id,
            tunnel_id=secrets.token_hex(8),
            keepalive_seconds=self._limits.ping_interval_seconds,
            processes=self._processes,
        )
        try:
            tunnel.accept(welcome)
        except TunnelClosedError:
            return  # the agent left while its token was looked up
        self._registry.add(tunnel, identity)
        self._on_login(LoginResult.OK)
        log.info("tunnel up", tunnel=tunnel.id, cluster=identity.cluster_id, token=identity.token_id)

    def _forget(self, tunnel: Tunnel) -> None:
        if tunnel.welcome is not None:
            reason = "" if tunnel.end is None else tunnel.end.reason
            log.info("tunnel down", tunnel=tunnel.id, reason=reason)
        self._registry.remove(tunnel)
