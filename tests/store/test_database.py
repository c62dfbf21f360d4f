"""The database: who may open it, what is told after a commit, and what survives."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import trio
from sqlalchemy import UniqueConstraint, inspect, text

from relay.auth import MasterKey
from relay.errors import ConfigurationError, ConflictError, StoreUnavailableError
from relay.store import Change, Database, cluster_tokens, clusters, orgs, upgrade, workspaces
from relay.store.changes import find_news
from relay.store.migrate import latest_revision, schema_revision
from relay.store.rows import Transaction
from relay.store.schema import metadata
from tests.store.conftest import OpenDatabase
from tests.store.support import SPEC, seed


async def test_an_upgrade_makes_exactly_the_schema_and_a_second_one_nothing(database: Database) -> None:
    seeded = await seed(database)
    upgrade(database)
    with database.engine.connect() as connection:
        assert schema_revision(connection) == latest_revision()
        found = inspect(connection)
        assert set(found.get_table_names()) == {*metadata.tables, "alembic_version"}
        for name, table in metadata.tables.items():
            columns = {column["name"]: column["nullable"] for column in found.get_columns(name)}
            assert columns == {column.name: column.nullable for column in table.columns}
            indexes = {index["name"] for index in found.get_indexes(name) if "duplicates_constraint" not in index}
            assert indexes == {index.name for index in table.indexes}
            unique = {one.name for one in table.constraints if isinstance(one, UniqueConstraint)}
            assert {one["name"] for one in found.get_unique_constraints(name)} == unique
            keys = {(key["constrained_columns"][0], key["options"]["ondelete"]) for key in found.get_foreign_keys(name)}
            assert keys == {(key.parent.name, key.ondelete) for key in table.foreign_keys}
    assert await database.read(workspaces.get, seeded.org_id, "pr-42") is not None


def test_a_database_of_a_newer_relay_is_not_touched(database: Database) -> None:
    def age(tx: Transaction) -> None:
        tx.connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))

    database.write_now(age)
    with pytest.raises(ConfigurationError, match="newer version"):
        upgrade(database)


@pytest.mark.only("sqlite")
def test_a_wrong_key_says_so_in_one_sentence(database: Database, path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ConfigurationError, match="wrong key") as caught:
        Database.open(f"sqlite:///{path}", MasterKey(secret=bytes(32)))
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")
    assert database.read_now(orgs.find_all) == []


def test_a_file_that_is_no_database_or_missing_or_unreachable_says_so(path: Path, master: MasterKey) -> None:
    with pytest.raises(ConfigurationError, match="does not exist"):
        Database.open(f"sqlite:///{path}", master)
    path.parent.mkdir()
    path.write_bytes(b"not a database, but long enough to look like a page of one" * 100)
    with pytest.raises(ConfigurationError, match="not our database"):
        Database.open(f"sqlite:///{path}", master)
    with pytest.raises(ConfigurationError, match="cannot be made"):
        Database.open(f"sqlite:///{path}/below/relay.db", master, create=True)
    with pytest.raises(ConfigurationError, match="'mysql' is not a known engine"):
        Database.open("mysql://localhost", master)


@pytest.mark.only("sqlite")
def test_the_file_and_its_log_are_for_the_owner_only(database: Database, path: Path) -> None:
    database.write_now(orgs.create, "acme")
    modes = {file.name: file.stat().st_mode & 0o777 for file in path.parent.iterdir()}
    assert modes == {"relay.db": 0o600, "relay.db-wal": 0o600, "relay.db-shm": 0o600}


async def test_concurrent_writers_and_readers_all_succeed(database: Database) -> None:
    seeded = await seed(database)

    async def put(number: int) -> None:
        await database.write(workspaces.put, seeded.org_id, f"ws-{number}", SPEC)
        assert await database.read(workspaces.get, seeded.org_id, f"ws-{number}") is not None

    async with trio.open_nursery() as nursery:
        for number in range(40):
            nursery.start_soon(put, number)
    assert len(await database.read(workspaces.find_all, seeded.org_id, limit=100)) == 41


async def test_two_openings_of_one_database_write_side_by_side(database: Database, open_database: OpenDatabase) -> None:
    org = await database.write(orgs.create, "acme")
    other = open_database()

    async def write(writer: Database, prefix: str) -> None:
        for number in range(15):
            await writer.write(clusters.put, org.id, f"{prefix}{number}")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(write, database, "a")
        nursery.start_soon(write, other, "b")
    assert len(await other.read(clusters.find_all, org.id)) == 30


async def test_subscribers_hear_of_commits_only_and_before_the_writer_goes_on(database: Database) -> None:
    heard: list[Change] = []
    database.subscribe(heard.append)
    org = await database.write(orgs.create, "acme")
    assert [(change.kind, change.id, change.name) for change in heard] == [("org", org.id, "acme")]
    heard.clear()

    def half(tx: Transaction) -> None:
        clusters.put(tx, org.id, "c1")
        raise ConflictError("on second thoughts")

    with pytest.raises(ConflictError):
        await database.write(half)
    assert heard == []
    assert await database.read(clusters.find_all, org.id) == []


async def test_subscribers_and_watchers_hear_whether_a_record_is_gone(database: Database) -> None:
    upgrade(database)
    org, _, _ = await database.write(orgs.create_with_admin_key, "acme")
    cluster, _ = await database.write(clusters.put, org.id, "c1")
    heard: list[tuple[str, bool]] = []
    database.subscribe(lambda change: heard.append((change.kind, change.deleted)))
    token, _ = await database.write(cluster_tokens.create, cluster, description="")
    await database.write(cluster_tokens.remove, cluster, token.id)
    assert heard == [("cluster_token", False), ("cluster_token", True)]
    news = await database.read(find_news, "")
    assert [change.deleted for _, change in news.changes if change.id == token.id] == [False, True]


async def test_a_cancelled_writer_still_tells_the_subscribers(database: Database) -> None:
    heard: list[Change] = []
    database.subscribe(heard.append)
    scope = trio.CancelScope()

    def create(tx: Transaction) -> None:
        trio.from_thread.run_sync(scope.cancel)
        orgs.create(tx, "acme")

    with scope:
        await database.write(create)
    assert [change.name for change in heard] == ["acme"]
    assert await database.read(orgs.find, "acme") is not None


async def test_a_database_that_does_not_answer_is_said_to_be_unavailable(database: Database) -> None:
    def broken(tx: Transaction) -> None:
        tx.connection.execute(text("SELECT * FROM nothing_of_that_name"))

    with pytest.raises(StoreUnavailableError, match=r"does not answer|lacks a table"):
        await database.read(broken)


WRITER = """
import sys
from relay.auth import MasterKey
from relay.store import Database, clusters, orgs
database = Database.open(sys.argv[1], MasterKey(secret=bytes(range(32))))
org = database.read_now(orgs.find, "acme")
for number in range(100_000):
    database.write_now(clusters.put, org.id, f"c{number}")
    print(number, flush=True)
