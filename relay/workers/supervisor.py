"""The supervisor: opens the sockets, keeps a worker in every slot, and shows them to operators as one relay."""

import secrets
import signal
from collections.abc import Callable
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
        self._restarts = dict.fromkeys((str(slot) for slot in range(count)), 0.0)
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
            self._make_slots(sockets)
            listeners = [trio.SocketListener(trio.socket.from_stdlib_socket(opened)) for opened in operations]
            await self._serve(listeners)
        finally:
            for opened in sockets:
                opened.close()
        return self._exit_code

    def _make_slots(self, sockets: list[SlotSockets]) -> None:
        tunnel = self._settings.hosts.tunnel
        processes = tuple(
            RelayProcess(id=f"{self._name}-{slot}", address=f"{tunnel}:{opened.tunnel_port}")
            for slot, opened in enumerate(sockets)
        )

        def assignment(slot: int, held: bool) -> Assignment:  # noqa: FBT001 - it has one caller
            return Assignment(
                slot=slot,
                process_id=processes[slot].id,
                processes=processes,
                public=descriptors(sockets[slot].public),
                tunnels=descriptors(sockets[slot].tunnels),
                held=held,
            )

        for number, opened in enumerate(sockets):
            self._slots.append(
                Slot(
                    opened,
                    program=self._program,
                    assign=lambda held, number=number: assignment(number, held),  # type: ignore[misc]
                    on_end=self._ended,
                )
            )

    async def _serve(self, operations: list[trio.SocketListener]) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._watch_signals, nursery.cancel_scope)
            async with trio.open_nursery() as workers:
                try:
                    await self._start(workers)
                except WorkerFailedError as error:
                    self._exit_code = error.code or 1
                    self._stopping.set()
                else:
                    nursery.start_soon(self._serve_operations, operations)
                    public = self._slots[0].sockets.address
                    metrics = operations[0].socket.getsockname()[:2]
                    log.info("listening", public=_printed(public), metrics=_printed(metrics), workers=self._count)
                    nursery.start_soon(self._replace_when_told, workers)
                await self._stopping.wait()
                await self._stop()
            nursery.cancel_scope.cancel()

    async def _start(self, nursery: trio.Nursery) -> None:
        # The first one alone: what is wrong with the configuration is then said once.
        for slot in self._slots:
            slot.drain_seconds = self._settings.limits.drain_seconds
            await slot.start(nursery)

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
            if self._configuration_is_good():
                await self._replace_all(nursery)

    async def _replace_all(self, nursery: trio.Nursery) -> None:
        for slot in self._slots:
            if not await slot.replace(nursery):
                log.error("replacement_stopped", worker=self._slots.index(slot))
                return
        log.info("all_workers_replaced", workers=self._count)

    def _configuration_is_good(self) -> bool:
        try:
            settings = self._load()
        except ConfigurationError as error:
            log.warning("configuration_not_taken", problems=error.problems)
            return False
        if settings.listen != self._settings.listen:
            log.warning("listen_not_changed", reason="listening addresses are taken at the start only")
        for slot in self._slots:
            slot.drain_seconds = max(settings.limits.drain_seconds, self._settings.limits.drain_seconds)
        return True

    def _ended(self, worker: Worker) -> None:
        if worker.exposition:
            self._retired.add(worker.exposition, worker=None)

    async def _serve_operations(self, listeners: list[trio.SocketListener]) -> None:
        await serve_operations(listeners, metrics=self._exposition, readiness=self._readiness)

    async def _exposition(self) -> bytes:
        merged = Merged()
        merged.add(self._retired.exposition().decode(), worker=None)
        for slot in self._slots:
            for worker in slot:
                # While one takes another's place both have gauges; they add up for the slot.
                merged.add(await worker.count(), worker=worker.slot)
        serving = {str(number): float(slot.worker is not None) for number, slot in enumerate(self._slots)}
        merged.gauge("signadot_worker_serving", "Whether a slot has a worker that serves visitors.", serving)
        return merged.exposition()

    async def _readiness(self) -> str:
        if self._stopping.is_set():
            return "draining"
        problems = []
        for number, slot in enumerate(self._slots):
            answer = None if slot.worker is None else await slot.worker.ask("readiness")
            if answer != "":
                problems.append(f"worker {number}: {answer or 'not serving'}")
        return "; ".join(problems)


def _printed(address: tuple[str, int]) -> str:
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
