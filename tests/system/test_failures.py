"""kill -9 and SIGTERM: who notices what, and that nothing acknowledged is lost."""

import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.deployment import Deployment, wait_tunnel
from tests.support.https import Answer, ClosedError
from tests.support.processes import Running, run
from tests.support.site import API, SampleApp, Target, preview
from tests.support.step_target import StepTarget
from tests.system.conftest import Record

pytestmark = pytest.mark.system

HOST = preview("web", "shop")
NOTICED_SECONDS = 5.0
"""A process that is killed closes its sockets, so its end is known at once; the rest is room for a loaded machine."""
BACK_SECONDS = 15.0
"""Pauses between attempts begin below 0.5 s and double; a relay needs a second or two to start."""


@pytest.fixture
def relay(tmp_path: Path, sample: SampleApp) -> Iterator[Deployment]:
    with Deployment(tmp_path) as deployment:
        deployment.init()
        yield deployment


def start(relay: Deployment, **targets: Target) -> tuple[Running, Running]:
    """Relay, agent and a workspace `shop`."""
    process = relay.start_relay()
    agent = relay.start_agent()
    relay.apply("shop", **targets)
    return process, agent


def ask_in_thread(relay: Deployment, host: str) -> tuple[threading.Thread, list[Answer | Exception]]:
    """A request under way; its answer, or what happened instead, is in the list when the thread has ended."""
    results: list[Answer | Exception] = []

    def ask() -> None:
        try:
            results.append(relay.ask(host))
        except (ClosedError, OSError) as error:
            results.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    return thread, results


def test_a_killed_agent_is_answered_for_and_comes_back(
    relay: Deployment, sample: SampleApp, record_property: Record
) -> None:
    with StepTarget() as target:
        _, agent = start(relay, web=sample.port, silent=target.port)
        assert relay.ask(HOST, "/headers").status == 200
        thread, results = ask_in_thread(relay, preview("silent", "shop"))
        target.accept().read_head()

        killed = time.monotonic()
        agent.kill()
        thread.join()
        noticed = time.monotonic() - killed
    answer = results[0]
    assert isinstance(answer, Answer), answer
    assert answer.status in {502, 503}  # 503 where the request was tried again and no other tunnel was there
    assert noticed < NOTICED_SECONDS

    offline = relay.ask(HOST, "/headers")
    assert (offline.status, offline.json()["code"]) == (503, "cluster_offline")
    assert offline.header("retry-after") is not None
    assert "staging" in offline.json()["error"]
    assert "since" in offline.json()["error"]

    relay.start_agent()
    assert relay.ask(HOST, "/headers").status == 200
    record_property("agent_killed_noticed_seconds", round(noticed, 3))


def test_an_agent_outlives_a_killed_relay_and_nothing_acknowledged_is_lost(
    relay: Deployment, sample: SampleApp, record_property: Record
) -> None:
    process, agent = start(relay, web=sample.port)
    acknowledged: list[str] = []
    enough = threading.Event()

    def write() -> None:
        for number in range(100_000):
            try:
                relay.apply(f"w{number}", web=sample.port)
            except (ClosedError, OSError):
                return
            acknowledged.append(f"w{number}")
            if number == 20:
                enough.set()

    writer = threading.Thread(target=write)
    writer.start()
    assert enough.wait(30)
    mark = agent.mark()
    process.kill()
    writer.join()
    killed = time.monotonic()
    relay.start_relay()
    wait_tunnel(agent, after=mark)
    back = time.monotonic() - killed
    assert back < BACK_SECONDS
    record_property("back_after_relay_killed_seconds", round(back, 3))
    record_property("acknowledged_writes", len(acknowledged))

    stored = {relay.api("GET", f"/workspaces/{name}")["name"] for name in acknowledged}
    assert stored == set(acknowledged)
    assert relay.ask(HOST, "/headers").status == 200
    assert relay.ask(preview("web", acknowledged[-1]), "/headers").status == 200


def test_a_visitor_meets_no_hang_when_the_relay_is_killed(relay: Deployment) -> None:
    with StepTarget() as target:
        process, _ = start(relay, web=target.port)
        thread, results = ask_in_thread(relay, HOST)
        target.accept().read_head()
        process.kill()
        thread.join()
    assert isinstance(results[0], Exception)


def test_a_stopping_relay_lets_requests_under_way_finish(relay: Deployment) -> None:
    with StepTarget() as target:
        process, agent = start(relay, web=target.port)
        thread, results = ask_in_thread(relay, HOST)
        exchange = target.accept()
        exchange.read_head()
        with relay.connect(API) as idle:
            idle.request("GET", "/api/v2/openapi.json", relay.authority(API))
            mark = agent.mark()
            process.signal(signal.SIGTERM)
            process.wait_for_line(r'"event": "stopping"')
            assert "draining" in run("curl", "--silent", f"http://127.0.0.1:{relay.metrics_port}/readyz").stdout
            assert idle.receive_all() == b""  # an idle connection closes now
            with pytest.raises(OSError, match="refused"):
                relay.connect(API).close()
        agent.wait_for_line(r'"event": "will log in again"', after=mark)
        exchange.send(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n")
        exchange.send(b"done")
        thread.join()
        assert process.wait() == 0
    answer = results[0]
    assert isinstance(answer, Answer), answer
    assert (answer.status, answer.body) == (200, b"done")


def test_a_stopping_agent_lets_requests_under_way_finish(relay: Deployment) -> None:
    with StepTarget() as target:
        _, agent = start(relay, web=target.port)
        thread, results = ask_in_thread(relay, HOST)
        exchange = target.accept()
        exchange.read_head()
        agent.signal(signal.SIGTERM)
        agent.wait_for_line("drain|stopping")
        exchange.send(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ndone")
        thread.join()
        assert agent.wait() == 0
        answer = results[0]
        assert isinstance(answer, Answer), answer
        assert (answer.status, answer.body) == (200, b"done")
        assert relay.ask(HOST).status == 503


def test_an_idle_visitor_does_not_hold_up_a_stopping_agent(relay: Deployment, sample: SampleApp) -> None:
    _, agent = start(relay, web=sample.port)
    with relay.connect(HOST) as idle:
        headers = [relay.key_header]
        assert idle.request("GET", "/headers", relay.authority(HOST), headers=headers).status == 200
        started = time.monotonic()
        assert agent.stop() == 0  # though the stream of that visitor is kept for its next request
        assert time.monotonic() - started < NOTICED_SECONDS
        assert idle.request("GET", "/headers", relay.authority(HOST), headers=headers).status == 503


def test_no_request_fails_while_a_second_agent_takes_over(relay: Deployment, sample: SampleApp) -> None:
    token, _ = (start(relay, web=sample.port), relay.add_cluster("staging"))[1]
    first = relay.start_agent(token=token)
    statuses: list[int] = []
    over = threading.Event()

    def visit() -> None:
        with relay.connect(HOST) as connection:
            while not over.is_set():
                headers = [relay.key_header]
                statuses.append(connection.request("GET", "/headers", relay.authority(HOST), headers=headers).status)

    visitor = threading.Thread(target=visit)
    visitor.start()
    try:
        second = relay.start_agent(token=token)
        assert first.stop() == 0
        third = relay.start_agent(token=token)
        assert second.stop() == 0
    finally:
        over.set()
        visitor.join()
    assert third.returncode is None
    assert statuses
    assert set(statuses) == {200}
