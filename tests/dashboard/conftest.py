from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from relay.store import orgs
from tests.dashboard.browser import Stage, make_stage
from tests.support.stores import new_store


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    clock = [1_800_000_000.0]
    database = new_store(tmp_path, clock=lambda: clock[0])
    org, _, _ = await database.write(orgs.create_with_admin_key, "acme")
    yield make_stage(database, org.id, clock)
    database.close()