"""


@pytest.mark.parametrize("commits", [1, 20])
def test_kill_9_loses_nothing_that_was_committed(database: Database, url: str, commits: int) -> None:
    org = database.write_now(orgs.create, "acme")
    writer = subprocess.Popen([sys.executable, "-c", WRITER, url], stdout=subprocess.PIPE, text=True, bufsize=1)
    assert writer.stdout is not None
    with writer, writer.stdout:
        last = 0
        for line in writer.stdout:
            last = int(line)
            if last == commits:
                os.kill(writer.pid, signal.SIGKILL)
    found = {cluster.name for cluster in database.read_now(clusters.find_all, org.id, limit=1000)}
    assert last >= commits
    assert found >= {f"c{number}" for number in range(last + 1)}
    database.write_now(clusters.put, org.id, "after")


@pytest.mark.only("sqlite")
def test_a_copy_of_the_closed_file_is_a_backup(path: Path, master: MasterKey, tmp_path: Path) -> None:
    database = Database.open(f"sqlite:///{path}", master, create=True)
    upgrade(database)
    database.write_now(orgs.create, "acme")
    database.close()
    assert [file.name for file in path.parent.iterdir()] == ["relay.db"]
    copy = tmp_path / "backup.db"
    copy.write_bytes(path.read_bytes())
    restored = Database.open(f"sqlite:///{copy}", master)
    assert [org.name for org in restored.read_now(orgs.find_all)] == ["acme"]
    restored.close()
    with pytest.raises(ConfigurationError, match="wrong key"):
        Database.open(f"sqlite:///{copy}", MasterKey(secret=bytes(32)))
