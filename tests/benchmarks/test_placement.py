import os

from benchmarks.cpu import CpuUse
from benchmarks.placement import Placement
from benchmarks.scenarios.base import bottleneck

TWO_CORES = Placement.on([0, 1])


def use(**spent: float) -> CpuUse:
    return CpuUse(elapsed=1.0, spent=spent, machine=sum(spent.values()))


def test_front_has_a_core_to_itself_on_two() -> None:
    assert TWO_CORES.sharing("front") == ("front",)
    assert TWO_CORES.sharing("load") == ("back", "target", "load")


def test_every_role_has_its_own_core_on_four() -> None:
    assert Placement.on([2, 3, 5, 7]) == Placement(front=2, back=3, target=5, load=7)


def test_load_shares_with_the_target_on_three() -> None:
    assert Placement.on([0, 1, 2]) == Placement(front=0, back=1, target=2, load=2)


def test_one_core_carries_everything() -> None:
    assert Placement.on([4]) == Placement(front=4, back=4, target=4, load=4)


def test_workers_of_the_front_have_cores_of_their_own() -> None:
    placement = Placement.on([0, 1, 2, 3], fronts=2)
    assert placement == Placement(front=0, more_fronts=(1,), back=2, target=3, load=3)
    assert placement.cores("front") == {0, 1}
    assert placement.sharing("front") == ("front",)
    assert placement.capacity("front") == 2


def test_workers_share_the_last_core_where_there_are_too_few() -> None:
    placement = Placement.on([0, 1], fronts=2)
    assert placement.cores("front") == {0, 1}
    assert placement.cores("load") == {1}
    assert placement.capacity("load") == 2


def test_half_of_the_workers_cores_is_no_bottleneck() -> None:
    placement = Placement.on([0, 1, 2, 3], fronts=2)
    assert bottleneck(use(front=1.0, back=0.4, load=0.4), placement) is None
    assert bottleneck(use(front=1.9, back=0.4, load=0.4), placement) == "front"


def test_pinning_ends_with_the_block() -> None:
    before = os.sched_getaffinity(0)
    placement = Placement.here()
    with placement.pinned("front"):
        assert os.sched_getaffinity(0) == {placement.front}
    assert os.sched_getaffinity(0) == before


def test_full_front_is_the_bottleneck_even_beside_a_busy_load() -> None:
    assert bottleneck(use(front=0.97, back=0.4, load=0.6), TWO_CORES) == "front"


def test_full_shared_core_is_the_fault_of_the_busiest_role_on_it() -> None:
    assert bottleneck(use(front=0.6, back=0.3, target=0.1, load=0.55), TWO_CORES) == "load"
    assert bottleneck(use(front=0.6, back=0.6, target=0.1, load=0.27), TWO_CORES) == "back"


def test_idle_cores_are_no_bottleneck() -> None:
    assert bottleneck(use(front=0.4, back=0.3, target=0.1, load=0.2), TWO_CORES) is None


def test_target_on_the_fronts_core_is_not_called_the_front() -> None:
    direct = Placement(front=0, back=1, target=0, load=1)
    assert bottleneck(use(target=0.98, load=0.5), direct) == "target"
    assert bottleneck(use(target=0.5, load=0.97), direct) == "load"
