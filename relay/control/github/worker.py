"""Works off the queue of deliveries: as many at a time as is good, one subject never twice at once."""

import random
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence

import structlog
import trio

from relay.control.github.backoff import pause_seconds
from relay.control.github.payloads import Hint, read_hint
from relay.errors import GithubUnavailableError, RelayError, StoreUnavailableError
from relay.store import Database, deliveries
from relay.store.deliveries import Delivery

AT_A_TIME = 8
"""Subjects worked on: most of the time is spent waiting for GitHub."""
IN_HAND = 64
"""Deliveries claimed at most, those that wait for their subject's turn included."""
CLAIM_SECONDS = 30.0
"""How long the work of a process that was killed waits for another one."""
RENEW_SECONDS = 10.0
"""How often the claims on what waits in this process are renewed, well before they run out."""
WORK_SECONDS = 25.0
"""Shorter than the claim: when another process takes a delivery over, this one has given up."""
POLL_SECONDS = 2.0
"""How late a delivery of another process, or one that is to be tried again, is seen; one read of an index each time."""
OUTAGE_SECONDS = 3 * 24 * 3600.0
"""For how long a delivery is tried while GitHub does not answer; it counts no attempts that GitHub itself missed."""

Work = Callable[[Hint, Delivery], Awaitable[str]]
"""Does what a delivery asks for; gives a note for the log."""

log = structlog.get_logger("github")


class Worker:
    """One per process; several processes may work on one queue.

    Args:
        attempts: after so many tries a delivery fails, unless GitHub is what fails.
    """

    def __init__(
        self,
        database: Database,
        work: Work,
        *,
        attempts: int,
        clock: Callable[[], float] = time.time,
        random_number: Callable[[], float] = random.random,
    ) -> None:
        self._database = database
        self._work = work
        self._attempts = attempts
        self._clock = clock
        self._random = random_number
        self._wanted = trio.Event()
        self._lines: dict[str, deque[tuple[Hint, Delivery]]] = {}
        self._renewed_at = clock()
        self._slots = trio.CapacityLimiter(AT_A_TIME)

    def wake(self) -> None:
        """There is something new: look at once."""
        self._wanted.set()

    @property
    def in_hand(self) -> int:
        """Deliveries claimed by this process."""
        return sum(len(line) for line in self._lines.values())

    async def run(self) -> None:
        """Works for ever; what is under way when it is cancelled is claimed again after the claim has run out."""
        async with trio.open_nursery() as nursery:
            while True:
                self._wanted = trio.Event()
                try:
                    claimed = await self.take(nursery)
                except Exception:
                    log.exception("deliveries_not_taken")
                    claimed = 0
                if not claimed:
                    with trio.move_on_after(POLL_SECONDS):
                        await self._wanted.wait()

    async def take(self, nursery: trio.Nursery) -> int:
        """Claims what is due and starts on it in `nursery`; gives how many were claimed."""
        room = IN_HAND - self.in_hand
        try:
            await self._renew()
            if room <= 0 or not await self._database.read(deliveries.is_due):
                return 0
            # What waits here for its subject's turn is worked on here: taking it anew would use up its attempts.
            mine = [delivery.id for delivery in self._held()]
            claimed = await self._database.write(deliveries.claim_due, limit=room, seconds=CLAIM_SECONDS, but_not=mine)
        except RelayError as error:
            log.warning("deliveries_not_read", problem=str(error))
            return 0
        for delivery in claimed:
            await self._queue(nursery, delivery)
        return len(claimed)

    def _held(self) -> Sequence[Delivery]:
        return [delivery for line in self._lines.values() for _, delivery in line]

    async def _renew(self) -> None:
        held = self._held()
        if held and self._clock() >= self._renewed_at + RENEW_SECONDS:
            await self._database.write(deliveries.renew_all, held, seconds=CLAIM_SECONDS)
            self._renewed_at = self._clock()

    async def _queue(self, nursery: trio.Nursery, delivery: Delivery) -> None:
        try:
            hint = read_hint(delivery.payload)
        except RelayError as error:
            await self._store(deliveries.fail, delivery, str(error))
            return
        line = self._lines.get(hint.subject)
        if line is not None:
            line.append((hint, delivery))
            return
        self._lines[hint.subject] = deque([(hint, delivery)])
        nursery.start_soon(self._work_off, hint.subject)

    async def _work_off(self, subject: str) -> None:
        """Works on all deliveries of one subject, one after the other."""
        line = self._lines[subject]
        try:
            while line:
                async with self._slots:
                    await self._attempt(*line[0])
                line.popleft()
        finally:
            del self._lines[subject]
        self.wake()  # there is room again

    async def _attempt(self, hint: Hint, delivery: Delivery) -> None:
        try:
            # It may have waited for its subject's turn longer than the claim lasted.
            if not await self._database.write(deliveries.renew, delivery, seconds=CLAIM_SECONDS):
                return
            with trio.fail_after(WORK_SECONDS):
                note = await self._work(hint, delivery)
            await self._database.write(deliveries.finish, delivery, note=note)
        except StoreUnavailableError as error:
            # The claim runs out by itself, and then somebody tries again.
            log.warning("delivery_not_stored", guid=delivery.guid, problem=str(error))
        except (GithubUnavailableError, trio.TooSlowError) as error:
            await self._put_off(delivery, error)
        except RelayError as error:
            await self._try_again(delivery, f"{error.code}: {error}")
        except Exception as error:
            # Whatever it is: this delivery must not end the others.
            log.exception("delivery_failed", guid=delivery.guid, delivery_event=delivery.event)
            await self._try_again(delivery, type(error).__name__)
        else:
            log.info("delivery_done", guid=delivery.guid, delivery_event=delivery.event)

    async def _put_off(self, delivery: Delivery, error: Exception) -> None:
        asked = error.retry_after_seconds if isinstance(error, GithubUnavailableError) else None
        problem = str(error) or "the work took too long"
        if delivery.received_at < self._clock() - OUTAGE_SECONDS:
            await self._store(deliveries.fail, delivery, problem)
            log.error("delivery_given_up", guid=delivery.guid, problem=problem)
        else:
            await self._later(delivery, problem, asked)

    async def _try_again(self, delivery: Delivery, problem: str) -> None:
        if delivery.attempt >= self._attempts:
            await self._store(deliveries.fail, delivery, problem)
            # Why stands in the row, sealed: it may name a repository.
            log.error("delivery_given_up", guid=delivery.guid, problem=problem.partition(":")[0])
        else:
            await self._later(delivery, problem, None)

    async def _later(self, delivery: Delivery, problem: str, asked_seconds: float | None) -> None:
        pause = pause_seconds(delivery.attempt, self._random(), asked_seconds=asked_seconds)
        log.info("delivery_put_off", guid=delivery.guid, attempt=delivery.attempt, pause_seconds=round(pause, 1))
        await self._store(deliveries.retry, delivery, due_at=self._clock() + pause, problem=problem)

    async def _store(self, function: Callable[..., None], *args: object, **kwargs: object) -> None:
        try:
            await self._database.write(function, *args, **kwargs)
        except RelayError as error:
            log.warning("delivery_not_stored", problem=str(error))
        except Exception:
            log.exception("delivery_not_stored")
