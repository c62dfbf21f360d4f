"""One Helm for all tests of the charts."""

from collections.abc import Iterator

import pytest

from tests.deploy.helm import VENV, Helm


@pytest.fixture(scope="session")
def helm() -> Iterator[Helm]:
    if not (VENV / "stamp").exists():
        pytest.skip(f"Helm is not installed in {VENV.name}; `make setup` tries, and says why it cannot be had")
    process = Helm()
    yield process
    process.close()
