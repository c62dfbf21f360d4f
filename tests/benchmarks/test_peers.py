"""The peers really do what they are compared for; no load here."""

import shutil
from dataclasses import replace
from typing import Literal

import pytest

from benchmarks.nginx import has_streams
from benchmarks.peers import Direct, LivePeer, Nginx, Peer, Relay
from benchmarks.peers.https import https_request
from benchmarks.processes import Ground, wait_until
from benchmarks.rounds import Bench
from benchmarks.scenarios import (
    Connect,
    Handshakes,
    Idle,
    Options,
    Requests,
    Run,
    Scenario,
    SlowLink,
    Streams,
    WebSockets,
)
from benchmarks.target import Target, start_target
from benchmarks.visit import Resource
from tests.benchmarks.needs import needs_nginx
from tests.benchmarks.silent import Silent

BULK_BYTES = 3 << 20

pytestmark = [
    pytest.mark.system,
    needs_nginx,
]


@pytest.fixture(scope="module")
def target(ground: Ground) -> Target:
    return start_target(ground, bulk_bytes=BULK_BYTES)


@pytest.fixture(scope="module", params=[Nginx, Relay])
def peer(request: pytest.FixtureRequest) -> Peer:
    made: Peer = request.param()
    return made


@pytest.fixture(scope="module")
def live(peer: Peer, ground: Ground, target: Target) -> LivePeer:
    return peer.start(ground, target)


def test_answer_of_the_target_comes_through(live: LivePeer) -> None:
    assert https_request(live.visits["small"]) == (200, b"hello world\n")


def test_without_the_key_nobody_comes_through(live: LivePeer) -> None:
    assert https_request(replace(live.visits["small"], headers=()))[0] == 401


def test_bulk_file_comes_through_whole(live: LivePeer) -> None:
    status, body = https_request(live.visits["bulk"])
    assert (status, len(body)) == (200, BULK_BYTES)


def test_upload_is_answered_by_the_sink(live: LivePeer) -> None:
    assert https_request(live.visits["upload"], method="POST", body=bytes(BULK_BYTES)) == (200, b"hello world\n")


@pytest.mark.parametrize(("resource", "size"), [("medium", 10 << 10), ("large", 1 << 20)])
def test_larger_answers_come_through_whole(live: LivePeer, resource: Resource, size: int) -> None:
    status, body = https_request(live.visits[resource])
    assert (status, len(body)) == (200, size)


def test_every_request_is_in_the_access_log(live: LivePeer, ground: Ground) -> None:
    path = "/small" if live.name == "nginx" else '"path": "/small"'
    log = ground.folder / "nginx-access.log" if live.name == "nginx" else ground.log("relay-serve")
    before = log.read_text().count(path)
    assert https_request(live.visits["small"])[0] == 200
    assert wait_until(lambda: log.read_text().count(path) > before)


def test_direct_path_leads_to_the_same_target(ground: Ground, target: Target) -> None:
    direct = Direct().start(ground, target)
    assert direct.visits["small"].port == target.port
    assert direct.placement.target == ground.placement.front


@pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not installed (scripts/debian-packages bench)")
def test_round_of_requests_gives_every_measure(peer: Peer, live: LivePeer, ground: Ground, target: Target) -> None:
    options = Options(rounds=1, seconds=1)
    bench = Bench(ground=ground, target=target, peers=[peer], live=[live], options=options, watch=Silent())
    result = bench.run(Requests(connections=2))
    assert not [remark for remark in result.remarks if "failed" in remark]
    figures = result.figures[live.name]
    assert {"front_microseconds", "back_microseconds", "others_share"} <= set(figures)
    assert figures["front_microseconds"].median > 0


@pytest.mark.parametrize("scenario", [Connect(), Streams(), WebSockets(sockets=10)], ids=lambda one: one.name)
def test_round_of_other_traffic_gives_every_measure(
    live: LivePeer, ground: Ground, target: Target, scenario: Scenario
) -> None:
    if live.name == "nginx" and not has_streams():
        pytest.skip("nginx cannot forward bytes (scripts/debian-packages bench)")
    assert scenario.suits(live)
    options = Options(seconds=1, bulk_bytes=BULK_BYTES)
    values = scenario.measure(Run(live=live, target=target, ground=ground, options=options))
    assert set(values) == {measure.key for measure in scenario.measures}
    assert min(value for key, value in values.items() if value is not None and key.endswith("microseconds")) > 0
    assert not values.get("failed")


@pytest.mark.parametrize("made", [Nginx, pytest.param(Relay, marks=pytest.mark.soak)])
def test_link_is_between_front_and_back(made: type[Nginx | Relay], ground: Ground, target: Target) -> None:
    peer = made()
    options = Options(rounds=1, seconds=1)
    bench = Bench(ground=ground, target=target, peers=[peer], live=[], options=options, watch=Silent())
    scenario = SlowLink(round_trip=20, seconds=1)
    with bench.prepared(scenario, [peer.name]) as own:
        (live,) = own.live
        assert scenario.suits(live)
        assert live.roles["load"]
        values = scenario.measure(Run(live=live, target=target, ground=own.ground, options=options))
    assert (values["first_byte_trips"] or 0) >= 1


@pytest.mark.parametrize("kind", ["full", "resumed"])
def test_handshakes_are_resumed_where_they_should_be(
    live: LivePeer, ground: Ground, target: Target, kind: Literal["full", "resumed"]
) -> None:
    scenario = Handshakes(kind=kind)
    assert scenario.suits(live)
    values = scenario.measure(Run(live=live, target=target, ground=ground, options=Options(seconds=1)))
    assert values["resumed"] == (100 if kind == "resumed" else 0)
    assert (values["front_microseconds"] or 0) > 0


def test_idle_tunnels_have_a_price(peer: Peer, live: LivePeer, ground: Ground, target: Target) -> None:
    options = Options(rounds=1)
    bench = Bench(ground=ground, target=target, peers=[peer], live=[live], options=options, watch=Silent())
    result = bench.run(Idle(tunnels=50))
    # That the client was the bottleneck while it opened is true on some machines, and no fault.
    assert not [remark for remark in result.remarks if "failed" in remark]
    assert 0 < result.figures[live.name]["kib_per_tunnel"].median < 1000
