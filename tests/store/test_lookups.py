"""Cached look-ups: one load for many, nothing stale after a change, nothing asked for malformed credentials."""

from dataclasses import replace
from functools import partial

import pytest
import trio

from relay.auth import Role, TokenKind, mint
from relay.errors import RelayError, StoreUnavailableError, UnauthenticatedError
from relay.store import Change, Database, Lookups, api_keys, cluster_tokens, clusters, workspaces
from relay.store.flight import OUTAGE_SECONDS, FlightCache
from relay.store.lookups import FOUND_SECONDS
from tests.store.conftest import OpenDatabase
from tests.store.support import SPEC, Clock, seed


def cache(clock: Clock | None = None) -> FlightCache[str, int]:
    return FlightCache(found=2, found_seconds=10, missing=2, missing_seconds=5, clock=clock or Clock())


async def test_a_hundred_misses_at_once_are_one_load(database: Database) -> None:
    seeded = await seed(database)
    lookups = Lookups(database)
    async with trio.open_nursery() as nursery:
        for _ in range(100):
            nursery.start_soon(lookups.principal, seeded.secret)
    assert lookups._principals.loads == 1
    principal = lookups.principal_nowait(seeded.secret)
    assert principal is not None
    assert principal.credential_id == seeded.key_id


async def test_a_revoked_key_is_refused_as_soon_as_the_revocation_returns(database: Database) -> None:
    seeded = await seed(database)
    lookups = Lookups(database)
    key, secret = await database.write(api_keys.create, seeded.org_id, name="ci", role=Role.MEMBER)
    await lookups.principal(secret)
    await database.write(api_keys.remove, seeded.org_id, key.id)
    assert lookups.principal_nowait(secret) is None
    with pytest.raises(UnauthenticatedError, match="revoked"):
        await lookups.principal(secret)


@pytest.mark.parametrize("whole_cluster", [False, True])
async def test_a_revoked_cluster_token_is_refused_at_once(database: Database, *, whole_cluster: bool) -> None:
    seeded = await seed(database)
    lookups = Lookups(database)
    cluster, _ = await database.write(clusters.put, seeded.org_id, "c2")
    token, secret = await database.write(cluster_tokens.create, cluster)
    assert (await lookups.agent_identity(secret)).cluster_name == "c2"
    if whole_cluster:
        await database.write(clusters.remove, seeded.org_id, "c2")
    else:
        await database.write(cluster_tokens.remove, cluster, token.id)
    with pytest.raises(UnauthenticatedError, match="revoked"):
        await lookups.agent_identity(secret)


async def test_routes_follow_every_change_of_the_workspace(database: Database) -> None:
    seeded = await seed(database)
    lookups = Lookups(database)
    assert await lookups.routes(seeded.org_id, "pr-43") is None
    await database.write(workspaces.put, seeded.org_id, "pr-43", SPEC)
    table = await lookups.routes(seeded.org_id, "pr-43")
    assert table is not None
    assert table is lookups.routes_nowait(seeded.org_id, "pr-43")
    assert table.lookup("api") is not None
    await database.write(workspaces.put, seeded.org_id, "pr-43", replace(SPEC, endpoints=SPEC.endpoints[:1]))
    table = await lookups.routes(seeded.org_id, "pr-43")
    assert table is not None
    assert table.lookup("api") is None
    await database.write(workspaces.remove, seeded.org_id, "pr-43")
    assert lookups.routes_nowait(seeded.org_id, "pr-43") is None
    assert await lookups.routes(seeded.org_id, "pr-43") is None


async def test_malformed_and_unknown_credentials(database: Database) -> None:
    lookups = Lookups(database)
    for text in ("", "x", "sdk_" + "a" * 36, mint(TokenKind.CLUSTER_TOKEN), "\udcff\u00e9"):
        assert lookups.principal_nowait(text) is None
        with pytest.raises(UnauthenticatedError):
            await lookups.principal(text)
    assert lookups._principals.loads == 0
    unknown = mint(TokenKind.API_KEY)
    for _ in range(3):
        with pytest.raises(UnauthenticatedError, match="unknown"):
            await lookups.principal(unknown)
    assert lookups._principals.loads == 1


