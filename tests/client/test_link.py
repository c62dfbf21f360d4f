from pathlib import Path

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from client.backoff import REFUSED_SECONDS, Backoff
from client.link import Link, LoginError, next_address
from client.reconnect import Ending
from client.settings import Endpoint
from client.status import LinkStatus
from client.token import LOOK_SECONDS, TokenChanges, WatchedToken
from relay.mux.codes import CloseCode
from relay.mux.handshake import RelayProcess, Welcome

ADDRESS = Endpoint(host="relay.example", port=443)


class FakeTunnel:
    """A tunnel that ends when the test says so."""

    def __init__(self, journal: list[str], number: int) -> None:
        self.welcome = Welcome(relay_process_id="p", tunnel_id=f"t{number}")
        self._journal = journal
        self._number = number
        self._over = trio.Event()
        self._ending = Ending(message="")

    def end(self, ending: Ending) -> None:
        self._ending = ending
        self._over.set()

    async def wait_ending(self) -> Ending:
        await self._over.wait()
        return self._ending

    def let_go(self) -> None:
        self._journal.append(f"let go {self._number}")


class FakeRelay:
    """Refuses as often as it is told, then accepts; writes down when."""

    def __init__(self, *refusals: Ending) -> None:
        self.refusals = list(refusals)
        self.journal: list[str] = []
        self.times: list[float] = []
        self.tunnels: list[FakeTunnel] = []

    async def __call__(self, address: Endpoint, status: LinkStatus) -> FakeTunnel:
        await trio.lowlevel.checkpoint()
        assert (str(address), status.state) == (status.address, "connecting")
        self.times.append(trio.current_time())
        if self.refusals:
            raise LoginError(self.refusals.pop(0))
        tunnel = FakeTunnel(self.journal, len(self.tunnels))
        self.tunnels.append(tunnel)
        self.journal.append(f"up {len(self.tunnels) - 1}")
        return tunnel

    def waits(self) -> list[float]:
        return [later - sooner for sooner, later in zip(self.times, self.times[1:], strict=False)]


class Watched:
    """A link with its token file and a relay that is played."""

    def __init__(self, nursery: trio.Nursery, relay: FakeRelay, folder: Path) -> None:
        self.token_file = folder / "token"
        self.token_file.write_text("sdt_old")
        self.changes = TokenChanges(WatchedToken(self.token_file))
        self.welcomes: list[Welcome] = []
        self.link = Link(
            ADDRESS,
            login=relay,
            backoff=Backoff(random=lambda: 1.0),
            token_changes=self.changes,
            on_welcome=lambda _, welcome: self.welcomes.append(welcome),
        )
        nursery.start_soon(self.link.run)
        nursery.start_soon(self.changes.watch)


FAILED = Ending(message="refused the connection")
REFUSED = Ending(message="unknown token", close_code=CloseCode.UNAUTHENTICATED)


async def test_failures_are_retried_with_growing_waits_until_a_tunnel_is_up(
    nursery: trio.Nursery, tmp_path: Path, autojump_clock: MockClock
) -> None:
    relay = FakeRelay(*[FAILED] * 8)
    watched = Watched(nursery, relay, tmp_path)
    await trio.sleep(200)
    assert relay.waits() == pytest.approx([0.5, 1, 2, 4, 8, 16, 30, 30])
    assert watched.link.status.state == "connected"
    assert watched.link.status.problem == ""


async def test_a_lost_tunnel_is_replaced(nursery: trio.Nursery, tmp_path: Path, autojump_clock: MockClock) -> None:
    relay = FakeRelay()
    watched = Watched(nursery, relay, tmp_path)
    await trio.sleep(60)
    relay.tunnels[0].end(Ending(message="connection lost", lived_seconds=60))
    await trio.sleep(0.25)
    assert watched.link.status.state == "waiting"
    assert watched.link.status.problem == "connection lost"
    await trio.sleep(0.5)
    assert relay.journal == ["up 0", "up 1", "let go 0"]


async def test_a_drain_brings_the_new_tunnel_up_before_the_old_one_is_let_go(
    nursery: trio.Nursery, tmp_path: Path, autojump_clock: MockClock
) -> None:
    relay = FakeRelay()
    Watched(nursery, relay, tmp_path)
    await trio.sleep(60)
    relay.refusals = [FAILED, FAILED]
    relay.tunnels[0].end(Ending(message="restart", close_code=CloseCode.DRAIN, retry_after_seconds=5, lived_seconds=60))
    await trio.sleep(6)
    assert relay.journal == ["up 0"]
    await trio.sleep(10)
    assert relay.journal == ["up 0", "up 1", "let go 0"]
    assert relay.waits()[1:] == pytest.approx([0.5, 1])
    assert relay.times[1] - 60 == pytest.approx(5)


