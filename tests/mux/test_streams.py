import pytest

from relay.errors import LocalProtocolError, TunnelClosedError
from relay.mux import (
    CloseCode,
    DataReceived,
    Limits,
    ResetCode,
    StreamAccepted,
    StreamFinished,
    StreamOpened,
    StreamReset,
)
from tests.mux.link import Link, events, frames, opened_link, received


def test_open_and_the_first_data_and_finish_leave_in_one_flight() -> None:
    link = Link()
    link.login()
    stream_id = link.relay.open_stream("tcp", "web.shop.svc", 8080, {"workspace": "pr-42", "empty": ""})
    link.relay.send_data(stream_id, b"GET / ")
    link.relay.send_data(stream_id, b"HTTP/1.1")
    link.relay.finish(stream_id)
    link.agent.receive_bytes(link.relay.bytes_to_send(), link.now)
    assert events(link.agent) == [
        StreamOpened(1, "tcp", "web.shop.svc", 8080, {"workspace": "pr-42", "empty": ""}),
        DataReceived(1, memoryview(b"GET / HTTP/1.1")),
        StreamFinished(1),
    ]


def test_each_direction_finishes_by_itself() -> None:
    link, stream_id = opened_link()
    link.relay.finish(stream_id)
    link.settle()
    assert events(link.agent) == [StreamFinished(stream_id)]
    link.agent.send_data(stream_id, b"still here")
    link.settle()
    assert received(link.relay, stream_id) == b"still here"
    link.agent.finish(stream_id)
    link.settle()
    assert events(link.relay) == [StreamFinished(stream_id)]
    for session in (link.agent, link.relay):
        assert session.open_stream_count == 0
        assert session.statistics().granted_bytes == 0


def test_a_reset_carries_its_code_and_reason_and_drops_what_was_queued() -> None:
    link, stream_id = opened_link()
    link.agent.send_data(stream_id, b"never seen")
    link.agent.reset(stream_id, ResetCode.TARGET_RESET, "the target hung up")
    link.settle()
    assert events(link.relay) == [StreamReset(stream_id, ResetCode.TARGET_RESET, "the target hung up")]
    assert link.relay.open_stream_count == link.agent.open_stream_count == 0


def test_a_failed_dial_says_why() -> None:
    link = Link()
    link.login()
    stream_id = link.relay.open_stream("tcp", "web.shop.svc", 8080)
    link.settle()
    link.agent.reset(stream_id, ResetCode.REFUSED, "connection refused")
    link.settle()
    assert events(link.relay) == [StreamReset(stream_id, ResetCode.REFUSED, "connection refused")]


def test_verbs_on_a_stream_that_the_peer_has_reset_do_nothing() -> None:
    link, stream_id = opened_link()
    link.relay.reset(stream_id, ResetCode.CANCELLED)
    link.settle()
    assert link.agent.send_data(stream_id, b"late")
    link.agent.finish(stream_id)
    link.agent.consume(stream_id, 5)
    link.agent.reset(stream_id, ResetCode.INTERNAL)
    link.agent.accept_stream(stream_id)
    assert not link.agent.has_bytes_to_send


def test_frames_that_cross_a_reset_are_ignored() -> None:
    link, stream_id = opened_link()
    link.agent.send_data(stream_id, b"crossing")
    link.agent.finish(stream_id)
    crossing = link.agent.bytes_to_send()
    link.relay.reset(stream_id, ResetCode.CANCELLED)
    link.relay.receive_bytes(crossing, link.now)
    assert events(link.relay) == []
    assert [kind for kind, _, _ in frames(link.relay.bytes_to_send())] == [7]
    assert link.relay.statistics().granted_bytes == 0


def test_a_stream_reset_in_the_middle_of_a_frame_skips_the_rest_of_it() -> None:
    link, stream_id = opened_link()
    other = link.open()
    link.agent.send_data(stream_id, b"x" * 1000)
    first = link.agent.bytes_to_send()
    link.relay.receive_bytes(first[:100], link.now)
    link.relay.reset(stream_id, ResetCode.CANCELLED)
    link.agent.send_data(other, b"next")
    link.relay.receive_bytes(first[100:] + link.agent.bytes_to_send(), link.now)
    assert received(link.relay, other) == b"next"


def test_a_long_reason_is_cut_at_a_character() -> None:
    link, stream_id = opened_link()
    link.agent.reset(stream_id, ResetCode.INTERNAL, "x" + "é" * 1000 + "\ud800")
    link.settle()
    [event] = events(link.relay)
    assert event == StreamReset(stream_id, ResetCode.INTERNAL, "x" + "é" * 511)


def test_bytes_unread_at_the_end_stay_in_the_budget_until_consumed() -> None:
    link, stream_id = opened_link()
    link.agent.send_data(stream_id, b"12345")
    link.agent.finish(stream_id)
    link.relay.finish(stream_id)
    link.settle()
    assert link.relay.open_stream_count == 0
    assert link.relay.statistics().buffered_bytes == 5
    link.relay.consume(stream_id, 2)
    assert link.relay.statistics().granted_bytes > 0
    with pytest.raises(LocalProtocolError):
        link.relay.consume(stream_id, 4)
    link.relay.consume(stream_id, 3)
    assert link.relay.statistics().granted_bytes == 0


