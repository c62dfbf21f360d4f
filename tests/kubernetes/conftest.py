"""The claims of this folder hold of the fake in every run, and of a real API server with `-m kubernetes`."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kubernetes.asking import Api, Server, new_namespace
from tests.support.api_server import ApiServer, api_server, folder_of_programs
from tests.support.fake_kubernetes import FakeKubernetes

SERVERS = (pytest.param("fake", id="fake"), pytest.param("real", id="real", marks=pytest.mark.kubernetes))


@pytest.fixture(scope="session")
def real_server() -> Iterator[ApiServer]:
    """One for all tests; each has a namespace of its own."""
    programs = folder_of_programs()
    if programs is None:
        pytest.skip("no API server is built: scripts/kube-apiserver does it, with Go")
    with api_server(programs) as server:
        yield server


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[FakeKubernetes]:
    with FakeKubernetes(tmp_path) as made:
        yield made


@pytest.fixture(params=SERVERS)
def server(request: pytest.FixtureRequest) -> Server:
    found: Server = request.getfixturevalue("fake" if request.param == "fake" else "real_server")
    return found


@pytest.fixture
def api(server: Server) -> Api:
    """The admin in a new namespace."""
    return new_namespace(server)
