import json
from dataclasses import replace
from typing import Any

import pytest

from relay.errors import LocalProtocolError, RemoteProtocolError, TunnelClosedError
from relay.mux import (
    CloseCode,
    GoawayReceived,
    Hello,
    HelloReceived,
    KubernetesCluster,
    Limits,
    RelayProcess,
    Role,
    Session,
    SessionEnded,
    Welcome,
    WelcomeReceived,
)
from tests.mux.link import HELLO, WELCOME, Link, events, frame, frames, only

GOOD_HELLO: dict[str, Any] = {
    "version": 1,
    "agent_version": "1",
    "token": "t",
    "instance_id": "i",
    "capabilities": [],
    "limits": {
        "max_payload_bytes": 65536,
        "initial_window_bytes": 65536,
        "max_streams": 1,
        "max_pending_opens": 1,
        "max_resets_per_second": 1,
    },
}


def refusal(payload: bytes) -> RemoteProtocolError:
    relay = Session(Role.RELAY, now=0.0)
    with pytest.raises(RemoteProtocolError) as caught:
        relay.receive_bytes(frame(1, 0, payload), 0.0)
    assert relay.closed
    [(kind, stream_id, goaway)] = frames(relay.bytes_to_send())
    assert (kind, stream_id) == (0x0B, 0)
    assert int.from_bytes(goaway[4:8]) == caught.value.wire_code
    return caught.value


def test_both_ends_learn_each_other_and_measure_the_round_trip() -> None:
    link = Link(agent=Limits(max_streams=7), delay_seconds=0.025)
    link.settle()
    hello = only(link.relay, HelloReceived).hello
    assert (hello.token, hello.instance_id, hello.limits.max_streams) == ("sdt_secret", "agent-1", 7)
    processes = (RelayProcess(id="p2", address="10.0.0.2:443"),)
    welcome = Welcome(relay_process_id="p1", tunnel_id="t1", keepalive_seconds=20.0, processes=processes)
    link.relay.accept(welcome, link.now)
    link.settle()
    assert only(link.agent, WelcomeReceived).welcome == welcome
    for session in (link.agent, link.relay):
        assert session.statistics().round_trip_seconds == pytest.approx(0.05)


def test_the_token_is_not_in_the_repr() -> None:
    assert "sdt_secret" not in repr(HELLO)


def test_keys_of_later_versions_are_ignored() -> None:
    relay = Session(Role.RELAY, now=0.0)
    relay.receive_bytes(frame(1, 0, json.dumps(GOOD_HELLO | {"colour": "blue"}).encode()), 0.0)
    assert only(relay, HelloReceived).hello.token == "t"


@pytest.mark.parametrize(
    "change",
    [
        {"version": True},
        {"version": "1"},
        {"agent_version": ""},
        {"agent_version": "x" * 257},
        {"agent_version": "line\nbreak"},
        {"agent_version": "\ud800"},
        {"token": 5},
        {"token": "x" * 1025},
        {"instance_id": None},
        {"capabilities": "all"},
        {"capabilities": [1]},
        {"capabilities": ["x"] * 65},
        {"kubernetes": None},
        {"kubernetes": {}},
        {"kubernetes": {"namespace": "a\nb"}},
        {"kubernetes": {"namespace": "a", "version": 1}},
        {"kubernetes": {"namespace": "a", "allowed_namespaces": "shop"}},
        {"kubernetes": {"namespace": "a", "allowed_namespaces": ["shop"] * 65}},
        {"limits": []},
        {"limits": GOOD_HELLO["limits"] | {"max_payload_bytes": 16383}},
        {"limits": GOOD_HELLO["limits"] | {"max_payload_bytes": 2**20 + 1}},
        {"limits": GOOD_HELLO["limits"] | {"max_payload_bytes": 65536.0}},
        {"limits": GOOD_HELLO["limits"] | {"initial_window_bytes": 2**31}},
        {"limits": GOOD_HELLO["limits"] | {"max_streams": 0}},
        {"limits": GOOD_HELLO["limits"] | {"max_pending_opens": -1}},
    ],
    ids=str,
)
def test_a_hello_with_a_wrong_value_is_refused(change: dict[str, Any]) -> None:
    assert refusal(json.dumps(GOOD_HELLO | change).encode()).wire_code == CloseCode.PROTOCOL_ERROR


