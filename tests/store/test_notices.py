"""Notices: a process hears at once what another one changed, in order, and what it missed."""

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import pytest
import trio

from relay.errors import ConflictError, RelayError
from relay.store import Change, Database, clusters, orgs
from relay.store.changes import EVERYTHING, KEEP_SECONDS, find_news, find_start, sweep
from relay.store.rows import Transaction
from relay.store.watching import POLL_SECONDS
from tests.store.conftest import OpenDatabase
from tests.store.support import Clock
from tests.support.postgres import PostgresServer


class Ear:
    """Hears the changes of a database that it watches."""

    def __init__(self, database: Database) -> None:
        self._sender, self._receiver = trio.open_memory_channel[Change](math.inf)
        database.subscribe(self._sender.send_nowait)

    async def hear(self, kind: str, name: str) -> float:
        """Waits for a change; gives the seconds."""
        started = trio.current_time()
        with trio.fail_after(10):
            while True:
                change = await self._receiver.receive()
                if (change.kind, change.name) == (kind, name):
                    return trio.current_time() - started


class Errors(list[RelayError]):
    """What a watcher complained of."""

    def __init__(self) -> None:
        super().__init__()
        self.came = trio.Event()

    def add(self, error: RelayError) -> None:
        self.append(error)
        self.came.set()


@asynccontextmanager
async def watching(database: Database) -> AsyncIterator[Errors]:
    """Watches inside the block; gives the errors."""
    errors = Errors()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(partial(database.watch, on_error=errors.add))
        yield errors
        nursery.cancel_scope.cancel()


async def test_another_process_is_heard_well_under_a_second(database: Database, open_database: OpenDatabase) -> None:
    other = open_database()
    ear = Ear(database)
    async with watching(database) as errors:
        await other.write(orgs.create, "first")
        await ear.hear("org", "first")
        waits = []
        for number in range(5):
            await other.write(orgs.create, f"org-{number}")
            waits.append(await ear.hear("org", f"org-{number}"))
    assert errors == []
    assert max(waits) < 2 * POLL_SECONDS
    if database.backend.notifies:
        assert sorted(waits)[2] < POLL_SECONDS / 4  # not by looking now and then


async def test_own_changes_are_told_once(database: Database, open_database: OpenDatabase) -> None:
    other = open_database()
    ear = Ear(database)
    heard: list[str] = []
    database.subscribe(lambda change: heard.append(change.name))
    async with watching(database):
        await other.write(orgs.create, "before")
        await ear.hear("org", "before")
        await database.write(orgs.create, "mine")
        await other.write(orgs.create, "after")
        await ear.hear("org", "after")
    assert heard == ["before", "mine", "after"]


async def test_notices_grow_with_the_commits_whatever_the_clocks_say(
    database: Database, open_database: OpenDatabase, clock: Clock
) -> None:
    ahead = open_database(clock=Clock(clock.now + 5000))
    behind = open_database(clock=Clock(clock.now - 5000))
    names = []
    for number, writer in enumerate([database, ahead, behind, database, ahead, behind]):
        await writer.write(orgs.create, f"org-{number}")
        names.append(f"org-{number}")
    news = await database.read(find_news, "")
    assert [change.name for _, change in news.changes] == names
    third = news.changes[2][0]
    later = await database.read(find_news, third)
    assert [change.name for _, change in later.changes] == names[3:]
    assert not later.missed


async def test_old_notices_are_swept_and_whoever_missed_some_is_told_that_anything_may_have_changed(
    database: Database, clock: Clock
) -> None:
    await database.write(orgs.create, "old")
    cursor = (await database.read(find_news, "")).cursor
    await database.write(orgs.create, "older-than-an-hour")
    clock.now += KEEP_SECONDS + 1
    last = await database.write(orgs.create, "last")
    await database.write(sweep)
    news = await database.read(find_news, cursor)
    assert [change.id for _, change in news.changes] == [last.id]
    assert news.missed
    assert EVERYTHING.kind == "org"
    assert EVERYTHING.id == ""
    clock.now += KEEP_SECONDS + 1
    await database.write(sweep)
    assert [change.id for _, change in (await database.read(find_news, "")).changes] == [last.id]


async def test_a_write_that_is_undone_leaves_no_notice(database: Database) -> None:
    def change_and_fail(tx: Transaction) -> None:
        orgs.create(tx, "never")
        raise ConflictError("on second thoughts")

    with pytest.raises(ConflictError):
        await database.write(change_and_fail)
    assert (await database.read(find_news, "")).changes == []


async def test_who_starts_hears_the_last_minute_again(database: Database, clock: Clock) -> None:
    await database.write(orgs.create, "long-ago")
    clock.now += 100
    await database.write(orgs.create, "just-now")
    start = await database.read(find_start)
    assert [change.name for _, change in (await database.read(find_news, start)).changes] == ["just-now"]


async def test_more_than_a_page_of_news_comes_whole_and_in_order(
    database: Database, open_database: OpenDatabase
) -> None:
    org = await database.write(orgs.create, "acme")

    def change_much(tx: Transaction) -> None:
        for number in range(2500):
            tx.changed(Change(kind="workspace", id=f"w{number}", org_id=org.id))
        tx.changed(Change(kind="workspace", id="last", org_id=org.id, name="last"))

    heard: list[str] = []
    other = open_database()
    other.subscribe(lambda change: heard.append(change.id))
    ear = Ear(other)
    async with watching(other):
        await database.write(change_much)
        await ear.hear("workspace", "last")
    assert heard == [org.id, *(f"w{number}" for number in range(2500)), "last"]


@pytest.mark.only("postgresql")
async def test_a_listener_whose_connection_is_cut_still_hears_and_listens_again(
    database: Database, open_database: OpenDatabase, server: PostgresServer
) -> None:
    org = await database.write(orgs.create, "acme")
    other = open_database()
    ear = Ear(database)
    async with watching(database) as errors:
        await other.write(clusters.put, org.id, "c1")
        await ear.hear("cluster", "c1")
        cut: list[tuple[object, ...]] = []
        with server.connect() as connection, trio.fail_after(20):
            while not cut:  # the first notice may have been found by looking: it need not listen yet
                await trio.lowlevel.checkpoint()
                cut = connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'"
                ).fetchall()
        await other.write(clusters.put, org.id, "c2")
        assert await ear.hear("cluster", "c2") < 1
        for number in range(20):
            await other.write(clusters.put, org.id, f"more-{number}")
            if await ear.hear("cluster", f"more-{number}") < POLL_SECONDS / 8:
                break
        else:
            pytest.fail("it only looks now and then")
    assert len(errors) >= 1
