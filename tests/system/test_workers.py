"""Several relay processes on one port: agents at each, crashes, replacement and drain under load."""

import contextlib
import json
import os
import re
import signal
import threading
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from tests.support.deployment import Deployment
from tests.support.https import Answer, ClosedError
from tests.support.load import Load, Visits
from tests.support.processes import Running
from tests.support.site import SampleApp, Site, preview
from tests.system.conftest import Record

pytestmark = pytest.mark.system

HOST = preview("web", "shop")


class Workers(Deployment):
    """A relay of two workers, an agent with a tunnel to each, and the workspace `shop`."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, settings={"listen": {"tunnels": "127.0.0.1:0"}})

    def start(self, port: int) -> None:
        self.init()
        self.relay = Running.module("relay", "serve", "--config", self.config, "--workers", "2")
        self._stack.callback(self.relay.close)
        line = json.loads(self.relay.wait_for_line(r'"event": "listening".*').string)
        self.port = int(line["public"].rpartition(":")[2])
        self.metrics_port = int(line["metrics"].rpartition(":")[2])
        self.agent = self.start_agent()
        self.wait_for_tunnels()
        self.apply("shop", web=port)

    def get(self, path: str) -> str:
        """What the operators' listener says."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics_port}{path}", timeout=20) as answer:
            return str(answer.read().decode())

    def figures(self, name: str) -> dict[str, float]:
        """The samples of a metric by their labels."""
        found = re.findall(rf"^{name}(\{{[^}}]*\}})? (\S+)$", self.get("/metrics"), re.MULTILINE)
        return {labels: float(value) for labels, value in found}

    def wait_for_tunnels(self) -> None:
        wait_until(lambda: list(self.figures("signadot_clusters_online").values()) == [1.0, 1.0])

    @property
    def pids(self) -> list[int]:
        """The workers' processes."""
        return [child.pid for child in psutil.Process(self.relay.pid).children()]


@pytest.fixture(scope="module")
def workers(tmp_path_factory: pytest.TempPathFactory, sample: SampleApp) -> Iterator[Workers]:
    """For all tests that do not end it."""
    with Workers(tmp_path_factory.mktemp("workers")) as workers:
        workers.start(sample.port)
        yield workers


@pytest.fixture
def own_workers(tmp_path: Path, sample: SampleApp) -> Iterator[Workers]:
    with Workers(tmp_path) as workers:
        workers.start(sample.port)
        yield workers


def wait_until(condition: Callable[[], bool], *, seconds: float = 30) -> None:
    """Asks again and again."""
    pause = threading.Event()
    for _ in range(int(seconds / 0.05)):
        if condition():
            return
        pause.wait(0.05)
    raise AssertionError("it did not come")


def newcomer(site: Site) -> Callable[[], int]:
    """GETs on a connection each."""
    return lambda: site.ask(HOST).status


class Background:
    """One request in a thread of its own."""

    def __init__(self, ask: Callable[[], Answer]) -> None:
        self.answer: Answer | None = None
        self._thread = threading.Thread(target=self._run, args=(ask,), daemon=True)
        self._thread.start()

    def _run(self, ask: Callable[[], Answer]) -> None:
        self.answer = ask()

    def wait(self) -> Answer:
        self._thread.join(60)
        assert self.answer is not None
        return self.answer


def test_requests_reach_the_cluster_through_every_worker(workers: Workers) -> None:
    site = Site.of(workers)
    statuses = Counter(site.ask(HOST).status for _ in range(200))
    assert statuses == {200: 200}
    # Counted by whichever worker had them, seen in one place; the kernel spreads 200 connections over both.
    assert workers.figures("signadot_requests_total")['{kind="preview",status="200"}'] >= 200
    assert set(workers.figures("signadot_tunnels")) == {'{worker="0"}', '{worker="1"}'}
    assert len(workers.pids) == 2
    assert workers.get("/readyz") == "ok\n"


def test_the_ports_for_agents_serve_no_visitors(workers: Workers) -> None:
    dialled = re.findall(r'"relay": "tunnel.localhost:([0-9]+)"', workers.agent.output)
    ports = {int(port) for port in dialled} - {workers.port}
    assert ports
    for port in ports:
        with pytest.raises((ClosedError, OSError)):
            replace(Site.of(workers), port=port).ask(HOST)
    assert workers.figures("signadot_refused_connections_total")['{reason="not_an_agent"}'] == len(ports)


