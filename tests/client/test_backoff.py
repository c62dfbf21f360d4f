from hypothesis import given
from hypothesis import strategies as st

from client.backoff import FIRST_SECONDS, LIMIT_SECONDS, REFUSED_SECONDS, WINDOW_LIMIT_SECONDS, Backoff

randoms = st.floats(min_value=0, max_value=1, exclude_max=True)


@given(randoms, st.integers(min_value=1, max_value=10**9))
def test_no_wait_is_longer_than_the_limit_however_many_failures(number: float, failures: int) -> None:
    assert 0 <= Backoff(random=lambda: number).after_failure(failures) <= LIMIT_SECONDS


@given(st.integers(min_value=1, max_value=1000))
def test_the_ceiling_never_falls(failures: int) -> None:
    backoff = Backoff(random=lambda: 0.5)
    assert backoff.ceiling(failures) <= backoff.ceiling(failures + 1)


def test_the_ceiling_starts_low_doubles_and_stays_at_the_limit() -> None:
    backoff = Backoff(random=lambda: 0.5)
    assert [backoff.ceiling(failures) for failures in range(1, 9)] == [0.5, 1, 2, 4, 8, 16, 30, 30]
    assert backoff.ceiling(1) == FIRST_SECONDS


@given(randoms, st.integers(min_value=1, max_value=20))
def test_a_wait_is_the_share_of_the_ceiling_that_the_random_number_names(number: float, failures: int) -> None:
    backoff = Backoff(random=lambda: number)
    assert backoff.after_failure(failures) == number * backoff.ceiling(failures)


@given(randoms)
def test_a_refused_token_is_retried_slowly(number: float) -> None:
    low, high = REFUSED_SECONDS
    assert low <= Backoff(random=lambda: number).after_refusal() <= high


@given(randoms, st.floats(allow_nan=False, allow_infinity=True))
def test_a_retry_window_is_kept_but_never_beyond_reason(number: float, window: float) -> None:
    wait = Backoff(random=lambda: number).within(window)
    assert 0 <= wait <= WINDOW_LIMIT_SECONDS
    assert wait <= max(window, 0)


def test_five_thousand_agents_spread_evenly_over_the_window() -> None:
    draws = iter(range(5000))
    backoff = Backoff(random=lambda: next(draws) / 5000)
    waits = [backoff.within(20) for _ in range(5000)]
    assert max(sum(1 for wait in waits if second <= wait < second + 1) for second in range(20)) <= 251
