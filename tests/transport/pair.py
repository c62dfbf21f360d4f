"""Pairs of tunnels and of TLS streams for tests."""

import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache

import trio
import trio.testing
import trustme

from relay.mux import Hello, Limits, Role, Welcome
from relay.transport import MuxStream, TlsStream, Tunnel, accept_tls
from relay.transport.tls_stream import start_tls

HELLO = Hello(agent_version="0.1", token="sdt_secret", instance_id="agent-1")
WELCOME = Welcome(relay_process_id="relay-1", tunnel_id="tunnel-1")
SERVER_NAME = "tunnel.localhost"


@cache
def authority() -> trustme.CA:
    return trustme.CA()


@cache
def server_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority().issue_cert(SERVER_NAME, "localhost", "127.0.0.1").configure_cert(context)
    context.set_alpn_protocols(["signadot-tunnel/1", "http/1.1"])

    def record(connection: ssl.SSLSocket | ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
        connection.server_name = name  # type: ignore[union-attr]

    context.sni_callback = record
    return context


def client_context() -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority().configure_trust(context)
    context.set_alpn_protocols(["signadot-tunnel/1"])
    return context


async def tls_pair() -> tuple[TlsStream, TlsStream]:
    """(client, server), connected over a socket pair of this machine."""
    ours, theirs = socket.socketpair()
    streams: dict[str, TlsStream] = {}

    async def accept() -> None:
        streams["server"] = await accept_tls(theirs, server_context(), ("192.0.2.1", 4000))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(accept)
        streams["client"] = await start_tls(ours, client_context(), ("192.0.2.2", 8443), SERVER_NAME)
    return streams["client"], streams["server"]


@dataclass
class Pair:
    """Two tunnels that have greeted each other."""

    relay: Tunnel
    agent: Tunnel
    nursery: trio.Nursery
    incoming: list[MuxStream] = field(default_factory=list)
    arrived: trio.Event = field(default_factory=trio.Event)

    async def stream(self, *, accept: bool = True) -> tuple[MuxStream, MuxStream]:
        """(relay's end, agent's end) of a new stream."""
        self.arrived = trio.Event()
        ours = self.relay.open("tcp", "web.shop.svc", 8080)
        await self.arrived.wait()
        theirs = self.incoming.pop()
        if accept:
            theirs.accept()
        return ours, theirs

    listener: Callable[[MuxStream], None] | None = None
    """Takes the agent's ends instead, once it is set."""

    def on_stream(self, stream: MuxStream) -> None:
        if self.listener is not None:
            self.listener(stream)
            return
        self.incoming.append(stream)
        self.arrived.set()


@asynccontextmanager
async def tunnel_pair(
    transports: tuple[trio.abc.Stream, trio.abc.Stream] | None = None,
    *,
    limits: Limits | None = None,
    hello: Hello = HELLO,
) -> AsyncIterator[Pair]:
    limits = limits or Limits()
    first, second = transports or trio.testing.memory_stream_pair()
    relay = Tunnel(first, Role.RELAY, limits=limits)
    async with trio.open_nursery() as nursery:
        pair: Pair

        def on_stream(stream: MuxStream) -> None:
            pair.on_stream(stream)

        agent = Tunnel(second, Role.AGENT, hello=hello, limits=limits, on_stream=on_stream)
        pair = Pair(relay, agent, nursery)
        nursery.start_soon(agent.run)
        await nursery.start(relay.run)
        relay.accept(WELCOME)
        await agent.greeted()
        yield pair
        relay.close()
        agent.close()
        await relay.closed()
        await agent.closed()
        nursery.cancel_scope.cancel()
