"""A ground that the tests of one file share."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from benchmarks.placement import Placement
from benchmarks.processes import Ground


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    with ExitStack() as stack:
        yield Ground(tmp_path_factory.mktemp("ground"), Placement.here(), stack)
