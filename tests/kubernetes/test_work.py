"""The queue of names: one attempt at a time for each, and pauses that hold."""

from collections.abc import Callable
from itertools import pairwise

import pytest
import trio
from trio.testing import MockClock

from relay.errors import RelayError
from relay.kubernetes import TooManyRequestsError, UnavailableError, WorkQueue
from relay.kubernetes.pauses import LIMIT_SECONDS, MAX_ASKED_SECONDS, pause_seconds
from relay.kubernetes.work import NEWS_SECONDS

RETRY_SECONDS = 20.0


class Work:
    """Fails as it is told, and knows when it was asked."""

    def __init__(self, *errors: RelayError) -> None:
        self.errors = list(errors)
        self.at: list[float] = []
        self.queue = WorkQueue(self.look, at_a_time=4, on_failure=lambda _name, _error: None)

    async def look(self, _name: str) -> None:
        await trio.lowlevel.checkpoint()
        self.at.append(trio.current_time())
        if self.errors:
            raise self.errors.pop(0)


async def run(work: Work, seconds: float, meanwhile: Callable[[], None], every: float) -> None:
    """Lets the queue work for so long, and something happen in between."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(work.queue.run)
        work.queue.add("a")
        end = trio.current_time() + seconds
        while trio.current_time() < end:
            await trio.sleep(every)
            meanwhile()
        nursery.cancel_scope.cancel()


async def test_what_is_heard_while_a_name_rests_starts_no_attempts_of_its_own(autojump_clock: MockClock) -> None:
    work = Work(*[UnavailableError("down")] * 1000)
    await run(work, 600.0, lambda: work.queue.add("a"), every=0.1)
    gaps = [after - before for before, after in pairwise(work.at)]
    # Pauses are drawn from nothing to 30 s: some are shorter, none longer.
    assert max(gaps) == pytest.approx(NEWS_SECONDS, abs=0.2)
    assert len(work.at) < 250


async def test_the_pause_that_the_api_server_asks_for_holds_whatever_is_heard(autojump_clock: MockClock) -> None:
    work = Work(TooManyRequestsError("busy", retry_after_seconds=RETRY_SECONDS))
    await run(work, 60.0, lambda: None if len(work.at) > 1 else work.queue.add("a"), every=0.5)
    first, second = work.at
    assert second - first >= RETRY_SECONDS


async def test_what_was_heard_before_the_pause_ended_is_looked_at_once(autojump_clock: MockClock) -> None:
    work = Work(UnavailableError("down"))
    await run(work, 60.0, lambda: None, every=60.0)
    assert len(work.at) == 2


@pytest.mark.parametrize("asked", [1e9, float("inf")])
def test_nobody_can_ask_for_a_pause_of_days(asked: float) -> None:
    error = TooManyRequestsError("busy", retry_after_seconds=asked)
    assert pause_seconds(100, 1.0, error) == MAX_ASKED_SECONDS + LIMIT_SECONDS
