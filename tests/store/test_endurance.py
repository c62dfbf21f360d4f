"""What befalls a process that runs for months: the watcher goes on over all of it, and says what is wrong."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio
from sqlalchemy import func, select, update

from relay.auth import MasterKey
from relay.errors import ConfigurationError, ConflictError, StoreUnavailableError
from relay.store import Change, Database, LoginLookups, Lookups, orgs, rotate, upgrade
from relay.store.changes import EVERYTHING, find_news
from relay.store.rows import Transaction
from relay.store.schema import changes
from relay.tunnels import Registry
from relay.upkeep import Upkeep
from tests.store.conftest import OpenDatabase
from tests.store.test_notices import Ear, watching
from tests.support.postgres import PostgresServer

NEW_MASTER = MasterKey(secret=bytes(range(1, 33)))


def damage_last_notice(tx: Transaction) -> None:
    last = select(func.max(changes.c.id)).scalar_subquery()
    tx.connection.execute(update(changes).where(changes.c.id == last).values(name=b"\1\2\3"))


async def test_a_key_file_that_cannot_be_read_for_a_moment_ends_no_watcher(
    database: Database, open_database: OpenDatabase, master: MasterKey
) -> None:
    readable = False

    def read_again() -> tuple[MasterKey, ...]:
        if not readable:
            raise ConfigurationError("keys.master: master.key: readable by others; chmod 600 it")
        return NEW_MASTER, master

    running = open_database(masters_again=read_again)
    ear = Ear(running)
    async with watching(running) as errors:
        database.backend.hold_file_key((NEW_MASTER, master))
        database.ring.use_masters((NEW_MASTER, master))
        database.write_now(lambda tx: database.ring.rewrap(tx.connection))
        rotate(database, say=lambda _line: None)
        with trio.fail_after(10):
            await errors.came.wait()
        with pytest.raises(StoreUnavailableError, match=f"{NEW_MASTER.id}, and the key file .*chmod 600"):
            await running.read(orgs.find_all)
        readable = True
        await database.write(orgs.create, "after")
        await ear.hear("org", "after")
    readable = False
    with pytest.raises(ConfigurationError, match="chmod 600"):
        open_database(masters_again=read_again)


async def test_a_damaged_notice_counts_as_missed_and_those_after_it_are_heard(
    database: Database, open_database: OpenDatabase
) -> None:
    other = open_database()
    await other.write(orgs.create, "damaged")
    await other.write(damage_last_notice)
    news = await database.read(find_news, "")
    assert (news.changes, news.missed, news.cursor != "") == ([], True, True)
    heard: list[Change] = []
    database.subscribe(heard.append)
    ear = Ear(database)
    async with watching(database) as errors:
        await ear.hear("org", EVERYTHING.name)
        await other.write(orgs.create, "after")
        await ear.hear("org", "after")
    assert [change.name for change in heard if change != EVERYTHING] == ["after"]
    assert errors == []


@pytest.fixture
def password_file(tmp_path: Path, server: PostgresServer) -> Path:
    file = tmp_path / "password"
    file.write_text(server.password)
    return file


@pytest.fixture
def by_file(name: str, server: PostgresServer, master: MasterKey, password_file: Path) -> Iterator[Database]:
    """A database whose password is in a file."""
    database = Database.open(server.url(name, password=False), master, password_file=password_file)
    upgrade(database)
    yield database
    database.close()


def cut_all(server: PostgresServer, name: str) -> None:
    with server.connect() as connection:
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,))


def password_file_away(file: Path) -> None:
    file.rename(file.with_name("aside"))


def password_file_back(file: Path) -> None:
    file.with_name("aside").rename(file)


@pytest.mark.only("postgresql")
async def test_a_password_file_that_is_away_for_a_moment_ends_no_watcher(
    by_file: Database, server: PostgresServer, name: str, password_file: Path
) -> None:
    ear = Ear(by_file)
    async with watching(by_file) as errors:
        await by_file.write(orgs.create, "before")
        await ear.hear("org", "before")
        password_file_away(password_file)
        cut_all(server, name)
        with trio.fail_after(10):
            while not any("No such file" in str(error) for error in errors):
                errors.came = trio.Event()
                await errors.came.wait()
        with pytest.raises(StoreUnavailableError, match="No such file"):
            await by_file.read(orgs.find_all)
        password_file_back(password_file)
        other = Database.open(server.url(name), by_file.ring.masters)
        await other.write(orgs.create, "after")
        other.close()
        await ear.hear("org", "after")
    assert server.password not in "".join(map(str, errors))


@pytest.mark.only("postgresql")
async def test_a_process_without_a_free_descriptor_waits_for_one(
    database: Database, open_database: OpenDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_descriptor: int) -> int:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    other = open_database()
    ear = Ear(database)
    with monkeypatch.context() as patch:
        patch.setattr(os, "dup", refuse)  # for real it would starve the test's own process
        async with watching(database) as errors:
            with trio.fail_after(10):
                await errors.came.wait()
            for attempt in (database.read(orgs.find_all), database.write(orgs.create, "never")):
                with pytest.raises(StoreUnavailableError, match="Too many open files"):
                    await attempt
            with pytest.raises(StoreUnavailableError, match="Too many open files"):
                await trio.to_thread.run_sync(database.backend.listen)
            patch.undo()
            await other.write(orgs.create, "after")
            await ear.hear("org", "after")
    assert [org.name for org in await database.read(orgs.find_all)] == ["after"]


def test_an_error_of_the_callers_own_files_is_not_the_databases(database: Database) -> None:
    with pytest.raises(FileNotFoundError), database.transaction(writes=True):
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))


class FailingLookups(Lookups):
    """Cannot write down what was used."""

    async def record_usage(self) -> None:
        raise ConflictError("another change came between; please try again")


@pytest.mark.only("sqlite")
async def test_no_error_of_recording_ends_the_upkeep(database: Database) -> None:
    logins = LoginLookups(database, recheck=None, check_seconds=300, grace_seconds=3600)
    upkeep = Upkeep(database, FailingLookups(database), logins, Registry())
    await upkeep.record()
