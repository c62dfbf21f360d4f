from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from client.backoff import Backoff
from client.link import Link
from client.links import Links, Welcomed
from client.reconnect import Ending
from client.settings import Endpoint
from client.status import AgentStatus, LinkStatus
from client.token import TokenChanges, WatchedToken
from relay.mux import RelayProcess, Welcome

MAIN = Endpoint(host="relay.example", port=443)
A = RelayProcess(id="a", address="10.0.0.1:9001")
B = RelayProcess(id="b", address="10.0.0.1:9002")


class FakeTunnel:
    def __init__(self, welcome: Welcome) -> None:
        self.welcome = welcome
        self.is_let_go = False
        self.lost = trio.Event()

    async def wait_ending(self) -> Ending:
        await self.lost.wait()
        return Ending(message="lost", lived_seconds=60)

    def let_go(self) -> None:
        self.is_let_go = True


class FakeRelay:
    """Processes behind addresses; the public address reaches the first of them."""

    def __init__(self, *processes: RelayProcess) -> None:
        self.processes = processes
        self.tunnels: dict[str, list[FakeTunnel]] = {}

    async def __call__(self, address: Endpoint, status: LinkStatus) -> FakeTunnel:
        await trio.lowlevel.checkpoint()
        assert status.state == "connecting"
        reached = next((process.id for process in self.processes if process.address == str(address)), None)
        tunnel = FakeTunnel(
            Welcome(relay_process_id=reached or self.processes[0].id, tunnel_id="t", processes=self.processes)
        )
        self.tunnels.setdefault(str(address), []).append(tunnel)
        return tunnel


def start(nursery: trio.Nursery, relay: FakeRelay, folder: Path) -> AgentStatus:
    status = AgentStatus()
    (folder / "token").write_text("sdt_x")
    changes = TokenChanges(WatchedToken(folder / "token"))

    def make_link(address: Endpoint, welcomed: Welcomed) -> Link:
        return Link(
            address,
            login=relay,
            backoff=Backoff(random=lambda: 1.0),
            token_changes=changes,
            on_welcome=welcomed,
        )

    nursery.start_soon(Links(MAIN, make_link=make_link, status=status).run)
    return status


async def test_every_process_that_the_relay_names_gets_one_tunnel(
    nursery: trio.Nursery, tmp_path: Path, autojump_clock: MockClock
) -> None:
    relay = FakeRelay(A, B)
    status = start(nursery, relay, tmp_path)
    await trio.sleep(100)
    assert {address: len(tunnels) for address, tunnels in relay.tunnels.items()} == {str(MAIN): 1, B.address: 1}
    assert set(status.links) == {str(MAIN), B.address}


async def test_when_the_public_address_reaches_the_other_process_the_links_change_over(
    nursery: trio.Nursery, tmp_path: Path, autojump_clock: MockClock
) -> None:
    relay = FakeRelay(A, B)
    status = start(nursery, relay, tmp_path)
    await trio.sleep(60)
    relay.processes = (B, A)
    relay.tunnels[str(MAIN)][0].lost.set()
    await trio.sleep(60)
    assert relay.tunnels[B.address][0].is_let_go
    assert len(relay.tunnels[A.address]) == 1
    assert set(status.links) == {str(MAIN), A.address}


async def test_a_process_that_is_no_longer_named_is_let_go(
    nursery: trio.Nursery, tmp_path: Path, autojump_clock: MockClock
) -> None:
    relay = FakeRelay(A, B)
    status = start(nursery, relay, tmp_path)
    await trio.sleep(60)
    relay.processes = (A,)
    relay.tunnels[str(MAIN)][0].lost.set()
    await trio.sleep(60)
    assert relay.tunnels[B.address][0].is_let_go
    assert set(status.links) == {str(MAIN)}


async def test_a_process_that_appears_gets_a_tunnel(
    nursery: trio.Nursery, tmp_path: Path, autojump_clock: MockClock
) -> None:
    relay = FakeRelay(A)
    start(nursery, relay, tmp_path)
    await trio.sleep(60)
    assert list(relay.tunnels) == [str(MAIN)]
    relay.processes = (A, B)
    relay.tunnels[str(MAIN)][0].lost.set()
    await trio.sleep(60)
    assert len(relay.tunnels[B.address]) == 1


@pytest.mark.parametrize("address", ["nonsense", "a b:1", "10.0.0.1:99999", "[::1"])
async def test_an_address_that_cannot_be_read_harms_nothing(
    nursery: trio.Nursery, tmp_path: Path, autojump_clock: MockClock, address: str
) -> None:
    relay = FakeRelay(A, RelayProcess(id="x", address=address), B)
    status = start(nursery, relay, tmp_path)
    await trio.sleep(60)
    assert set(status.links) == {str(MAIN), B.address}
