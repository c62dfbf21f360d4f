"""Nothing that was answered with 202 is lost: crashes, outages and limits only make it late."""

from functools import partial
from pathlib import Path

import pytest
import trio
from sqlalchemy import select

from relay.auth import MasterKey
from relay.control.github.backoff import LONGEST_SECONDS, pause_seconds
from relay.store import Database, deliveries, workspaces
from relay.store.deliveries import KEEP_DONE_SECONDS
from relay.store.rows import Transaction
from relay.store.schema import deliveries as table
from tests.github.stage import REPOSITORY, Stage
from tests.store.support import Clock

CALL = r"/pulls/\d+"


def states(tx: Transaction) -> dict[str, int]:
    found: dict[str, int] = {}
    for state in tx.connection.execute(select(table.c.state)).scalars():
        found[state] = found.get(state, 0) + 1
    return found


async def test_a_crash_between_claim_and_work_only_delays(stage: Stage) -> None:
    await stage.do(partial(stage.fake.open_pull_request, REPOSITORY, number=1))
    claimed = await stage.database.write(deliveries.claim_due, limit=10, seconds=60)
    assert [delivery.attempt for delivery in claimed] == [1]
    # The process that claimed it is gone; for a minute nobody may know.
    assert await stage.work() == 0
    stage.advance(61)
    assert await stage.work() == 1
    assert await stage.names() == ["shop-1"]
    # Were it only asleep, it must not undo what the other one did.
    assert not await stage.database.write(deliveries.renew, claimed[0], seconds=60)
    await stage.database.write(deliveries.retry, claimed[0], due_at=0.0, problem="late")
    assert await stage.work() == 0


async def test_what_was_queued_is_there_after_the_database_is_opened_anew(stage: Stage, tmp_path: Path) -> None:
    await stage.do(partial(stage.fake.open_pull_request, REPOSITORY, number=1))
    again = Database.open(
        f"sqlite:///{tmp_path}/relay.db", MasterKey(secret=bytes(range(32))), clock=Clock(stage.clock.now)
    )
    claimed = await again.write(deliveries.claim_due, limit=10, seconds=60)
    assert [delivery.payload["repository"] for delivery in claimed] == [REPOSITORY]
    again.close()


async def test_two_processes_never_claim_one_delivery(stage: Stage) -> None:
    for number in range(1, 21):
        await stage.do(partial(stage.fake.open_pull_request, REPOSITORY, number=number))
    claimed: list[str] = []

    async def take() -> None:
        found = await stage.database.write(deliveries.claim_due, limit=3, seconds=60)
        claimed.extend(delivery.id for delivery in found)

    async with trio.open_nursery() as nursery:
        for _ in range(10):
            nursery.start_soon(take)
    assert len(claimed) == len(set(claimed)) == 20


@pytest.mark.parametrize("trouble", ["secondary", "primary", "error", "drop", "429"])
async def test_outages_and_limits_lose_nothing(stage: Stage, trouble: str) -> None:
    troubles = stage.fake.troubles
    if trouble == "secondary":
        troubles.secondary_limit(retry_after=90, path=CALL)
    elif trouble == "primary":
        troubles.primary_limit(reset_in=300, path=CALL)
    elif trouble == "429":
        troubles.secondary_limit(status=429, retry_after=None, path=CALL)
    elif trouble == "error":
        troubles.error(502, path=CALL)
    else:
        troubles.drop(path=CALL)
    await stage.do(partial(stage.fake.open_pull_request, REPOSITORY, number=1))
    assert await stage.work() == 1
    assert await stage.names() == []
    waits = {"secondary": 90, "primary": 300, "429": 60}.get(trouble, 0)
    if waits:
        stage.advance(waits - 1)
        assert await stage.work() == 0, "GitHub is not asked before the time that it said"
    stage.advance(10)
    assert await stage.work() == 1
    assert await stage.names() == ["shop-1"]


