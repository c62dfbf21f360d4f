import pytest

from relay.mux import Limits, ReceiveBudget, ResetCode, SendReady, StreamReset
from relay.mux.budget import Account
from relay.mux.stream import ReceiveHalf
from tests.mux.link import Link, events, frame, frames, opened_link, received

KIB = 1024


def test_a_sender_stops_at_the_window_and_goes_on_after_credit() -> None:
    link, stream_id = opened_link()
    link.agent.send_data(stream_id, b"x" * (300 * KIB))
    link.settle()
    assert len(received(link.relay, stream_id, consume=False)) == 256 * KIB
    link.relay.consume(stream_id, 128 * KIB)
    link.settle()
    assert len(received(link.relay, stream_id, consume=False)) == 44 * KIB


def test_credit_comes_at_half_of_the_window_and_not_before() -> None:
    link, stream_id = opened_link()
    link.agent.send_data(stream_id, b"x" * (200 * KIB))
    link.settle()
    received(link.relay, stream_id, consume=False)
    link.relay.consume(stream_id, 128 * KIB - 1)
    assert not link.relay.has_bytes_to_send
    link.relay.consume(stream_id, 1)
    assert frames(link.relay.bytes_to_send()) == [(8, stream_id, (128 * KIB).to_bytes(4))]


def test_a_finished_stream_gets_no_credit() -> None:
    link, stream_id = opened_link()
    link.agent.send_data(stream_id, b"x" * (200 * KIB))
    link.agent.finish(stream_id)
    link.settle()
    assert len(received(link.relay, stream_id)) == 200 * KIB
    assert not link.relay.has_bytes_to_send


def test_data_beyond_the_window_resets_the_stream_only() -> None:
    link, stream_id = opened_link()
    other = link.open()
    data = frame(5, stream_id, bytes(64 * KIB))
    link.relay.receive_bytes(data * 4, link.now)
    events(link.relay)
    link.relay.receive_bytes(frame(5, stream_id, b"!"), link.now)
    assert events(link.relay) == [StreamReset(stream_id, ResetCode.FLOW_CONTROL_ERROR, "DATA beyond the window")]
    link.settle()
    link.agent.send_data(other, b"alive")
    link.settle()
    assert received(link.relay, other) == b"alive"


def test_credit_beyond_the_largest_window_resets_the_stream_only() -> None:
    link, stream_id = opened_link()
    most = 2**31 - 1 - 256 * KIB
    link.relay.receive_bytes(frame(8, stream_id, most.to_bytes(4)), link.now)
    assert events(link.relay) == []
    link.relay.receive_bytes(frame(8, stream_id, (1).to_bytes(4)), link.now)
    [event] = events(link.relay)
    assert isinstance(event, StreamReset)
    assert event.code == ResetCode.FLOW_CONTROL_ERROR


def test_a_reader_that_stops_stalls_only_its_own_stream() -> None:
    link, stalled = opened_link()
    other = link.open()
    link.agent.send_data(stalled, b"x" * 10**6)
    link.agent.send_data(other, b"y" * 10**6)
    total = 0
    for _ in range(20):
        link.settle()
        for event in events(link.relay):
            if getattr(event, "stream_id", None) == other:
                total += len(event.data)  # type: ignore[union-attr]
                link.relay.consume(other, len(event.data))  # type: ignore[union-attr]
    assert total == 10**6
    assert link.relay.statistics().buffered_bytes == 256 * KIB


def test_the_program_is_told_when_a_full_send_queue_has_room_again() -> None:
    link, stream_id = opened_link()
    assert link.agent.send_data(stream_id, b"x" * (256 * KIB - 1))
    assert not link.agent.send_data(stream_id, b"x" * (256 * KIB))
    link.settle()
    assert events(link.agent) == []
    received(link.relay, stream_id)
    link.settle()
    assert events(link.agent) == [SendReady(stream_id)]


def test_each_direction_keeps_to_the_other_ends_limits() -> None:
    link = Link(
        agent=Limits(initial_window_bytes=20 * KIB, max_payload_bytes=16 * KIB),
        relay=Limits(initial_window_bytes=40 * KIB),
    )
    link.login()
    stream_id = link.open()
    link.relay.send_data(stream_id, bytes(100 * KIB))
    link.agent.send_data(stream_id, bytes(100 * KIB))
    to_agent = frames(link.relay.bytes_to_send())
    assert [len(payload) for _, _, payload in to_agent] == [16 * KIB - 8, 4 * KIB + 8]
    assert sum(len(payload) for _, _, payload in frames(link.agent.bytes_to_send())) == 40 * KIB


