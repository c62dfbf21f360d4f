"""The agent against the relay's own acceptor and registry, over real TLS."""

from dataclasses import dataclass
from pathlib import Path

import pytest
import trio

from certs import HTTP_ALPN, Authority, server_context
from client.agent import Agent
from client.settings import Flags, load_settings
from client.token import WatchedToken
from relay.errors import UnauthenticatedError
from relay.transport import TlsStream, Tunnel, listen, serve_tls
from relay.tunnels.acceptor import TunnelAcceptor
from relay.tunnels.registry import Registry
from tests.client.relay import HOST, ask
from tests.client.test_agent import until


@dataclass(frozen=True)
class Identity:
    token_id: str
    cluster_id: str = "c1"
    cluster_name: str = "staging"
    org_id: str = "o1"


class Relay:
    """One relay process: acceptor and registry behind a TLS port."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.tokens = {"sdt_a", "sdt_b"}
        self.registry = Registry()
        self.acceptor = TunnelAcceptor(self.registry, self._authenticate, process_id="p1")
        authority = Authority.create()
        authority.leaf([HOST]).write(folder / "relay.pem", folder / "relay.key")
        (folder / "ca.pem").write_bytes(authority.pem)
        self.port = 0

    async def _authenticate(self, token: str) -> Identity:
        await trio.lowlevel.checkpoint()
        if token not in self.tokens:
            raise UnauthenticatedError("the cluster token is not known")
        return Identity(token_id=token.removeprefix("sdt_"))

    async def _serve(self, stream: TlsStream) -> None:
        if stream.alpn == HTTP_ALPN:
            await self.acceptor.serve_websocket(stream)
        else:
            await self.acceptor.serve(stream)

    async def run(self, *, task_status: trio.TaskStatus[None]) -> None:
        context = server_context(self.folder / "relay.pem", self.folder / "relay.key")
        sockets = listen("127.0.0.1", self.port)
        self.port = sockets[0].getsockname()[1]
        await serve_tls(sockets, lambda: context, self._serve, task_status=task_status)

    async def tunnel(self) -> Tunnel:
        await until(lambda: self.registry.pick("c1") is not None)
        tunnel = self.registry.pick("c1")
        assert tunnel is not None
        return tunnel

    def start_agent(self, nursery: trio.Nursery, transport: str = "tls") -> Agent:
        token_file = self.folder / "token"
        token_file.write_text("sdt_a")
        settings = load_settings(
            Flags(
                relay=f"{HOST}:{self.port}",
                token_file=str(token_file),
                ca_file=str(self.folder / "ca.pem"),
                allow_targets=["127.0.0.1:*"],
                transport=transport,
            ),
            {},
        )
        agent = Agent(settings, WatchedToken(token_file))
        nursery.start_soon(agent.run)
        return agent


@pytest.fixture
async def relay(nursery: trio.Nursery, tmp_path: Path) -> Relay:
    relay = Relay(tmp_path)
    await nursery.start(relay.run)
    return relay


async def upper(stream: trio.SocketStream) -> None:
    await stream.send_all(b"".join([chunk async for chunk in stream]).upper())


@pytest.fixture
async def target(nursery: trio.Nursery) -> int:
    listeners = await nursery.start(trio.serve_tcp, upper, 0)
    port: int = listeners[0].socket.getsockname()[1]
    return port


@pytest.mark.parametrize("transport", ["tls", "websocket"])
async def test_a_hundred_streams_at_once_get_their_own_answers(
    nursery: trio.Nursery, relay: Relay, target: int, transport: str
) -> None:
    relay.start_agent(nursery, transport)
    tunnel = await relay.tunnel()
    answers: dict[int, bytes] = {}

    async def one(number: int) -> None:
        answers[number] = await ask(tunnel.open("tcp", "127.0.0.1", target), b"question %d" % number)

    with trio.fail_after(20):
        async with trio.open_nursery() as asking:
            for number in range(100):
                asking.start_soon(one, number)
    assert answers == {number: b"QUESTION %d" % number for number in range(100)}


async def test_a_revoked_token_ends_the_tunnel_and_a_new_one_brings_it_back(
    nursery: trio.Nursery, relay: Relay, target: int
) -> None:
    agent = relay.start_agent(nursery)
    await relay.tunnel()
    relay.tokens.discard("sdt_a")
    assert relay.acceptor.close_by_token("a") == 1
    await until(lambda: not agent.status.is_ready)
    await until(lambda: any("refused: the cluster token was revoked" in line for line in agent.status.lines()))
    (relay.folder / "token").write_text("sdt_b")
    with trio.fail_after(20):
        assert await ask((await relay.tunnel()).open("tcp", "127.0.0.1", target), b"back") == b"BACK"


async def test_a_relay_that_drains_gets_its_agent_back_within_the_window(
    nursery: trio.Nursery, relay: Relay, target: int
) -> None:
    relay.start_agent(nursery)
    old = await relay.tunnel()
    stream = old.open("tcp", "127.0.0.1", target)
    await stream.wait_opened()
    with trio.fail_after(20):
        async with trio.open_nursery() as draining:

            async def drain() -> None:
                await relay.registry.drain(retry_window_seconds=0.2, deadline_seconds=15)

            draining.start_soon(drain)
            await until(lambda: relay.registry.pick("c1") not in {None, old})
            assert await ask(stream, b"open") == b"OPEN"
        new = await relay.tunnel()
        assert await ask(new.open("tcp", "127.0.0.1", target), b"new") == b"NEW"
