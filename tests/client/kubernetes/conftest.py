from pathlib import Path

import pytest
import trio

from tests.client.kubernetes.server import ApiServer
from tests.client.kubernetes.world import World


@pytest.fixture
async def server(nursery: trio.Nursery, tmp_path: Path) -> ApiServer:
    server = ApiServer(tmp_path / "api")
    await nursery.start(server.run)
    return server


@pytest.fixture
async def world(nursery: trio.Nursery, server: ApiServer) -> World:
    world = World(server)
    await world.start(nursery)
    return world
