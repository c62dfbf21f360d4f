import pytest

from relay.mux import CloseCode, Limits, SessionEnded
from relay.mux.liveness import Check, Liveness
from tests.mux.link import Link, events, frame, frames, opened_link


def test_a_cut_link_is_noticed_after_45_seconds_of_silence() -> None:
    link, _ = opened_link()
    link.is_cut = True
    cut_at = link.now
    while not link.relay.closed:
        deadline = link.relay.next_deadline()
        assert deadline is not None
        link.advance(max(deadline - link.now, 0.001))
    assert link.now - cut_at == pytest.approx(45.0)
    assert events(link.relay) == [SessionEnded("the peer does not answer")]


def test_a_ping_goes_out_after_15_idle_seconds_and_its_answer_keeps_the_session() -> None:
    link, _ = opened_link()
    for _ in range(1000):
        link.advance(1.0)
    assert not link.relay.closed
    assert not link.agent.closed
    # 2 x 1000 s / 15 s pings and answers of 16 bytes: an idle tunnel costs a few bytes a second.
    assert link.relay.statistics().bytes_received < 3000


def test_the_relay_sets_the_agents_interval() -> None:
    link = Link(relay=Limits())
    link.login()
    assert link.agent.next_deadline() == pytest.approx(link.now + 15)


def test_a_busy_tunnel_is_measured_anew_once_a_minute() -> None:
    link, stream_id = opened_link()
    pings = 0
    for _ in range(150):
        link.agent.receive_bytes(frame(5, stream_id, b"."), link.now)
        link.now += 1.0
        link.agent.handle_deadline(link.now)
        pings += sum(kind == 9 for kind, _, _ in frames(link.agent.bytes_to_send()))
        events(link.agent)
    assert pings == 2


def test_the_round_trip_is_the_least_of_the_last_samples() -> None:
    liveness = Liveness(15.0, 2, 0.0)
    now = 0.0
    for took in (0.05, 0.2, 0.03, 0.1, *[0.3] * 7):
        now += 20
        payload = liveness.ping(now)
        liveness.pong(payload, now + took)
        liveness.pong(payload, now + took / 10)
    assert liveness.round_trip_seconds == pytest.approx(0.1)
    liveness.pong(b"unasked!", now)
    assert liveness.round_trip_seconds == pytest.approx(0.1)


def test_deadlines_move_seldom() -> None:
    link, stream_id = opened_link()
    before = link.relay.next_deadline()
    for _ in range(50):
        link.relay.send_data(stream_id, b"x")
        link.advance(0.01)
    assert link.relay.next_deadline() == before


def test_nothing_is_due_early() -> None:
    liveness = Liveness(15.0, 2, 0.0)
    assert liveness.check(14.9) is Check.NOTHING
    liveness.heard(10.0)
    assert liveness.check(15.0) is Check.NOTHING
    assert liveness.check_at == 25.0
    assert liveness.check(25.0) is Check.PING


def test_a_dead_session_says_so_to_whoever_may_still_listen() -> None:
    link, _ = opened_link()
    link.is_cut = True
    for _ in range(4):
        link.now += 15
        link.agent.handle_deadline(link.now)
    assert link.agent.closed
    [(kind, _, payload)] = frames(link.agent.bytes_to_send())
    assert (kind, int.from_bytes(payload[4:8])) == (11, CloseCode.TIMEOUT)
    link.agent.handle_deadline(link.now + 15)
