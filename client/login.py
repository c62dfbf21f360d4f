"""Logging in to the relay, and the tunnel that comes of it."""

import trio

from client import __version__
from client.kubernetes.access import KubernetesAccess
from client.link import LoginError
from client.reconnect import Ending
from client.relays import RelayDialError, RelayDialler
from client.serve import StreamServer
from client.settings import Endpoint
from client.status import LinkStatus, Metrics
from client.token import WatchedToken
from relay.errors import TunnelClosedError
from relay.mux import CloseCode, Hello, Role, Welcome, is_orderly
from relay.transport import MuxStream, Tunnel

SETTLE_SECONDS = 1.0
"""Between "send your streams elsewhere" and "I take no more": longer than a round trip, so that no stream which was on
its way when the first arrived is refused (the same two steps as RFC 9113, 6.8)."""
LET_GO_SECONDS = 3600.0
"""How long the streams of a tunnel may go on after another took over: as long as the protocol lets a half-closed one
linger. Only streams that last longer, such as database connections, notice."""


class RelayLogin:
    """Dials and logs in; the tunnels and their streams live in `nursery`."""

    def __init__(
        self,
        nursery: trio.Nursery,
        *,
        dialler: RelayDialler,
        token: WatchedToken,
        streams: StreamServer,
        metrics: Metrics,
        instance_id: str,
        kubernetes: KubernetesAccess | None = None,
    ) -> None:
        self._nursery = nursery
        self._dialler = dialler
        self._token = token
        self._streams = streams
        self._metrics = metrics
        self._instance_id = instance_id
        self._kubernetes = kubernetes

    async def __call__(self, address: Endpoint, status: LinkStatus) -> "LoggedIn":
        """See `client.link.Login`."""
        result = await self._nursery.start(self._hold, address, status)
        if isinstance(result, Ending):
            self._metrics.logins.labels("refused" if result.is_refusal else "failed").inc()
            raise LoginError(result)
        assert isinstance(result, LoggedIn)  # noqa: S101 - `_hold` reports one or the other
        self._metrics.logins.labels("ok").inc()
        return result

    async def _hold(
        self,
        address: Endpoint,
        status: LinkStatus,
        *,
        task_status: trio.TaskStatus["LoggedIn | Ending"] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Holds one tunnel from the first SYN to the end, with what carries it."""
        async with trio.open_nursery() as carrying:
            result = await self._log_in(address, status, carrying)
            task_status.started(result)
            if isinstance(result, LoggedIn):
                with self._metrics.tunnels.track_inprogress():
                    await result.wait_closed()
            carrying.cancel_scope.cancel()

    async def _log_in(self, address: Endpoint, status: LinkStatus, carrying: trio.Nursery) -> "LoggedIn | Ending":
        try:
            transport = await self._dialler.connect(address, carrying)
        except RelayDialError as error:
            return Ending(message=str(error))
        tunnel = Tunnel(transport, Role.AGENT, hello=self._hello(), on_stream=self._on_stream)
        try:
            await carrying.start(tunnel.run)
        except TunnelClosedError:
            return ending_of(tunnel, lived_seconds=0.0)
        return LoggedIn(tunnel, status, carrying)

    def _hello(self) -> Hello:
        kubernetes = self._kubernetes
        return Hello(
            agent_version=__version__,
            token=self._token.value,
            instance_id=self._instance_id,
            capabilities=() if kubernetes is None else kubernetes.capabilities,
            kubernetes=None if kubernetes is None else kubernetes.cluster,
        )

    def _on_stream(self, stream: MuxStream) -> None:
        self._nursery.start_soon(self._streams.serve, stream)


class LoggedIn:
    """A welcomed tunnel; see `client.link.LiveTunnel`."""

    def __init__(self, tunnel: Tunnel, status: LinkStatus, carrying: trio.Nursery) -> None:
        assert tunnel.welcome is not None  # noqa: S101 - `Tunnel.run` is started by the welcome
        self.welcome: Welcome = tunnel.welcome
        self._tunnel = tunnel
        self._status = status
        self._carrying = carrying
        self._since = trio.current_time()
        self._takes_streams = True
        self._relay_ends_it = False
        status.live_tunnels += 1

    async def wait_closed(self) -> None:
        """Waits for the end of the tunnel."""
        try:
            await self._tunnel.closed()
        finally:
            self._takes_no_streams()

    async def wait_ending(self) -> Ending:
        """Returns when the tunnel is gone, or when the relay says that another should take its place."""
        goaway = await self._tunnel.goaway_arrived()
        lived_seconds = trio.current_time() - self._since
        if goaway is None or not is_orderly(goaway.code):
            await self._tunnel.closed()
            return ending_of(self._tunnel, lived_seconds=lived_seconds)
        if goaway.code == CloseCode.DRAIN:
            self._relay_ends_it = True
        else:
            self._takes_no_streams()
        return Ending(
            message=goaway.reason or "the relay asks for another tunnel",
            close_code=goaway.code,
            retry_after_seconds=goaway.retry_after_seconds,
            lived_seconds=lived_seconds,
        )

    def let_go(self) -> None:
        """Another tunnel took over: the streams of this one finish in the background, then it closes."""
        self._takes_no_streams()
        if self._tunnel.end is None:
            self._carrying.start_soon(self._finish)

    async def _finish(self) -> None:
        with trio.move_on_after(LET_GO_SECONDS):
            self._tunnel.goaway(CloseCode.DRAIN, "the agent has another tunnel or is stopping")
            if self._relay_ends_it:
                # That process asked for another tunnel, and needs this one for as long as it has visitors.
                await self._tunnel.closed()
                return
            await trio.sleep(SETTLE_SECONDS)
            self._tunnel.goaway(CloseCode.SHUTDOWN, "the agent takes no more streams on this tunnel")
            if self._tunnel.open_streams:
                await self._tunnel.drained()
        self._tunnel.close(CloseCode.SHUTDOWN, "the agent is done with this tunnel")

    def _takes_no_streams(self) -> None:
        if self._takes_streams:
            self._takes_streams = False
            self._status.live_tunnels -= 1


def ending_of(tunnel: Tunnel, *, lived_seconds: float) -> Ending:
    """How a tunnel that is over ended."""
    end = tunnel.end
    if end is None:
        raise ValueError("the tunnel has not ended")
    return Ending(
        message=end.reason or "the relay closed the tunnel",
        # What we ended ourselves says nothing about what the relay wants.
        close_code=end.code if end.remote else None,
        retry_after_seconds=end.retry_after_seconds,
        lived_seconds=lived_seconds,
    )
