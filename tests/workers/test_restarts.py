"""When a worker that ended is started again."""

from relay.workers.restarts import LIMIT_SECONDS, STEADY_SECONDS, Restarts


def test_waits_double_up_to_a_limit() -> None:
    restarts = Restarts()
    waits = [restarts.ended(0.0) for _ in range(12)]
    assert waits[:4] == [0.1, 0.2, 0.4, 0.8]
    assert waits[-1] == LIMIT_SECONDS
    assert restarts.ended(0.0) == LIMIT_SECONDS


def test_a_worker_that_lived_long_was_well() -> None:
    restarts = Restarts()
    for _ in range(5):
        restarts.ended(0.0)
    assert restarts.ended(STEADY_SECONDS) == 0.1


def keeps_queue_after(*lived_seconds: float) -> bool:
    restarts = Restarts()
    for seconds in lived_seconds:
        restarts.ended(seconds)
    return restarts.keeps_queue


def test_connections_wait_for_the_next_worker_after_the_first_failure_only() -> None:
    assert keeps_queue_after(0.0)
    assert not keeps_queue_after(0.0, 0.0)
    assert keeps_queue_after(0.0, 0.0, STEADY_SECONDS)
