"""One slot: a worker at all times, and another in its place when it ends or is to be replaced."""

from collections.abc import Callable, Iterator
from typing import Final

import structlog
import trio

from relay.workers.assignment import Assignment
from relay.workers.restarts import Restarts
from relay.workers.sockets import SlotSockets
from relay.workers.worker import Program, Worker, start_worker

START_SECONDS: Final = 60.0
"""From a process' start until it serves: imports, database, certificates, on a machine that is busy."""
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
        self._program = program
        self._assign = assign
        self._on_end = on_end
        self._restarts = Restarts()
        self._stopping = False
        self._live: set[Worker] = set()
        self._dismissed: set[Worker] = set()

    def __iter__(self) -> Iterator[Worker]:
        return iter(tuple(self._live))

    async def start(self, nursery: trio.Nursery) -> None:
        """The first worker. Raises WorkerFailedError when it ends before it serves."""
        self.worker = await self._begin(nursery, held=False)

    async def replace(self, nursery: trio.Nursery) -> bool:
        """A new worker in the place of the present one, without a request that fails; False if none came up."""
        old = self.worker
        if old is None:
            return False  # the slot is starting one anyway
        try:
            new = await self._begin(nursery, held=True)
        except (WorkerFailedError, OSError) as error:
            log.warning("worker_not_replaced", worker=old.slot, reason=str(error))
            return False
        if old.ended.is_set():
            # It crashed meanwhile; whoever is in its place now stays, and this one is not needed.
            await self._dismiss(new)
            return False
        clusters = await old.ask("clusters")
        await old.ask("give_way")
        await _wait_for_clusters(new, clusters if isinstance(clusters, int) else 0)
        await new.ask("open")
        self.worker = new
        await self._dismiss(old)
        log.info("worker_replaced", worker=new.slot, pid=new.pid)
        return True

    async def stop(self) -> None:
        """Drains what runs, and starts nothing more."""
        self._stopping = True
        async with trio.open_nursery() as nursery:
            for worker in self:
                nursery.start_soon(self._dismiss, worker)

    async def _dismiss(self, worker: Worker) -> None:
        self._dismissed.add(worker)
        await worker.end(self.drain_seconds)

    async def _begin(self, nursery: trio.Nursery, *, held: bool) -> Worker:
        if self._stopping:
            raise WorkerFailedError(0)
        worker = await start_worker(self._program, self._assign(held))
        self._live.add(worker)
        nursery.start_soon(self._watch, worker, nursery)
        with trio.move_on_after(START_SECONDS):
            await _first(worker.started, worker.ended)
        if not worker.is_serving or self._stopping:
            await self._dismiss(worker)
            raise WorkerFailedError(worker.returncode)
        log.info("worker_started", worker=worker.slot, pid=worker.pid)
        return worker

    async def _watch(self, worker: Worker, nursery: trio.Nursery) -> None:
        await worker.watch()
        self._live.discard(worker)
        self._on_end(worker)
        if worker is self.worker and worker not in self._dismissed and not self._stopping:
            await self._restart(worker, nursery)
        self._dismissed.discard(worker)

    async def _restart(self, ended: Worker, nursery: trio.Nursery) -> None:
        self.worker = None
        lived_seconds = trio.current_time() - ended.born
        code = ended.returncode
        while True:
            wait_seconds = self._restarts.ended(lived_seconds)
            log.error("worker_ended", worker=ended.slot, pid=ended.pid, code=code, restart_seconds=wait_seconds)
            if not self._restarts.keeps_queue:
                self.sockets.leave()
            await trio.sleep(wait_seconds)
            try:
                self.sockets.join()
                self.worker = await self._begin(nursery, held=False)
            except (WorkerFailedError, OSError) as error:
                if self._stopping:
                    return
                lived_seconds, code = 0.0, getattr(error, "code", -1)
            else:
                return


async def _wait_for_clusters(worker: Worker, wanted: int) -> None:
    """Returns when as many clusters have a tunnel at `worker`, when it has ended, or when time is over."""
    with trio.move_on_after(AGENTS_SECONDS):
        while not worker.ended.is_set():
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
