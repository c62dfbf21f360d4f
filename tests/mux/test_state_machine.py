"""Any order of verbs, deliveries and cuts keeps the promises of the protocol."""

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, precondition, rule

from relay.errors import TunnelClosedError
from relay.mux import (
    DataReceived,
    Limits,
    ReceiveBudget,
    ResetCode,
    Session,
    StreamFinished,
    StreamOpened,
    StreamReset,
)
from tests.mux.link import Link, frames

KIB = 1024
LIMITS = Limits(
    initial_window_bytes=16 * KIB,
    max_window_bytes=64 * KIB,
    max_payload_bytes=16 * KIB,
    send_queue_bytes=40 * KIB,
    max_streams=6,
    max_pending_opens=3,
)
DATA, FINISH, CREDIT = 5, 6, 8


class Wire:
    """One direction: everything ever sent, and how much of it has arrived."""

    def __init__(self) -> None:
        self.log = b""
        self.arrived = 0

    def in_flight(self, stream_id: int) -> tuple[int, int]:
        """DATA bytes not arrived yet, and CREDIT not arrived yet, of one stream."""
        data = credit = at = 0
        for kind, stream, payload in frames(self.log):
            end = at + 8 + len(payload)
            if stream == stream_id and end > self.arrived:
                if kind == DATA:
                    data += min(len(payload), end - self.arrived)
                elif kind == CREDIT:
                    credit += int.from_bytes(payload)
            at = end
        return data, credit


