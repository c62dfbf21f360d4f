from relay.mux import Limits
from tests.mux.link import Link, frames, opened_link

KIB = 1024


def test_control_frames_overtake_data() -> None:
    link, stream_id = opened_link()
    link.agent.send_data(stream_id, bytes(200 * KIB))
    link.agent.receive_bytes(bytes.fromhex("00000809 00000000") + b"12345678", link.now)
    assert frames(link.agent.bytes_to_send())[0] == (10, 0, b"12345678")


def test_one_stream_alone_sends_long_frames() -> None:
    link, stream_id = opened_link()
    link.agent.send_data(stream_id, bytes(128 * KIB))
    assert [len(payload) for _, _, payload in frames(link.agent.bytes_to_send())] == [128 * KIB]


def test_a_frame_that_is_not_the_last_of_its_stream_ends_with_a_tls_record() -> None:
    link = Link()
    link.login()
    small, bulk = link.open(), link.open()
    link.agent.send_data(small, b"quick")
    link.agent.send_data(bulk, bytes(200_000))
    ends: list[int] = []
    while data := link.agent.bytes_to_send(100_000):
        for _, _, payload in frames(data):
            ends.append((ends[-1] if ends else 0) + 8 + len(payload))
    assert ends[0] == 13
    assert len(ends) > 3
    assert all(end % (16 * KIB) == 0 for end in ends[1:-1])


def test_streams_take_turns_of_16_kib_while_several_have_data() -> None:
    link = Link()
    link.login()
    first, second = link.open(), link.open()
    link.agent.send_data(first, bytes(4 * (16 * KIB - 8) - 8))
    link.agent.send_data(second, bytes(2 * (16 * KIB - 8)))
    turns = [(stream, len(payload)) for _, stream, payload in frames(link.agent.bytes_to_send())]
    assert turns == [
        (first, 16 * KIB - 8),
        (second, 16 * KIB - 8),
        (first, 16 * KIB - 8),
        (second, 16 * KIB - 8),
        (first, 32 * KIB - 24),
    ]


def test_a_small_answer_waits_for_one_turn_of_a_bulk_stream_at_most() -> None:
    link = Link()
    link.login()
    bulk, small = link.open(), link.open()
    link.agent.send_data(bulk, bytes(256 * KIB))
    link.agent.bytes_to_send(64 * KIB)
    link.agent.send_data(small, b"quick")
    streams = [stream for _, stream, _ in frames(link.agent.bytes_to_send(64 * KIB))]
    assert streams[:2] == [bulk, small]


def test_small_writes_leave_in_one_frame() -> None:
    link, stream_id = opened_link()
    for word in (b"HTTP/1.1 200 OK\r\n", b"\r\n", b"body"):
        link.agent.send_data(stream_id, word)
    link.agent.finish(stream_id)
    assert frames(link.agent.bytes_to_send()) == [
        (5, stream_id, b"HTTP/1.1 200 OK\r\n\r\nbody"),
        (6, stream_id, b""),
    ]


def test_output_is_bounded_and_loses_nothing() -> None:
    for most in (1, 9, 100, 16 * KIB, 16 * KIB + 8, 100_000):
        link = Link()
        link.login()
        streams = [link.open() for _ in range(3)]
        reset = link.open()
        for stream_id in streams:
            link.agent.send_data(stream_id, bytes([stream_id]) * 5000)
            link.agent.send_data(stream_id, bytes([stream_id]) * 100)
            link.agent.finish(stream_id)
        link.agent.reset(reset, 1, "r" * 200)
        sent: dict[int, bytes] = dict.fromkeys(streams, b"")
        finished = []
        while link.agent.has_bytes_to_send:
            data = link.agent.bytes_to_send(most)
            assert data
            assert len(data) <= most or len(frames(data)) == 1 or (most < 24 and len(frames(data)) <= 2)
            for kind, stream_id, payload in frames(data):
                if kind == 5:
                    sent[stream_id] += payload
                elif kind == 6:
                    finished.append(stream_id)
        assert sent == {stream_id: bytes([stream_id]) * 5100 for stream_id in streams}
        assert sorted(finished) == streams


def test_has_bytes_to_send_never_lies() -> None:
    link = Link(relay=Limits(initial_window_bytes=16 * KIB))
    link.login()
    stream_id = link.open()
    assert link.agent.bytes_to_send() == b""
    link.agent.send_data(stream_id, bytes(20 * KIB))
    while link.agent.has_bytes_to_send:
        assert link.agent.bytes_to_send()
    link.agent.finish(stream_id)
    assert not link.agent.has_bytes_to_send, "the FINISH waits for the data, which waits for the window"
    link.agent.reset(stream_id, 1)
    assert link.agent.has_bytes_to_send


def test_a_reset_stream_loses_its_turn_and_holds_up_nobody() -> None:
    link = Link()
    link.login()
    first, second = link.open(), link.open()
    link.agent.send_data(first, b"dropped")
    link.agent.send_data(second, b"sent")
    link.agent.reset(first, 1)
    assert [(kind, stream) for kind, stream, _ in frames(link.agent.bytes_to_send())] == [(7, first), (5, second)]
