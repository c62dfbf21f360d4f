import pytest

from relay.errors import TunnelClosedError
from relay.mux import (
    CloseCode,
    GoawayReceived,
    ResetCode,
    SessionEnded,
    StreamReset,
)
from tests.mux.link import events, frame, frames, opened_link, received

OPEN = bytes.fromhex("00010000 0050 03 04 00") + b"tcphost"


def test_a_hint_leaves_everything_possible() -> None:
    link, stream_id = opened_link()
    link.relay.goaway(CloseCode.DRAIN, "restart", retry_after_seconds=2.5, drain_deadline_seconds=30)
    link.settle()
    assert events(link.agent) == [GoawayReceived(2**32 - 1, CloseCode.DRAIN, "restart", 2.5, 30.0)]
    assert link.open() == stream_id + 2


def test_after_shutdown_open_streams_finish_and_new_ones_are_refused() -> None:
    link, stream_id = opened_link()
    link.agent.goaway(CloseCode.SHUTDOWN, "moved")
    crossing = link.relay.open_stream("tcp", "host", 80)
    link.settle()
    assert events(link.relay) == [
        GoawayReceived(stream_id, CloseCode.SHUTDOWN, "moved", 0.0, None),
        StreamReset(crossing, ResetCode.GOING_AWAY, "this agent takes no new streams here"),
    ]
    with pytest.raises(TunnelClosedError):
        link.relay.open_stream("tcp", "host", 80)
    link.agent.send_data(stream_id, b"the rest")
    link.agent.finish(stream_id)
    link.settle()
    assert received(link.relay, stream_id) == b"the rest"
    link.relay.finish(stream_id)
    link.settle()
    assert link.relay.open_stream_count == link.agent.open_stream_count == 0


def test_a_relay_that_shuts_down_opens_nothing_more() -> None:
    link, stream_id = opened_link()
    link.relay.goaway(CloseCode.REPLACED, "logged in again")
    with pytest.raises(TunnelClosedError):
        link.relay.open_stream("tcp", "host", 80)
    link.settle()
    assert not link.agent.closed
    link.relay.send_data(stream_id, b"old streams go on")
    link.settle()
    assert received(link.agent, stream_id) == b"old streams go on"


def test_what_is_open_at_the_drain_deadline_is_reset() -> None:
    link, stream_id = opened_link()
    link.relay.goaway(CloseCode.SHUTDOWN, drain_deadline_seconds=5)
    link.settle()
    events(link.agent)
    assert link.relay.next_deadline() == pytest.approx(link.now + 5)
    link.advance(5)
    assert events(link.relay) == [
        StreamReset(stream_id, ResetCode.GOING_AWAY, "the drain deadline passed"),
        SessionEnded("the drain deadline passed"),
    ]
    assert link.relay.closed
    assert [kind for kind, _, _ in frames(link.relay.bytes_to_send())] == [11]


@pytest.mark.parametrize("code", [CloseCode.ABUSE, CloseCode.INTERNAL, 77])
def test_an_error_code_ends_the_session_at_both_ends(code: int) -> None:
    link, _ = opened_link()
    link.relay.goaway(code, "over")
    assert link.relay.closed
    link.settle()
    goaway, ended = events(link.agent)
    assert isinstance(goaway, GoawayReceived)
    assert goaway.code == code
    assert ended == SessionEnded("the peer closed the session: over")


def test_bytes_behind_a_closing_goaway_are_ignored() -> None:
    link, _ = opened_link()
    link.relay.goaway(CloseCode.INTERNAL)
    link.agent.receive_bytes(link.relay.bytes_to_send() + b"\xff" * 100, link.now)
    assert link.agent.closed


def test_a_goaway_without_a_reason_is_shown_by_its_code() -> None:
    link, _ = opened_link()
    link.agent.receive_bytes(frame(11, 0, bytes(7) + b"\x0a" + bytes(8)), link.now)
    assert events(link.agent)[1] == SessionEnded("the peer closed the session: 10")
