from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from relay.store import orgs
from tests.cli.server import Server, running
from tests.support.stores import new_store


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    database = new_store(tmp_path)
    _, _, key = await database.write(orgs.create_with_admin_key, "acme")
    async with running(database, key, tmp_path) as made:
        yield made
    database.close()
