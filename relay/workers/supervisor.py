"""The supervisor: opens the sockets, keeps a worker in every slot, and shows them to operators as one relay."""

import secrets
import signal
from collections.abc import Callable
from functools import partial
from typing import Final

import structlog
import trio

from relay import config
from relay.errors import ConfigurationError
from relay.mux import RelayProcess
from relay.operations import serve_operations
from relay.workers.assignment import Assignment
from relay.workers.figures import Merged
from relay.workers.slot import Slot, WorkerFailedError
from relay.workers.sockets import SlotSockets, bound, descriptors, open_slots
from relay.workers.worker import Program, Worker

READINESS_SECONDS: Final = 8.0
"""It asks the database, which may take `limits.query_seconds`; a probe is given 10 s by `relay.operations`."""
SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)

log = structlog.get_logger("workers")


class Supervisor:
    """`run` keeps `count` workers until SIGTERM or SIGINT; SIGHUP replaces them one by one."""

    def __init__(self, program: Program, *, count: int, load: Callable[[], config.Settings]) -> None:
        """`load` reads and checks the configuration, at the start and before each replacement."""
        self._program = program
        self._load = load
        self._settings = load()
        self._count = count
        self._name = secrets.token_hex(4)
        self._slots: list[Slot] = []
        self._retired = Merged()
        self._stopping = trio.Event()
        self._replace = trio.Event()
        self._exit_code = 0

    async def run(self) -> int:
        """Gives the exit code: 0 after an orderly end, a worker's own if it could not start at all.

        Raises ConfigurationError for addresses that cannot be listened on.
        """
        sockets = open_slots(self._settings.listen, self._count)
        try:
            host, port = config.split_address(self._settings.listen.metrics)
            operations = bound(host, port, key="listen.metrics")
            self._slots = [self._make_slot(number, opened) for number, opened in enumerate(sockets)]
            listeners = [trio.SocketListener(trio.socket.from_stdlib_socket(opened)) for opened in operations]
            await self._serve(listeners)
        finally:
            for opened in sockets:
                opened.close()
        return self._exit_code

    def _make_slot(self, number: int, sockets: SlotSockets) -> Slot:
        return Slot(sockets, program=self._program, assign=partial(self._assign, number), on_end=self._ended)

    def _assign(self, number: int, held: bool) -> Assignment:  # noqa: FBT001 - of `Slot`, the only caller
        processes = tuple(
            RelayProcess(
                id=f"{self._name}-{other}", address=f"{self._settings.hosts.tunnel}:{slot.sockets.tunnel_port}"
            )
            for other, slot in enumerate(self._slots)
        )
        sockets = self._slots[number].sockets
        return Assignment(
            slot=number,
            process_id=processes[number].id,
            processes=processes,
            public=descriptors(sockets.public),
            tunnels=descriptors(sockets.tunnels),
            held=held,
        )

    async def _serve(self, operations: list[trio.SocketListener]) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._watch_signals, nursery.cancel_scope)
            async with trio.open_nursery() as workers:
                workers.start_soon(self._start, operations, workers, nursery)
                await self._stopping.wait()
                await self._stop()
            nursery.cancel_scope.cancel()

    async def _start(self, operations: list[trio.SocketListener], workers: trio.Nursery, others: trio.Nursery) -> None:
        try:
            # One after another: what is wrong with the configuration is then said once.
            for slot in self._slots:
                slot.drain_seconds = self._settings.limits.drain_seconds
                await slot.start(workers)
        except WorkerFailedError as error:
            if not self._stopping.is_set():
                self._exit_code = abs(error.code) or 1
                self._stopping.set()
            return
        others.start_soon(self._serve_operations, operations)
        public, metrics = self._slots[0].sockets.address, operations[0].socket.getsockname()[:2]
        log.info(
            "listening", public=config.print_address(public), metrics=config.print_address(metrics), workers=self._count
        )
        others.start_soon(self._replace_when_told, workers)

    async def _stop(self) -> None:
        async with trio.open_nursery() as nursery:
            for slot in self._slots:
                nursery.start_soon(slot.stop)

    async def _watch_signals(self, everything: trio.CancelScope) -> None:
        with trio.open_signal_receiver(*SIGNALS) as received:
            async for number in received:
                log.info("signal", signal=signal.Signals(number).name)
                if number == signal.SIGHUP:
                    self._replace.set()
                elif self._stopping.is_set():
                    everything.cancel()  # the second time: at once
                else:
                    self._stopping.set()

    async def _replace_when_told(self, nursery: trio.Nursery) -> None:
        while True:
            await self._replace.wait()
            # Told again from here on means once more: what it was told for may have come too late for this round.
            self._replace = trio.Event()
            if self._takes_configuration():
                await self._replace_all(nursery)

    async def _replace_all(self, nursery: trio.Nursery) -> None:
        for number, slot in enumerate(self._slots):
            if not await slot.replace(nursery):
                # What does not start here would not start in the other slots.
                log.error("replacement_stopped", worker=number)
                return
        log.info("all_workers_replaced", workers=self._count)

    def _takes_configuration(self) -> bool:
        try:
            settings = self._load()
        except ConfigurationError as error:
            log.warning("configuration_not_taken", problems=error.problems)
            return False
        if settings.listen != self._settings.listen:
            log.warning("listen_not_changed", reason="listening addresses are taken at the start only")
        self._settings = settings
        for slot in self._slots:
            slot.drain_seconds = settings.limits.drain_seconds
        return True

    def _ended(self, worker: Worker) -> None:
        if worker.exposition:
            self._retired.add(worker.exposition, worker=None)

    async def _serve_operations(self, listeners: list[trio.SocketListener]) -> None:
        await serve_operations(listeners, metrics=self._exposition, readiness=self._readiness)

    async def _exposition(self) -> bytes:
        merged = Merged()
        # In one step: a worker that ends meanwhile is among the living, and so counted once.
        merged.add(self._retired.exposition().decode(), worker=None)
        workers = [worker for slot in self._slots for worker in slot]
        async with trio.open_nursery() as nursery:
            for worker in workers:
                nursery.start_soon(worker.count)
        for worker in workers:
            # While one takes another's place both have gauges; they add up for the slot.
            merged.add(worker.exposition, worker=worker.slot)
        serving = {str(number): float(slot.worker is not None) for number, slot in enumerate(self._slots)}
        merged.gauge("signadot_worker_serving", "Whether a slot has a worker that serves visitors.", serving)
        return merged.exposition()

    async def _readiness(self) -> str:
        if self._stopping.is_set():
            return "draining"
        answers = ["not serving"] * self._count

        async def ask(number: int, worker: Worker) -> None:
            answer = await worker.ask("readiness", seconds=READINESS_SECONDS)
            answers[number] = "does not answer" if answer is None else str(answer)

        async with trio.open_nursery() as nursery:
            for number, slot in enumerate(self._slots):
                if slot.worker is not None:
                    nursery.start_soon(ask, number, slot.worker)
        return "; ".join(f"worker {number}: {answer}" for number, answer in enumerate(answers) if answer)