def test_a_reset_of_an_ended_stream_frees_what_is_unread() -> None:
    link, stream_id = opened_link()
    link.agent.send_data(stream_id, b"12345")
    link.agent.finish(stream_id)
    link.relay.finish(stream_id)
    link.settle()
    link.relay.reset(stream_id, ResetCode.CANCELLED)
    assert link.relay.statistics().granted_bytes == 0
    assert not link.relay.has_bytes_to_send


def test_half_closed_streams_end_when_nothing_moves() -> None:
    link = Link(relay=Limits(half_closed_linger_seconds=60.0))
    link.login()
    moving, still = link.open(), link.open()
    for stream_id in (moving, still):
        link.relay.finish(stream_id)
    link.settle()
    for _ in range(7):
        link.agent.send_data(moving, b".")
        link.advance(0)
        link.advance(10.0)
    assert StreamReset(still, ResetCode.TIMED_OUT, "half-closed for too long") in events(link.relay)
    assert link.relay.open_stream_count == 1
    link.settle()
    assert any(isinstance(event, StreamReset) and event.stream_id == still for event in events(link.agent))


def test_misuse_of_a_stream_is_a_local_error() -> None:
    link, stream_id = opened_link()
    pending = link.relay.open_stream("tcp", "web.shop.svc", 8080)
    link.settle()
    link.relay.finish(stream_id)
    link.relay.finish(stream_id)
    for misuse in (
        lambda: link.relay.send_data(stream_id, b"more"),
        lambda: link.relay.send_data(99, b"never opened"),
        lambda: link.relay.finish(2),
        lambda: link.relay.consume(stream_id, 1),
        lambda: link.relay.accept_stream(stream_id),
        lambda: link.agent.accept_stream(stream_id),
        lambda: link.agent.send_data(pending, b"not accepted"),
        lambda: link.agent.open_stream("tcp", "host", 1),
        lambda: link.relay.open_stream("TCP", "host", 1),
        lambda: link.relay.open_stream("tcp", "", 1),
        lambda: link.relay.open_stream("tcp", "a b", 1),
        lambda: link.relay.open_stream("tcp", "h" * 254, 1),
        lambda: link.relay.open_stream("tcp", "host", 0),
        lambda: link.relay.open_stream("tcp", "host", 65536),
        lambda: link.relay.open_stream("tcp", "host", 1, {"Upper": "x"}),
        lambda: link.relay.open_stream("tcp", "host", 1, {"a": "x" * 9000}),
        lambda: link.relay.open_stream("tcp", "host", 1, {"a": "\ud800"}),
        lambda: link.relay.open_stream("tcp", "host", 1, {f"n{i}": "" for i in range(33)}),
    ):
        with pytest.raises(LocalProtocolError):
            misuse()
    link.settle()
    assert link.relay.open_stream("tcp", "host", 1) == pending + 2


def test_a_closed_session_opens_nothing_and_tolerates_the_rest() -> None:
    link, stream_id = opened_link()
    link.relay.goaway(CloseCode.INTERNAL, "fault")
    assert link.relay.closed
    with pytest.raises(TunnelClosedError):
        link.relay.open_stream("tcp", "host", 1)
    assert link.relay.send_data(stream_id, b"x")
    link.relay.finish(stream_id)
    link.relay.receive_bytes(b"anything", link.now)
    link.relay.handle_deadline(link.now + 100)
    assert [kind for kind, _, _ in frames(link.relay.bytes_to_send())] == [0x0B]


def test_received_buffers_may_be_reused_once_the_events_are_taken() -> None:
    link, stream_id = opened_link()
    link.agent.send_data(stream_id, b"precious")
    data = bytearray(link.agent.bytes_to_send())
    link.relay.receive_bytes(data, link.now)
    assert received(link.relay, stream_id) == b"precious"
    data.extend(b"resizable: no view is left")


def test_the_same_bytes_cut_anywhere_give_the_same_stream() -> None:
    for piece in (1, 2, 7, 8, 9, 100):
        link = Link()
        link.piece_bytes = piece
        link.login()
        stream_id = link.open()
        link.agent.send_data(stream_id, bytes(range(256)) * 4)
        link.agent.finish(stream_id)
        link.settle()
        assert received(link.relay, stream_id) == bytes(range(256)) * 4


def test_accepting_is_told_once() -> None:
    link = Link()
    link.login()
    stream_id = link.relay.open_stream("kubernetes", "api", 443)
    link.settle()
    link.agent.accept_stream(stream_id)
    link.settle()
    assert events(link.relay) == [StreamAccepted(stream_id)]


def test_streams_that_end_in_order_leave_nothing_behind() -> None:
    link = Link()
    link.login()
    for _ in range(2000):
        stream_id = link.relay.open_stream("tcp", "web.shop.svc", 8080)
        link.relay.finish(stream_id)
        link.settle()
        link.agent.accept_stream(stream_id)
        link.agent.finish(stream_id)
        link.settle()
        events(link.relay)
        events(link.agent)
    for session in (link.relay, link.agent):
        assert session.open_stream_count == 0
        assert len(session._state.half_closed) < 100
