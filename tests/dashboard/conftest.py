from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from relay.auth import mint_master_key, parse_master_key
from relay.store import Database, orgs, upgrade
from tests.dashboard.browser import Stage, make_stage


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    clock = [1_800_000_000.0]
    master = parse_master_key(mint_master_key(), source="test")
    database = Database.open(f"sqlite:///{tmp_path}/relay.db", master, create=True, clock=lambda: clock[0])
    upgrade(database)
    org, _, _ = await database.write(orgs.create_with_admin_key, "acme")
    yield make_stage(database, org.id, clock)
    database.close()
