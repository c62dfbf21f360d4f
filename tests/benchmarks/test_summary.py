import pytest

from benchmarks.summary import Figure, by_measure, ratio


def figure(*rounds: float | None) -> Figure:
    found = Figure.of(rounds)
    assert found is not None
    return found


def test_figure_is_the_median_with_its_extremes() -> None:
    assert figure(5, 1, 9, 4, 100) == Figure(median=5, low=1, high=100, rounds=(5, 1, 9, 4, 100))


def test_rounds_without_a_value_are_kept_and_not_counted() -> None:
    found = figure(None, 2, 4)
    assert (found.median, found.rounds) == (3, (None, 2, 4))


def test_no_value_at_all_is_no_figure() -> None:
    assert Figure.of([None, None]) is None


def test_spread_is_a_share_of_the_median() -> None:
    assert figure(8, 10, 12).spread == pytest.approx(0.4)
    assert figure(0, 0).spread == 0


def test_ratio_is_taken_round_by_round() -> None:
    # The machine slows down threefold over the rounds; both peers slow down with it.
    assert ratio(figure(10, 20, 30), figure(5, 10, 15)) == 2
    # Ratios of medians would say 20 / 10 here as well as with the last round turned round; rounds do not.
    assert ratio(figure(10, 20, 60), figure(10, 10, 10)) == 2


def test_ratio_leaves_out_rounds_that_either_lacks() -> None:
    assert ratio(figure(None, 20, 60), figure(5, 10, None)) == 2
    assert ratio(figure(1, None), figure(None, 1)) is None
    assert ratio(figure(1), figure(0)) is None


def test_ratio_of_a_run_under_way_takes_the_rounds_that_both_have() -> None:
    assert ratio(figure(4, 6, 8), figure(2, 3)) == 2


def test_rounds_of_measures_become_measures_of_rounds() -> None:
    figures = by_measure([{"a": 1.0, "b": None}, {}, {"a": 3.0, "b": None}])
    assert set(figures) == {"a"}
    assert figures["a"].rounds == (1.0, None, 3.0)
