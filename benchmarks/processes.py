"""Programs under test: started on their core, waited for, stopped again."""

import os
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil

from benchmarks.machine import environment
from benchmarks.placement import Placement, Role

START_SECONDS = 30.0
"""A busy machine takes a while to start a Python program; none takes this long."""
STOP_SECONDS = 10.0
POLL_SECONDS = 0.02
LOG_TAIL_CHARACTERS = 2000

SPARE_FILES = 500
"""Beside the connections that a scenario counts: visitors, targets, the database, logs."""

LOOPBACK = "127.0.0.1"


class BenchmarkError(Exception):
    """A benchmark cannot go on; the message is one sentence, perhaps with the end of a program's log."""


class Ground:
    """What the peers of one run stand on: a folder, free ports, cores, and processes that end with it."""

    def __init__(self, folder: Path, placement: Placement, stack: ExitStack, *, delay_seconds: float = 0.0) -> None:
        """`delay_seconds`: of the link between what faces visitors and what faces targets, each way; 0: no link."""
        self.folder = folder
        self.placement = placement
        self._stack = stack
        self._delay_seconds = delay_seconds
        self._links: dict[int, int] = {}
        self.link_pids: list[int] = []
        """Processes of the links that were asked for."""

    def start(self, role: Role, command: Sequence[str], *, name: str) -> int:
        """Starts a program on the role's core, its output in `name`.log; gives its process id."""
        return self._stack.enter_context(_running(self.placement, role, command, self.log(name)))

    def log(self, name: str) -> Path:
        """Where a program's output goes."""
        return self.folder / f"{name}.log"

    def log_tail(self, name: str) -> str:
        """The end of a program's output, for error messages."""
        path = self.log(name)
        return path.read_text(errors="replace")[-LOG_TAIL_CHARACTERS:] if path.exists() else ""

    def wait_listening(self, port: int, *, name: str) -> None:
        """Waits until the program `name` listens. Raises BenchmarkError with the end of its log."""
        if not wait_until(lambda: _connects(port)):
            raise BenchmarkError(f"{name} does not listen on port {port}: {self.log_tail(name)}")

    def far(self, port: int) -> int:
        """The port that leads to `port` over the link of this ground; `port` itself where there is none."""
        if not self._delay_seconds:
            return port
        if port not in self._links:
            listen = self._links[port] = free_port()
            options = ["--listen", str(listen), "--to", str(port), "--seconds", str(self._delay_seconds)]
            pid = self.start("load", [sys.executable, "-m", "benchmarks.link", *options], name=f"link-{port}")
            self.link_pids.append(pid)
            self.wait_listening(listen, name=f"link-{port}")
        return self._links[port]

    @contextmanager
    def inner(self, *, delay_seconds: float = 0.0) -> Iterator["Ground"]:
        """A ground in a folder of its own, for programs that end before the others do."""
        with ExitStack() as stack:
            folder = Path(tempfile.mkdtemp(dir=self.folder))
            yield Ground(folder, self.placement, stack, delay_seconds=delay_seconds)


def free_port() -> int:
    """A port that nothing listens on now; for programs that must be told their port before they start."""
    with socket.create_server((LOOPBACK, 0)) as server:
        return int(server.getsockname()[1])


def wait_until(condition: Callable[[], bool], *, seconds: float = START_SECONDS) -> bool:
    """Asks again and again; False when the time is over."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def run(command: Sequence[str], *, seconds: float = 60.0) -> str:
    """Runs a program to its end and gives what it printed. Raises BenchmarkError when it fails or takes too long."""
    try:
        result = subprocess.run(
            command, capture_output=True, text=True, check=False, env=environment(), timeout=seconds
        )
    except FileNotFoundError as error:
        raise BenchmarkError(f"{command[0]} is not installed (scripts/debian-packages bench)") from error
    except subprocess.TimeoutExpired as error:
        raise BenchmarkError(f"{command[0]} did not end within {seconds:.0f} s") from error
    if result.returncode != 0:
        raise BenchmarkError(f"{command[0]} ended with {result.returncode}: {result.stderr[-LOG_TAIL_CHARACTERS:]}")
    return result.stdout


def has_ended(pid: int) -> bool:
    """Whether a process that we started is over, though nobody has asked for its exit code yet."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def need_files(count: int, *, what: str) -> None:
    """Raises BenchmarkError where a process may not open so many files."""
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if allowed < count + SPARE_FILES:
        raise BenchmarkError(
            f"{what} need {count + SPARE_FILES:,} open files a process and the system allows {allowed:,}: "
            f"raise the hard limit (ulimit -Hn {count + SPARE_FILES}) or ask for fewer"
        )


@contextmanager
def _running(placement: Placement, role: Role, command: Sequence[str], log: Path) -> Iterator[int]:
    try:
        with log.open("ab") as output, placement.pinned(role):
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment(),
                start_new_session=True,
            )
    except FileNotFoundError as error:
        raise BenchmarkError(f"{command[0]} is not installed (scripts/debian-packages bench)") from error
    try:
        yield process.pid
    finally:
        _stop(process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        # The session started for it holds its children too.
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _connects(port: int) -> bool:
    try:
        socket.create_connection((LOOPBACK, port), timeout=1.0).close()
    except OSError:
        return False
    return True
