from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from relay.store import orgs
from tests.control.api import Api, make
from tests.support.stores import new_store


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    database = new_store(tmp_path)
    _, _, key = await database.write(orgs.create_with_admin_key, "acme")
    _, _, other = await database.write(orgs.create_with_admin_key, "globex")
    async with make(database, key, other) as made:
        yield made
    database.close()
