"""Fuzz target: received frames. Two sessions past their handshake, one of each role, take bytes built from `data`."""

import json
from collections.abc import Iterator

from relay.errors import RemoteProtocolError
from relay.mux import (
    DataReceived,
    Hello,
    Limits,
    Role,
    Session,
    StreamOpened,
    Welcome,
)

LIMITS = Limits(max_streams=8, max_pending_opens=4, initial_window_bytes=16384, receive_budget_bytes=1 << 20)
HEADER_BYTES = 8


def seeds() -> Iterator[bytes]:
    """Inputs from which mutation starts: one per frame type and shape."""
    for selector in range(16):
        yield bytes([selector])
        yield bytes([selector]) + _frame(5, 1, b"hello") + _frame(6, 1)
        yield bytes([selector]) + _frame(3, 3, bytes.fromhex("00010000 01bb 03 04 00") + b"tcphost")
        yield bytes([selector]) + _frame(4, 1) + _frame(8, 1, b"\0\0\1\0") + _frame(7, 1, b"\0\0\0\2no")
        yield bytes([selector]) + _frame(9, 0, bytes(8)) + _frame(10, 0, bytes(8)) + _frame(0x80, 9, b"later")
        yield bytes([selector]) + _frame(11, 0, b"\xff" * 4 + bytes(4) + b"\0\0\0\1" + b"\xff" * 4 + b"bye")
    yield b"\x01" + _frame(1, 0, json.dumps({"version": 1, "token": "t", "limits": {}}).encode())
    yield b"\x00" + _frame(2, 0, json.dumps({"version": 1, "tunnel_id": "t", "processes": []}).encode())


def run(data: bytes) -> None:
    """The first byte selects role, phase and read size; the rest is what the peer sent."""
    selector = data[0] if data else 0
    session = _session(agent=bool(selector & 1), handshake=bool(selector & 2))
    step = (1, 3, 11, 70_000)[selector >> 2 & 3]
    now = 1.0
    for start in range(1, len(data), step):
        now += 0.001
        try:
            session.receive_bytes(data[start : start + step], now)
        except RemoteProtocolError:
            assert session.closed
            assert session.bytes_to_send().startswith(b"\0\0"), "a GOAWAY is left to send"
            break
        _use(session)
    deadline = session.next_deadline()
    if deadline is not None:
        session.handle_deadline(deadline)
    _use(session)


def _use(session: Session) -> None:
    """What a program does with events: accept, answer, consume."""
    while (event := session.next_event()) is not None:
        if isinstance(event, StreamOpened) and event.stream_id % 4 == 1:
            session.accept_stream(event.stream_id)
            session.send_data(event.stream_id, b"answer")
        elif isinstance(event, DataReceived):
            session.consume(event.stream_id, len(event.data))
    session.bytes_to_send()
    statistics = session.statistics()
    assert 0 <= statistics.granted_bytes <= LIMITS.receive_budget_bytes
    assert 0 <= statistics.buffered_bytes <= statistics.granted_bytes
    assert 0 <= statistics.pending_opens <= statistics.open_streams <= LIMITS.max_streams


def _frame(kind: int, stream_id: int, payload: bytes = b"") -> bytes:
    return len(payload).to_bytes(3) + bytes([kind]) + stream_id.to_bytes(4) + payload


_HELLO = Hello(agent_version="1", token="t", instance_id="i")
_WELCOME = Welcome(relay_process_id="p", tunnel_id="t")


def _handshake_bytes() -> tuple[bytes, bytes]:
    agent = Session(Role.AGENT, LIMITS, now=0.0, hello=_HELLO)
    relay = Session(Role.RELAY, LIMITS, now=0.0)
    hello = agent.bytes_to_send()
    relay.receive_bytes(hello, 0.0)
    relay.accept(_WELCOME, 0.0)
    return hello, relay.bytes_to_send()


_HELLO_BYTES, _WELCOME_BYTES = _handshake_bytes()


def _session(*, agent: bool, handshake: bool) -> Session:
    """A session that awaits its handshake, or one that is open and, as a relay, has two streams."""
    if agent:
        session = Session(Role.AGENT, LIMITS, now=0.0, hello=_HELLO)
        if not handshake:
            session.receive_bytes(_WELCOME_BYTES, 0.0)
        return session
    session = Session(Role.RELAY, LIMITS, now=0.0)
    if not handshake:
        session.receive_bytes(_HELLO_BYTES, 0.0)
        session.accept(_WELCOME, 0.0)
        session.open_stream("tcp", "one", 80)
        session.send_data(session.open_stream("tcp", "two", 80), b"x" * 20_000)
    return session
