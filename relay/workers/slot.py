"""One slot: a worker at all times, and another in its place when it ends or is to be replaced."""

from collections.abc import Callable, Iterator
from typing import Final

import structlog
import trio

from relay.workers.assignment import Assignment
from relay.workers.restarts import Restarts
from relay.workers.sockets import SlotSockets
from relay.workers.worker import COMMAND_SECONDS, Program, Worker, start_worker

START_SECONDS: Final = 330.0
"""From a process' start until it serves. Bringing the schema up to date may take 300 s of it."""
AGENTS_SECONDS: Final = 15.0
"""How long a successor waits for the agents of its predecessor, who spread over a window of at most 5 s. Clusters that
are not there by then had no agent any more, or one that cannot reach this slot."""
POLL_SECONDS: Final = 0.05

log = structlog.get_logger("workers")


class WorkerFailedError(Exception):
    """A worker ended before it served; `code` is its exit code."""

    def __init__(self, code: int) -> None:
        super().__init__(f"exit code {code}")
        self.code = code


class Slot:
    """Starts, restarts and replaces the workers of one slot."""

    def __init__(
        self,
        sockets: SlotSockets,
        *,
        program: Program,
        assign: Callable[[bool], Assignment],
        on_end: Callable[[Worker], None],
    ) -> None:
        """`assign` makes the assignment of the next worker, held or not; `on_end` is told of each that ended."""
        self.sockets = sockets
        self.worker: Worker | None = None
        """The one that serves visitors; None while none does."""
        self.drain_seconds = 30.0
        """Of workers that start from now on."""
        self._program = program
        self._assign = assign
        self._on_end = on_end
        self._restarts = Restarts()
        self._stopping = trio.Event()
        self._replacing = False
        self._live: set[Worker] = set()

    def __iter__(self) -> Iterator[Worker]:
        return iter(tuple(self._live))

    async def start(self, nursery: trio.Nursery) -> None:
        """The first worker. Raises WorkerFailedError when it ends before it serves, or when the slot is stopped."""
        self._install(await self._begin(nursery, held=False), nursery)

    async def replace(self, nursery: trio.Nursery) -> bool:
        """A new worker in the place of the present one, without a request that fails; False if none came up."""
        old = self.worker
        if old is None:
            return True  # one that is new in every way is on its way
        self._replacing = True
        try:
            new = await self._successor(old, nursery)
        finally:
            self._replacing = False
        self._install(new or old, nursery)
        if new is None:
            return False
        await old.end()
        log.info("worker_replaced", worker=new.slot, pid=new.pid)
        return True

    async def stop(self) -> None:
        """Takes nothing more, drains what runs, and starts nothing."""
        self._stopping.set()
        self.sockets.close()
        async with trio.open_nursery() as nursery:
            for worker in self:
                nursery.start_soon(worker.end)

    def _install(self, worker: Worker, nursery: trio.Nursery) -> None:
        """Makes it the slot's; one that has ended by now has another started in its place."""
        self.worker = worker
        if worker.ended.is_set() and not self._stopping.is_set():
            self.worker = None
            nursery.start_soon(self._restart, worker, nursery)

    async def _successor(self, old: Worker, nursery: trio.Nursery) -> Worker | None:
        """One that serves in the place of `old`. None when none came up, and `old` still has its agents."""
        clusters: int | None = None
        while True:
            try:
                new = await self._begin(nursery, held=True)
            except (WorkerFailedError, OSError) as error:
                log.warning("worker_not_replaced", worker=old.slot, reason=str(error))
                if clusters is None or await self._stops_within(self._restarts.ended(0.0)):
                    return None
                continue
            if clusters is None:
                answer = await old.ask("clusters", seconds=COMMAND_SECONDS)
                clusters = answer if isinstance(answer, int) else 0
                await old.ask("give_way", seconds=COMMAND_SECONDS)
            await _wait_for_clusters(new, clusters, old)
            await new.ask("open", seconds=COMMAND_SECONDS)
            if new.is_serving or self._stopping.is_set():
                return new

    async def _begin(self, nursery: trio.Nursery, *, held: bool) -> Worker:
        if self._stopping.is_set():
            raise WorkerFailedError(0)
        worker = await start_worker(self._program, self._assign(held), drain_seconds=self.drain_seconds)
        self._live.add(worker)
        nursery.start_soon(self._watch, worker, nursery)
        with trio.move_on_after(START_SECONDS):
            await _first(worker.started, worker.ended, self._stopping)
        if not worker.is_serving or self._stopping.is_set():
            await worker.end()
            raise WorkerFailedError(worker.returncode)
        log.info("worker_started", worker=worker.slot, pid=worker.pid)
        return worker

    async def _watch(self, worker: Worker, nursery: trio.Nursery) -> None:
        await worker.watch()
        self._live.discard(worker)
        self._on_end(worker)
        # Whoever replaces it looks after the slot, and sees what has become of it.
        if worker is self.worker and not self._replacing:
            self._install(worker, nursery)

    async def _restart(self, ended: Worker, nursery: trio.Nursery) -> None:
        lived_seconds = trio.current_time() - ended.born
        code = ended.returncode
        while True:
            wait_seconds = self._restarts.ended(lived_seconds)
            log.error("worker_ended", worker=ended.slot, pid=ended.pid, code=code, restart_seconds=wait_seconds)
            if not self._restarts.keeps_queue:
                self.sockets.leave()
            if await self._stops_within(wait_seconds):
                return
            try:
                listens = self.sockets.prepare()
                worker = await self._begin(nursery, held=not listens)
                if not listens:
                    self.sockets.join()
                    await worker.ask("open", seconds=COMMAND_SECONDS)
            except (WorkerFailedError, OSError) as error:
                lived_seconds, code = 0.0, getattr(error, "code", -1)
            else:
                self._install(worker, nursery)
                return

    async def _stops_within(self, seconds: float) -> bool:
        with trio.move_on_after(seconds):
            await self._stopping.wait()
        return self._stopping.is_set()


async def _wait_for_clusters(worker: Worker, wanted: int, old: Worker) -> None:
    """Returns when as many clusters have a tunnel at `worker`, when either has ended, or when time is over."""
    with trio.move_on_after(AGENTS_SECONDS):
        while not worker.ended.is_set() and not old.ended.is_set():
            present = await worker.ask("clusters")
            if isinstance(present, int) and present >= wanted:
                return
            await trio.sleep(POLL_SECONDS)
    log.warning("worker_misses_clusters", worker=worker.slot, wanted=wanted)


async def _first(*events: trio.Event) -> None:
    """Returns when one of several events has happened."""
    async with trio.open_nursery() as nursery:

        async def wait(event: trio.Event) -> None:
            await event.wait()
            nursery.cancel_scope.cancel()

        for event in events:
            nursery.start_soon(wait, event)
