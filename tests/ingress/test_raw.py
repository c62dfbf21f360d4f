"""Raw bytes: WebSocket upgrades that the target agreed to, and CONNECT on the proxy host."""

import pytest
import trio

from relay.ingress import IngressLimits
from relay.mux import ResetCode
from relay.transport import MuxStream
from tests.ingress.stage import HOST, Visitor, read_head, request, stage

UPGRADE = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: eA==", "Sec-WebSocket-Version: 13")
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"


async def echo(stream: MuxStream) -> None:
    while data := await stream.receive_some():
        await stream.send_all(data)
    await stream.send_eof()


async def upgrade_then_echo(stream: MuxStream) -> None:
    head = await read_head(stream)
    assert b"upgrade: websocket\r\n" in head
    await stream.send_all(SWITCH + b"first")
    await echo(stream)


async def receive_exactly(visitor: Visitor, size: int) -> bytes:
    while len(visitor.received) < size:
        await visitor._more()
    data = bytes(visitor.received[:size])
    del visitor.received[:size]
    return data


@pytest.mark.parametrize("origin", [(), (f"Origin: https://{HOST}",)], ids=["no origin", "own origin"])
async def test_after_101_bytes_pass_untouched_both_ways(origin: tuple[str, ...]) -> None:
    async with stage(upgrade_then_echo) as made:
        visitor = await made.visitor()
        answer = await visitor.ask(request("GET", "/ws", *UPGRADE, *origin))
        assert (answer.status, answer.get("upgrade")) == (101, "websocket")
        assert await receive_exactly(visitor, 5) == b"first"
        await visitor.send(b"\x82\x05GET /\r\n\r\n")
        assert await receive_exactly(visitor, 11) == b"\x82\x05GET /\r\n\r\n"


async def test_bytes_sent_right_behind_the_upgrade_are_not_lost() -> None:
    async with stage(upgrade_then_echo) as made:
        visitor = await made.visitor()
        await visitor.send(request("GET", "/ws", *UPGRADE) + b"early")
        assert (await visitor.answer()).status == 101
        assert await receive_exactly(visitor, 10) == b"firstearly"


async def test_an_upgrade_that_the_target_declines_is_an_ordinary_answer() -> None:
    async def target(stream: MuxStream) -> None:
        while await read_head(stream):
            await stream.send_all(b"HTTP/1.1 426 No\r\nContent-Length: 0\r\n\r\n")

    async with stage(target) as made:
        visitor = await made.visitor()
        assert (await visitor.ask(request("GET", "/ws", *UPGRADE))).status == 426
        assert (await visitor.ask(request())).status == 426


async def test_a_101_that_was_not_asked_for_is_a_502() -> None:
    async def target(stream: MuxStream) -> None:
        await read_head(stream)
        await stream.send_all(SWITCH)

    async with stage(target) as made:
        visitor = await made.visitor()
        assert (await visitor.ask(request())).status == 502


async def test_an_idle_upgrade_ends(autojump_clock: trio.abc.Clock) -> None:
    async with stage(upgrade_then_echo, limits=IngressLimits(upgraded_idle_seconds=60)) as made:
        visitor = await made.visitor()
        await visitor.ask(request("GET", "/ws", *UPGRADE))
        started = trio.current_time()
        assert await visitor.rest() == b"first"
        assert trio.current_time() - started == pytest.approx(60)


def connect(*headers: str, target: str = "db.shop.svc:5432") -> bytes:
    return request("CONNECT", target, *headers, host=target, key=None)


AUTHORIZED = ("Proxy-Authorization: Bearer sdk_good", "signadot-cluster: staging")


async def test_connect_opens_raw_tcp_and_keeps_half_close() -> None:
    received: list[bytes] = []

    async def target(stream: MuxStream) -> None:
        while data := await stream.receive_some():
            received.append(data)
        await stream.send_all(b"the whole answer")
        await stream.send_eof()

    async with stage(target) as made:
        visitor = await made.visitor("proxy.test")
        assert (await visitor.ask(connect(*AUTHORIZED))).status == 200
        assert (made.streams[0].host, made.streams[0].port) == ("db.shop.svc", 5432)
        await visitor.send(b"question")
        await visitor.stream.send_eof()
        assert await visitor.rest() == b"the whole answer"
        assert b"".join(received) == b"question"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ((), 401),
        (("Proxy-Authorization: Basic abc", "signadot-cluster: staging"), 401),
        (("Proxy-Authorization: Bearer sdk_wrong", "signadot-cluster: staging"), 401),
        (("Proxy-Authorization: Bearer sdk_good",), 404),
        (("Proxy-Authorization: Bearer sdk_good", "signadot-cluster: elsewhere"), 404),
        (("Proxy-Authorization: Bearer sdk_other", "signadot-cluster: staging"), 404),
    ],
)
async def test_connect_without_right_or_cluster_is_refused(headers: tuple[str, ...], status: int) -> None:
    async with stage(echo) as made:
        visitor = await made.visitor("proxy.test")
        assert (await visitor.ask(connect(*headers))).status == status
        assert made.streams == []


async def test_connect_is_served_on_the_proxy_host_only() -> None:
    async with stage(echo) as made:
        visitor = await made.visitor(HOST)
        assert (await visitor.ask(connect(*AUTHORIZED))).status == 421


async def test_a_connect_whose_dial_is_refused_says_why() -> None:
    async with stage(echo) as made:
        made.dial = lambda stream: stream.reset(ResetCode.NOT_ALLOWED, "no pattern allows db.shop.svc:5432")
        visitor = await made.visitor("proxy.test")
        answer = await visitor.ask(connect(*AUTHORIZED))
        assert (answer.status, answer.json["code"]) == (502, "target_not_allowed")
        assert "no pattern allows" in answer.json["error"]
