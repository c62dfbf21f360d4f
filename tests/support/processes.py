"""Real processes for tests: started, waited for by what they print, and always ended by their own id."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import psutil

ROOT = Path(__file__).parent.parent.parent
START_SECONDS = 30.0
STOP_SECONDS = 40.0
TAIL_LINES = 15

LIVE: "weakref.WeakSet[Running]" = weakref.WeakSet()
"""Every process of this test run that has not been closed; a failing test prints the end of their output."""


class ProcessError(AssertionError):
    """A process did not do what the test waited for; the message carries the end of its output."""


class Running:
    """A process whose standard output and standard error are kept, line by line.

    Use it as a context manager: its end ends the process, with SIGTERM and, when that is not enough, SIGKILL.
    """

    def __init__(
        self,
        arguments: Sequence[str | Path],
        *,
        name: str,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self._lines: list[str] = []
        self._changed = threading.Condition()
        self._open_pipes = 2
        self._process = subprocess.Popen(
            [str(argument) for argument in arguments],
            cwd=ROOT,
            env=clean_environment(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C in a test run ends pytest, which ends its processes in order
        )
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self._readers = [
            threading.Thread(target=self._read, args=(pipe,), daemon=True)
            for pipe in (self._process.stdout, self._process.stderr)
        ]
        for reader in self._readers:
            reader.start()
        LIVE.add(self)

    @classmethod
    def module(cls, module: str, *arguments: str | Path, environment: Mapping[str, str] | None = None) -> Self:
        """Starts `python -m module arguments`."""
        return cls([sys.executable, "-m", module, *arguments], name=module, environment=environment)

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """The exit code, negative for a signal; None while it runs."""
        return self._process.poll()

    @property
    def output(self) -> str:
        """Everything printed so far, both pipes together in the order of arrival."""
        with self._changed:
            return "".join(self._lines)

    def mark(self) -> int:
        """A place in the output, for `wait_for_line(..., after=)`."""
        with self._changed:
            return len(self._lines)

    def wait_for_line(self, pattern: str, *, after: int = 0, seconds: float = START_SECONDS) -> re.Match[str]:
        """The first line from `after` on in which `pattern` is found. Raises ProcessError when it does not come."""
        expression = re.compile(pattern)
        deadline = time.monotonic() + seconds
        seen = after
        with self._changed:
            while True:
                for line in self._lines[seen:]:
                    if match := expression.search(line):
                        return match
                seen = len(self._lines)
                left = deadline - time.monotonic()
                if left <= 0 or (self._open_pipes == 0):
                    why = f"no line with {pattern!r} within {seconds:.0f} s" if left <= 0 else "it ended"
                    raise ProcessError(f"{self.name}: waiting for {pattern!r}: {why}\n{self._tail()}")
                self._changed.wait(left)

    def wait(self, *, seconds: float = STOP_SECONDS) -> int:
        """Waits for the end and for all of the output; gives the exit code. Raises ProcessError if it goes on."""
        try:
            code = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise ProcessError(f"{self.name} did not end within {seconds:.0f} s\n{self._tail()}") from None
        for reader in self._readers:
            reader.join(STOP_SECONDS)
        return code

    def signal(self, number: signal.Signals) -> None:
        """Sends a signal."""
        self._process.send_signal(number)

    def kill(self) -> None:
        """kill -9, and waits until it is gone."""
        self._process.kill()
        self.wait()

    def stop(self) -> int:
        """SIGTERM, and waits for the orderly end; gives the exit code."""
        self._process.terminate()
        return self.wait()

    def tail(self) -> str:
        """The last lines of the output."""
        with self._changed:
            return self._tail()

    def close(self) -> None:
        """Ends the process however it takes."""
        LIVE.discard(self)
        if self._process.poll() is None:
            children = psutil.Process(self.pid).children(recursive=True)
            self._process.terminate()
            try:
                self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            for child in children:  # what it did not end itself
                with contextlib.suppress(psutil.NoSuchProcess):
                    child.kill()
        for reader in self._readers:
            reader.join(STOP_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _tail(self) -> str:
        return f"--- {self.name} (pid {self.pid}) ---\n" + "".join(self._lines[-TAIL_LINES:])

    def _read(self, pipe: IO[bytes]) -> None:
        with pipe:
            for line in pipe:
                with self._changed:
                    self._lines.append(line.decode(errors="replace"))
                    self._changed.notify_all()
        with self._changed:
            self._open_pipes -= 1
            self._changed.notify_all()


def clean_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment without what would configure the programs under test, and with `extra`."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("SIGNADOT_", "KUBERNETES_")) and name.lower() not in {"https_proxy", "no_proxy"}
    }
    return environment | {"PYTHONUNBUFFERED": "1"} | dict(extra or {})


def run(
    *arguments: str | Path | int, environment: Mapping[str, str] | None = None
) -> "subprocess.CompletedProcess[str]":
    """Runs a command to its end, whatever its exit code, and gives its output."""
    return subprocess.run(
        [str(argument) for argument in arguments],
        cwd=ROOT,
        env=clean_environment(environment),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=START_SECONDS,
        check=False,
    )


def run_module(
    module: str, *arguments: str | Path | int, environment: Mapping[str, str] | None = None
) -> "subprocess.CompletedProcess[str]":
    """Runs `python -m module arguments` to its end."""
    return run(sys.executable, "-m", module, *arguments, environment=environment)
