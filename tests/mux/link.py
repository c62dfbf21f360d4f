"""A pair of sessions on a simulated link: bytes are delayed, cut into pieces, stopped, or lost with the link."""

from collections import deque
from typing import TypeVar

from relay.mux import (
    DataReceived,
    Event,
    Hello,
    HelloReceived,
    Limits,
    ReceiveBudget,
    Role,
    Session,
    StreamAccepted,
    StreamOpened,
    Welcome,
)

E = TypeVar("E", bound=Event)
HELLO = Hello(agent_version="1.2.3", token="sdt_secret", instance_id="agent-1")
WELCOME = Welcome(relay_process_id="process-1", tunnel_id="tunnel-1")


def frame(kind: int, stream_id: int, payload: bytes = b"") -> bytes:
    """A frame built independently of the code under test."""
    return len(payload).to_bytes(3) + bytes([kind]) + stream_id.to_bytes(4) + payload


def frames(data: bytes) -> list[tuple[int, int, bytes]]:
    """Whole frames in `data`: (type, stream id, payload)."""
    found = []
    while data:
        end = 8 + int.from_bytes(data[:3])
        assert len(data) >= end, "a frame is cut off"
        found.append((data[3], int.from_bytes(data[4:8]), data[8:end]))
        data = data[end:]
    return found


def events(session: Session) -> list[Event]:
    """All events not yet taken."""
    found = []
    while (event := session.next_event()) is not None:
        found.append(event)
    return found


class Link:
    """Agent and relay joined by two queues. Time moves only by `advance`."""

    def __init__(
        self,
        *,
        agent: Limits | None = None,
        relay: Limits | None = None,
        delay_seconds: float = 0.0,
        budget: ReceiveBudget | None = None,
    ) -> None:
        self.now = 100.0
        self.delay_seconds = delay_seconds
        self.piece_bytes = 1 << 20
        self.is_cut = False
        self.agent = Session(Role.AGENT, agent or Limits(), now=self.now, hello=HELLO, budget=budget)
        self.relay = Session(Role.RELAY, relay or Limits(), now=self.now, budget=budget)
        self._wires: dict[Session, deque[tuple[float, bytes]]] = {self.agent: deque(), self.relay: deque()}

    def login(self) -> None:
        """The handshake, until the first round trip is known at both ends."""
        self.settle()
        assert [type(event) for event in events(self.relay)] == [HelloReceived]
        self.relay.accept(WELCOME, self.now)
        self.settle()
        events(self.agent)

    def settle(self) -> None:
        """Lets everything arrive, however long it takes."""
        while self.transmit() or any(self._wires.values()):
            self.advance(self.delay_seconds)

    def advance(self, seconds: float) -> None:
        """Moves the clock: sends, delivers what has arrived by then, and handles deadlines."""
        self.transmit()
        self.now += seconds
        for receiver, wire in self._wires.items():
            while wire and wire[0][0] <= self.now + 1e-9:
                _, data = wire.popleft()
                for start in range(0, len(data), self.piece_bytes):
                    receiver.receive_bytes(data[start : start + self.piece_bytes], self.now)
        for session in self._wires:
            deadline = session.next_deadline()
            if deadline is not None and deadline <= self.now:
                session.handle_deadline(self.now)

    def transmit(self) -> bool:
        """Puts what both ends have to send on the wire; whether there was anything."""
        sent = False
        for sender, receiver in ((self.agent, self.relay), (self.relay, self.agent)):
            while data := sender.bytes_to_send():
                sent = True
                if not self.is_cut:
                    self._wires[receiver].append((self.now + self.delay_seconds, data))
        return sent

    def open(self) -> int:
        """A stream that the agent has accepted."""
        stream_id = self.relay.open_stream("tcp", "web.shop.svc", 8080)
        self.settle()
        opened = [event for event in events(self.agent) if isinstance(event, StreamOpened)]
        assert [event.stream_id for event in opened] == [stream_id]
        self.agent.accept_stream(stream_id)
        self.settle()
        assert StreamAccepted(stream_id) in events(self.relay)
        return stream_id


def opened_link() -> tuple[Link, int]:
    """A link after the handshake with one accepted stream."""
    link = Link()
    link.login()
    return link, link.open()


def received(session: Session, stream_id: int, *, consume: bool = True) -> bytes:
    """All bytes of one stream among the events; consumed unless told otherwise. Other events are dropped."""
    data = b"".join(
        event.data for event in events(session) if isinstance(event, DataReceived) and event.stream_id == stream_id
    )
    if consume:
        session.consume(stream_id, len(data))
    return data


def only(session: Session, kind: type[E]) -> E:
    """The one event of this kind; others are dropped."""
    found = [event for event in events(session) if isinstance(event, kind)]
    assert len(found) == 1, found
    return found[0]