@pytest.mark.parametrize("allowed", [(), ("pay", "shop")])
@pytest.mark.parametrize("version", ["v1.33.1", ""])
def test_the_relay_learns_what_the_agent_says_of_its_cluster(version: str, allowed: tuple[str, ...]) -> None:
    cluster = KubernetesCluster(namespace="signadot", version=version, allowed_namespaces=allowed)
    agent = Session(Role.AGENT, now=0.0, hello=replace(HELLO, capabilities=("kubernetes",), kubernetes=cluster))
    relay = Session(Role.RELAY, now=0.0)
    relay.receive_bytes(agent.bytes_to_send(), 0.0)
    hello = only(relay, HelloReceived).hello
    assert (hello.capabilities, hello.kubernetes) == (("kubernetes",), cluster)


@pytest.mark.parametrize("key", sorted(GOOD_HELLO))
def test_a_hello_that_lacks_a_key_is_refused_by_name(key: str) -> None:
    without = {name: value for name, value in GOOD_HELLO.items() if name != key}
    assert key in str(refusal(json.dumps(without).encode()))


@pytest.mark.parametrize(
    "payload",
    [b"", b"{", b"[]", b"null", b"\xff", b'{"version":1,"version":1}', b'{"version":NaN}', b"[" * 16000],
    ids=repr,
)
def test_a_hello_that_is_not_a_json_object_is_refused(payload: bytes) -> None:
    assert refusal(payload).wire_code == CloseCode.PROTOCOL_ERROR


def test_another_version_is_told_so_whatever_else_it_sends() -> None:
    assert refusal(b'{"version": 2, "news": []}').wire_code == CloseCode.UNSUPPORTED_VERSION


def test_a_long_hello_is_refused_at_its_header() -> None:
    relay = Session(Role.RELAY, now=0.0)
    with pytest.raises(RemoteProtocolError) as caught:
        relay.receive_bytes((16385).to_bytes(3) + b"\x01" + bytes(4), 0.0)
    assert caught.value.wire_code == CloseCode.FRAME_SIZE


def test_a_refused_login_tells_the_agent_why() -> None:
    link = Link()
    link.settle()
    link.relay.goaway(CloseCode.UNAUTHENTICATED, "the token is revoked", retry_after_seconds=30)
    assert link.relay.closed
    link.settle()
    goaway, ended = events(link.agent)
    assert goaway == GoawayReceived(0, CloseCode.UNAUTHENTICATED, "the token is revoked", 30.0, None)
    assert isinstance(ended, SessionEnded)
    assert link.agent.closed


def test_an_orderly_goaway_before_welcome_ends_the_session_too() -> None:
    link = Link()
    link.settle()
    link.relay.goaway(CloseCode.SHUTDOWN, "restarting", retry_after_seconds=5)
    link.settle()
    assert link.agent.closed
    assert link.relay.closed


def test_a_relay_that_hears_nothing_gives_up_after_the_handshake_time() -> None:
    relay = Session(Role.RELAY, now=0.0)
    assert relay.next_deadline() == 10.0
    relay.handle_deadline(9.9)
    assert not relay.has_bytes_to_send
    relay.handle_deadline(10.0)
    assert relay.closed
    assert isinstance(relay.next_event(), SessionEnded)
    assert frames(relay.bytes_to_send())[0][0] == 0x0B
    assert relay.next_deadline() is None


def test_an_agent_that_gets_no_welcome_gives_up() -> None:
    link = Link()
    link.settle()
    link.advance(10.0)
    assert link.agent.closed


def test_accepting_an_agent_that_has_left_says_so() -> None:
    link = Link()
    link.settle()
    link.agent.goaway(CloseCode.SHUTDOWN)
    link.settle()
    with pytest.raises(TunnelClosedError):
        link.relay.accept(WELCOME, link.now)


def test_misuse_of_the_handshake_is_a_local_error() -> None:
    with pytest.raises(LocalProtocolError):
        Session(Role.RELAY, now=0.0, hello=HELLO)
    with pytest.raises(LocalProtocolError):
        Session(Role.AGENT, now=0.0)
    with pytest.raises(LocalProtocolError):
        Session(Role.AGENT, now=0.0, hello=Hello(agent_version="", token="t", instance_id="i"))
    with pytest.raises(LocalProtocolError):
        Session(Role.RELAY, now=0.0).accept(WELCOME, 0.0)


def test_nothing_but_hello_comes_first() -> None:
    for kind in (2, 3, 5, 6, 7, 8, 9, 10, 0x7F):
        relay = Session(Role.RELAY, now=0.0)
        with pytest.raises(RemoteProtocolError):
            relay.receive_bytes(frame(kind, 0, bytes(8)), 0.0)
