"""A worker as the supervisor sees it: a process, the line to it, and what it says."""

import json
import signal
import socket
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog
import trio

from relay.workers.assignment import Assignment
from relay.workers.channel import LAST, STARTED, Channel

ANSWER_SECONDS: Final = 10.0
"""A process that does not answer in that time serves nobody; the metrics of the others must not wait for it."""
KILL_SECONDS: Final = 10.0
"""Beyond its drain time, for what is written at the end."""

log = structlog.get_logger("workers")


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """How a worker is started."""

    config: Path

    def arguments(self, control: int) -> list[str]:
        """The command line."""
        return [sys.executable, "-m", "relay", "worker", "--config", str(self.config), "--control", str(control)]


class Worker:
    """One process of a slot; `watch` must run from its start until its end."""

    def __init__(self, process: trio.Process, channel: Channel, slot: int) -> None:
        self.slot = slot
        self.born = trio.current_time()
        self.started = trio.Event()
        self.ended = trio.Event()
        self.exposition = ""
        """Its metrics as it gave them last, which is its last word where it ended in order."""
        self._process = process
        self._channel = channel
        self._questions = 0
        self._asking = trio.Lock()
        self._answered = trio.Event()
        self._answer: str | int = ""

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def returncode(self) -> int:
        """Its exit code, negative for a signal; 0 while it runs."""
        return self._process.returncode or 0

    @property
    def is_serving(self) -> bool:
        """Whether it has started and not ended."""
        return self.started.is_set() and not self.ended.is_set()

    async def watch(self) -> None:
        """Reads what it says until it has ended; cancelling this kills it."""
        try:
            while (line := await self._channel.receive()) is not None:
                self._heard(*json.loads(line))
            await self._process.wait()
        finally:
            with trio.CancelScope(shield=True):
                if self._process.returncode is None:
                    self._process.kill()
                    await self._process.wait()
                await self._channel.aclose()
            self.ended.set()
            self._answered.set()

    def _heard(self, number: int, value: str | int) -> None:
        if number == STARTED:
            self.started.set()
        elif number == LAST:
            self.exposition = str(value)
        elif number == self._questions:  # an older one was given up
            self._answer = value
            self._answered.set()

    async def ask(self, command: str) -> str | int | None:
        """The answer to a command; None from a process that has ended or does not answer."""
        async with self._asking:
            self._questions += 1
            self._answered = trio.Event()
            if self.ended.is_set():
                return None
            with trio.move_on_after(ANSWER_SECONDS):
                await self._channel.send(f"{self._questions} {command}")
                await self._answered.wait()
                return None if self.ended.is_set() else self._answer
            return None

    async def count(self) -> str:
        """Its metrics; as they were last where it does not answer."""
        if self.is_serving and isinstance(answer := await self.ask("metrics"), str):
            self.exposition = answer
        return self.exposition

    def terminate(self) -> None:
        """Asks it to drain and end; a second time: to end at once."""
        if self._process.returncode is None:
            self._process.send_signal(signal.SIGTERM)

    async def end(self, drain_seconds: float) -> None:
        """Asks it to drain, and waits until it has ended; it is killed if that takes too long."""
        self.terminate()
        with trio.move_on_after(drain_seconds + KILL_SECONDS):
            await self.ended.wait()
            return
        log.error("worker_killed", worker=self.slot, pid=self.pid, reason="it did not end after its drain time")
        self._process.kill()
        await self.ended.wait()


async def start_worker(program: Program, assignment: Assignment) -> Worker:
    """Starts a process and gives it its assignment. Raises OSError where the system has no room for it."""
    ours, theirs = socket.socketpair()
    with theirs:
        process = await trio.lowlevel.open_process(
            program.arguments(theirs.fileno()),
            stdin=None,
            pass_fds=(theirs.fileno(), *assignment.public, *assignment.tunnels),
            start_new_session=True,  # Ctrl-C is the supervisor's to pass on
        )
    channel = Channel(trio.SocketStream(trio.socket.from_stdlib_socket(ours)))
    await channel.send(assignment.encode())
    return Worker(process, channel, assignment.slot)
