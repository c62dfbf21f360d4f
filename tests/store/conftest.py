"""A fresh, upgraded database per test, on the real engine."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from relay.auth import MasterKey
from relay.store import Database, upgrade
from tests.store.support import Clock


@pytest.fixture
def master() -> MasterKey:
    return MasterKey(secret=bytes(range(32)))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "var" / "relay.db"


@pytest.fixture
def database(path: Path, master: MasterKey, clock: Clock) -> Iterator[Database]:
    database = Database.open(f"sqlite:///{path}", master, create=True, clock=clock)
    upgrade(database)
    yield database
    database.close()