def download(link: Link, stream_id: int, *, seconds: float, consumed: float = 1.0) -> int:
    """Bytes that arrive within `seconds` on a link without a rate limit, in steps of a millisecond."""
    total = 0
    link.agent.send_data(stream_id, bytes(256 * KIB))
    for _ in range(round(seconds * 1000)):
        link.advance(0.001)
        if any(isinstance(event, SendReady) for event in events(link.agent)):
            link.agent.send_data(stream_id, bytes(4096 * KIB))
        data = received(link.relay, stream_id, consume=False)
        link.relay.consume(stream_id, int(len(data) * consumed))
        total += len(data)
    return total


def test_windows_grow_until_a_long_link_is_full() -> None:
    link = Link(delay_seconds=0.025)
    link.login()
    stream_id = link.open()
    download(link, stream_id, seconds=1.0)
    assert link.relay.statistics().granted_bytes == 32 * 1024 * KIB
    # A fixed window of 256 KiB would carry 5 MiB in a second of 20 round trips, and this one 640 MiB.
    assert download(link, stream_id, seconds=1.0) > 500 * 1024 * KIB


def test_credit_of_a_large_window_comes_by_the_mebibyte() -> None:
    half = ReceiveHalf(32 * 1024 * KIB)
    half.buffered = 4 * 1024 * KIB
    assert half.consume(1024 * KIB - 1) == 0
    assert half.consume(1) == 1024 * KIB
    assert half.consume(2 * 1024 * KIB) == 2 * 1024 * KIB


def test_a_window_does_not_grow_for_a_reader_that_lags() -> None:
    link = Link(delay_seconds=0.025)
    link.login()
    stream_id = link.open()
    download(link, stream_id, seconds=1.0, consumed=0.4)
    assert link.relay.statistics().granted_bytes == 256 * KIB


def test_a_window_does_not_grow_when_its_half_takes_longer_than_two_round_trips() -> None:
    link = Link(delay_seconds=0.025)
    link.login()
    stream_id = link.open()
    for _ in range(300):
        link.agent.send_data(stream_id, bytes(KIB))
        link.advance(0.001)
        received(link.relay, stream_id)
    assert link.relay.statistics().granted_bytes == 256 * KIB


def test_growth_stops_where_the_budget_keeps_its_reserve() -> None:
    link = Link(relay=Limits(receive_budget_bytes=4 * 1024 * KIB), delay_seconds=0.025)
    link.login()
    stream_id = link.open()
    download(link, stream_id, seconds=1.0)
    window = link.relay.statistics().granted_bytes
    link.relay.reset(stream_id, ResetCode.CANCELLED)
    assert 64 * KIB < window <= 3 * 1024 * KIB
    assert link.relay.statistics().granted_bytes == 0


def test_new_streams_get_smaller_windows_as_memory_runs_short() -> None:
    shared = ReceiveBudget(1024 * KIB)
    account = Account(512 * KIB, shared)
    assert account.take_window(256 * KIB) == 16 * KIB
    assert shared.used_bytes == account.used_bytes == 16 * KIB
    generous = Account(2**30, ReceiveBudget(2**30))
    assert generous.take_window(256 * KIB) == 256 * KIB


def test_budgets_are_never_passed() -> None:
    shared = ReceiveBudget(100 * KIB)
    account = Account(50 * KIB, shared)
    windows = [account.take_window(256 * KIB) for _ in range(10)]
    assert windows == [16 * KIB] * 3 + [0] * 7
    assert not account.take_exactly(3 * KIB)
    assert account.take_exactly(2 * KIB)
    account.release(50 * KIB)
    assert not account.take_growth(40 * KIB)
    grown = sum(account.take_growth(KIB) for _ in range(50))
    assert grown == 37, "a quarter is left to new streams"
    assert shared.used_bytes == 37 * KIB


def test_windows_get_smaller_as_more_streams_are_fast() -> None:
    shared = ReceiveBudget(512 * 1024 * KIB)
    windows = []
    for _ in range(100):
        account = Account(256 * 1024 * KIB, shared)
        window = account.take_window(256 * KIB)
        while window < 32 * 1024 * KIB and account.take_growth(window):
            window *= 2
        windows.append(window)
    assert windows == sorted(windows, reverse=True)
    assert windows[0] == 32 * 1024 * KIB
    assert windows[24] == 4 * 1024 * KIB
    assert sum(window for window in windows if window > 256 * KIB) < shared.total_bytes * 3 // 4
    assert sum(windows) == shared.used_bytes


@pytest.mark.parametrize("sessions", [1, 3])
def test_all_sessions_of_a_process_share_its_budget(sessions: int) -> None:
    budget = ReceiveBudget(10 * 1024 * KIB)
    links = [Link(budget=budget) for _ in range(sessions)]
    for link in links:
        link.login()
        link.open()
    assert budget.used_bytes == sum(
        link.agent.statistics().granted_bytes + link.relay.statistics().granted_bytes for link in links
    )
    for link in links:
        link.relay.goaway(3)
        link.settle()
    assert budget.used_bytes == 0