async def test_while_github_is_away_deliveries_wait_however_often_they_were_tried(stage: Stage) -> None:
    await stage.do(partial(stage.fake.open_pull_request, REPOSITORY, number=1))
    with stage.fake.down():
        for _ in range(30):
            assert await stage.work() == 1
            stage.advance(LONGEST_SECONDS)
    assert await stage.work() == 1
    assert await stage.names() == ["shop-1"]


async def test_one_that_always_fails_is_given_up_and_never_holds_up_the_others(stage: Stage) -> None:
    stage.fake.troubles.answer(400, b'{"message": "no"}', path=r"/pulls/13$", times=None)
    await stage.do(partial(stage.fake.open_pull_request, REPOSITORY, number=13))
    for number in range(1, 13):
        await stage.do(partial(stage.fake.open_pull_request, REPOSITORY, number=number))
    await stage.work()
    assert len(await stage.names()) == 12
    for _ in range(19):
        stage.advance(LONGEST_SECONDS)
        assert await stage.work() == 1
    stage.advance(LONGEST_SECONDS)
    assert await stage.work() == 0
    assert await stage.database.read(states) == {"done": 12, "failed": 1}


async def test_an_unreadable_row_fails_alone(stage: Stage) -> None:
    await stage.do(partial(stage.fake.open_pull_request, REPOSITORY, number=1))

    def damage(tx: Transaction) -> None:
        tx.connection.execute(table.update().values(payload=b"\x01damaged"))

    await stage.database.write(damage)
    await stage.do(partial(stage.fake.open_pull_request, REPOSITORY, number=2))
    await stage.work()
    assert await stage.names() == ["shop-2"]
    assert await stage.database.read(states) == {"done": 1, "failed": 1}


async def test_deliveries_of_one_pull_request_are_never_worked_on_at_the_same_time(stage: Stage) -> None:
    active, most = 0, 0
    original = stage.client.pull_request

    async def watched(*args: object, **kwargs: object) -> object:
        nonlocal active, most
        active += 1
        most = max(most, active)
        try:
            return await original(*args, **kwargs)  # type: ignore[arg-type]
        finally:
            active -= 1

    stage.client.pull_request = watched  # type: ignore[method-assign,assignment]
    await stage.do(partial(stage.fake.open_pull_request, REPOSITORY, number=1))
    for _ in range(5):
        await stage.do(partial(stage.fake.push, REPOSITORY, 1))
    assert await stage.work() == 6
    assert most == 1
    found = await stage.database.read(workspaces.require, stage.org.id, "shop-1")
    assert found.spec.github is not None
    assert found.spec.github.head_commit == stage.fake.pull_request(REPOSITORY, 1).head_sha


async def test_guids_are_forgotten_after_a_week_and_their_content_at_once(stage: Stage) -> None:
    await stage.do(partial(stage.fake.open_pull_request, REPOSITORY, number=1))
    await stage.work()

    def payloads(tx: Transaction) -> list[bytes | None]:
        return list(tx.connection.execute(select(table.c.payload)).scalars())

    assert await stage.database.read(payloads) == [None]
    stage.advance(KEEP_DONE_SECONDS - 1)
    assert await stage.database.write(deliveries.sweep) == 0
    stage.advance(2)
    assert await stage.database.write(deliveries.sweep) == 1


async def test_a_new_delivery_wakes_the_worker_at_once(stage: Stage) -> None:
    done = trio.Event()
    stage.database.subscribe(lambda change: done.set() if change.kind == "workspace" else None)
    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stage.service.run)
            await stage.do(partial(stage.fake.open_pull_request, REPOSITORY, number=1))
            await done.wait()
            nursery.cancel_scope.cancel()
    assert await stage.names() == ["shop-1"]


def test_pauses_grow_are_spread_and_never_shorter_than_asked_for() -> None:
    assert [pause_seconds(attempt, 1.0) for attempt in (1, 2, 3)] == [2, 4, 8]
    assert pause_seconds(1000, 1.0) == LONGEST_SECONDS
    assert pause_seconds(5, 0.0) == 0
    assert pause_seconds(1, 0.0, asked_seconds=90) == 90
    assert pause_seconds(1, 1.0, asked_seconds=90) > 90
