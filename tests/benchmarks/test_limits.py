from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.cpu import CpuUse
from benchmarks.peers import LivePeer
from benchmarks.placement import Placement
from benchmarks.processes import Ground
from benchmarks.scenarios import Options, Run
from benchmarks.scenarios.base import explain_limit, shares
from benchmarks.target import Target

TWO_CORES = Placement.on([0, 1])


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    live = LivePeer(name="relay", visits={}, roles={}, placement=TWO_CORES)
    target = Target(port=1, sink_port=2, pids=(), bulk_file=Path("bulk"))
    with ExitStack() as stack:
        yield Run(live=live, target=target, ground=Ground(tmp_path, TWO_CORES, stack), options=Options())


def use(**spent: float) -> CpuUse:
    return CpuUse(elapsed=1.0, spent=spent, machine=sum(spent.values()))


def test_load_that_is_the_bottleneck_makes_the_throughput_void(run: Run) -> None:
    assert explain_limit(run, use(front=0.5, back=0.2, target=0.1, load=0.68), "requests_per_second")
    assert run.remarks == ["relay: the load generator was the bottleneck (68% of its core), so no figure"]
    assert run.load_bound == {"requests_per_second"}


def test_full_core_without_the_front_is_remarked(run: Run) -> None:
    assert not explain_limit(run, use(front=0.6, back=0.55, target=0.1, load=0.3), "requests_per_second")
    assert run.load_bound == set()
    assert run.remarks == [
        "relay: the core shared by back 55%, target 10%, load 30% was full first: the front could carry more"
    ]


def test_full_front_needs_no_remark(run: Run) -> None:
    assert not explain_limit(run, use(front=0.98, back=0.2, target=0.1, load=0.2))
    assert run.remarks == []


def test_peer_without_a_front_gets_no_remark_about_it(run: Run) -> None:
    live = replace(run.live, placement=replace(TWO_CORES, target=TWO_CORES.front))
    assert not explain_limit(replace(run, live=live), use(target=0.97, load=0.4))
    assert run.remarks == []


def test_shares_of_roles_that_a_peer_lacks_are_unknown() -> None:
    values = shares(use(target=0.25, load=0.5))
    assert (values["front_share"], values["target_share"], values["load_share"]) == (None, 25, 50)
