"""New keys while the relay serves: nothing fails, nothing is left under the old one, an interruption is no harm."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import trio
from sqlalchemy import select

from relay.auth import MasterKey, Role, Sealer, parse
from relay.errors import ConfigurationError, ConflictError, StoreUnavailableError
from relay.store import Database, Lookups, api_keys, cluster_tokens, clusters, keys, orgs, rotate, upgrade, workspaces
from relay.store.schema import metadata, sealing_keys
from tests.store.conftest import OpenDatabase
from tests.store.support import SPEC, Clock, seed

NEW_MASTER = MasterKey(secret=bytes(range(1, 33)))


def silent(_line: str) -> None:
    pass


def states(database: Database) -> dict[str, str]:
    return {key.id: key.state for key in database.read_now(keys.find_all)}


def indexes(database: Database) -> set[bytes]:
    """All blind indexes that are stored."""
    with database.engine.connect() as connection:
        return {
            value
            for table in metadata.tables.values()
            for column in table.columns
            if "blind_of" in column.info
            for value in connection.execute(select(column)).scalars()
            if value is not None
        }


def test_a_new_database_gets_a_random_key_that_is_not_the_master(database: Database, master: MasterKey) -> None:
    (key,) = database.read_now(keys.find_all)
    assert (key.state, key.master_id) == ("active", master.id)
    assert key.id != master.id
    assert database.sealer.active.id == key.id


async def test_a_database_of_before_the_ring_stays_readable(
    database: Database, open_database: OpenDatabase, master: MasterKey
) -> None:
    with database.transaction(writes=True) as transaction:  # as the first release sealed: under the master key itself
        transaction.connection.execute(sealing_keys.delete())
        transaction.sealer = Sealer(master)
        org, _, secret = orgs.create_with_admin_key(transaction, "acme")
    other = open_database()
    upgrade(other)
    (key,) = await other.read(keys.find_all)
    assert (key.id, key.state) == (master.id, "active")
    assert await other.read(orgs.find, "acme") == org
    assert (await Lookups(other).principal(secret)).memberships[0].org == "acme"
    rotate(other, say=silent)
    assert await other.read(orgs.find, "acme") == org


async def test_a_rotation_leaves_no_value_and_no_index_under_the_old_key(database: Database, clock: Clock) -> None:
    clock.step = 0.001
    seeded = await seed(database)
    await database.write(orgs.link_github_account, seeded.org_id, "Acme-Inc")
    before = await database.read(workspaces.find_all, seeded.org_id)
    old = database.sealer.active.id
    old_indexes = indexes(database)
    lines: list[str] = []
    rotate(database, say=lines.append)
    facts = {key.id: key for key in await database.read(keys.find_all)}
    active = database.sealer.active.id
    assert active != old
    assert (facts[old].state, facts[old].values) == ("retired", 0)
    assert (facts[active].state, facts[active].values > 20) == ("active", True)
    assert indexes(database).isdisjoint(old_indexes)
    assert len(indexes(database)) == len(old_indexes)
    assert await database.read(workspaces.find_all, seeded.org_id) == before
    linked = await database.read(orgs.find_by_github_account, "acme-inc")
    assert linked is not None
    assert lines[0] == f"the active key is {active}"


async def test_readers_and_writers_of_two_processes_never_fail_during_a_rotation(
    database: Database, open_database: OpenDatabase, clock: Clock
) -> None:
    clock.step = 0.001
    seeded, other, rotating = await seed(database), open_database(), open_database()
    for number in range(60):
        await database.write(workspaces.put, seeded.org_id, f"ws-{number}", SPEC)
    done = trio.Event()
    counts = {"read": 0, "written": 0}

    async def read(reader: Database) -> None:
        while not done.is_set():
            assert (await reader.read(workspaces.require, seeded.org_id, "pr-42")).spec == SPEC
            assert await reader.read(clusters.find, seeded.org_id, "c1") is not None
            principal = await reader.read(api_keys.find_principal, api_key)
            assert principal is not None
            counts["read"] += 1

    async def write(writer: Database, name: str) -> None:
        number = 0
        while not done.is_set():
            number += 1
            await writer.write(workspaces.put, seeded.org_id, f"{name}{number % 5}", SPEC)
            with pytest.raises(ConflictError):
                await writer.write(orgs.create, "acme")
            for _ in range(20):  # leaves the lock to others for a while
                assert await writer.read(orgs.find, "acme") is not None
            counts["written"] += 1

    api_key = parse(seeded.secret)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(read, database)
        nursery.start_soon(read, other)
        nursery.start_soon(write, database, "a")
        nursery.start_soon(write, other, "b")
        await trio.to_thread.run_sync(lambda: rotate(rotating, say=silent, batch_rows=20))
        done.set()
    assert min(counts.values()) > 5
    facts = await database.read(keys.find_all)
    assert [key.state for key in facts if key.values] == ["active"]
    for name in ("ws-0", "ws-59", "a1", "b1", "pr-42"):
        assert await other.read(workspaces.get, seeded.org_id, name) is not None


ROTATION = """
import sys
from relay.auth import MasterKey
from relay.store import Database, rotate
database = Database.open(sys.argv[1], MasterKey(secret=bytes(range(32))))
rotate(database, say=lambda line: print(line, flush=True) or sys.stdin.readline(), batch_rows=3)
"""


def rotate_and_kill(url: str, batches: int) -> None:
    """Rotates in a process of its own, killed after so many batches."""
    process = subprocess.Popen(
        [sys.executable, "-c", ROTATION, url], stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True, bufsize=1
    )
    assert process.stdout is not None
    assert process.stdin is not None
    with process, process.stdout, process.stdin:
        for _ in range(batches):
            assert process.stdout.readline()
            process.stdin.write("\n")
        assert process.stdout.readline()
        process.kill()


@pytest.mark.parametrize("batches", [1, 4])
async def test_a_rotation_killed_between_batches_goes_on_with_its_key(
    database: Database, url: str, clock: Clock, batches: int
) -> None:
    clock.step = 0.001
    seeded = await seed(database)
    for number in range(10):
        await database.write(workspaces.put, seeded.org_id, f"ws-{number}", SPEC)
    old = database.sealer.active.id
    rotate_and_kill(url, batches)
    half_way = {key.id: key for key in await database.read(keys.find_all)}
    active = database.sealer.active.id
    assert half_way[old].state == "retiring"
    assert half_way[old].values > 0
    assert half_way[active].values > 0
    assert len(await database.read(workspaces.find_all, seeded.org_id)) == 11
    assert await database.read(workspaces.get, seeded.org_id, "ws-3") is not None
    lines: list[str] = []
    rotate(database, say=lines.append)
    assert lines[0] == f"the active key is {active}: going on with the rotation to it"
    assert states(database) == {old: "retired", active: "active"}
    assert {key.id: key.values for key in await database.read(keys.find_all)}[old] == 0
    assert await database.read(workspaces.get, seeded.org_id, "ws-3") is not None


async def test_a_presented_token_is_hashed_anew_and_the_old_key_goes_when_no_token_needs_it(
    database: Database, clock: Clock
) -> None:
    clock.step = 0.001
    seeded = await seed(database)
    lookups = Lookups(database)
    cluster = await database.read(clusters.require, seeded.org_id, "c1")
    _, token = await database.write(cluster_tokens.create, cluster)
    _, unused = await database.write(api_keys.create, seeded.org_id, name="ci", role=Role.MEMBER)
    old = database.sealer.active.id
    rotate(database, say=silent)
    assert {key.id: key.tokens for key in await database.read(keys.find_all)}[old] == 3
    await lookups.principal(seeded.secret)
    await lookups.agent_identity(token)
    await lookups.record_usage()
    assert {key.id: key.tokens for key in await database.read(keys.find_all)}[old] == 1
    fresh = Lookups(database)
    assert (await fresh.principal(seeded.secret)).credential_id == seeded.key_id
    assert (await fresh.agent_identity(token)).cluster_name == "c1"
    clock.now += keys.KEEP_SECONDS + 1
    await database.sweep()
    assert old in states(database)  # for the key that nobody has presented
    await fresh.principal(unused)
    await fresh.record_usage()
    await database.sweep()
    assert states(database) == {database.sealer.active.id: "active"}
    assert (await Lookups(database).principal(unused)).memberships[0].org == "acme"


async def test_derived_keys_of_the_active_key_come_first_and_earlier_ones_still_count(
    database: Database, open_database: OpenDatabase
) -> None:
    other = open_database()
    ((old, cookie_key),) = other.sealer.derive("cookie")
    rotate(database, say=silent)
    derived = (await other.refresh_keys()).derive("cookie")
    assert derived == other.sealer.derive("cookie")
    assert [key_id for key_id, _ in derived] == [database.sealer.active.id, old]
    assert derived[1] == (old, cookie_key)


async def test_a_running_process_goes_on_over_a_new_master_key_and_reads_the_file_when_it_must(
    database: Database, open_database: OpenDatabase, master: MasterKey
) -> None:
    seeded = await seed(database)
    key_file = [(master,), (NEW_MASTER, master)]
    running = open_database(masters_again=lambda: key_file[-1])
    deaf = open_database()
    database.backend.hold_file_key((NEW_MASTER, master))
    database.ring.use_masters((NEW_MASTER, master))
    assert database.write_now(lambda tx: database.ring.rewrap(tx.connection)) == 1
    assert database.write_now(lambda tx: database.ring.rewrap(tx.connection)) == 0
    assert await deaf.read(workspaces.get, seeded.org_id, "pr-42") is not None
    rotate(database, say=silent)
    assert await running.read(workspaces.get, seeded.org_id, "pr-42") is not None
    with pytest.raises(
        StoreUnavailableError, match=f"wrong key: .* {NEW_MASTER.id}, and keys.master holds {master.id}"
    ):
        await deaf.read(workspaces.get, seeded.org_id, "pr-42")
    database.backend.hold_file_key((NEW_MASTER,))
    assert (await open_database(NEW_MASTER).read(orgs.find, "acme")) is not None
    with pytest.raises(ConfigurationError, match="wrong key") as caught:
        open_database()
    assert NEW_MASTER.id in str(caught.value)
    assert master.id in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.only("sqlite")
async def test_the_file_keeps_its_key_over_a_new_master_and_the_side_file_is_private(
    database: Database, path: Path, master: MasterKey
) -> None:
    assert not path.with_name("relay.db.key").exists()
    database.backend.hold_file_key((NEW_MASTER, master))
    side_file = path.with_name("relay.db.key")
    assert side_file.stat().st_mode & 0o777 == 0o600
    assert [line.split()[0] for line in side_file.read_text().splitlines()] == [NEW_MASTER.id, master.id]
    assert master.derive("sqlcipher").hex() not in side_file.read_text()
    side_file.write_text(side_file.read_text().replace(NEW_MASTER.id, "00000000").replace("A", "B"))
    with pytest.raises(ConfigurationError, match=r"relay\.db\.key"):
        Database.open(f"sqlite:///{path}", master)


async def test_a_row_changed_during_a_rotation_keeps_what_was_written(database: Database, clock: Clock) -> None:
    clock.step = 0.001
    seeded = await seed(database)
    database.write_now(keys.start_rotation, database.ring)
    changed = replace(SPEC, description="changed meanwhile")
    await database.write(workspaces.put, seeded.org_id, "pr-42", changed)
    rotate(database, say=silent)
    assert (await database.read(workspaces.require, seeded.org_id, "pr-42")).spec == changed


async def test_two_rotations_at_once_retire_no_key_that_still_seals(database: Database, clock: Clock) -> None:
    clock.step = 0.001
    seeded = await seed(database)
    rotate(database, say=silent)  # of one process; a second one has counted under the same key, and is about to finish
    counted = database.sealer.active.id
    later, is_new = database.write_now(keys.start_rotation, database.ring)  # a third begins the next
    assert is_new
    assert database.write_now(keys.finish_rotation, counted) is None
    assert states(database)[counted] == "retiring"
    clock.now += keys.KEEP_SECONDS + 1
    await database.sweep()
    assert (await database.read(workspaces.require, seeded.org_id, "pr-42")).spec == SPEC
    lines: list[str] = []
    rotate(database, say=lines.append)
    assert states(database)[later] == "active"
    assert (await database.read(workspaces.require, seeded.org_id, "pr-42")).spec == SPEC


async def test_a_retired_key_that_seals_a_value_after_all_is_not_deleted(database: Database, clock: Clock) -> None:
    org = await database.write(orgs.create, "acme")  # no tokens: nothing refers to the key as a pepper
    old = database.sealer.active.id
    active, _ = database.write_now(keys.start_rotation, database.ring)
    assert database.write_now(keys.finish_rotation, active) == [old]  # by a caller that has not counted
    clock.now += keys.KEEP_SECONDS + 1
    assert database.write_now(keys.remove_unused) == []
    assert database.read_now(orgs.find, "acme") == org
    rotate(database, say=silent)
    clock.now += keys.KEEP_SECONDS + 1
    await database.sweep()
    assert old not in states(database)


async def test_a_new_key_is_never_wrapped_under_a_master_key_that_was_retired_meanwhile(
    database: Database, open_database: OpenDatabase, master: MasterKey
) -> None:
    key_file = [(master,)]
    behind = open_database(masters_again=lambda: key_file[-1])
    deaf = open_database()
    database.backend.hold_file_key((NEW_MASTER,))
    database.ring.use_masters((NEW_MASTER, master))
    database.write_now(lambda tx: database.ring.rewrap(tx.connection))
    with pytest.raises(StoreUnavailableError, match=f"wrapped under the master key {NEW_MASTER.id}"):
        deaf.write_now(keys.start_rotation, deaf.ring)
    key_file.append((NEW_MASTER,))
    rotate(behind, say=silent)
    assert {key.master_id for key in database.read_now(keys.find_all)} == {NEW_MASTER.id}
