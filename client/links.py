"""The links of one agent: one to the relay's public address, and one to each other process that the relay names."""

from collections.abc import Callable
from functools import partial

import structlog
import trio

from client.link import Link
from client.reconnect import other_addresses
from client.settings import Endpoint, parse_endpoint
from client.status import AgentStatus
from relay.mux import RelayProcess, Welcome

log = structlog.get_logger("agent")

Welcomed = Callable[[Link, Welcome], None]


class Links:
    """Starts and ends links as the relay's processes come and go."""

    def __init__(self, main: Endpoint, *, make_link: Callable[[Endpoint, Welcomed], Link], status: AgentStatus) -> None:
        self._main = main
        self._make_link = make_link
        self._status = status
        self._scopes: dict[str, trio.CancelScope] = {}
        self._reached = ""
        self._processes: tuple[RelayProcess, ...] = ()

    async def run(self) -> None:
        """Keeps the links until cancelled; each lets its tunnel go then."""
        async with trio.open_nursery() as nursery:
            self._start(str(self._main), nursery)
            await trio.sleep_forever()

    def _welcomed(self, nursery: trio.Nursery, link: Link, welcome: Welcome) -> None:
        if link.address == self._main:
            self._reached = welcome.relay_process_id
        # Every welcome is newer than the last, whichever link it came over.
        self._processes = welcome.processes
        wanted = other_addresses(str(self._main), self._reached, self._processes)
        for address in [address for address in self._scopes if address not in {str(self._main), *wanted}]:
            log.info("the relay no longer names this process", relay=address)
            self._scopes.pop(address).cancel()
        for address in wanted:
            if address not in self._scopes:
                self._start(address, nursery)

    def _start(self, address: str, nursery: trio.Nursery) -> None:
        try:
            endpoint = parse_endpoint(address)
        except ValueError as error:
            log.warning("the relay names an address that cannot be dialled", relay=address, reason=str(error))
            return
        scope = self._scopes[address] = trio.CancelScope()
        link = self._make_link(endpoint, partial(self._welcomed, nursery))
        nursery.start_soon(self._run_link, address, link, scope)

    async def _run_link(self, address: str, link: Link, scope: trio.CancelScope) -> None:
        self._status.links[address] = link.status
        try:
            with scope:
                await link.run()
        finally:
            # A link to the same address may have been started since; its status stays.
            if self._status.links.get(address) is link.status:
                del self._status.links[address]
