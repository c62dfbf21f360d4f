import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from benchmarks import cpu
from benchmarks.cpu import CpuSample, CpuUse, tree_resident_bytes, tree_seconds, wait_quiet

BUSY = "import os, time\nwhile time.process_time() < 0.2: pass\nprint('done', flush=True)\ninput()\n"
PARENT = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {BUSY!r}])\n"


@pytest.fixture
def busy_child() -> Iterator[int]:
    """A process that waits for a child which has spent a fifth of a second."""
    with subprocess.Popen([sys.executable, "-c", PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"done\n"
        yield process.pid
        process.communicate(b"\n")


def sample(at: float, machine: float, **spent: float) -> CpuSample:
    return CpuSample(at=at, spent=spent, machine=machine)


def test_use_is_what_was_spent_in_between() -> None:
    use = CpuUse.between(sample(10, 100, front=1, back=2), sample(12, 103.5, front=2, back=2.5))
    assert use.elapsed == 2
    assert use.share("front") == 0.5
    assert use.share("back") == 0.25
    assert use.share("target") == 0


def test_others_are_what_the_machine_spent_beyond_the_roles() -> None:
    use = CpuUse.between(sample(0, 100, front=1), sample(2, 103, front=2))
    assert use.others == 1.0


def test_others_are_never_negative() -> None:
    # /proc counts in ticks of 10 ms: the sum of the parts may pass the whole.
    assert CpuUse.between(sample(0, 100, front=1), sample(1, 100.9, front=2)).others == 0


def test_role_that_started_in_between_counts_from_nothing() -> None:
    assert CpuUse.between(sample(0, 0), sample(1, 1, load=0.5)).share("load") == 0.5


def test_children_count_with_their_parent(busy_child: int) -> None:
    assert tree_seconds(busy_child) >= 0.2
    taken = CpuSample.take({"front": [busy_child]}, ended={"load": 1.5})
    assert taken.spent["front"] >= 0.2
    assert taken.spent["load"] == 1.5
    assert tree_resident_bytes([busy_child]) > tree_resident_bytes([os.getpid()]) / 100


@pytest.mark.parametrize(("busy", "quiet"), [([0.0, 0.5, 1.0, 1.0], True), ([0.0, 0.5, 1.0, 1.5], False)])
def test_quiet_is_waited_for_until_patience_ends(
    monkeypatch: pytest.MonkeyPatch, busy: list[float], *, quiet: bool
) -> None:
    clock = iter([0.0, 0.0, 0.5, 0.5, 0.5, 1.0, 1.5])
    seconds = iter(busy)
    monkeypatch.setattr(cpu, "busy_seconds", lambda: next(seconds))
    monkeypatch.setattr(cpu, "time", FakeTime(clock))
    assert wait_quiet(1.0) is quiet


class FakeTime:
    """Time by script; nobody sleeps."""

    def __init__(self, clock: Iterator[float]) -> None:
        self._clock = clock

    def monotonic(self) -> float:
        return next(self._clock)

    def sleep(self, seconds: float) -> None:
        pass
