"""Serving visitors: every connection, and which part answers for which host."""

from collections.abc import Awaitable, Callable

import trio

from relay.http1 import RequestHead
from relay.ingress.asgi import serve_asgi
from relay.ingress.connect import serve_connect
from relay.ingress.connection import Shared, VisitorConnection
from relay.ingress.errors import MisdirectedError
from relay.ingress.exchange import forward
from relay.ingress.settings import RESERVED_PATHS, AsgiApp
from relay.ingress.sign_in import serve_own_path
from relay.transport import TlsStream

AcceptTunnel = Callable[[TlsStream, bytes], Awaitable[None]]


class Ingress:
    """Serves visitor connections of one process."""

    def __init__(self, shared: Shared, *, api: AsgiApp, app: AsgiApp, accept_tunnel: AcceptTunnel) -> None:
        self.shared = shared
        self._applications = {shared.hosts.api: ("api", api), shared.hosts.app: ("app", app)}
        self._accept_tunnel = accept_tunnel

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Runs what all connections need, for ever."""
        async with trio.open_nursery() as nursery:
            self.shared.nursery = nursery
            task_status.started()
            await self.shared.watchdog.run()

    async def serve(self, stream: TlsStream) -> None:
        """Serves one visitor connection until it ends."""
        await VisitorConnection(self.shared, stream, self._dispatch).serve()

    @property
    def connection_count(self) -> int:
        """Open visitor connections."""
        return len(self.shared.watchdog.connections)

    async def drain(self) -> None:
        """Lets exchanges under way finish: idle connections close in a moment, the others after their answer."""
        self.shared.draining = True
        connections = self.shared.watchdog.connections
        for connection in tuple(connections):
            if isinstance(connection, VisitorConnection):
                connection.part()
        await self.shared.watchdog.empty()

    async def _dispatch(self, connection: VisitorConnection, head: RequestHead) -> bool:
        """Answers one request; True when the connection may carry another. Raises RelayError to have it refused."""
        hosts = self.shared.hosts
        name = connection.stream.server_name
        if head.method == b"CONNECT":
            return await serve_connect(connection, head)
        if name is not None and name != head.host:
            raise MisdirectedError(f"This connection was made for {name}, not for {head.host}.")
        if head.host.endswith("." + hosts.preview):
            if head.target.startswith(RESERVED_PATHS):
                return await serve_own_path(connection, head)
            return await forward(connection, head)
        if head.host in self._applications:
            return await serve_asgi(connection, head, *self._applications[head.host])
        if head.host == hosts.tunnel and head.upgrade == b"websocket":
            return await self._hand_over(connection, head)
        raise MisdirectedError(f"This relay does not serve {head.host}.")

    async def _hand_over(self, connection: VisitorConnection, head: RequestHead) -> bool:
        """Gives an agent's WebSocket to the tunnels; its head has passed the strict reader and is read again there."""
        initial = head.raw + bytes(connection.buffer)
        connection.buffer.clear()
        self.shared.watchdog.discard(connection)
        await self._accept_tunnel(connection.stream, initial)
        return False
