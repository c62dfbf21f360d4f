"""Agents log in over real TLS, over WebSocket and through a forward proxy."""

import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import pytest
import trio
import trio.testing

from relay.errors import StoreUnavailableError, TunnelClosedError, UnauthenticatedError
from relay.mux import CloseCode, Role
from relay.transport import MuxStream, TlsStream, Tunnel, connect_tls, connect_websocket, listen, parse_proxy, serve_tls
from relay.tunnels import Authenticate, Registry, TunnelAcceptor
from tests.support.forward_proxy import ForwardProxyServer, serve_forward_proxy
from tests.transport.pair import HELLO, SERVER_NAME, client_context, server_context


@dataclass(frozen=True)
class Identity:
    cluster_id: str = "cluster-1"
    cluster_name: str = "c1"
    org_id: str = "org-1"
    token_id: str = "token-1"


async def authenticate(token: str) -> Identity:
    await trio.lowlevel.checkpoint()
    if token != HELLO.token:
        raise UnauthenticatedError("the cluster token is unknown")
    return Identity()


@dataclass
class Relay:
    registry: Registry
    acceptor: TunnelAcceptor
    port: int
    nursery: trio.Nursery
    results: list[str]


@asynccontextmanager
async def running_relay(authenticate: Authenticate = authenticate) -> AsyncIterator[Relay]:
    registry = Registry()
    results: list[str] = []
    acceptor = TunnelAcceptor(registry, authenticate, process_id="relay-1", on_login=results.append)
    listeners = listen("127.0.0.1", 0)

    async def handle(stream: TlsStream) -> None:
        if stream.alpn == "signadot-tunnel/1":
            await acceptor.serve(stream)
        else:
            await acceptor.serve_websocket(stream, await stream.receive_some(100))

    async with trio.open_nursery() as nursery:
        port = listeners[0].getsockname()[1]
        await nursery.start(serve_tls, listeners, server_context, handle)
        yield Relay(registry, acceptor, port, nursery, results)
        nursery.cancel_scope.cancel()


def echo(nursery: trio.Nursery) -> Callable[[MuxStream], None]:
    def on_stream(stream: MuxStream) -> None:
        nursery.start_soon(serve, stream)

    async def serve(stream: MuxStream) -> None:
        stream.accept()
        async for data in stream:
            await stream.send_all(data)
        await stream.aclose()

    return on_stream


async def exchange(relay: Relay) -> None:
    tunnel = relay.registry.pick("cluster-1")
    assert tunnel is not None
    stream = tunnel.open("tcp", "web", 80)
    await stream.send_all(b"ping" * 100_000)
    await stream.send_eof()
    assert b"".join([data async for data in stream]) == b"ping" * 100_000


async def dial(relay: Relay, way: str) -> trio.abc.Stream:
    if way == "tls":
        return await connect_tls(SERVER_NAME, relay.port, context=client_context(), alpn=["signadot-tunnel/1"])
    stream = await connect_tls(SERVER_NAME, relay.port, context=client_context(), alpn=["http/1.1"])
    return await connect_websocket(stream, nursery=relay.nursery, host=SERVER_NAME)


@pytest.mark.parametrize("way", ["tls", "websocket"])
async def test_an_agent_logs_in_and_serves_streams(way: str) -> None:
    async with running_relay() as relay:
        agent = Tunnel(await dial(relay, way), Role.AGENT, hello=HELLO, on_stream=echo(relay.nursery))
        await relay.nursery.start(agent.run)
        assert relay.results == ["ok"]
        status = relay.registry.status("cluster-1")
        assert (status.online, status.tunnels, status.agent_versions) == (True, 1, ("0.1",))
        await exchange(relay)
        agent.close()
        await agent.closed()


async def test_an_agent_logs_in_through_a_forward_proxy_with_credentials() -> None:
    async with running_relay() as relay:
        proxy = await relay.nursery.start(serve_forward_proxy, ForwardProxyServer(credentials="agent:secret"))
        stream = await connect_tls(
            SERVER_NAME, relay.port, context=client_context(), forward_proxy=parse_proxy(proxy.url)
        )
        agent = Tunnel(stream, Role.AGENT, hello=HELLO, on_stream=echo(relay.nursery))
        await relay.nursery.start(agent.run)
        await exchange(relay)
        assert proxy.asked == [f"{SERVER_NAME}:{relay.port}"]
        wrong = parse_proxy(re.sub("secret", "guess", proxy.url))
        with pytest.raises(ConnectionError, match="407"):
            await connect_tls(SERVER_NAME, relay.port, context=client_context(), forward_proxy=wrong)


async def test_a_wrong_token_is_refused_with_the_reason() -> None:
    async with running_relay() as relay:
        agent = Tunnel(
            await dial(relay, "tls"), Role.AGENT, hello=replace(HELLO, token="wrong"), on_stream=lambda _: None
        )
        with pytest.raises(TunnelClosedError, match="unknown"):
            await agent.run()
        assert agent.end is not None
        assert agent.end.code == CloseCode.UNAUTHENTICATED
        assert relay.registry.pick("cluster-1") is None


async def test_an_agent_that_is_too_old_is_told_so_and_never_registered() -> None:
    async with running_relay() as relay:
        hello = replace(HELLO, agent_version="0.0.9")
        agent = Tunnel(await dial(relay, "tls"), Role.AGENT, hello=hello, on_stream=lambda _: None)
        with pytest.raises(TunnelClosedError, match=r"agent 0\.0\.9 is too old for this relay, which takes 0\.1\.0"):
            await agent.run()
        assert agent.end is not None
        assert agent.end.code == CloseCode.UNSUPPORTED_VERSION
        assert relay.registry.pick("cluster-1") is None
        assert relay.results == ["too_old"]