async def test_an_org_made_after_it_was_missed_is_found(database: Database) -> None:
    lookups = Lookups(database)
    assert await lookups.org("acme") is None
    seeded = await seed(database)
    org = await lookups.org("acme")
    assert org is not None
    assert org.id == seeded.org_id


async def test_credentials_are_not_kept_in_clear(database: Database) -> None:
    seeded = await seed(database)
    lookups = Lookups(database)
    await lookups.principal(seeded.secret)
    assert seeded.secret not in repr(vars(lookups)) + repr(lookups._principals._found)


async def test_use_is_written_once_for_many_requests(database: Database, clock: Clock) -> None:
    seeded = await seed(database)
    lookups = Lookups(database)
    await lookups.principal(seeded.secret)
    clock.now += 7
    lookups.principal_nowait(seeded.secret)
    await lookups.record_usage()
    key = await database.read(api_keys.get, seeded.org_id, seeded.key_id)
    assert key is not None
    assert key.last_used_at == clock.now
    clock.now += 7
    await lookups.record_usage()
    assert await database.read(api_keys.get, seeded.org_id, seeded.key_id) == key


async def test_a_load_overtaken_by_a_change_is_made_again() -> None:
    known = cache()
    values = iter([1, 2])

    async def load() -> int:
        value = next(values)
        if value == 1:
            known.forget("k")  # the change arrives while the old value is on its way
        await trio.lowlevel.checkpoint()
        return value

    assert await known.get("k", load) == 2
    assert known.get_nowait("k") == 2


async def test_when_the_loading_task_is_cancelled_another_one_loads() -> None:
    known = cache()
    started = trio.Event()
    results: list[int | None] = []

    async def hang() -> int:
        started.set()
        await trio.sleep_forever()
        raise AssertionError

    async def load() -> int:
        await trio.lowlevel.checkpoint()
        return 5

    async def wait() -> None:
        results.append(await known.get("k", load))

    async with trio.open_nursery() as nursery:
        scope = trio.CancelScope()

        async def lead() -> None:
            with scope:
                await known.get("k", hang)

        nursery.start_soon(lead)
        await started.wait()
        nursery.start_soon(wait)
        nursery.start_soon(wait)
        await trio.testing.wait_all_tasks_blocked()
        scope.cancel()
    assert results == [5, 5]
    assert known.loads == 2


async def test_a_failed_load_fails_for_all_who_waited_and_is_not_kept() -> None:
    known = cache()
    failures: list[str] = []
    release = trio.Event()

    async def fail() -> int:
        await release.wait()
        raise UnauthenticatedError("no")

    async def wait() -> None:
        try:
            await known.get("k", fail)
        except UnauthenticatedError as error:
            failures.append(str(error))

    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(wait)
        await trio.testing.wait_all_tasks_blocked()
        release.set()
    assert failures == ["no"] * 3
    assert known.loads == 1


async def test_what_is_missing_cannot_push_out_what_is_found_and_both_end_in_time() -> None:
    clock = Clock(0)
    known = cache(clock)

    async def find() -> int:
        await trio.lowlevel.checkpoint()
        return 1

    async def miss() -> None:
        await trio.lowlevel.checkpoint()

    await known.get("k", find)
    for number in range(10):
        assert await known.get(f"x{number}", miss) is None
    assert known.get_nowait("k") == 1
    loads = known.loads
    assert await known.get("x9", miss) is None
    assert known.loads == loads
    clock.now = 6
    assert await known.get("x9", find) == 1
    clock.now = 11
    assert known.get_nowait("k") is None


