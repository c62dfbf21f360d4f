"""The background work goes on, whatever fails: only being cancelled ends it."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import trio
from sqlalchemy import select, update

from relay.control.github import statuses as sending
from relay.control.github import worker
from relay.control.github.worker import CLAIM_SECONDS
from relay.errors import StoreUnavailableError
from relay.store import deliveries, installations, statuses, workspaces
from relay.store.rows import Transaction
from relay.store.schema import commit_statuses as statuses_table
from relay.store.schema import deliveries as deliveries_table
from relay.store.schema import workspaces as workspaces_table
from relay.store.statuses import CommitStatus
from tests.github.stage import REPOSITORY, Stage

POLL_SECONDS = 0.01


async def opened(stage: Stage, number: int = 1) -> str:
    event = await stage.do(partial(stage.fake.open_pull_request, REPOSITORY, number=number))
    await stage.work()
    sha: str = event.payload["pull_request"]["head"]["sha"]
    return sha


def all_sent(tx: Transaction) -> bool:
    found = tx.connection.execute(select(statuses_table.c.due_at)).scalars().all()
    return len(found) > 0 and all(due_at is None for due_at in found)


def break_once(stage: Stage, broken: Callable[..., Any], error: Exception) -> list[object]:
    """The database fails once, at that question; gives what was broken so far."""
    real = stage.database.read
    done: list[object] = []

    async def read(function: Any, *args: Any, **kwargs: Any) -> Any:
        if function is broken and not done:
            done.append(function)
            raise error
        return await real(function, *args, **kwargs)

    stage.database.read = read  # type: ignore[method-assign]
    return done


@pytest.mark.parametrize("error", [StoreUnavailableError("away for a moment"), RuntimeError("a mistake of ours")])
@pytest.mark.parametrize(
    "broken", [installations.find_by_org, installations.find_all, statuses.is_due, deliveries.is_due, workspaces.get]
)
async def test_a_hiccup_of_the_database_ends_no_task(
    stage: Stage, broken: Callable[..., Any], error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "POLL_SECONDS", POLL_SECONDS)
    for name in ("POLL_SECONDS", "AGAIN_SECONDS", "FAULT_SECONDS"):
        monkeypatch.setattr(sending, name, POLL_SECONDS)
    sha = await opened(stage)
    done = break_once(stage, broken, error)
    async with trio.open_nursery() as nursery:
        for task in (stage.service.worker, stage.service.keeper, stage.service.sender):
            nursery.start_soon(task.run)
        stage.service.keeper.cluster_came_online(stage.cluster_id)
        with trio.fail_after(20):
            while not done or not await stage.database.write(all_sent):
                stage.advance(1)
                await trio.sleep(POLL_SECONDS)
        nursery.cancel_scope.cancel()
    assert stage.fake.statuses(REPOSITORY, sha=sha)


async def test_a_token_with_a_strange_time_is_tried_again(stage: Stage) -> None:
    sha = await opened(stage)
    stage.client.forget(stage.fake.installation("acme-inc").id)
    # For as long as it takes: two statuses are due, and each asks for a token unless it meets the other's question.
    stage.fake.troubles.answer(201, b'{"token":"t"}', path=r"/access_tokens", times=None)
    await stage.send()
    assert stage.fake.statuses(REPOSITORY, sha=sha) == []
    stage.fake.troubles.clear()
    stage.advance(600)
    await stage.send()
    assert stage.fake.statuses(REPOSITORY, sha=sha)


async def test_a_workspace_that_cannot_be_read_is_left_out_and_no_other(stage: Stage) -> None:
    first, second = await opened(stage, 1), await opened(stage, 2)

    def damage(tx: Transaction) -> None:
        found = workspaces.require(tx, stage.org.id, "shop-1").id
        tx.connection.execute(update(workspaces_table).where(workspaces_table.c.id == found).values(branch=b"x" * 60))

    await stage.database.write(damage)
    await stage.service.keeper.look_at_all()
    await stage.send()  # what was heard of has the damaged one in it too
    assert stage.fake.statuses(REPOSITORY, sha=first) == []
    assert stage.fake.statuses(REPOSITORY, sha=second)


async def test_a_store_that_fails_while_sending_leaves_the_status_to_the_next_try(stage: Stage) -> None:
    sha = await opened(stage)
    real = stage.database.write

    async def write(function: Any, *args: Any, **kwargs: Any) -> Any:
        if args and isinstance(args[0], CommitStatus):
            raise StoreUnavailableError("away for a moment")
        return await real(function, *args, **kwargs)

    stage.database.write = write  # type: ignore[method-assign]
    await stage.service.keeper.look_at_heard()
    assert await stage.service.sender.send_due() == 2
    stage.database.write = real  # type: ignore[method-assign]
    stage.advance(60)
    await stage.send()
    assert len(stage.fake.statuses(REPOSITORY, sha=sha, context="signadot/web")) == 2


async def test_what_waits_for_its_subjects_turn_is_not_taken_again_and_keeps_its_claim(stage: Stage) -> None:
    go_on = trio.Event()
    original = stage.client.pull_request

    async def slow(*args: Any, **kwargs: Any) -> Any:
        await go_on.wait()
        return await original(*args, **kwargs)

    stage.client.pull_request = slow  # type: ignore[method-assign]
    await stage.do(partial(stage.fake.open_pull_request, REPOSITORY, number=1))
    for _ in range(3):
        await stage.do(partial(stage.fake.push, REPOSITORY, 1))
    async with trio.open_nursery() as nursery:
        assert await stage.service.worker.take(nursery) == 4
        for _ in range(10):
            stage.advance(CLAIM_SECONDS - 5)
            assert await stage.service.worker.take(nursery) == 0
            elsewhere = await stage.database.write(deliveries.claim_due, limit=10, seconds=CLAIM_SECONDS)
            assert elsewhere == [], "another process must not take what is in hand here"
        stage.advance(CLAIM_SECONDS + 5)  # a pause of this process: even then nothing is counted twice
        assert await stage.service.worker.take(nursery) == 0
        go_on.set()

    def attempts(tx: Transaction) -> list[int]:
        return list(tx.connection.execute(select(deliveries_table.c.attempts)).scalars())

    assert await stage.database.read(attempts) == [1, 1, 1, 1]
    assert await stage.names() == ["shop-1"]


async def test_a_failed_delivery_can_be_sent_again_and_one_that_is_done_has_no_second_effect(stage: Stage) -> None:
    event = stage.fake.open_pull_request(REPOSITORY, number=1)
    guid = "01234567-89ab-cdef-0123-456789abcdef"
    assert (await stage.deliver(event, guid=guid)).status_code == 202
    (claimed,) = await stage.database.write(deliveries.claim_due, limit=10, seconds=30)
    assert (await stage.deliver(event, guid=guid)).status_code == 200
    await stage.database.write(deliveries.fail, claimed, "a fault that was mended since")
    assert (await stage.deliver(event, guid=guid)).status_code == 202
    assert await stage.work() == 1
    assert await stage.names() == ["shop-1"]
    assert (await stage.deliver(event, guid=guid)).status_code == 200
    assert await stage.work() == 0


async def test_what_was_said_about_no_workspace_is_forgotten_after_a_month(stage: Stage) -> None:
    sha = await opened(stage)
    await stage.send()
    saying = statuses.Saying(
        repository=REPOSITORY, commit=sha, context="c", state="failure", description="x", target_url="https://x/"
    )
    await stage.database.write(statuses.say, stage.org.id, saying)
    stage.advance(statuses.KEEP_SECONDS + 1)
    assert await stage.database.write(statuses.sweep) == 0, "it is not sent yet"
    await stage.send()
    stage.advance(1)
    assert await stage.database.write(statuses.sweep) == 1
    left = await stage.database.read(statuses.find, stage.org.id, REPOSITORY, sha)
    assert {found.context for found in left} == {"signadot/web", "signadot/dashboard"}
