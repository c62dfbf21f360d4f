from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.noise import can_tell, chance

ROUNDS = st.lists(st.integers(0, 5).map(float), min_size=1, max_size=5)


def test_rounds_that_do_not_overlap_fall_so_in_two_of_all_orders() -> None:
    assert chance([1, 2, 3, 4, 5], [6, 7, 8, 9, 10]) == pytest.approx(2 / comb(10, 5))
    assert chance([6, 7, 8, 9, 10], [1, 2, 3, 4, 5]) == pytest.approx(2 / comb(10, 5))


def test_one_wild_round_counts_as_no_more_than_the_highest() -> None:
    assert chance([1, 2, 3, 4, 5], [6, 7, 8, 9, 10_000]) == chance([1, 2, 3, 4, 5], [6, 7, 8, 9, 10])


def test_one_round_on_the_other_side_is_twice_as_likely() -> None:
    # Of the 252 orders, two separate the sets, and two more do but for one neighbouring pair.
    assert chance([1, 2, 3, 4, 6], [5, 7, 8, 9, 10]) == pytest.approx(4 / 252)


def test_equal_rounds_are_no_difference() -> None:
    assert chance([3, 3, 3], [3, 3, 3]) == 1


@given(ROUNDS, ROUNDS)
def test_it_is_a_probability_and_the_same_both_ways(before: list[float], after: list[float]) -> None:
    found = chance(before, after)
    assert 0 < found <= 1
    assert chance(after, before) == pytest.approx(found)


@pytest.mark.parametrize(
    ("before", "after", "enough"), [(5, 5, True), (4, 5, False), (3, 20, True), (1, 100, False), (0, 5, False)]
)
def test_rounds_must_be_enough_for_any_difference_to_show(before: int, after: int, *, enough: bool) -> None:
    assert can_tell(before, after) is enough