@pytest.mark.parametrize(
    ("ending", "address"),
    [
        (Ending(message="", close_code=CloseCode.DRAIN), "relay.example:8444"),
        (Ending(message="", close_code=CloseCode.SHUTDOWN), "relay.example:8444"),
        (None, "relay.example:8444"),  # a new token
        (Ending(message="connection lost"), "relay.example:443"),
        (REFUSED, "relay.example:443"),
    ],
)
def test_the_process_that_was_reached_is_dialled_at_its_own_address_as_long_as_it_is_well(
    ending: Ending | None, address: str
) -> None:
    processes = (RelayProcess(id="p", address="relay.example:8444"), RelayProcess(id="q", address="relay.example:8445"))
    welcome = Welcome(relay_process_id="p", tunnel_id="t", processes=processes)
    assert str(next_address(ADDRESS, welcome, ending)) == address


@pytest.mark.parametrize("printed", ["", "relay.example", "relay.example:http"])
def test_a_process_without_an_address_is_dialled_where_the_relay_is(printed: str) -> None:
    ending = Ending(message="", close_code=CloseCode.DRAIN)
    welcome = Welcome(relay_process_id="p", tunnel_id="t", processes=(RelayProcess(id="p", address=printed),))
    assert next_address(ADDRESS, welcome, ending) == ADDRESS
    assert next_address(ADDRESS, Welcome(relay_process_id="p", tunnel_id="t"), ending) == ADDRESS


async def test_a_refused_token_is_retried_slowly_and_shown(
    nursery: trio.Nursery, tmp_path: Path, autojump_clock: MockClock
) -> None:
    relay = FakeRelay(*[REFUSED] * 5)
    watched = Watched(nursery, relay, tmp_path)
    await trio.sleep(100)
    assert relay.waits() == pytest.approx([REFUSED_SECONDS[1]])
    assert watched.link.status.line() == "relay.example:443 refused: unknown token"


async def test_a_new_token_ends_a_slow_wait_at_once(
    nursery: trio.Nursery, tmp_path: Path, autojump_clock: MockClock
) -> None:
    relay = FakeRelay(REFUSED)
    watched = Watched(nursery, relay, tmp_path)
    await trio.sleep(5.5)
    watched.token_file.write_text("sdt_new")
    await trio.sleep(LOOK_SECONDS)
    assert relay.times == pytest.approx([relay.times[0], 6], abs=0.01)
    assert watched.link.status.state == "connected"


async def test_a_new_token_logs_in_anew_and_then_lets_the_old_tunnel_go(
    nursery: trio.Nursery, tmp_path: Path, autojump_clock: MockClock
) -> None:
    relay = FakeRelay()
    watched = Watched(nursery, relay, tmp_path)
    await trio.sleep(5.5)
    watched.token_file.write_text("sdt_new")
    await trio.sleep(LOOK_SECONDS)
    assert relay.journal == ["up 0", "up 1", "let go 0"]
    watched.token_file.write_text("sdt_new\n")
    await trio.sleep(100)
    assert len(relay.tunnels) == 2


async def test_a_token_that_changes_during_a_login_is_not_missed(
    nursery: trio.Nursery, tmp_path: Path, autojump_clock: MockClock
) -> None:
    class SlowRelay(FakeRelay):
        async def __call__(self, address: Endpoint, status: LinkStatus) -> FakeTunnel:
            await trio.sleep(5)
            return await super().__call__(address, status)

    relay = SlowRelay(REFUSED)
    watched = Watched(nursery, relay, tmp_path)
    await trio.sleep(2)
    watched.token_file.write_text("sdt_new")
    # Refused at 5 s with the old token: the next attempt starts at once, not after half a minute.
    await trio.sleep(10)
    assert relay.journal == ["up 0"]


async def test_a_link_that_is_no_longer_wanted_lets_its_tunnel_go(tmp_path: Path) -> None:
    relay = FakeRelay()
    async with trio.open_nursery() as nursery:
        Watched(nursery, relay, tmp_path)
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert relay.journal == ["up 0", "let go 0"]
