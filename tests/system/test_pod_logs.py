"""Logs of pods through real processes: a relay, an agent and the API server pass them on, and they stay nowhere."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from tests.support.deployment import Deployment
from tests.support.https import request_bytes
from tests.support.memory import MIB, MemoryWatch
from tests.support.planted import hits, planted
from tests.support.processes import run, run_module
from tests.support.with_cluster import SHOP, Cluster, running_cluster
from tests.system.conftest import Record

pytestmark = pytest.mark.system

LOGS = "/workspaces/shop/logs"
CONTAINERS = ("web", "proxy")
LOG_CALL = "/log"
SETTINGS = {"limits": {"api_requests_per_minute": 100_000}}
LINE_BYTES = 1000
LINES_EACH = 9 * MIB // LINE_BYTES
"""Of a container at once: the fake, as a kubelet, keeps no more than 10 MiB."""

MOST_GROWTH_MIB = 48
"""As for any stream: a window at one end, a send queue at the other."""


class Stage:
    """The workspace `shop`: a clone of `web`, and the two pods of `web` itself, each with two containers."""

    def __init__(self, relay: Deployment, cluster: Cluster) -> None:
        self.relay = relay
        self.cluster = cluster
        self.fake = cluster.fake
        containers = [
            {"name": name, "image": f"acme/{name}:1", "ports": [{"containerPort": cluster.port + number}]}
            for number, name in enumerate(CONTAINERS)
        ]
        spec = {"replicas": 2, "template": {"spec": {"containers": containers}}}
        self.fake.patch("Deployment", "web", {"spec": spec}, SHOP)
        relay.init()
        self.process = relay.start_relay()
        self.token, _ = relay.add_cluster(relay.cluster)
        self.agent = cluster.start_agent(relay, self.token, "--pod-logs")
        self._pod_logs = True
        endpoints = [
            {"name": "web", "target": f"fork://deployment/web:{cluster.port}"},
            {"name": "base", "target": f"http://web.shop.svc:{cluster.port}"},
        ]
        wish = {
            "cluster": relay.cluster,
            "images": [{"name": "acme/web", "newTag": "2"}],
            "endpoints": endpoints,
        }
        relay.api("PUT", "/workspaces/shop", {"spec": wish})
        cluster.wait(lambda: cluster.clones("Pod", "shop"), "the clone's pod")
        self.pods = sorted(pod["metadata"]["name"] for pod in self.fake.list("Pod", SHOP))
        assert len(self.pods) == 3
        self.places = [(pod, container) for pod in self.pods for container in CONTAINERS]

    def run_agent(self, *, pod_logs: bool) -> None:
        """Has an agent running that lets logs through, or one that does not."""
        if self.agent.returncode is not None or self._pod_logs != pod_logs:
            self.agent.close()
            self._pod_logs = pod_logs
            self.agent = self.cluster.start_agent(self.relay, self.token, *(["--pod-logs"] if pod_logs else []))

    def write(self, place: tuple[str, str], *lines: str) -> None:
        pod, container = place
        self.fake.log(pod, *lines, namespace=SHOP, container=container)

    def read(self, query: str = "", *, accept: str = "*/*") -> tuple[int, bytes]:
        """What is there now."""
        path = f"/api/v2/orgs/{self.relay.org}{LOGS}{query}"
        answer = self.relay.ask(self.relay.api_host, path, headers=(("accept", accept),))
        return answer.status, answer.body

    @contextmanager
    def following(self) -> Iterator[Iterator[bytes]]:
        """Parts of all logs from now on; who leaves the block hangs up."""
        host = self.relay.api_host
        with self.relay.connect(host, receive_buffer_bytes=65536) as connection:
            path = f"/api/v2/orgs/{self.relay.org}{LOGS}?follow=true&tailLines=0"
            connection.send(request_bytes("GET", path, self.relay.authority(host), headers=[self.relay.key_header]))
            status, headers = connection.read_head()
            assert status == 200
            yield connection.body_parts("GET", status, headers)

    def wait_for_open_logs(self, count: int) -> None:
        self.fake.wait_for_open_calls(count, path=LOG_CALL)

    def watches(self) -> int:
        """How many watches of pods are going on for logs: the controller's asks for no such label."""
        labels = [call.query.get("labelSelector", "") for call in self.fake.open_calls(verb="watch", path="/pods")]
        return sum("signadot.com/org=" in label or "app=web" in label for label in labels)

    def command(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        environment = {
            "SIGNADOT_ORG": self.relay.org,
            "SIGNADOT_API_KEY": self.relay.api_key,
            "SIGNADOT_API_URL": f"https://{self.relay.authority(self.relay.api_host)}",
            "SIGNADOT_CA_FILE": str(self.relay.ca_file),
        }
        return run_module("client.cli", *arguments, environment=environment)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("logs")
    with running_cluster(folder, pod_logs=True) as cluster, Deployment(folder, settings=SETTINGS) as relay:
        yield Stage(relay, cluster)


def lines_of(parts: Iterator[bytes]) -> Iterator[bytes]:
    """Lines of containers; what the relay says between them is left out."""
    rest = b""
    for part in parts:
        *whole, rest = (rest + part).split(b"\n")
        yield from (line for line in whole if not line.startswith(b"# "))


def shown(place: tuple[str, str], text: str) -> bytes:
    return f"{place[0]}/{place[1]} {text}".encode()


def test_three_pods_of_two_containers_are_followed_until_the_visitor_leaves(stage: Stage) -> None:
    stage.run_agent(pod_logs=True)
    texts = [str(number) for number in range(20)]
    with stage.following() as parts:
        stage.wait_for_open_logs(6)
        for text in texts:
            for place in stage.places:
                stage.write(place, text)
        lines = lines_of(parts)
        got = [next(lines) for _ in range(6 * len(texts))]
        for place in stage.places:
            assert [line for line in got if line.startswith(shown(place, ""))] == [shown(place, text) for text in texts]
        assert stage.watches() == 2
    stage.wait_for_open_logs(0)
    stage.fake.wait_for(lambda: stage.watches() == 0, "the end of the watches")


def test_a_followed_log_is_taken_up_where_its_connection_broke(stage: Stage) -> None:
    stage.run_agent(pod_logs=True)
    place = stage.places[0]
    with stage.following() as parts:
        stage.wait_for_open_logs(6)
        lines = (line for line in lines_of(parts) if line.startswith(shown(place, "")))
        for number in range(2):
            stage.write(place, f"{number} a", f"{number} b")
            assert [next(lines), next(lines)] == [shown(place, f"{number} a"), shown(place, f"{number} b")]
            stage.fake.close_connections()
            stage.write(place, f"{number} c")
            assert next(lines) == shown(place, f"{number} c")
    stage.wait_for_open_logs(0)


def test_planted_lines_are_found_in_no_file_and_no_output(stage: Stage) -> None:
    stage.run_agent(pod_logs=True)
    values = planted("line", 200)
    with stage.following() as parts:
        stage.wait_for_open_logs(6)
        for number, value in enumerate(values):
            stage.write(stage.places[number % 6], value)
        followed: set[bytes] = set()
        wanted = {shown(stage.places[number % 6], value) for number, value in enumerate(values)}
        for line in lines_of(parts):
            followed.add(line)
            if wanted <= followed:
                break
        stage.fake.close_connections()  # what the relay and the agent say of a broken stream counts as well
    _, text = stage.read()
    _, events = stage.read(accept="text/event-stream")
    command = stage.command("logs", "shop", "--tail", "100")
    for read in (text, events, command.stdout.encode()):
        assert len(hits(values, read, "")) == 200
    assert events.rstrip().endswith(b"event: end\ndata: {}")
    found = written(stage, values) + hits(values, command.stderr.encode(), "standard error of signadot")
    stage.process.kill()  # so that the WAL is left as it is
    stage.agent.kill()
    found += written(stage, values)
    for process in (stage.process, stage.agent):
        assert process.output
        found += hits(values, process.output.encode(), f"output of {process.name}")
    assert found == []
    stage.process = stage.relay.start_relay()


def written(stage: Stage, values: list[str]) -> list[str]:
    """Hits in the deployment's folder, in whatever else a process has open, and in the metrics of both."""
    files = {path for path in stage.relay.folder.rglob("*") if path.is_file()}
    assert any(path.name == "relay.db-wal" for path in files)
    found = []
    if stage.process.returncode is None:
        for pid in (stage.process.pid, stage.agent.pid):
            files |= {Path(open_file.path) for open_file in psutil.Process(pid).open_files()}
        health = stage.agent.wait_for_line(r'"health": "([^"]+)"')[1]
        for address in (f"127.0.0.1:{stage.relay.metrics_port}", health):
            metrics = run("curl", "--silent", "--fail", f"http://{address}/metrics").stdout
            assert "signadot_" in metrics
            found += hits(values, metrics.encode(), f"metrics of {address}")
    return found + [hit for path in files if path.exists() for hit in hits(values, path.read_bytes(), str(path))]


def test_logs_that_the_agent_withholds_are_a_403_that_names_the_charts_value(stage: Stage) -> None:
    stage.run_agent(pod_logs=False)
    status, body = stage.read()
    assert status == 403
    assert b"podLogs.enabled" in body
    refused = stage.command("logs", "shop")
    assert refused.returncode == 1
    assert "podLogs.enabled" in refused.stderr
    assert stage.fake.open_calls(path=LOG_CALL) == []


@pytest.mark.soak
def test_a_hundred_mebibytes_pass_through_bounded_memory(stage: Stage, record_property: Record) -> None:
    stage.run_agent(pod_logs=True)
    pids = {"relay": stage.process.pid, "agent": stage.agent.pid}
    peaks: dict[str, dict[str, float]] = {}
    received_bytes = 0

    @contextmanager
    def measured(name: str) -> Iterator[None]:
        with MemoryWatch([*pids.values()]) as watch:
            yield
        peaks[name] = {process: round(watch.peaks_mib[pid], 1) for process, pid in pids.items()}

    with stage.following() as parts:
        stage.wait_for_open_logs(6)
        lines = lines_of(parts)
        with measured("before"):
            stage.relay.api("GET", "/workspaces")
        for pace in ("slow", "fast"):
            for place in stage.places:
                stage.write(place, *[f"{pace} {number:0{LINE_BYTES - 6}d}" for number in range(LINES_EACH)])
            if pace == "slow":
                with measured("stalled"):
                    for _ in range(100):
                        stage.relay.api("GET", "/workspaces")
            numbers = {f"{pod}/{container}".encode(): 0 for pod, container in stage.places}
            with measured(pace):
                for count in range(6 * LINES_EACH):
                    place_shown, _, text = next(lines).partition(b" ")
                    assert int(text.removeprefix(f"{pace} ".encode())) == numbers[place_shown]
                    numbers[place_shown] += 1
                    received_bytes += len(text)
                    if pace == "slow" and count % 50 == 0:
                        stage.relay.api("GET", "/workspaces")  # takes its time, and is answered beside the logs
    stage.wait_for_open_logs(0)
    record_property("received_mib", round(received_bytes / MIB, 1))
    record_property("peaks_mib", peaks)
    assert received_bytes > 100 * MIB
    for name, sizes in peaks.items():
        for process, size in sizes.items():
            assert size - peaks["before"][process] < MOST_GROWTH_MIB, (name, peaks)
