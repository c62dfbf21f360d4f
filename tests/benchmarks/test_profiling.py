import pytest

from benchmarks.profiling import hot_functions

FOLDED = """main (run.py);loop (run.py);send (tls.py) 30
main (run.py);loop (run.py);send (tls.py);encode (tls.py) 10
main (run.py);loop (run.py) 60

"""


def test_own_and_total_shares_are_counted_by_function() -> None:
    hot = {entry.function: (entry.own, entry.total) for entry in hot_functions(FOLDED.splitlines())}
    assert hot["loop (run.py)"] == pytest.approx((0.6, 1.0))
    assert hot["send (tls.py)"] == pytest.approx((0.3, 0.4))
    assert hot["encode (tls.py)"] == pytest.approx((0.1, 0.1))


def test_hottest_by_own_time_comes_first() -> None:
    assert [entry.function for entry in hot_functions(FOLDED.splitlines())][:2] == ["loop (run.py)", "send (tls.py)"]


def test_recursion_counts_once_in_the_total() -> None:
    (entry,) = hot_functions(["walk (tree.py);walk (tree.py) 5"])
    assert (entry.own, entry.total) == (1.0, 1.0)


def test_no_samples_are_no_functions() -> None:
    assert hot_functions([]) == []
