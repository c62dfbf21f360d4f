import pytest

from relay.errors import RemoteProtocolError, TunnelClosedError
from relay.mux import CloseCode, Limits, ResetCode, Session, StreamOpened
from relay.mux.rate import Rate
from tests.mux.link import Link, events, frame, frames, opened_link

OPEN = bytes.fromhex("00010000 0050 03 04 00") + b"tcphost"


def abuse(session: Session, data: bytes, now: float, code: CloseCode = CloseCode.ABUSE) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        session.receive_bytes(data, now)
    assert caught.value.wire_code == code
    assert session.closed
    [(kind, _, payload)] = frames(session.bytes_to_send())
    assert kind == 0x0B
    assert int.from_bytes(payload[4:8]) == code


@pytest.mark.parametrize(
    "data",
    [
        frame(9, 0, bytes(8)),
        frame(10, 0, bytes(8)),
        frame(8, 1, (1).to_bytes(4)),
        frame(0x80, 0, b""),
        frame(11, 0, bytes(7) + b"\1" + bytes(8)),
    ],
    ids=["ping", "pong", "credit", "extension", "goaway"],
)
def test_control_frames_above_the_rate_end_the_session(data: bytes) -> None:
    link = Link(relay=Limits(max_control_frames_per_second=100))
    link.login()
    link.open()
    link.now += 10
    link.relay.receive_bytes(data * 100, link.now)
    link.relay.bytes_to_send()
    link.relay.receive_bytes(data * 50, link.now + 0.5)
    link.relay.bytes_to_send()
    abuse(link.relay, data, link.now + 0.5)


@pytest.mark.parametrize("kind", [5, 6, 4], ids=["data", "finish", "opened"])
def test_frames_for_ended_streams_count_as_control_frames(kind: int) -> None:
    link = Link(relay=Limits(max_control_frames_per_second=100))
    link.login()
    stream_id = link.open()
    link.relay.reset(stream_id, ResetCode.CANCELLED)
    link.relay.bytes_to_send()
    link.now += 10
    link.relay.receive_bytes(frame(kind, stream_id, b"x" if kind == 5 else b"") * 100, link.now)
    abuse(link.relay, frame(kind, stream_id, b"x" if kind == 5 else b""), link.now)


def test_rapid_reset_ends_the_session() -> None:
    link = Link(agent=Limits(max_resets_per_second=10, max_streams=5))
    link.login()
    data = b"".join(frame(3, n, OPEN) + frame(7, n, (1).to_bytes(4)) for n in range(1, 2 * 55, 2))
    link.agent.receive_bytes(data, link.now)
    abuse(link.agent, frame(3, 111, OPEN) + frame(7, 111, (1).to_bytes(4)), link.now)


def test_a_relay_keeps_below_the_agents_reset_rate_by_opening_no_more() -> None:
    link = Link(agent=Limits(max_resets_per_second=10, max_streams=5))
    link.login()
    refused = 0
    for _ in range(2000):
        try:
            link.relay.reset(link.relay.open_stream("tcp", "host", 80), ResetCode.CANCELLED)
        except TunnelClosedError:
            refused += 1
        link.advance(0.01)
        link.relay.receive_bytes(frame(10, 0, bytes(8)), link.now)  # any traffic tells the relay the time
    assert not link.agent.closed
    assert 1800 < refused < 1900


def test_resets_that_answer_a_relays_own_opens_are_no_abuse() -> None:
    link = Link(relay=Limits(max_resets_per_second=1, max_streams=1), agent=Limits(max_resets_per_second=10**6))
    link.login()
    for _ in range(500):
        stream_id = link.relay.open_stream("tcp", "host", 80)
        link.settle()
        link.agent.reset(stream_id, ResetCode.REFUSED)
        link.settle()
    assert not link.relay.closed


def test_streams_beyond_the_limit_are_refused_one_by_one() -> None:
    link = Link(agent=Limits(max_streams=2))
    link.login()
    link.agent.receive_bytes(b"".join(frame(3, n, OPEN) for n in (1, 3, 5)), link.now)
    assert [event.stream_id for event in events(link.agent) if isinstance(event, StreamOpened)] == [1, 3]
    assert [(kind, n, payload[:4]) for kind, n, payload in frames(link.agent.bytes_to_send())] == [
        (7, 5, int(ResetCode.LIMIT).to_bytes(4))
    ]


