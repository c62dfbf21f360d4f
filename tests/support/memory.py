"""Samples the resident memory of processes while a test drives them."""

import threading
from collections.abc import Sequence
from types import TracebackType
from typing import Self

import psutil

SAMPLE_SECONDS = 0.02
MIB = 1024 * 1024


class MemoryWatch:
    """Keeps the largest resident size of each process, in bytes, sampled from a thread of its own."""

    def __init__(self, pids: Sequence[int]) -> None:
        self._processes = [psutil.Process(pid) for pid in pids]
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self.peaks_bytes: dict[int, int] = dict.fromkeys(pids, 0)
        self.samples = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    @property
    def peaks_mib(self) -> dict[int, float]:
        """The largest resident size of each process in MiB."""
        return {pid: peak / MIB for pid, peak in self.peaks_bytes.items()}

    def _sample(self) -> None:
        while True:
            for process in self._processes:
                size = process.memory_info().rss
                self.peaks_bytes[process.pid] = max(self.peaks_bytes[process.pid], size)
            self.samples += 1
            if self._over.wait(SAMPLE_SECONDS):
                return
