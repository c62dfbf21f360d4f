import contextlib
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest
import trio

import client.login
from certs import HTTP_ALPN, TUNNEL_ALPN, Authority
from client import backoff
from client.agent import Agent
from client.settings import Flags, load_settings
from client.token import WatchedToken
from relay.errors import StreamResetError
from relay.mux import CloseCode, RelayProcess, ResetCode
from relay.transport import Tunnel, copy_both_ways
from tests.client.relay import FakeRelay, ask


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority.create(["localhost", "relay.test"])


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits stay what they are relative to each other, a hundred times shorter; token and drain waits likewise."""
    monkeypatch.setattr(backoff, "REFUSED_SECONDS", (0.3, 0.4))
    monkeypatch.setattr(client.login, "SETTLE_SECONDS", 0.02)
    monkeypatch.setattr("client.token.LOOK_SECONDS", 0.02)


@dataclass
class World:
    """A relay, a target, and the agent between them."""

    nursery: trio.Nursery
    folder: Path
    relay: FakeRelay
    environment: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.token_file = self.folder / "token"
        self.token_file.write_text("sdt_good")
        (self.folder / "ca.pem").write_bytes(self.relay.authority.pem)

    def start_agent(self, *, transport: str = "tls", drain_seconds: str = "5", relay: str = "") -> Agent:
        settings = load_settings(
            Flags(
                relay=relay or self.relay.address,
                token_file=str(self.token_file),
                ca_file=str(self.folder / "ca.pem"),
                allow_targets=["127.0.0.1:*", "*.*.svc:*"],
                transport=transport,
                drain_seconds=drain_seconds,
            ),
            self.environment,
        )
        agent = Agent(settings, WatchedToken(self.token_file))
        self.nursery.start_soon(agent.run)
        return agent

    async def start_target(self, answer: Callable[[bytes], bytes] = bytes.upper) -> int:
        """A target that answers what it was sent once that has finished."""

        async def serve(stream: trio.SocketStream) -> None:
            question = b"".join([chunk async for chunk in stream])
            await stream.send_all(answer(question))

        listeners = await self.nursery.start(trio.serve_tcp, serve, 0)
        port: int = listeners[0].socket.getsockname()[1]
        return port


@pytest.fixture
async def world(nursery: trio.Nursery, tmp_path: Path, authority: Authority) -> World:
    relay = FakeRelay(tmp_path, authority)
    await nursery.start(relay.run)
    return World(nursery, tmp_path, relay)


async def until(condition: Callable[[], bool], seconds: float = 10) -> None:
    with trio.fail_after(seconds):
        while not condition():  # noqa: ASYNC110 - the state watched is the product's, without an event
            await trio.sleep(0.01)


async def is_served(tunnel: Tunnel, port: int) -> bool:
    with trio.fail_after(10):
        return await ask(tunnel.open("tcp", "127.0.0.1", port), b"hello") == b"HELLO"


@pytest.mark.parametrize(("transport", "alpn"), [("tls", TUNNEL_ALPN), ("websocket", HTTP_ALPN)])
async def test_a_stream_reaches_its_target_and_both_halves_finish(world: World, transport: str, alpn: str) -> None:
    agent = world.start_agent(transport=transport)
    tunnel = await world.relay.next_tunnel()
    assert await is_served(tunnel, await world.start_target())
    assert world.relay.alpns == [alpn]
    await until(lambda: agent.status.is_ready)
    assert [link.line() for link in agent.status.links.values()] == [f"{world.relay.address} connected"]
    for line in (
        "signadot_agent_tunnels 1.0",
        'signadot_agent_logins_total{result="ok"} 1.0',
        'signadot_agent_dials_total{result="ok"} 1.0',
        'signadot_agent_bytes_total{direction="to_target"} 5.0',
        'signadot_agent_bytes_total{direction="from_target"} 5.0',
    ):
        await until(lambda line=line: line in agent.metrics.text().decode())  # type: ignore[misc]


async def test_a_large_body_arrives_whole_in_both_directions(world: World) -> None:
    world.start_agent()
    tunnel = await world.relay.next_tunnel()
    port = await world.start_target(lambda question: question[::-1])
    body = bytes(range(256)) * 8192
    with trio.fail_after(20):
        stream = tunnel.open("tcp", "127.0.0.1", port)
        answer = bytearray()

        async def receive() -> None:
            async for chunk in stream:
                answer.extend(chunk)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(receive)
            await stream.send_all(body)
            await stream.send_eof()
    assert bytes(answer) == body[::-1]


@pytest.mark.parametrize(
    ("kind", "host", "code"),
    [
        ("tcp", "127.0.0.1", ResetCode.REFUSED),
        ("tcp", "10.1.2.3", ResetCode.NOT_ALLOWED),
        ("tcp", "169.254.169.254", ResetCode.NOT_ALLOWED),
        ("tcp", "::ffff:127.0.0.1", ResetCode.NOT_ALLOWED),
        ("tcp", "no-such-service.no-such-namespace.svc", ResetCode.NOT_FOUND),
        ("kubernetes", "127.0.0.1", ResetCode.NOT_ALLOWED),
    ],
)
async def test_a_failed_dial_becomes_a_reset_with_its_code_and_reason(
    world: World, kind: str, host: str, code: ResetCode
) -> None:
    with trio.socket.socket() as taken:
        await taken.bind(("127.0.0.1", 0))  # bound, not listening: the kernel refuses
        agent = world.start_agent()
        tunnel = await world.relay.next_tunnel()
        stream = tunnel.open(kind, host, taken.getsockname()[1])
        with trio.fail_after(15), pytest.raises(StreamResetError) as caught:
            await stream.wait_opened()
    assert caught.value.wire_code == code
    # Python before 3.13 prints an IPv4-mapped address in hexadecimal.
    assert any(spelling in str(caught.value) for spelling in (host, kind, "::ffff:7f00:1"))
    name = code.name.lower()
    await until(lambda: f'signadot_agent_dials_total{{result="{name}"}} 1.0' in agent.metrics.text().decode())


async def test_a_target_that_breaks_off_resets_the_stream(world: World) -> None:
    async def break_off(stream: trio.SocketStream) -> None:
        await stream.receive_some()
        stream.setsockopt(1, 13, b"\x01\x00\x00\x00\x00\x00\x00\x00")  # SO_LINGER 0: closing sends RST

    listeners = await world.nursery.start(trio.serve_tcp, break_off, 0)
    world.start_agent()
    tunnel = await world.relay.next_tunnel()
    stream = tunnel.open("tcp", "127.0.0.1", listeners[0].socket.getsockname()[1])
    with trio.fail_after(10), pytest.raises(StreamResetError) as caught:
        await ask(stream, b"x")
    assert caught.value.wire_code == ResetCode.TARGET_RESET


async def test_a_visitor_who_leaves_is_felt_at_the_target(world: World) -> None:
    left = trio.Event()

    async def wait(stream: trio.SocketStream) -> None:
        await stream.send_all(b"x")
        with contextlib.suppress(trio.BrokenResourceError):
            assert await stream.receive_some() == b""
        left.set()

    listeners = await world.nursery.start(trio.serve_tcp, wait, 0)
    world.start_agent()
    tunnel = await world.relay.next_tunnel()
    stream = tunnel.open("tcp", "127.0.0.1", listeners[0].socket.getsockname()[1])
    with trio.fail_after(10):
        assert await stream.receive_some() == b"x"
        stream.reset(ResetCode.CANCELLED)
        await left.wait()


class FakeProxy:
    """A forward proxy that knows one name, and connects to this machine for it."""

    def __init__(self, status: bytes = b"200 Connection established") -> None:
        self.heads: list[bytes] = []
        self._status = status

    async def serve(self, client_side: trio.SocketStream) -> None:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += await client_side.receive_some(1)
        self.heads.append(head)
        await client_side.send_all(b"HTTP/1.1 " + self._status + b"\r\n\r\n")
        if self._status.startswith(b"200"):
            port = int(head.split(b" ")[1].rpartition(b":")[2])
            await copy_both_ways(client_side, await trio.open_tcp_stream("127.0.0.1", port))


@pytest.mark.parametrize("transport", ["tls", "websocket"])
async def test_the_relay_is_reached_through_a_forward_proxy(world: World, transport: str) -> None:
    proxy = FakeProxy()
    listeners = await world.nursery.start(partial(trio.serve_tcp, proxy.serve, 0, host="127.0.0.1"))
    world.environment = {"HTTPS_PROXY": f"http://user:pass@127.0.0.1:{listeners[0].socket.getsockname()[1]}"}
    world.start_agent(transport=transport, relay=f"tunnel.relay.test:{world.relay.port}")
    assert await is_served(await world.relay.next_tunnel(), await world.start_target())
    (head,) = proxy.heads
    assert head.startswith(f"CONNECT tunnel.relay.test:{world.relay.port} HTTP/1.1\r\n".encode())
    assert b"Proxy-Authorization: Basic dXNlcjpwYXNz\r\n" in head


async def test_a_proxy_that_refuses_is_one_sentence(world: World) -> None:
    proxy = FakeProxy(b"403 Forbidden")
    listeners = await world.nursery.start(partial(trio.serve_tcp, proxy.serve, 0, host="127.0.0.1"))
    world.environment = {"HTTPS_PROXY": f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}"}
    agent = world.start_agent(relay="tunnel.relay.test:443")
    await until(lambda: any("403 Forbidden" in line for line in agent.status.lines()))


async def test_the_agent_comes_back_after_the_relay_has_gone(world: World, authority: Authority) -> None:
    agent = world.start_agent()
    await world.relay.next_tunnel()
    await world.relay.kill()
    await until(lambda: not agent.status.is_ready)
    assert next(iter(agent.status.links.values())).problem
    successor = FakeRelay(world.folder, authority, port=world.relay.port)
    await world.nursery.start(successor.run)
    assert await is_served(await successor.next_tunnel(), await world.start_target())
    await until(lambda: agent.status.is_ready)


async def test_a_wrong_token_is_retried_slowly_and_shown_and_a_new_one_is_used_at_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backoff, "REFUSED_SECONDS", (3600.0, 3600.0))
    world.token_file.write_text("sdt_wrong")
    agent = world.start_agent()
    line = f"{world.relay.address} refused: this cluster token is not known"
    await until(lambda: line in agent.status.lines())
    assert not agent.status.is_ready
    assert world.relay.logins == ["sdt_wrong"]
    world.token_file.write_text("sdt_good")
    await world.relay.next_tunnel()
    assert world.relay.logins == ["sdt_wrong", "sdt_good"]


async def test_a_changed_token_logs_in_anew_without_ending_open_streams(world: World) -> None:
    agent = world.start_agent()
    first = await world.relay.next_tunnel()
    port = await world.start_target()
    stream = first.open("tcp", "127.0.0.1", port)
    await stream.wait_opened()
    world.relay.tokens = {"sdt_new"}
    world.token_file.write_text("sdt_new")
    second = await world.relay.next_tunnel()
    with trio.fail_after(10):
        assert await ask(stream, b"still here") == b"STILL HERE"
        assert (await first.closed()).remote
    assert await is_served(second, port)
    assert agent.status.is_ready


async def test_a_drain_brings_the_new_tunnel_up_first_and_open_streams_finish(world: World) -> None:
    agent = world.start_agent()
    old = await world.relay.next_tunnel()
    port = await world.start_target()
    stream = old.open("tcp", "127.0.0.1", port)
    await stream.send_all(b"open ")
    await stream.wait_opened()
    old.goaway(CloseCode.DRAIN, "this process restarts", retry_after_seconds=0.1, drain_deadline_seconds=10)
    assert agent.status.is_ready
    # Until the new one is up, the old one takes streams.
    assert await is_served(old, port)
    new = await world.relay.next_tunnel()
    assert old.end is None
    assert await is_served(new, port)
    with trio.fail_after(10):
        hint = await old.goaway_arrived()
        assert hint is not None
        assert hint.code == CloseCode.DRAIN
        assert await ask(stream, b"streams") == b"OPEN STREAMS"
    # However long that process still has visitors: it ends the tunnel itself.
    await trio.sleep(client.login.SETTLE_SECONDS * 3)
    assert await is_served(old, port)
    old.close(CloseCode.SHUTDOWN, "this process has ended")
    with trio.fail_after(10):
        await old.closed()
    assert agent.status.is_ready
    assert next(iter(agent.status.links.values())).live_tunnels == 1


async def test_each_process_named_in_the_welcome_gets_a_tunnel(world: World, authority: Authority) -> None:
    other = FakeRelay(world.folder, authority, process_id="p2")
    await world.nursery.start(other.run)
    world.relay.processes = other.processes = (
        RelayProcess(id="p1", address=f"127.0.0.1:{world.relay.port}"),
        RelayProcess(id="p2", address=f"127.0.0.1:{other.port}"),
    )
    agent = world.start_agent()
    port = await world.start_target()
    assert await is_served(await world.relay.next_tunnel(), port)
    assert await is_served(await other.next_tunnel(), port)
    assert world.relay.instance_ids == other.instance_ids
    await until(lambda: all(link.is_ready for link in agent.status.links.values()))
    assert set(agent.status.links) == {world.relay.address, f"127.0.0.1:{other.port}"}


async def test_a_stop_finishes_open_streams_and_takes_no_new_ones(world: World) -> None:
    agent = world.start_agent()
    tunnel = await world.relay.next_tunnel()
    stream = tunnel.open("tcp", "127.0.0.1", await world.start_target())
    await stream.wait_opened()
    agent.stop()
    assert not agent.status.is_ready
    with trio.fail_after(10):
        hint = await tunnel.goaway_arrived()
        assert hint is not None
        assert hint.code == CloseCode.DRAIN
        await until(lambda: tunnel.goaway_received is not None and tunnel.goaway_received.code == CloseCode.SHUTDOWN)
        assert await ask(stream, b"bye") == b"BYE"
        assert (await tunnel.closed()).remote


async def test_a_stop_waits_no_longer_than_the_drain_time(world: World) -> None:
    agent = world.start_agent(drain_seconds="0.1")
    tunnel = await world.relay.next_tunnel()
    stream = tunnel.open("tcp", "127.0.0.1", await world.start_target())
    await stream.wait_opened()
    agent.stop()
    with trio.fail_after(5):
        await tunnel.closed()


@pytest.mark.parametrize(
    ("relay", "says"),
    [
        ("app.localhost:{port}", "is not trusted for app.localhost"),
        ("tunnel.localhost:{closed}", "cannot reach tunnel.localhost:{closed}: "),
    ],
)
async def test_what_keeps_the_agent_from_the_relay_is_one_sentence(world: World, relay: str, says: str) -> None:
    with trio.socket.socket() as closed:
        await closed.bind(("127.0.0.1", 0))
        ports = {"port": world.relay.port, "closed": closed.getsockname()[1]}
        agent = world.start_agent(relay=relay.format(**ports))
        await until(lambda: any(says.format(**ports) in line for line in agent.status.lines()))
    line = next(iter(agent.status.lines()))
    assert re.search(r"0x|Traceback|\n|\(_ssl", line) is None
