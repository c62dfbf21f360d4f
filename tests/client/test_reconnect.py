import pytest

from client.backoff import REFUSED_SECONDS, Backoff
from client.reconnect import Ending, Retry, other_addresses
from relay.mux.codes import CloseCode
from relay.mux.handshake import RelayProcess

A, B, C = (RelayProcess(id=name, address=f"{name}.example:1") for name in "abc")


@pytest.fixture
def retry() -> Retry:
    """The wait is always the whole ceiling."""
    return Retry(Backoff(random=lambda: 1.0))


FAILED = Ending(message="refused the connection")


def test_failures_in_a_row_wait_longer_and_longer(retry: Retry) -> None:
    assert [retry.wait_seconds(FAILED) for _ in range(8)] == [0.5, 1, 2, 4, 8, 16, 30, 30]


def test_a_tunnel_that_lived_makes_the_next_wait_short_again(retry: Retry) -> None:
    for _ in range(6):
        retry.wait_seconds(FAILED)
    assert retry.wait_seconds(Ending(message="lost", lived_seconds=60)) == 0.5


def test_a_relay_that_accepts_and_drops_at_once_is_not_hammered(retry: Retry) -> None:
    dropped = Ending(message="lost", lived_seconds=0.1)
    assert [retry.wait_seconds(dropped) for _ in range(4)] == [0.5, 1, 2, 4]


@pytest.mark.parametrize("code", [CloseCode.UNAUTHENTICATED, CloseCode.UNSUPPORTED_VERSION])
def test_a_refusal_is_retried_slowly_each_time(retry: Retry, code: CloseCode) -> None:
    refused = Ending(message="unknown token", close_code=code, retry_after_seconds=0.1)
    assert refused.is_refusal
    assert [retry.wait_seconds(refused) for _ in range(3)] == [REFUSED_SECONDS[1]] * 3


@pytest.mark.parametrize("code", [CloseCode.SHUTDOWN, CloseCode.DRAIN])
def test_the_window_that_the_relay_names_is_kept(code: CloseCode) -> None:
    retry = Retry(Backoff(random=lambda: 0.25))
    assert retry.wait_seconds(Ending(message="restart", close_code=code, retry_after_seconds=20)) == 5


def test_an_orderly_end_without_a_window_comes_back_soon(retry: Retry) -> None:
    assert retry.wait_seconds(Ending(message="restart", close_code=CloseCode.SHUTDOWN, lived_seconds=99)) == 0.5


def test_a_tunnel_that_was_replaced_does_not_fight_its_successor(retry: Retry) -> None:
    assert retry.wait_seconds(Ending(message="replaced", close_code=CloseCode.REPLACED)) == REFUSED_SECONDS[1]


@pytest.mark.parametrize("code", [CloseCode.ABUSE, CloseCode.INTERNAL, CloseCode.TIMEOUT, 250])
def test_other_codes_are_failures(retry: Retry, code: int) -> None:
    ending = Ending(message="?", close_code=code)
    assert [retry.wait_seconds(ending) for _ in range(3)] == [0.5, 1, 2]


def test_a_window_that_comes_with_a_failure_can_only_lengthen_the_wait(retry: Retry) -> None:
    ending = Ending(message="the relay cannot check tokens now", close_code=CloseCode.INTERNAL, retry_after_seconds=3)
    assert [retry.wait_seconds(ending) for _ in range(5)] == [3, 3, 3, 4, 8]


def test_a_reset_forgets_the_failures(retry: Retry) -> None:
    for _ in range(5):
        retry.wait_seconds(FAILED)
    retry.reset()
    assert retry.wait_seconds(FAILED) == 0.5


def test_every_other_process_gets_a_link_once() -> None:
    assert other_addresses("relay.example:1", "a", [A, B, C, B]) == ("b.example:1", "c.example:1")


def test_the_process_that_was_reached_needs_no_second_link() -> None:
    assert other_addresses("relay.example:1", "a", [A]) == ()
    assert other_addresses("relay.example:1", "a", []) == ()


def test_processes_behind_one_address_are_not_guessed_at() -> None:
    shared = [RelayProcess(id=name, address="relay.example:1") for name in "abc"]
    assert other_addresses("relay.example:1", "a", shared) == ()
