"""PostgreSQL: only private connections, an outage never hangs the relay, and all recovers by itself."""

import socket
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
import trio
from sqlalchemy import text

from certs import Authority
from relay.auth import MasterKey
from relay.errors import ConfigurationError, StoreUnavailableError
from relay.store import Database, orgs, upgrade
from relay.store.changes import sweep
from relay.store.engines.backend import BackendOptions
from relay.store.engines.postgres_url import connection_parameters, read_password
from relay.store.rows import Transaction
from tests.store.test_notices import Ear, watching
from tests.support import postgres
from tests.support.postgres import PostgresServer

SECONDS = 2.0
"""For a query, in these tests."""

pytestmark = pytest.mark.skipif(bool(postgres.why_not()), reason=postgres.why_not() or "can run")


@pytest.fixture(scope="module")
def own_server() -> Iterator[PostgresServer]:
    """One that a test may stop."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with postgres.encrypted_server(port) as running:
        yield running


@pytest.fixture
def frail(own_server: PostgresServer, master: MasterKey) -> Iterator[Database]:
    database = Database.open(own_server.url(own_server.create_database()), master, query_seconds=SECONDS)
    upgrade(database)
    yield database
    database.close()


def name_of(database: Database) -> str:
    with database.engine.connect() as connection:
        return str(connection.execute(text("SELECT current_database()")).scalar_one())


async def fails_in_time(database: Database) -> set[str]:
    """Ten reads and ten writes at once; gives what they say."""
    said: set[str] = set()

    async def attempt(number: int) -> None:
        started = time.monotonic()
        attempted = database.read(orgs.find_all) if number % 2 else database.write(orgs.create, f"lost-{number}")
        with pytest.raises(StoreUnavailableError) as caught:
            await attempted
        assert time.monotonic() - started < SECONDS + 1
        said.add(str(caught.value))

    async with trio.open_nursery() as nursery:
        for number in range(20):
            nursery.start_soon(attempt, number)
    return said


async def test_a_stopped_server_is_said_at_once_and_comes_back_by_itself(
    frail: Database, own_server: PostgresServer
) -> None:
    await frail.write(orgs.create, "acme")
    own_server.stop()
    try:
        said = await fails_in_time(frail)
    finally:
        own_server.start()
    assert any("refused" in sentence for sentence in said)
    assert all("\n" not in sentence and own_server.password not in sentence for sentence in said)
    assert [org.name for org in await frail.read(orgs.find_all)] == ["acme"]
    await frail.write(orgs.create, "umbrella")


async def test_a_restart_between_queries_is_not_even_noticed(frail: Database, own_server: PostgresServer) -> None:
    await frail.write(orgs.create, "acme")
    own_server.stop()
    own_server.start()
    assert [org.name for org in await frail.read(orgs.find_all)] == ["acme"]
    await frail.write(orgs.create, "umbrella")


async def test_a_server_that_hangs_holds_nobody_up_and_goes_on_by_itself(
    frail: Database, own_server: PostgresServer
) -> None:
    await frail.write(orgs.create, "acme")
    with own_server.paused():
        assert any("does not answer within" in sentence for sentence in await fails_in_time(frail))
        assert await fails_in_time(frail)  # these need new connections, which the kernel accepts
    with trio.fail_after(10):
        assert [org.name for org in await frail.read(orgs.find_all)] == ["acme"]
        await frail.write(orgs.create, "umbrella")


async def test_a_watcher_catches_up_after_an_outage(
    frail: Database, own_server: PostgresServer, master: MasterKey
) -> None:
    other = Database.open(own_server.url(name_of(frail)), master, query_seconds=SECONDS)
    ear = Ear(frail)
    async with watching(frail) as errors:
        await other.write(orgs.create, "before")
        await ear.hear("org", "before")
        own_server.stop()
        with trio.fail_after(10):
            await errors.came.wait()
        own_server.start()
        await other.write(orgs.create, "after")
        await ear.hear("org", "after")
    other.close()


async def test_a_write_whose_outcome_nobody_knows_says_so(frail: Database, own_server: PostgresServer) -> None:
    def write_slowly(tx: Transaction) -> None:
        orgs.create(tx, "perhaps")
        # The answer to COMMIT is what gets lost: the server is asked to wait in a deferred trigger.
        tx.connection.execute(text("CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS "
                                   "$$ BEGIN PERFORM pg_sleep(1000); RETURN NULL; END $$"))  # fmt: skip
        tx.connection.execute(text("CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON changes "
                                   "DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION wait()"))  # fmt: skip
        orgs.create(tx, "certainly-not")
        tx.connection.execute(text("SET LOCAL statement_timeout = 0"))

    with pytest.raises(StoreUnavailableError, match="not known whether the change was made"):
        await frail.write(write_slowly)

    def fail(tx: Transaction) -> None:
        tx.connection.execute(text("SELECT pg_sleep(1000)"))

    with pytest.raises(StoreUnavailableError) as caught:
        await frail.write(fail)
    assert "not known" not in str(caught.value)


async def test_a_writer_waits_for_another_process_and_sees_what_it_wrote(
    frail: Database, own_server: PostgresServer, master: MasterKey
) -> None:
    other = Database.open(own_server.url(name_of(frail)), master, query_seconds=SECONDS)
    counts = []

    def count_and_add(tx: Transaction, number: int) -> None:
        counts.append(len(orgs.find_all(tx)))
        orgs.create(tx, f"org-{number}")

    async with trio.open_nursery() as nursery:
        for number in range(20):
            nursery.start_soon(partial((frail if number % 2 else other).write, count_and_add, number))
    assert sorted(counts) == list(range(20))
    other.close()


async def test_a_read_sees_one_state_and_cannot_write(frail: Database) -> None:
    def look_twice(tx: Transaction) -> tuple[int, int]:
        before = len(orgs.find_all(tx))
        trio.from_thread.run(frail.write, orgs.create, "between")
        return before, len(orgs.find_all(tx))

    assert await frail.read(look_twice) == (0, 0)
    with pytest.raises(StoreUnavailableError, match="can only be read"):
        await frail.read(orgs.create, "acme")


def test_several_processes_upgrade_one_empty_database_at_once(own_server: PostgresServer, master: MasterKey) -> None:
    url = own_server.url(own_server.create_database())
    databases = [Database.open(url, master) for _ in range(4)]

    async def all_at_once() -> None:
        async with trio.open_nursery() as nursery:
            for database in databases:
                nursery.start_soon(trio.to_thread.run_sync, upgrade, database)

    trio.run(all_at_once)
    assert len({database.sealer.active.id for database in databases}) == 1
    databases[0].write_now(sweep)
    for database in databases:
        database.close()


def test_the_connection_is_encrypted_and_says_so(frail: Database) -> None:
    with frail.backend.begin(writes=False) as connection:
        facts = frail.backend.facts(connection)
    assert facts.engine == "PostgreSQL"
    assert facts.protection.startswith("TLSv1.3")


OPTIONS = BackendOptions()


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("postgresql://u:hunter2@db/x?sslmode=disable", "in clear"),
        ("postgresql://u:hunter2@db/x?sslmode=allow", "in clear"),
        ("postgresql://u:hunter2@db/x?sslmode=prefer", "in clear"),
        ("postgresql://u:hunter2@db/x", "needs sslrootcert"),
        ("postgresql://u:hunter2@db/x?sslmode=verify-ca", "needs sslrootcert"),
        ("postgresql://u:hunter2@db/x?sslrootcert=/nowhere.pem", "No such file"),
        ("postgresql://u:hunter2@db/x?sslrootcert=/etc/hostname", "no certificate"),
        ("postgresql://u:hunter2@db/x?options=-csearch_path=evil", "unknown parameter"),
        ("postgresql://u:hunter2@db:port/x?sslmode=require", "port is not a number"),
        ("postgresql://u:hunter2@db", "one of the three"),
        ("postgresql://db/x", "one of the three"),
        ("postgresql://u:hunter2@[db/x", "not a URL"),
        ("postgresql://u:hunter2@h/x?host=/run/postgresql,db.example.com", "one host is expected"),
        ("postgresql://u:hunter2@h/x?host=%2Frun%2Fpostgresql%2Cdb.example.com", "one host is expected"),
        ("postgresql://u:hunter2@%2Frun%2Fpostgresql%2Cdb/x", "one host is expected"),
        ("postgresql://u:hunter2@db1,db2/x?sslmode=require", "one host is expected"),
        ("postgresql://u:hunter2@db1:5432,db2:5432/x?sslmode=require", "one host is expected"),
    ],
)
def test_what_is_not_private_or_no_address_is_refused_without_repeating_it(url: str, why: str) -> None:
    with pytest.raises(ConfigurationError, match=why) as caught:
        connection_parameters(url, OPTIONS)
    assert "hunter2" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_unix_socket_needs_no_encryption() -> None:
    for url in ("postgresql://u@/x?host=/run/postgresql", "postgresql://u@%2Frun%2Fpostgresql/x?sslmode=disable"):
        parameters = connection_parameters(url, OPTIONS)
        assert (parameters["host"], parameters["sslmode"]) == ("/run/postgresql", "disable")


def test_the_password_comes_from_the_file_or_the_url(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("hunter 2\n")
    assert read_password("postgresql://u@h/x", file) == "hunter 2"
    assert read_password("postgresql://u:a%2Fb@h/x", None) == "a/b"
    with pytest.raises(ConfigurationError, match="twice"):
        read_password("postgresql://u:hunter2@h/x", file)
    with pytest.raises(ConfigurationError, match="No such file"):
        read_password("postgresql://u@h/x", tmp_path / "none")


def test_mistakes_at_the_start_are_told_as_such(own_server: PostgresServer, master: MasterKey, tmp_path: Path) -> None:
    wrong = tmp_path / "password"
    wrong.write_text("hunter2")
    stranger = tmp_path / "stranger.pem"
    stranger.write_bytes(Authority.create().pem)
    good = own_server.url()
    cases = {
        "password is wrong": (own_server.url(password=False), wrong),
        "no such user or no such database": (good.replace("/postgres?", "/nothing?"), None),
        "certificate verify failed": (good.replace(str(own_server.ca_file), str(stranger)), None),
        "does not match host name": (good.replace("127.0.0.1", "localhost"), None),
    }
    for why, (url, file) in cases.items():
        with pytest.raises(ConfigurationError, match=why) as caught:
            Database.open(url, master, password_file=file)
        assert own_server.password not in str(caught.value)
        assert "hunter2" not in str(caught.value)
        assert "\n" not in str(caught.value)


def test_nothing_that_is_printed_of_an_open_database_shows_the_password(
    frail: Database, own_server: PostgresServer
) -> None:
    printed = f"{frail!r} {frail.backend!r} {frail.engine!r} {frail.engine.url} {frail.engine.pool!r}"
    assert own_server.password not in printed


async def test_a_new_password_in_the_file_needs_no_restart(
    own_server: PostgresServer, master: MasterKey, tmp_path: Path
) -> None:
    file = tmp_path / "password"
    name = own_server.create_database()
    with own_server.connect() as connection:
        connection.execute("CREATE ROLE relay LOGIN PASSWORD 'first'")
        connection.execute(f"ALTER DATABASE {name} OWNER TO relay".encode())
    file.write_text("first\n")
    url = own_server.url(name, password=False).replace("tester@", "relay@")
    database = Database.open(url, master, password_file=file)
    upgrade(database)
    with own_server.connect() as connection:
        connection.execute("ALTER ROLE relay PASSWORD 'second'")
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'relay'")
    with pytest.raises(StoreUnavailableError, match="password"):
        await database.read(orgs.find_all)
    file.write_text("second\n")
    assert await database.read(orgs.find_all) == []
    database.close()