class Sessions(RuleBasedStateMachine):
    """Two sessions, two wires, and what each program believes."""

    streams = Bundle("streams")

    @initialize()
    def login(self) -> None:
        self.budget = ReceiveBudget(8 * 1024 * KIB)
        link = Link(agent=LIMITS, relay=LIMITS, budget=self.budget)
        link.login()
        self.now = link.now
        self.ends = (link.agent, link.relay)
        self.wires = {link.agent: Wire(), link.relay: Wire()}  # by sender
        self.sent: dict[tuple[Session, int], bytes] = {}
        self.received: dict[tuple[Session, int], bytes] = {}  # by receiver
        self.unconsumed: dict[tuple[Session, int], int] = {}
        self.finished: set[tuple[Session, int]] = set()  # by sender
        self.saw_finish: set[tuple[Session, int]] = set()  # by receiver
        self.accepted: set[int] = set()
        self.waiting: list[int] = []
        self.broken: set[int] = set()

    def other(self, session: Session) -> Session:
        return self.ends[session is self.ends[0]]

    def end(self, at_relay: bool) -> Session:  # noqa: FBT001 - drawn by hypothesis
        return self.ends[at_relay]

    @rule(target=streams)
    def open(self) -> int:
        relay = self.ends[1]
        try:
            return relay.open_stream("tcp", "host", 80)
        except TunnelClosedError:
            assert relay.open_stream_count == LIMITS.max_streams or relay.statistics().pending_opens == 3
            return 0

    @precondition(lambda self: self.waiting)
    @rule()
    def accept(self) -> None:
        stream_id = self.waiting.pop(0)
        self.ends[0].accept_stream(stream_id)
        self.accepted.add(stream_id)

    @rule(stream_id=streams, at_relay=st.booleans(), size=st.sampled_from([0, 1, 100, 5000, 20_000, 50_000]))
    def send(self, stream_id: int, at_relay: bool, size: int) -> None:  # noqa: FBT001
        sender = self.end(at_relay)
        if not self.may_send(sender, stream_id):
            return
        before = self.sent.get((sender, stream_id), b"")
        data = bytes((len(before) + index) % 251 for index in range(size))
        sender.send_data(stream_id, data)
        self.sent[sender, stream_id] = before + data

    @rule(stream_id=streams, at_relay=st.booleans())
    def finish(self, stream_id: int, at_relay: bool) -> None:  # noqa: FBT001
        sender = self.end(at_relay)
        if self.may_send(sender, stream_id):
            sender.finish(stream_id)
            self.finished.add((sender, stream_id))

    @rule(stream_id=consumes(streams), at_relay=st.booleans())
    def reset(self, stream_id: int, at_relay: bool) -> None:  # noqa: FBT001
        if (at_relay and stream_id) or stream_id in self.accepted:
            self.end(at_relay).reset(stream_id, ResetCode.CANCELLED, "done")
            self.broken.add(stream_id)

    def may_send(self, sender: Session, stream_id: int) -> bool:
        known = sender is self.ends[1] or stream_id in self.accepted
        return bool(stream_id) and known and (sender, stream_id) not in self.finished

    @rule(at_relay=st.booleans(), most=st.sampled_from([1, 50, 5000, 262_144]))
    def transmit(self, at_relay: bool, most: int) -> None:  # noqa: FBT001
        sender = self.end(at_relay)
        self.wires[sender].log += sender.bytes_to_send(most)
        self.take_events(sender)

    @rule(at_relay=st.booleans(), size=st.sampled_from([1, 7, 8, 9, 1000, 16_384, 10**6]), wait=st.floats(0, 0.1))
    def deliver(self, at_relay: bool, size: int, wait: float) -> None:  # noqa: FBT001
        receiver = self.end(at_relay)
        wire = self.wires[self.other(receiver)]
        self.now += wait
        receiver.receive_bytes(wire.log[wire.arrived : wire.arrived + size], self.now)
        wire.arrived = min(len(wire.log), wire.arrived + size)
        self.take_events(receiver)

    @rule(stream_id=streams, at_relay=st.booleans(), share=st.sampled_from([0.3, 1.0]))
    def consume(self, stream_id: int, at_relay: bool, share: float) -> None:  # noqa: FBT001
        key = self.end(at_relay), stream_id
        size = int(self.unconsumed.get(key, 0) * share)
        if size:
            key[0].consume(stream_id, size)
            self.unconsumed[key] -= size

    def take_events(self, session: Session) -> None:
        while (event := session.next_event()) is not None:
            if isinstance(event, StreamOpened):
                self.waiting.append(event.stream_id)
            elif isinstance(event, StreamReset):
                assert event.stream_id in self.broken, event
            elif isinstance(event, DataReceived):
                key = session, event.stream_id
                self.received[key] = self.received.get(key, b"") + event.data
                self.unconsumed[key] = self.unconsumed.get(key, 0) + len(event.data)
            elif isinstance(event, StreamFinished):
                self.saw_finish.add((session, event.stream_id))

    @invariant()
    def received_is_a_prefix_of_sent(self) -> None:
        for (receiver, stream_id), data in self.received.items():
            assert self.sent[self.other(receiver), stream_id].startswith(data)
        for receiver, stream_id in self.saw_finish:
            sender = self.other(receiver)
            assert (sender, stream_id) in self.finished
            assert self.received.get((receiver, stream_id), b"") == self.sent.get((sender, stream_id), b"")

    @invariant()
    def windows_add_up(self) -> None:
        for receiver in self.ends:
            sender = self.other(receiver)
            for stream_id, stream in receiver._state.streams.items():
                peer = sender._state.streams.get(stream_id)
                half = stream.receive
                if peer is None or half.finished or peer.send.finish_sent:
                    continue
                data, credit = self.wires[sender].in_flight(stream_id)[0], self.wires[receiver].in_flight(stream_id)[1]
                queued = b"".join(receiver._state.outbox._control)
                credit += sum(
                    int.from_bytes(payload)
                    for kind, stream, payload in frames(queued)
                    if kind == CREDIT and stream == stream_id
                )
                total = peer.send.window + credit + data + half.buffered + half.uncredited
                assert total == half.granted, (peer.send.window, credit, data, half.buffered, half.uncredited)

    @invariant()
    def bounds_hold(self) -> None:
        used = 0
        for session in self.ends:
            statistics = session.statistics()
            used += statistics.granted_bytes
            assert not session.closed
            assert statistics.buffered_bytes <= statistics.granted_bytes
            assert 0 <= statistics.pending_opens <= 3
            assert statistics.open_streams <= LIMITS.max_streams
        assert used == self.budget.used_bytes <= self.budget.total_bytes

    def teardown(self) -> None:
        if not hasattr(self, "ends"):
            return
        while self.settle():
            pass
        for (sender, stream_id), data in self.sent.items():
            if stream_id not in self.broken:
                assert self.received.get((self.other(sender), stream_id), b"") == data
        for sender, stream_id in self.finished:
            assert stream_id in self.broken or (self.other(sender), stream_id) in self.saw_finish

    def settle(self) -> bool:
        """Sends, delivers, accepts and consumes everything there is; whether there was anything."""
        moved = bool(self.waiting)
        while self.waiting:
            self.accept()
        for session, wire in self.wires.items():
            while session.has_bytes_to_send:
                self.transmit(session is self.ends[1], 262_144)
            if wire.arrived < len(wire.log):
                self.deliver(session is self.ends[0], 10**6, 0.001)
                moved = True
        for (receiver, stream_id), size in self.unconsumed.items():
            receiver.consume(stream_id, size)
            moved = moved or bool(size)
            self.unconsumed[receiver, stream_id] = 0
        return moved


TestSessions = Sessions.TestCase
TestSessions.settings = settings(
    max_examples=120, stateful_step_count=60, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
