"""A fresh, upgraded database per test, on both real engines."""

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from relay.auth import MasterKey
from relay.store import Database
from tests.store.support import Clock
from tests.support import postgres, stores

ENGINES = ("sqlite", "postgresql")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Runs a test that uses a database on both engines, unless it is marked with `only`."""
    if "engine" in metafunc.fixturenames:
        only = metafunc.definition.get_closest_marker("only")
        metafunc.parametrize("engine", only.args if only else ENGINES)


@pytest.fixture
def master() -> MasterKey:
    return stores.MASTER


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "var" / "relay.db"


@pytest.fixture(scope="session")
def server() -> Iterator[postgres.PostgresServer]:
    if why := postgres.why_not():
        pytest.skip(f"only SQLite is tested: {why}")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with postgres.encrypted_server(port) as running:
        yield running


@pytest.fixture(scope="session")
def template(server: postgres.PostgresServer) -> str:
    """Name of a database with the schema, to copy."""
    name = server.create_database()
    stores.make_schema(server.url(name))
    return name


@pytest.fixture
def name(request: pytest.FixtureRequest, engine: str) -> Iterator[str]:
    """Of the test's own database on the PostgreSQL server: with the schema for who asks for `database`, else empty."""
    server: postgres.PostgresServer = request.getfixturevalue("server")
    template = request.getfixturevalue("template") if "database" in request.fixturenames else None
    created = server.create_database(template)
    yield created
    server.drop_database(created)


@pytest.fixture
def url(request: pytest.FixtureRequest, engine: str, path: Path) -> str:
    """Of a database that nothing is in yet."""
    if engine == "sqlite":
        return f"sqlite:///{path}"
    name: str = request.getfixturevalue("name")
    server: postgres.PostgresServer = request.getfixturevalue("server")
    return server.url(name)


OpenDatabase = Callable[..., Database]
"""Opens the test's database once more, as another process would; takes what `Database.open` takes."""


@pytest.fixture
def open_database(url: str, master: MasterKey, clock: Clock) -> Iterator[OpenDatabase]:
    with ExitStack() as stack:

        def open_it(key: Any = master, **options: Any) -> Database:
            # Patient, as a busy machine is slow; tests about a database that does not answer say how long to wait.
            given: dict[str, Any] = {"create": True, "clock": clock, "query_seconds": 60.0, **options}
            database = Database.open(url, key, **given)
            stack.callback(database.close)
            return database

        yield open_it


@pytest.fixture
def database(engine: str, path: Path, open_database: OpenDatabase) -> Database:
    if engine == "sqlite":
        stores.write_file(path)
    return open_database()