async def test_a_process_that_gives_way_sends_agents_on_and_keeps_those_it_has() -> None:
    async with running_relay() as relay:
        present = Tunnel(await dial(relay, "tls"), Role.AGENT, hello=HELLO, on_stream=lambda _: None)
        await relay.nursery.start(present.run)
        relay.acceptor.gives_way = True
        late = Tunnel(await dial(relay, "tls"), Role.AGENT, hello=HELLO, on_stream=lambda _: None)
        with pytest.raises(TunnelClosedError, match="another process takes its place"):
            await late.run()
        assert late.goaway_received is not None
        assert late.goaway_received.code == CloseCode.SHUTDOWN
        assert 0 < late.goaway_received.retry_after_seconds < 1
        assert relay.registry.pick("cluster-1") is not None
        assert relay.results == ["ok", "giving_way"]


async def test_a_revoked_token_ends_its_tunnels_at_once() -> None:
    async with running_relay() as relay:
        agent = Tunnel(await dial(relay, "tls"), Role.AGENT, hello=HELLO, on_stream=lambda _: None)
        await relay.nursery.start(agent.run)
        assert relay.acceptor.close_by_token("token-1") == 1
        assert relay.registry.pick("cluster-1") is None
        end = await agent.closed()
        assert end.code == CloseCode.UNAUTHENTICATED
        again = Tunnel(await dial(relay, "tls"), Role.AGENT, hello=HELLO, on_stream=lambda _: None)
        with pytest.raises(TunnelClosedError, match="revoked"):
            await again.run()


async def test_the_same_agent_logging_in_again_replaces_its_tunnel() -> None:
    async with running_relay() as relay:
        tunnels = []
        for _ in range(2):
            agent = Tunnel(await dial(relay, "tls"), Role.AGENT, hello=HELLO, on_stream=echo(relay.nursery))
            await relay.nursery.start(agent.run)
            tunnels.append(agent)
        goaway = await tunnels[0].goaway_arrived()
        assert goaway is not None
        assert goaway.code == CloseCode.REPLACED
        assert relay.registry.status("cluster-1").tunnels == 1
        await exchange(relay)


class SlowLookup:
    """A look-up of tokens that is under way until `answer` is set."""

    def __init__(self) -> None:
        self.asked = trio.Event()
        self.answer = trio.Event()

    async def __call__(self, token: str) -> Identity:
        self.asked.set()
        await self.answer.wait()
        return await authenticate(token)


async def fails_to_log_in(agent: Tunnel, reason: str) -> None:
    with pytest.raises(TunnelClosedError, match=reason):
        await agent.run()


async def test_a_token_revoked_while_it_is_looked_up_lets_nobody_in() -> None:
    lookup = SlowLookup()
    async with running_relay(lookup) as relay:
        agent = Tunnel(await dial(relay, "tls"), Role.AGENT, hello=HELLO, on_stream=lambda _: None)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(fails_to_log_in, agent, "revoked")
            await lookup.asked.wait()
            assert relay.acceptor.close_by_token("token-1") == 0  # it is not registered yet
            lookup.answer.set()
        assert agent.end is not None
        assert agent.end.code == CloseCode.UNAUTHENTICATED
        assert relay.results == ["unauthenticated"]
        assert len(relay.registry) == 0


async def test_an_agent_that_leaves_while_its_token_is_looked_up_is_not_registered() -> None:
    lookup = SlowLookup()
    async with running_relay(lookup) as relay:
        stream = await dial(relay, "tls")
        agent = Tunnel(stream, Role.AGENT, hello=HELLO, on_stream=lambda _: None)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(fails_to_log_in, agent, "changed its mind")
            await lookup.asked.wait()
            agent.close(CloseCode.SHUTDOWN, "changed its mind")
        lookup.answer.set()
        await trio.testing.wait_all_tasks_blocked(0.01)
        assert relay.results == []
        assert len(relay.registry) == 0


async def test_an_agent_is_told_when_its_token_cannot_be_checked_now() -> None:
    async def fail(_: str) -> Identity:
        await trio.lowlevel.checkpoint()
        raise StoreUnavailableError("the database is locked")

    async with running_relay(fail) as relay:
        agent = Tunnel(await dial(relay, "tls"), Role.AGENT, hello=HELLO, on_stream=lambda _: None)
        await fails_to_log_in(agent, "cannot check tokens now")
        assert agent.end is not None
        assert agent.end.code == CloseCode.INTERNAL
        assert agent.end.retry_after_seconds == 30  # a fault of ours: not all agents at once
        assert relay.results == ["unavailable"]


async def test_a_transport_that_ends_without_a_hello_is_counted() -> None:
    async with running_relay() as relay:
        for way in ("tls", "websocket"):
            stream = await dial(relay, way)
            await stream.aclose()
        while len(relay.results) < 2:
            await trio.testing.wait_all_tasks_blocked(0.01)
        assert relay.results == ["no_hello", "no_hello"]


async def test_stopping_the_acceptor_says_goodbye_and_empties_the_registry() -> None:
    async with trio.open_nursery() as nursery, running_relay() as relay:
        agent = Tunnel(await dial(relay, "tls"), Role.AGENT, hello=HELLO, on_stream=lambda _: None)
        await nursery.start(agent.run)
        relay.nursery.cancel_scope.cancel()
        with trio.CancelScope(shield=True):
            await agent.closed()
        assert agent.goaway_received is not None
        assert agent.goaway_received.code == CloseCode.SHUTDOWN
    assert len(relay.registry) == 0
