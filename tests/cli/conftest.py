from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from relay.auth import mint_master_key, parse_master_key
from relay.store import Database, orgs, upgrade
from tests.cli.server import Server, running


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    master = parse_master_key(mint_master_key(), source="test")
    database = Database.open(f"sqlite:///{tmp_path}/relay.db", master, create=True)
    upgrade(database)
    _, _, key = await database.write(orgs.create_with_admin_key, "acme")
    async with running(database, key, tmp_path) as made:
        yield made
    database.close()