async def test_a_key_revoked_by_another_process_is_refused_within_a_second(
    database: Database, open_database: OpenDatabase, clock: Clock
) -> None:
    seeded = await seed(database)
    other = open_database()
    key, secret = await other.write(api_keys.create, seeded.org_id, name="ci", role=Role.MEMBER)
    lookups = Lookups(database)
    revoked = trio.Event()
    errors: list[RelayError] = []

    def note(_: Change) -> None:
        if lookups.principal_nowait(secret) is None:
            revoked.set()

    database.subscribe(note)
    async with trio.open_nursery() as nursery:
        await lookups.principal(secret)
        clock.now += 100
        await other.write(api_keys.remove, seeded.org_id, key.id)
        assert lookups.principal_nowait(secret) is not None
        nursery.start_soon(partial(database.watch, on_error=errors.append))
        with trio.fail_after(1):
            await revoked.wait()
        nursery.cancel_scope.cancel()
    with pytest.raises(UnauthenticatedError, match="revoked"):
        await lookups.principal(secret)
    assert errors == []


async def test_what_has_run_out_still_serves_while_the_database_is_down() -> None:
    clock = Clock(0)
    known = cache(clock)

    async def find() -> int:
        await trio.lowlevel.checkpoint()
        return 1

    async def fail() -> int:
        await trio.lowlevel.checkpoint()
        raise StoreUnavailableError("the database does not answer")

    await known.get("k", find)
    clock.now = 11
    loads = known.loads
    for _ in range(10):
        assert await known.get("k", fail) == 1
        assert known.get_nowait("k") == 1
    assert known.loads == loads + 1  # no request but one waits for a silent database
    clock.now = 10 + OUTAGE_SECONDS - 0.1
    assert await known.get("k", fail) == 1
    clock.now = 10 + OUTAGE_SECONDS
    assert known.get_nowait("k") is None
    with pytest.raises(StoreUnavailableError):
        await known.get("k", fail)


@pytest.mark.parametrize("how", ["forget", "forget_if", "clear", "gone"])
async def test_what_is_known_to_be_gone_never_serves(how: str) -> None:
    clock = Clock(0)
    known = cache(clock)

    async def find() -> int:
        await trio.lowlevel.checkpoint()
        return 1

    async def miss() -> None:
        await trio.lowlevel.checkpoint()

    async def fail() -> int:
        await trio.lowlevel.checkpoint()
        raise StoreUnavailableError("the database does not answer")

    await known.get("k", find)
    if how == "forget":
        known.forget("k")
    elif how == "forget_if":
        known.forget_if(lambda value: value == 1)
    elif how == "clear":
        known.clear()
    else:
        clock.now = 11
        assert await known.get("k", miss) is None
        clock.now = 17
    with pytest.raises(StoreUnavailableError):
        await known.get("k", fail)


async def test_a_fault_that_is_not_the_databases_brings_nothing_back() -> None:
    clock = Clock(0)
    known = cache(clock)

    async def find() -> int:
        await trio.lowlevel.checkpoint()
        return 1

    async def fail() -> int:
        await trio.lowlevel.checkpoint()
        raise UnauthenticatedError("no")

    await known.get("k", find)
    clock.now = 11
    with pytest.raises(UnauthenticatedError):
        await known.get("k", fail)


async def test_keys_and_routes_outlive_an_outage(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    seeded = await seed(database)
    clock = Clock(0)
    lookups = Lookups(database, clock=clock)
    principal = await lookups.principal(seeded.secret)
    table = await lookups.routes(seeded.org_id, "pr-42")

    async def fail(*_: object) -> None:
        await trio.lowlevel.checkpoint()
        raise StoreUnavailableError("the database does not answer")

    monkeypatch.setattr(database, "read", fail)
    clock.now = FOUND_SECONDS + 60
    assert await lookups.principal(seeded.secret) is principal
    assert await lookups.routes(seeded.org_id, "pr-42") is table
    with pytest.raises(StoreUnavailableError):
        await lookups.principal(mint(TokenKind.API_KEY))
