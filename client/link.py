"""One link: a tunnel kept up to one address of the relay, the next brought up before the last is let go."""

import contextlib
from collections.abc import Callable
from typing import Protocol

import structlog
import trio

from client.backoff import Backoff
from client.reconnect import Ending, Retry
from client.settings import Endpoint, parse_endpoint
from client.status import LinkStatus
from client.token import TokenChanges
from relay.errors import RelayError
from relay.mux.handshake import Welcome

log = structlog.get_logger("agent")


class LoginError(RelayError):
    """No tunnel came up; `ending` says why and decides when to try again."""

    code = "login_failed"

    def __init__(self, ending: Ending) -> None:
        super().__init__(ending.message)
        self.ending = ending


class LiveTunnel(Protocol):
    """A tunnel that the relay welcomed, as a link sees it."""

    @property
    def welcome(self) -> Welcome:
        """The relay's answer to the login."""
        ...

    async def wait_ending(self) -> Ending:
        """Returns when the tunnel is gone, or when the relay says that another should take its place."""
        ...

    def let_go(self) -> None:
        """Another tunnel took over: the streams of this one finish in the background, then it closes."""
        ...


class Login(Protocol):
    """Dials an address and logs in."""

    async def __call__(self, address: Endpoint, status: LinkStatus) -> LiveTunnel:
        """A welcomed tunnel; counts it in `status.live_tunnels` while it takes streams.

        Raises:
            LoginError: it did not come up.
        """
        ...


class Link:
    """Keeps a tunnel up to `address`; `run` until cancelled."""

    def __init__(
        self,
        address: Endpoint,
        *,
        login: Login,
        backoff: Backoff,
        token_changes: TokenChanges,
        on_welcome: Callable[["Link", Welcome], None],
    ) -> None:
        self.address = address
        self.status = LinkStatus(address=str(address))
        self._login = login
        self._retry = Retry(backoff)
        self._token_changes = token_changes
        self._on_welcome = on_welcome

    async def run(self) -> None:
        """Brings up one tunnel after another, until it is cancelled; then the present one is let go as well."""
        present: LiveTunnel | None = None
        try:
            address = self.address
            while True:
                tunnel, changed = await self._bring_up(address)
                if present is not None:
                    present.let_go()
                present = tunnel
                ending = await _first_of(tunnel, changed)
                address = next_address(self.address, tunnel.welcome, ending)
                if ending is None:
                    log.info("the token or the cluster's version changed, logging in anew", relay=self.status.address)
                    self._retry.reset()
                else:
                    await self._pause(ending, self._token_changes.event())
        finally:
            if present is not None:
                present.let_go()

    async def _bring_up(self, first: Endpoint) -> tuple[LiveTunnel, trio.Event]:
        """The next tunnel, and the event of a token newer than the one that it logged in with.

        The first attempt goes to `first`, further ones to the link's own address.
        """
        address = first
        while True:
            # Taken before the login, so that a token which changes while the login is under way is not missed.
            changed = self._token_changes.event()
            self.status.state = "connecting"
            try:
                tunnel = await self._login(address, self.status)
            except LoginError as error:
                address = self.address
                await self._pause(error.ending, changed)
            else:
                self._record(tunnel.welcome)
                return tunnel, changed

    def _record(self, welcome: Welcome) -> None:
        self.status.state, self.status.problem = "connected", ""
        log.info(
            "tunnel up", relay=self.status.address, tunnel=welcome.tunnel_id, relay_process=welcome.relay_process_id
        )
        self._on_welcome(self, welcome)

    async def _pause(self, ending: Ending, changed: trio.Event) -> None:
        wait_seconds = self._retry.wait_seconds(ending)
        self.status.state = "refused" if ending.is_refusal else "waiting"
        self.status.problem = ending.message
        wait = round(wait_seconds, 2)
        log.warning("will log in again", relay=self.status.address, reason=ending.message, wait_seconds=wait)
        with trio.move_on_after(wait_seconds):
            await changed.wait()
            self._retry.reset()


async def _first_of(tunnel: LiveTunnel, changed: trio.Event) -> Ending | None:
    """The tunnel's ending, or None when the token changed first."""
    ending: Ending | None = None

    async def wait_changed() -> None:
        await changed.wait()
        nursery.cancel_scope.cancel()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait_changed)
        ending = await tunnel.wait_ending()
        nursery.cancel_scope.cancel()
    return ending


def next_address(own: Endpoint, welcome: Welcome, ending: Ending | None) -> Endpoint:
    """Where the tunnel that follows one is dialled first; `ending` is None where the agent wants another one itself.

    A public address leads to any process of the relay. As long as the one that was reached is well, whoever follows it
    at its own address takes its place, and the other links stay as they are.
    """
    if ending is None or ending.is_invitation:
        for process in welcome.processes:
            if process.id == welcome.relay_process_id:
                with contextlib.suppress(ValueError):
                    return parse_endpoint(process.address)
    return own
