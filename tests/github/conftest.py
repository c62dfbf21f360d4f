from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.github.stage import Stage, make_stage
from tests.store.support import Clock
from tests.support.fake_github import FakeGitHub
from tests.support.stores import new_store


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    clock = Clock()
    database = new_store(tmp_path, clock=clock)
    (tmp_path / "github").mkdir()
    with FakeGitHub(tmp_path / "github") as fake:
        made = await make_stage(fake, database, clock, tmp_path)
        yield made
        await made.http.aclose()
        await made.client.close()
    database.close()