def test_a_killed_worker_is_started_again_and_its_counts_stay(workers: Workers) -> None:
    site = Site.of(workers)
    assert Counter(site.ask(HOST).status for _ in range(20)) == {200: 20}
    assert sum(workers.figures("signadot_requests_total").values()) >= 20
    before = sum(workers.figures("signadot_requests_total").values())
    mark, old = workers.relay.mark(), workers.pids
    os.kill(old[0], signal.SIGKILL)
    workers.relay.wait_for_line(r'"event": "worker_ended"|worker_ended', after=mark)
    workers.relay.wait_for_line("worker_started", after=mark)
    workers.wait_for_tunnels()
    assert len(set(workers.pids) - set(old)) == 1
    assert Counter(site.ask(HOST).status for _ in range(20)) == {200: 20}
    assert sum(workers.figures("signadot_requests_total").values()) >= before + 20


def _replace(workers: Workers) -> None:
    mark = workers.relay.mark()
    os.kill(workers.relay.pid, signal.SIGHUP)
    workers.relay.wait_for_line("all_workers_replaced", after=mark, seconds=90)


def test_no_request_fails_while_the_workers_are_replaced(workers: Workers) -> None:
    site, old = Site.of(workers), workers.pids
    slow = [Background(lambda: site.ask(HOST, "/events?n=20&interval=0.1")) for _ in range(4)]
    with Load(*[Visits(site, HOST) for _ in range(3)], newcomer(site), newcomer(site)) as load:
        load.wait_for_more(50)
        _replace(workers)
        load.wait_for_more(50)
    assert load.statuses.keys() == {200}, load.problems
    assert [request.wait().body.count(b"data:") for request in slow] == [20] * 4
    assert not set(workers.pids) & set(old)
    workers.wait_for_tunnels()


@pytest.mark.soak
def test_ten_replacements_fail_no_request(workers: Workers, record_property: Record) -> None:
    site = Site.of(workers)
    with Load(*[Visits(site, HOST) for _ in range(4)], newcomer(site), newcomer(site)) as load:
        for _ in range(10):
            load.wait_for_more(100)
            _replace(workers)
        load.wait_for_more(100)
    record_property("requests while replaced ten times", sum(load.statuses.values()))
    assert load.statuses.keys() == {200}, load.problems


def test_nothing_is_lost_of_lines_that_several_processes_write(workers: Workers) -> None:
    accesses = [line for line in workers.relay.output.splitlines() if '"event": "access"' in line]
    assert len(accesses) > 200
    assert all(json.loads(line)["status"] for line in accesses)


def test_what_is_under_way_finishes_when_all_are_stopped(own_workers: Workers) -> None:
    site, relay, pids = Site.of(own_workers), own_workers.relay, own_workers.pids
    request = (
        f"GET /events?n=10&interval=0.1 HTTP/1.1\r\nHost: {site.authority(HOST)}\r\n"
        f"Signadot-Api-Key: {site.api_key}\r\n\r\n"
    )
    with contextlib.ExitStack() as stack:
        connections = [stack.enter_context(site.connect(HOST)) for _ in range(6)]
        for connection in connections:
            connection.send(request.encode())
            connection.read_head()
        relay.signal(signal.SIGTERM)
        bodies = [connection.receive_all() for connection in connections]
    assert [body.count(b"data:") for body in bodies] == [10] * 6
    assert relay.wait() == 0
    assert not any(psutil.pid_exists(pid) for pid in pids)


def test_workers_end_when_their_supervisor_is_killed(own_workers: Workers) -> None:
    pids = own_workers.pids
    os.kill(own_workers.relay.pid, signal.SIGKILL)
    wait_until(lambda: not any(psutil.pid_exists(pid) for pid in pids))


def test_a_configuration_that_is_not_good_replaces_nothing(workers: Workers) -> None:
    old, mark = workers.pids, workers.relay.mark()
    text = workers.config.read_text()
    workers.config.write_text(text + "[limits]\nhead_bytes = -1\n")
    try:
        os.kill(workers.relay.pid, signal.SIGHUP)
        line = workers.relay.wait_for_line("configuration_not_taken", after=mark).string
    finally:
        workers.config.write_text(text)
    assert "limits.head_bytes" in line
    assert workers.pids == old
    assert workers.get("/readyz") == "ok\n"


def test_a_port_in_use_is_one_clear_line(workers: Workers) -> None:
    text = workers.config.read_text()
    taken = re.sub(r'public = "[^"]*"', f'public = "127.0.0.1:{workers.port}"', text)
    config = workers.config.with_name("second.toml")
    config.write_text(taken)
    second = Running.module("relay", "serve", "--config", config, "--workers", "2")
    assert second.wait() == 2
    assert f"listen.public: cannot listen on 127.0.0.1:{workers.port}" in second.output
    assert "Traceback" not in second.output
