"""A relay for an agent's tests: real TLS, real tunnels, one process or several, and nothing behind them."""

import math
from dataclasses import dataclass, field
from pathlib import Path

import trio

from certs import HTTP_ALPN, Authority, server_context
from relay.errors import TunnelClosedError
from relay.mux import CloseCode, RelayProcess, Role, Welcome
from relay.transport import MuxStream, TlsStream, Tunnel, accept_websocket, listen, serve_tls

HOST = "tunnel.localhost"
OTHER_HOSTS = ["tunnel.relay.test"]


@dataclass
class FakeRelay:
    """One process of a relay. Tunnels that it welcomed come out of `next_tunnel`."""

    folder: Path
    authority: Authority
    port: int = 0
    process_id: str = "p1"
    tokens: set[str] = field(default_factory=lambda: {"sdt_good"})
    processes: tuple[RelayProcess, ...] = ()
    logins: list[str] = field(default_factory=list)
    alpns: list[str | None] = field(default_factory=list)
    instance_ids: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._welcomed, self._tunnels = trio.open_memory_channel[Tunnel](math.inf)
        self._scope = trio.CancelScope()
        self.stopped = trio.Event()

    @property
    def address(self) -> str:
        return f"{HOST}:{self.port}"

    async def next_tunnel(self) -> Tunnel:
        with trio.fail_after(10):
            return await self._tunnels.receive()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        certificate, key = self.folder / f"{self.process_id}.pem", self.folder / f"{self.process_id}.key"
        self.authority.leaf([HOST, *OTHER_HOSTS]).write(certificate, key)
        context = server_context(certificate, key)
        sockets = listen("127.0.0.1", self.port)
        self.port = sockets[0].getsockname()[1]
        with trio.CancelScope() as self._scope:
            await serve_tls(sockets, lambda: context, self._serve, task_status=task_status)
        self.stopped.set()

    async def kill(self) -> None:
        """Ends everything at once."""
        self._scope.cancel()
        await self.stopped.wait()

    async def _serve(self, stream: TlsStream) -> None:
        self.alpns.append(stream.alpn)
        async with trio.open_nursery() as nursery:
            transport: trio.abc.Stream = stream
            if stream.alpn == HTTP_ALPN:
                transport = await accept_websocket(stream, nursery=nursery)
            tunnel = Tunnel(transport, Role.RELAY)
            try:
                await nursery.start(tunnel.run)
                self._answer(tunnel)
            except TunnelClosedError:
                return
            await tunnel.closed()
            nursery.cancel_scope.cancel()

    def _answer(self, tunnel: Tunnel) -> None:
        assert tunnel.hello is not None
        self.logins.append(tunnel.hello.token)
        self.instance_ids.add(tunnel.hello.instance_id)
        if tunnel.hello.token not in self.tokens:
            tunnel.goaway(CloseCode.UNAUTHENTICATED, "this cluster token is not known")
            return
        tunnel.accept(
            Welcome(relay_process_id=self.process_id, tunnel_id=f"t{len(self.logins)}", processes=self.processes)
        )
        self._welcomed.send_nowait(tunnel)


async def ask(stream: MuxStream, question: bytes) -> bytes:
    """Sends a question and a finish; gives all of the answer."""
    await stream.send_all(question)
    await stream.send_eof()
    return b"".join([chunk async for chunk in stream])
