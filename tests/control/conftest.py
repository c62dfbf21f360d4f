from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from relay.auth import mint_master_key, parse_master_key
from relay.store import Database, orgs, upgrade
from tests.control.api import Api, make


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    master = parse_master_key(mint_master_key(), source="test")
    database = Database.open(f"sqlite:///{tmp_path}/relay.db", master, create=True)
    upgrade(database)
    _, _, key = await database.write(orgs.create_with_admin_key, "acme")
    _, _, other = await database.write(orgs.create_with_admin_key, "globex")
    async with make(database, key, other) as made:
        yield made
    database.close()
