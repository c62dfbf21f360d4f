"""A worker as the supervisor sees it: a process, the line to it, and what it says."""

import itertools
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

ANSWER_SECONDS: Final = 2.0
"""Scrapes and probes wait no longer for one worker: they give up after some seconds themselves."""
COMMAND_SECONDS: Final = 30.0
"""A process that does nothing in that time is stuck: nobody is served by it."""
BEAT_SECONDS: Final = 5.0
"""Between two looks at whether it is stuck."""
KILL_SECONDS: Final = 10.0
"""Beyond its drain time, for what is written at the end."""

log = structlog.get_logger("workers")


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """How a worker is started."""

    config: Path

    def arguments(self, control: int) -> list[str]:
        """The command line. With `-P` the folder that the relay was started in is no place for its modules."""
        return [sys.executable, "-P", "-m", "relay", "worker", "--config", str(self.config), "--control", str(control)]


class Worker:
    """One process of a slot; `watch` must run from its start until its end."""

    def __init__(self, process: trio.Process, channel: Channel, slot: int, drain_seconds: float) -> None:
        self.slot = slot
        self.drain_seconds = drain_seconds
        self.born = trio.current_time()
        self.started = trio.Event()
        self.ended = trio.Event()
        self.exposition = ""
        """Its metrics as it gave them last, which is its last word where it ended in order."""
        self._process = process
        self._channel = channel
        self._is_dismissed = False
        self._numbers = itertools.count(STARTED + 1)
        self._waiting: dict[int, trio.Event] = {}
        self._answers: dict[int, str | int] = {}

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
        """Reads what it says until it has ended; ends it when it is stuck. Cancelling this kills it."""
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._look_after)
                while (line := await self._channel.receive()) is not None:
                    self._heard(*json.loads(line))
                await self._process.wait()
                nursery.cancel_scope.cancel()
        finally:
            with trio.CancelScope(shield=True):
                if self._process.returncode is None:
                    self._process.kill()
                    await self._process.wait()
                await self._channel.aclose()
            self.ended.set()
            for waiting in self._waiting.values():
                waiting.set()

    async def _look_after(self) -> None:
        await self.started.wait()
        while True:
            answer = await self.ask("beat", seconds=COMMAND_SECONDS)
            if answer is None and not self._is_dismissed:
                break
            await trio.sleep(BEAT_SECONDS)
        log.error("worker_killed", worker=self.slot, pid=self.pid, reason=f"it did nothing for {COMMAND_SECONDS:.0f} s")
        self._process.kill()

    def _heard(self, number: int, value: str | int) -> None:
        if number == STARTED:
            self.started.set()
        elif number == LAST:
            self.exposition = str(value)
        elif number in self._waiting:  # others were given up
            self._answers[number] = value
            self._waiting[number].set()

    async def ask(self, command: str, *, seconds: float = ANSWER_SECONDS) -> str | int | None:
        """The answer to a command; None from a process that has ended, or has not answered after `seconds`."""
        if self.ended.is_set():
            return None
        number = next(self._numbers)
        answered = self._waiting[number] = trio.Event()
        try:
            with trio.move_on_after(seconds):
                await self._channel.send(f"{number} {command}")
                await answered.wait()
        finally:
            del self._waiting[number]
        return self._answers.pop(number, None)

    async def count(self) -> None:
        """Has its metrics in `exposition`; they stay as they were last where it does not answer."""
        if self.is_serving and isinstance(answer := await self.ask("metrics"), str):
            self.exposition = answer

    async def end(self) -> None:
        """Asks it to drain, once, and waits until it has ended; it is killed if that takes too long."""
        if not self._is_dismissed and self._process.returncode is None:
            self._is_dismissed = True
            self._process.send_signal(signal.SIGTERM)
        with trio.move_on_after(self.drain_seconds + KILL_SECONDS):
            await self.ended.wait()
            return
        log.error("worker_killed", worker=self.slot, pid=self.pid, reason="it did not end after its drain time")
        self._process.kill()
        await self.ended.wait()


async def start_worker(program: Program, assignment: Assignment, *, drain_seconds: float) -> Worker:
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
    return Worker(process, channel, assignment.slot, drain_seconds)
