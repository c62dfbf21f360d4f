from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from relay.auth import MasterKey
from relay.store import Database, upgrade
from tests.github.stage import Stage, make_stage
from tests.store.support import Clock
from tests.support.fake_github import FakeGitHub


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    clock = Clock()
    master = MasterKey(secret=bytes(range(32)))
    database = Database.open(f"sqlite:///{tmp_path}/relay.db", master, create=True, clock=clock)
    upgrade(database)
    (tmp_path / "github").mkdir()
    with FakeGitHub(tmp_path / "github") as fake:
        made = await make_stage(fake, database, clock, tmp_path)
        yield made
        await made.http.aclose()
        await made.client.close()
    database.close()
