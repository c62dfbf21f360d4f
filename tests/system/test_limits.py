"""Whoever is slow meets a limit on idleness and an answer, never a hang."""

from collections.abc import Iterator

import pytest

from tests.support.deployment import Deployment
from tests.support.site import API, PROXY, SampleApp, preview
from tests.support.step_target import StepTarget

pytestmark = pytest.mark.system

LIMITS = {
    "RESPONSE_HEAD_SECONDS": "1",
    "HEAD_SECONDS": "1",
    "BODY_IDLE_SECONDS": "1",
    "KEEP_ALIVE_IDLE_SECONDS": "1",
    "RESPONSE_IDLE_SECONDS": "1",
    "UPGRADED_IDLE_SECONDS": "1",
    "REQUESTS_PER_CLUSTER": "2",
}


@pytest.fixture(scope="module")
def relay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    with Deployment(tmp_path_factory.mktemp("limits")) as deployment:
        deployment.init()
        environment = {f"SIGNADOT_RELAY__LIMITS__{name}": value for name, value in LIMITS.items()}
        deployment.start_relay(environment=environment)
        deployment.start_agent()
        yield deployment


def begin(relay: Deployment, host: str, rest: str = "\r\n", method: str = "GET") -> bytes:
    return f"{method} / HTTP/1.1\r\nHost: {host}\r\nsignadot-api-key: {relay.api_key}\r\n{rest}".encode()


def test_a_silent_target_is_a_504(relay: Deployment) -> None:
    with StepTarget() as target:
        relay.apply("silent", web=target.port)
        answer = relay.ask(preview("web", "silent"))
        assert (answer.status, answer.json()["code"]) == (504, "target_timeout")


def test_a_target_that_stops_within_its_answer_breaks_the_connection_off(relay: Deployment) -> None:
    host = preview("web", "half")
    with StepTarget() as target, relay.connect(host) as visitor:
        relay.apply("half", web=target.port)
        visitor.send(begin(relay, host))
        exchange = target.accept()
        exchange.read_head()
        exchange.send(b"HTTP/1.0 200 OK\r\n\r\nhalf of the answer")
        assert visitor.read_head()[0] == 200
        visitor.receive_all()
        assert visitor.truncated


def test_a_head_that_trickles_is_a_408(relay: Deployment) -> None:
    with relay.connect(API) as visitor:
        visitor.send(b"GET / HTTP/1.1\r\nHost: ")
        answer = visitor.read_answer()
        assert (answer.status, answer.json()["code"]) == (408, "request_timeout")
        assert visitor.receive_all() == b""


def test_a_body_that_stops_is_a_408_and_felt_at_the_target(relay: Deployment) -> None:
    host = preview("web", "upload")
    with StepTarget() as target, relay.connect(host) as visitor:
        relay.apply("upload", web=target.port)
        visitor.send(begin(relay, host, "Content-Length: 10\r\n\r\nhalf-", "POST"))
        exchange = target.accept()
        exchange.read_head()
        assert visitor.read_answer().status == 408
        try:
            seen = b"".join(iter(exchange.receive, b""))
        except ConnectionResetError:
            seen = b"half-"  # a reset may overtake what was sent before
        assert seen == b"half-"


def test_an_idle_connection_is_closed_without_a_word(relay: Deployment) -> None:
    with relay.connect(API) as visitor:
        assert visitor.request("GET", "/api/v2/openapi.json", relay.authority(API)).status == 200
        assert visitor.receive_all() == b""
        assert not visitor.truncated


def test_an_idle_raw_connection_ends(relay: Deployment) -> None:
    with StepTarget() as target, relay.connect(PROXY) as visitor:
        visitor.send(relay.tunnel_request(f"127.0.0.1:{target.port}"))
        target.accept()
        assert visitor.read_head()[0] == 200
        assert visitor.receive_all() == b""
        assert visitor.truncated


def test_more_requests_in_flight_than_a_cluster_may_have_are_a_503(relay: Deployment, sample: SampleApp) -> None:
    host = preview("web", "busy")
    with StepTarget() as target, relay.connect(host) as first, relay.connect(host) as second:
        relay.apply("busy", web=target.port, other=sample.port)
        for visitor in (first, second):
            visitor.send(begin(relay, host))
            target.accept().read_head()
        refused = relay.ask(preview("other", "busy"), "/headers")
        assert (refused.status, refused.json()["code"]) == (503, "overloaded")
        assert refused.header("retry-after") is not None
    # The two left: their places are free as soon as the relay has noticed, at the latest with their deadline.
    asked = (relay.ask(preview("other", "busy"), "/headers").status for _ in range(5000))
    assert 200 in asked
