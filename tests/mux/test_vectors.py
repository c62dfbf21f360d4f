"""Every vector of tests/vectors/mux, with its bytes whole and cut in several ways."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from relay.errors import RemoteProtocolError
from relay.mux import (
    DataReceived,
    Event,
    GoawayReceived,
    HelloReceived,
    KubernetesCluster,
    Limits,
    Role,
    Session,
    SessionEnded,
    StreamAccepted,
    StreamFinished,
    StreamOpened,
    StreamReset,
    WelcomeReceived,
)
from tests.mux.link import HELLO, WELCOME, Link, events, frames

ROOT = Path(__file__).parent.parent.parent
FILES = sorted((ROOT / "tests/vectors/mux").glob("*.json"))
VECTORS = [vector for file in FILES for vector in json.loads(file.read_text())]
RESET, CREDIT, PING, GOAWAY = 7, 8, 9, 11
LIMITS = Limits(initial_window_bytes=262_144, max_payload_bytes=65_536)
"""What the vectors assume (README.md)."""


def given(vector: dict[str, Any]) -> Session:
    role = Role[vector["receiver"].upper()]
    if vector["phase"] == "handshake":
        session = Session(role, LIMITS, now=0.0, hello=HELLO if role is Role.AGENT else None)
        session.bytes_to_send()
        return session
    link = Link(agent=LIMITS, relay=LIMITS)
    link.login()
    for _ in range(vector["streams"]):
        link.open()
    if vector["streams"] == -1:
        link.relay.open_stream("tcp", "host", 80)
    link.settle()
    session = link.agent if role is Role.AGENT else link.relay
    events(session)
    return session


def told(event: Event) -> list[Any]:  # noqa: PLR0911 - one return per event reads as the table it is
    match event:
        case HelloReceived():
            return ["hello"]
        case WelcomeReceived():
            return ["welcome"]
        case StreamOpened(stream_id, kind, host, port, metadata):
            return ["opened", stream_id, kind, host, port, dict(metadata)]
        case StreamAccepted(stream_id):
            return ["accepted", stream_id]
        case DataReceived(stream_id, data):
            return ["data", stream_id, bytes(data).decode("latin-1")]
        case StreamFinished(stream_id):
            return ["finished", stream_id]
        case StreamReset(stream_id, code, _):
            return ["reset", stream_id, code]
        case GoawayReceived():
            return ["goaway", *event]
        case SessionEnded():
            return ["ended"]
        case _:
            return [event]


def joined(found: list[list[Any]]) -> list[list[Any]]:
    """Data cut by the read is one piece for the comparison."""
    result: list[list[Any]] = []
    for entry in found:
        if result and entry[0] == result[-1][0] == "data" and entry[1] == result[-1][1]:
            result[-1] = [*entry[:2], result[-1][2] + entry[2]]
        else:
            result.append(entry)
    return result


def received_bytes(vector: dict[str, Any]) -> bytes:
    return bytes.fromhex(re.sub(r"00\*(\d+)", lambda found: "00" * int(found[1]), vector["bytes"]))


def outcome(vector: dict[str, Any], piece: int) -> dict[str, Any]:
    session = given(vector)
    data = received_bytes(vector)
    found: dict[str, Any] = {}
    try:
        for start in range(0, len(data), piece):
            session.receive_bytes(data[start : start + piece], 100.0)
    except RemoteProtocolError as error:
        found["goaway"] = error.wire_code
    sent = frames(session.bytes_to_send())
    resets = [[stream, int.from_bytes(payload[:4])] for kind, stream, payload in sent if kind == RESET]
    pings = sum(kind == PING for kind, _, _ in sent)
    goaways = [int.from_bytes(payload[4:8]) for kind, _, payload in sent if kind == GOAWAY]
    assert goaways == ([found["goaway"]] if "goaway" in found else [])
    answers = [
        (len(payload).to_bytes(3) + bytes([kind]) + stream.to_bytes(4) + payload).hex()
        for kind, stream, payload in sent
        if kind not in {RESET, CREDIT, PING, GOAWAY}
    ]
    happened = joined([told(event) for event in events(session)])
    if "received" in vector["expect"]:
        found["received"] = sum(len(event[2]) for event in happened if event[0] == "data")
        happened = []
    extra = {"resets": resets, "pings": pings, "answers": answers, "events": happened}
    return found | {name: value for name, value in extra.items() if value}


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_vector(vector: dict[str, Any]) -> None:
    for piece in (1 << 20, 65536, 1000, 7, 1):
        if len(received_bytes(vector)) // piece < 2000:
            assert outcome(vector, piece) == vector["expect"]


def test_vectors_name_sections_of_the_specification_and_are_unique() -> None:
    text = (ROOT / "docs/protocol.md").read_text()
    sections = set(re.findall(r"^## (.*)$", text, re.MULTILINE))
    assert {vector["rule"] for vector in VECTORS} <= sections
    assert len({vector["name"] for vector in VECTORS}) == len(VECTORS)


def test_handshake_payloads_on_the_wire() -> None:
    link = Link()
    hello = json.loads(frames(link.agent.bytes_to_send())[0][2])
    assert sorted(hello) == ["agent_version", "capabilities", "instance_id", "limits", "token", "version"]
    cluster = KubernetesCluster(namespace="signadot", version="v1.33.1")
    agent = Session(Role.AGENT, now=0.0, hello=replace(HELLO, kubernetes=cluster))
    hello = json.loads(frames(agent.bytes_to_send())[0][2])
    assert hello["kubernetes"] == {"namespace": "signadot", "version": "v1.33.1"}
    link = Link()
    link.settle()
    link.relay.accept(WELCOME, 100.0)
    welcome, ping = frames(link.relay.bytes_to_send())
    assert sorted(json.loads(welcome[2])) == [
        "keepalive_seconds",
        "limits",
        "processes",
        "relay_process_id",
        "tunnel_id",
        "version",
    ]
    assert ping[:2] == (PING, 0)


def test_frames_on_the_wire() -> None:
    link = Link()
    link.login()
    stream_id = link.relay.open_stream("tcp", "host", 8080, {"a": "bc"})
    link.relay.send_data(stream_id, b"xyz")
    link.relay.finish(stream_id)
    assert link.relay.bytes_to_send().hex(" ") == (
        "00 00 16 03 00 00 00 01 00 04 00 00 1f 90 03 04 01 74 63 70 68 6f 73 74 01 61 00 02 62 63 "
        "00 00 03 05 00 00 00 01 78 79 7a 00 00 00 06 00 00 00 01"
    )
    link.relay.reset(stream_id, 1, "no")
    assert link.relay.bytes_to_send().hex(" ") == "00 00 06 07 00 00 00 01 00 00 00 01 6e 6f"
    link.relay.goaway(1, "x", retry_after_seconds=1.5, drain_deadline_seconds=2)
    assert link.relay.bytes_to_send().hex(" ") == (
        "00 00 11 0b 00 00 00 00 ff ff ff ff 00 00 00 01 00 00 05 dc 00 00 07 d0 78"
    )
