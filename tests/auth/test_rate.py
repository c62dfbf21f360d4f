from relay.auth import RateLimiter


def test_a_full_bucket_passes_a_burst_of_the_limit_and_not_one_more() -> None:
    limiter = RateLimiter(per_minute=60)
    said = [limiter.spend("k", 100.0) for _ in range(61)]
    assert [allowance.allowed for allowance in said] == [True] * 60 + [False]
    assert [allowance.remaining for allowance in said] == [*range(59, -1, -1), 0]
    assert said[-1].retry_after_seconds == 1.0
    assert said[-1].reset_seconds == 60.0
    assert said[0].limit == 60


def test_over_time_the_average_is_held_whatever_the_pattern() -> None:
    limiter = RateLimiter(per_minute=600)
    passed = sum(limiter.spend("k", 0.01 * tick).allowed for tick in range(12_000))  # 100 a second for two minutes
    assert 600 + 1199 <= passed <= 600 + 1200  # a full bucket, and what flowed in since


def test_one_that_was_refused_may_ask_again_after_the_time_it_was_told() -> None:
    limiter = RateLimiter(per_minute=7)
    for _ in range(7):
        limiter.spend("k", 0.0)
    refused = limiter.spend("k", 3.0)
    assert not refused.allowed
    assert not limiter.spend("k", 3.0 + refused.retry_after_seconds - 0.01).allowed
    assert limiter.spend("k", 3.0 + refused.retry_after_seconds).allowed


def test_keys_do_not_take_from_each_other() -> None:
    limiter = RateLimiter(per_minute=1)
    assert limiter.spend("a", 0.0).allowed
    assert limiter.spend("b", 0.0).allowed
    assert not limiter.spend("a", 0.0).allowed


def test_looking_costs_nothing() -> None:
    limiter = RateLimiter(per_minute=1)
    assert all(limiter.peek("a", 0.0).allowed for _ in range(5))
    assert len(limiter) == 0
    assert limiter.spend("a", 0.0).allowed
    assert not limiter.peek("a", 0.0).allowed


def test_the_number_of_buckets_is_bounded_and_the_oldest_goes_first() -> None:
    limiter = RateLimiter(per_minute=1, max_buckets=3)
    for key in "abcd":
        limiter.spend(key, 0.0)
    assert len(limiter) == 3
    assert limiter.spend("a", 0.0).allowed  # forgotten, and so full again
    assert not limiter.spend("d", 0.0).allowed
