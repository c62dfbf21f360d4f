"""One slot with workers that are played: crashes and stops at every moment of a replacement leave one good worker."""

import pytest
import trio
from trio.testing import MockClock

from relay.workers import slot as slots
from relay.workers.assignment import Assignment
from relay.workers.slot import AGENTS_SECONDS, Slot, WorkerFailedError


class FakeWorker:
    """A worker that has so many clusters, and ends when it is told or crashed."""

    def __init__(self, number: int, *, held: bool, clusters: int, fails: bool) -> None:
        self.number, self.slot, self.pid, self.returncode = number, 0, number, 0
        self.born = trio.current_time()
        self.is_open = not held
        self.clusters = clusters
        self.dismissals = 0
        self.drain_seconds = 0.1
        self.started, self.ended = trio.Event(), trio.Event()
        if fails:
            self.crash(2)
        else:
            self.started.set()

    @property
    def is_serving(self) -> bool:
        return self.started.is_set() and not self.ended.is_set()

    async def watch(self) -> None:
        await self.ended.wait()

    async def ask(self, command: str, **_: float) -> str | int | None:
        await trio.sleep(0.01)
        if self.ended.is_set():
            return None
        if command == "open":
            self.is_open = True
        return self.clusters if command == "clusters" else ""

    async def end(self) -> None:
        self.dismissals += 1
        with trio.move_on_after(self.drain_seconds):
            await self.ended.wait()
        self.ended.set()

    def crash(self, code: int = -9) -> None:
        self.returncode = code
        self.ended.set()


class FakeSockets:
    def __init__(self) -> None:
        self.journal: list[str] = []
        self._listens = True

    def leave(self) -> None:
        self.journal.append("leave")
        self._listens = False

    def prepare(self) -> bool:
        return self._listens

    def join(self) -> None:
        self.journal.append("join")
        self._listens = True

    def close(self) -> None:
        self.journal.append("close")


class Stage:
    """A slot and every worker it started."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self.nursery = nursery
        self.workers: list[FakeWorker] = []
        self.clusters_of_next = 1
        self.failures = 0
        """How many of the next starts fail."""
        self.sockets = FakeSockets()
        self.ended: list[int] = []
        self.slot = Slot(
            self.sockets,  # type: ignore[arg-type]
            program=None,  # type: ignore[arg-type]
            assign=lambda held: held,  # type: ignore[arg-type,return-value]
            on_end=lambda worker: self.ended.append(worker.pid),
        )

    async def start_worker(self, _: object, assignment: Assignment, **__: float) -> FakeWorker:
        await trio.lowlevel.checkpoint()
        self.failures -= 1
        number = len(self.workers) + 1
        held = bool(assignment)
        self.workers.append(FakeWorker(number, held=held, clusters=self.clusters_of_next, fails=self.failures >= 0))
        return self.workers[-1]

    def assert_one_good_worker(self) -> None:
        (live,) = self.slot
        assert self.slot.worker is live
        assert live.is_serving
        assert self.workers[-1].is_open


@pytest.fixture
async def stage(nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch) -> Stage:
    stage = Stage(nursery)
    monkeypatch.setattr(slots, "start_worker", stage.start_worker)
    await stage.slot.start(nursery)
    return stage


async def test_a_replacement_hands_over_when_the_clusters_are_there(stage: Stage, autojump_clock: MockClock) -> None:
    assert await stage.slot.replace(stage.nursery)
    assert trio.current_time() - stage.workers[0].born < 1
    await trio.sleep(1)
    stage.assert_one_good_worker()
    assert [worker.dismissals for worker in stage.workers] == [1, 0]


async def test_a_successor_waits_for_missing_clusters_only_so_long(stage: Stage, autojump_clock: MockClock) -> None:
    stage.clusters_of_next = 0
    assert await stage.slot.replace(stage.nursery)
    assert AGENTS_SECONDS <= trio.current_time() - stage.workers[0].born < AGENTS_SECONDS + 1
    await trio.sleep(1)
    stage.assert_one_good_worker()


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("seconds", [0.0, 0.005, 0.015, 0.025, 0.5, 14.99, 15.005, 15.05, 15.2])
async def test_a_crash_at_any_moment_of_a_replacement_leaves_one_good_worker(
    stage: Stage, which: int, seconds: float, autojump_clock: MockClock
) -> None:
    stage.clusters_of_next = 0
    stage.nursery.start_soon(stage.slot.replace, stage.nursery)
    await trio.sleep(seconds)
    if len(stage.workers) > which:
        stage.workers[which].crash()
    await trio.sleep(100)
    stage.assert_one_good_worker()
    stage.clusters_of_next = 1
    assert await stage.slot.replace(stage.nursery)
    await trio.sleep(1)
    stage.assert_one_good_worker()


@pytest.mark.parametrize("seconds", [0.0, 0.005, 0.015, 0.5, 15.05, 15.2])
async def test_a_stop_at_any_moment_of_a_replacement_dismisses_every_worker(
    stage: Stage, seconds: float, autojump_clock: MockClock
) -> None:
    stage.clusters_of_next = 0
    stage.nursery.start_soon(stage.slot.replace, stage.nursery)
    await trio.sleep(seconds)
    await stage.slot.stop()
    await trio.sleep(100)
    assert list(stage.slot) == []
    assert all(worker.ended.is_set() for worker in stage.workers)
    assert stage.sockets.journal[-1] == "close"


async def test_the_old_worker_stays_when_no_successor_comes_up(stage: Stage, autojump_clock: MockClock) -> None:
    stage.failures = 1
    assert not await stage.slot.replace(stage.nursery)
    assert [worker.pid for worker in stage.slot] == [1]
    assert stage.workers[0].is_serving
    stage.workers[0].crash()
    await trio.sleep(1)
    stage.assert_one_good_worker()


async def test_a_slot_that_fails_leaves_the_port_until_a_worker_serves(stage: Stage, autojump_clock: MockClock) -> None:
    stage.failures = 2
    stage.workers[0].crash()
    await trio.sleep(0.15)
    assert stage.sockets.journal == ["leave"]
    await trio.sleep(30)
    assert stage.sockets.journal[-1] == "join"
    stage.assert_one_good_worker()
    assert len(stage.workers) == 4


async def test_a_stop_does_not_wait_for_the_pause_before_a_restart(stage: Stage, autojump_clock: MockClock) -> None:
    stage.failures = 100
    stage.workers[0].crash()
    await trio.sleep(200)
    before = len(stage.workers)
    started = trio.current_time()
    await stage.slot.stop()
    await trio.sleep(100)
    assert len(stage.workers) == before
    assert trio.current_time() - started < 101


async def test_a_slot_that_is_waiting_is_left_to_itself(stage: Stage, autojump_clock: MockClock) -> None:
    stage.failures = 1
    stage.workers[0].crash()
    await trio.sleep(0.05)
    assert await stage.slot.replace(stage.nursery)
    await trio.sleep(1)
    stage.assert_one_good_worker()


async def test_a_first_worker_that_does_not_start_says_with_which_code(
    nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = Stage(nursery)
    stage.failures = 1
    monkeypatch.setattr(slots, "start_worker", stage.start_worker)
    with pytest.raises(WorkerFailedError) as caught:
        await stage.slot.start(nursery)
    assert caught.value.code == 2
