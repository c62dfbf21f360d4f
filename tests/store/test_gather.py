"""Gathered look-ups: few queries for many questions, none answered with what was true before it was asked."""

from collections.abc import Collection
from typing import Any

import pytest
import trio
import trio.testing
from sqlalchemy import event

from relay.auth import mint, parse
from relay.auth.tokens import TokenKind
from relay.errors import StoreUnavailableError
from relay.store import Database, Lookups, cluster_tokens, clusters, workspaces
from relay.store.gather import Gathered
from relay.store.rows import MAX_VALUES
from tests.store.support import SPEC, seed


class Asked:
    """Answers a key with its length once it may; keeps the keys of each query."""

    def __init__(self) -> None:
        self.queries: list[list[str]] = []
        self.may_answer = trio.Event()
        self.error: Exception | None = None

    async def __call__(self, keys: Collection[str]) -> dict[str, int]:
        self.queries.append(sorted(keys))
        await self.may_answer.wait()
        if self.error is not None and "bad" in keys:
            raise self.error
        return {key: len(key) for key in keys if key != "none"}


async def get_all(gathered: Gathered[str, int], keys: Collection[str]) -> dict[str, int | Exception | None]:
    found: dict[str, int | Exception | None] = {}

    async def get(key: str) -> None:
        try:
            found[key] = await gathered.get(key)
        except (StoreUnavailableError, ValueError) as error:
            found[key] = error

    async with trio.open_nursery() as nursery:
        for key in keys:
            nursery.start_soon(get, key)
    return found


async def test_what_comes_during_a_query_shares_the_next_one() -> None:
    asked = Asked()
    gathered = Gathered(asked)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(gathered.get, "first")
        await trio.testing.wait_all_tasks_blocked()
        for number in range(100):
            nursery.start_soon(gathered.get, f"{number:03}")
        await trio.testing.wait_all_tasks_blocked()
        assert asked.queries == [["first"]]
        asked.may_answer.set()
    assert asked.queries == [["first"], [f"{number:03}" for number in range(100)]]


async def test_everybody_gets_their_own_answer() -> None:
    asked = Asked()
    asked.may_answer.set()
    assert await get_all(Gathered(asked), ["a", "bb", "none"]) == {"a": 1, "bb": 2, "none": None}


async def test_the_same_question_during_a_query_is_asked_again() -> None:
    asked = Asked()
    gathered = Gathered(asked)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(gathered.get, "key")
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(gathered.get, "key")
        await trio.testing.wait_all_tasks_blocked()
        asked.may_answer.set()
    assert asked.queries == [["key"], ["key"]]


@pytest.mark.parametrize("query_under_way", [False, True])
async def test_when_the_one_that_asks_is_cancelled_the_others_are_answered(*, query_under_way: bool) -> None:
    asked = Asked()
    gathered = Gathered(asked)
    found: dict[str, int | Exception | None] = {}

    async def others() -> None:
        found.update(await get_all(gathered, ["b", "cc"]))

    async with trio.open_nursery() as nursery:
        if query_under_way:
            nursery.start_soon(gathered.get, "before")
            await trio.testing.wait_all_tasks_blocked()
        async with trio.open_nursery() as leading:
            leading.start_soon(gathered.get, "leader")
            await trio.testing.wait_all_tasks_blocked()
            nursery.start_soon(others)
            await trio.testing.wait_all_tasks_blocked()
            leading.cancel_scope.cancel()
        asked.may_answer.set()
    assert found == {"b": 1, "cc": 2}


async def test_an_outage_is_told_to_all_without_asking_again() -> None:
    asked = Asked()
    asked.may_answer.set()
    asked.error = StoreUnavailableError("away")
    found = await get_all(Gathered(asked), ["bad", "good"])
    assert found == {"bad": asked.error, "good": asked.error}
    assert asked.queries == [["bad", "good"]]


async def test_a_row_that_cannot_be_read_is_no_trouble_of_others() -> None:
    asked = Asked()
    asked.may_answer.set()
    asked.error = ValueError("damaged")
    assert await get_all(Gathered(asked), ["bad", "good"]) == {"bad": asked.error, "good": 4}


async def test_more_tokens_than_a_statement_takes_are_all_found(database: Database) -> None:
    seeded = await seed(database)
    cluster = await database.read(clusters.require, seeded.org_id, "c1")
    _, secret = await database.write(cluster_tokens.create, cluster)
    unknown = [parse(mint(TokenKind.CLUSTER_TOKEN)) for _ in range(MAX_VALUES)]
    found = await database.read(cluster_tokens.find_identities, [*unknown, parse(secret)])
    assert [identity.cluster_name for identity in found.values()] == ["c1"]
    assert list(found) == [parse(secret)]


async def test_routes_of_many_workspaces_of_several_orgs_are_each_their_own(database: Database) -> None:
    one, two = await seed(database, "one"), await seed(database, "two")
    await database.write(workspaces.put, one.org_id, "pr-43", SPEC)
    wanted = [(one.org_id, "pr-42"), (one.org_id, "pr-43"), (two.org_id, "pr-42"), (two.org_id, "pr-43"), ("x", "y")]
    found = await database.read(workspaces.find_all_routes, wanted)
    assert {key: next(iter(table)).workspace for key, table in found.items()} == {key: key[1] for key in wanted[:3]}
    assert {next(iter(table)).org_id for table in found.values()} == {one.org_id, two.org_id}


async def test_a_crowd_of_agents_costs_two_queries(database: Database) -> None:
    seeded = await seed(database)
    secrets = []
    for number in range(20):
        cluster, _ = await database.write(clusters.put, seeded.org_id, f"crowd-{number}")
        secrets.append((await database.write(cluster_tokens.create, cluster))[1])
    lookups, names, queries = Lookups(database), list[str](), list[str]()

    def note(*arguments: Any) -> None:
        queries.extend([arguments[2]] if "token_hash" in arguments[2] else [])

    async def identify(secret: str) -> None:
        names.append((await lookups.agent_identity(secret)).cluster_name)

    event.listen(database.engine, "before_cursor_execute", note)
    async with trio.open_nursery() as nursery:
        for secret in secrets:
            nursery.start_soon(identify, secret)
    assert sorted(names) == sorted(f"crowd-{number}" for number in range(20))
    assert 1 <= len(queries) <= 2