def test_opens_beyond_the_backlog_are_refused_one_by_one() -> None:
    link = Link(agent=Limits(max_pending_opens=2))
    link.login()
    link.agent.receive_bytes(b"".join(frame(3, n, OPEN) for n in (1, 3, 5)), link.now)
    assert frames(link.agent.bytes_to_send())[0][:2] == (7, 5)
    link.agent.accept_stream(1)
    link.agent.bytes_to_send()
    link.agent.receive_bytes(frame(3, 7, OPEN), link.now)
    assert not link.agent.has_bytes_to_send


def test_opens_beyond_the_memory_are_refused_one_by_one() -> None:
    link = Link(agent=Limits(receive_budget_bytes=600 * 1024))
    link.login()
    link.agent.receive_bytes(b"".join(frame(3, n, OPEN) for n in (1, 3, 5)), link.now)
    assert frames(link.agent.bytes_to_send())[0][:2] == (7, 5)


def test_refused_opens_count_as_control_frames() -> None:
    link = Link(agent=Limits(max_streams=1, max_control_frames_per_second=100))
    link.login()
    link.now += 10
    link.agent.receive_bytes(b"".join(frame(3, n, OPEN) for n in range(1, 203, 2)), link.now)
    abuse(link.agent, frame(3, 203, OPEN), link.now)


def test_a_relay_keeps_to_the_agents_limits() -> None:
    link = Link(agent=Limits(max_streams=3, max_pending_opens=2))
    link.login()
    link.relay.open_stream("tcp", "host", 80)
    stream_id = link.relay.open_stream("tcp", "host", 80)
    with pytest.raises(TunnelClosedError, match="dial"):
        link.relay.open_stream("tcp", "host", 80)
    link.settle()
    link.agent.accept_stream(stream_id)
    link.settle()
    link.relay.open_stream("tcp", "host", 80)
    with pytest.raises(TunnelClosedError, match="as many streams"):
        link.relay.open_stream("tcp", "host", 80)


def test_a_relay_without_memory_opens_nothing() -> None:
    link = Link(relay=Limits(receive_budget_bytes=40 * 1024))
    link.login()
    link.relay.open_stream("tcp", "host", 80)
    link.relay.open_stream("tcp", "host", 80)
    with pytest.raises(TunnelClosedError, match="memory"):
        link.relay.open_stream("tcp", "host", 80)


def test_answers_that_are_not_read_are_bounded() -> None:
    link = Link(relay=Limits(max_queued_control_bytes=1000))
    link.login()
    link.relay.receive_bytes(frame(9, 0, bytes(8)) * 63, link.now)
    abuse(link.relay, frame(9, 0, bytes(8)), link.now)


@pytest.mark.parametrize(
    ("kind", "length"),
    [(7, 4 + 1025), (11, 16 + 1025), (8, 5), (9, 9), (4, 1), (6, 1), (5, 2**18 + 1), (5, 0), (0x80, 2**20 + 1)],
)
def test_a_long_payload_is_refused_at_its_header(kind: int, length: int) -> None:
    link, stream_id = opened_link()
    stream = 0 if kind in {9, 11} else stream_id
    abuse(link.relay, length.to_bytes(3) + bytes([kind]) + stream.to_bytes(4), link.now, code=CloseCode.FRAME_SIZE)


def test_a_long_open_is_refused_at_its_header() -> None:
    link = Link(agent=Limits(max_metadata_bytes=100))
    link.login()
    abuse(link.agent, (1125).to_bytes(3) + b"\x03" + (1).to_bytes(4), link.now, code=CloseCode.FRAME_SIZE)


def test_a_rate_refills_with_time_up_to_its_burst() -> None:
    rate = Rate(10, 5, 0.0)
    assert [rate.take(0.0) for _ in range(6)] == [True] * 5 + [False]
    assert [rate.take(0.2) for _ in range(3)] == [True, True, False]
    assert rate.level(100.0) == 5
    assert rate.level(99.0) == 5
