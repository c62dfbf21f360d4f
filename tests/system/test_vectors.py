"""The HTTP vectors over real TLS: what the relay answers itself, and what a target behind an agent gets to see.

The hosts below have as many characters as the one in the vectors, so that not a byte but the name changes.
"""

import re
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from tests.support import vectors
from tests.support.byte_target import ByteTarget, Seen
from tests.support.deployment import Deployment
from tests.support.https import Answer, ClosedError, Connection, MalformedAnswerError
from tests.support.processes import run
from tests.support.site import Target
from tests.support.step_target import Exchange, StepTarget
from tests.support.vectors import HOST, Expected, Vector

pytestmark = pytest.mark.system

ORG = "acm"
NAMES = {"preview": "preview.test", "api": "api-direct.served.test"}
FINAL = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfinal"
ENDPOINTS = ("a", "b", "c", "e")  # a target of its own for each worker, so that what arrives is known by its vector


@pytest.fixture(scope="module")
def relay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    folder = tmp_path_factory.mktemp("vectors")
    with Deployment(folder, names=NAMES, domains=("localhost", "test"), org=ORG) as deployment:
        deployment.init()
        deployment.start_relay()
        deployment.start_agent()
        yield deployment


def host_of(endpoint: str) -> str:
    host = f"{endpoint}--d--{ORG}.{NAMES['preview']}"
    assert len(host) == len(HOST)
    return host


def with_host(data: bytes, host: str) -> bytes:
    """The bytes with another host, in upper case where it stands so."""

    def replaced(found: re.Match[bytes]) -> bytes:
        return host.encode() if found[0].islower() else host.upper().encode()

    return re.sub(re.escape(HOST), replaced, data, flags=re.IGNORECASE)


@dataclass(slots=True)
class Outcome:
    """What became of one vector."""

    vector: Vector
    answers: list[Answer]
    seen: list[Seen]
    closed: bool


def play(relay: Deployment, vector: Vector, host: str) -> tuple[list[Answer], bool]:
    """Sends a vector and reads as many answers as it deserves; says whether the relay then closed."""
    answers: list[Answer] = []
    with relay.connect(host) as connection:
        connection.send(with_host(vector.data, host))
        for expected in vector.accepted:
            answers.append(connection.read_answer(expected.method.decode()))
            if answers[-1].header("connection") == "close":
                break
        if vector.reject is None:
            return answers, False
        answers.append(connection.read_answer())
        return answers, connection.receive_all() == b""


def served(expected: Expected) -> bool:
    """Whether the request is for the preview; the others are refused with their own answers, for their host."""
    return expected.host.encode() == HOST and expected.method != b"CONNECT"


def fault_of(outcome: Outcome, host: str) -> str | None:
    """What is wrong with an outcome; None if nothing is."""
    vector, answers = outcome.vector, outcome.answers
    wanted = [expected for expected in vector.accepted if served(expected)]
    if [request_of(seen) for seen in outcome.seen] != [
        (expected.method, expected.target, host, with_host(expected.body, host)) for expected in wanted
    ]:
        return f"the target saw {outcome.seen}"
    statuses = [answer.status for answer in answers]
    for expected, status in zip(vector.accepted, statuses, strict=False):
        if (status == 200) != served(expected):
            return f"answers {statuses}"
    if vector.reject is not None and (statuses[-1] != 400 or not outcome.closed):
        return f"not refused and closed: {statuses}"
    return None


def request_of(seen: Seen) -> tuple[bytes, bytes, str, bytes]:
    hosts = seen.values(b"host")
    host = hosts[0].decode().lower().partition(":")[0] if len(hosts) == 1 else repr(hosts)
    return seen.method, seen.target, host, seen.body


def test_no_vector_smuggles_anything_to_a_target_behind_an_agent(relay: Deployment) -> None:
    known = vectors.visitor_vectors()
    assert len(known) >= 400
    waiting = iter(known)
    lock = threading.Lock()
    faults: list[str] = []
    refused: Counter[str] = Counter()

    def work(endpoint: str, target: ByteTarget) -> int:
        count = 0
        while True:
            with lock:
                vector = next(waiting, None)
            if vector is None:
                return count
            count += 1
            fault = _judge(relay, vector, host_of(endpoint), target)
            with lock:
                refused[vector.reject or ""] += 1
                faults.extend([f"{vector.name}: {fault}"] if fault is not None else [])

    targets = [ByteTarget() for _ in ENDPOINTS]
    for target in targets:
        target.__enter__()
    try:
        endpoints = dict(zip(ENDPOINTS, targets, strict=True))
        relay.apply("d", **{name: _public(target.port) for name, target in endpoints.items()})
        with ThreadPoolExecutor(len(ENDPOINTS)) as pool:
            counts = list(pool.map(work, endpoints, endpoints.values()))
        late = [seen for target in targets for seen in target.take()]
    finally:
        for target in targets:
            target.__exit__(None, None, None)
    assert sum(counts) == len(known)
    assert not faults, "\n".join(faults)
    assert late == []
    del refused[""]
    assert _refused_heads(relay) == refused


def _judge(relay: Deployment, vector: Vector, host: str, target: ByteTarget) -> str | None:
    try:
        answers, closed = play(relay, vector, host)
    except (ClosedError, MalformedAnswerError, OSError) as error:
        return f"{type(error).__name__}: {error}; the target saw {target.take()}"
    return fault_of(Outcome(vector, answers, target.take(), closed), host)


def _public(port: int) -> Target:
    return {"target": f"http://127.0.0.1:{port}", "visibility": "public", "hostHeader": "visitor"}


def _refused_heads(relay: Deployment) -> Counter[str]:
    text = run("curl", "--silent", "--fail", f"http://127.0.0.1:{relay.metrics_port}/metrics").stdout
    found = re.findall(r'^signadot_refused_heads_total\{reason="([^"]+)"\} ([0-9]+)', text, re.MULTILINE)
    return Counter({reason: int(count) for reason, count in found})


def test_the_relay_itself_answers_no_vector_that_is_refused(relay: Deployment) -> None:
    host = NAMES["api"]
    assert len(host) == len(HOST)
    faults = []
    for vector in vectors.visitor_vectors():
        try:
            answers, closed = play(relay, vector, host)
        except (ClosedError, MalformedAnswerError) as error:
            faults.append(f"{vector.name}: {error}")
            continue
        statuses = [answer.status for answer in answers]
        own = statuses[: len(vector.accepted)]
        if any(status >= 500 for status in statuses) or any(status < 401 for status in own):
            faults.append(f"{vector.name}: {statuses}")
        if vector.reject is not None and not (statuses[-1] == 400 and closed):
            faults.append(f"{vector.name}: not refused and closed: {statuses}")
    assert not faults, "\n".join(faults)


def test_answers_of_targets_are_read_as_strictly(relay: Deployment) -> None:
    known = vectors.response_vectors()
    assert len(known) >= 50
    faults = []
    with StepTarget() as target:
        relay.apply("d", a=_public(target.port))
        for vector in known:
            fault = _judge_response(relay, vector, target)
            if fault is not None:
                faults.append(f"{vector.name}: {fault}")
    assert not faults, "\n".join(faults)


def _judge_response(relay: Deployment, vector: vectors.ResponseVector, target: StepTarget) -> str | None:
    host = host_of("a")
    request = f"{vector.method.decode()} / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
    with relay.connect(host) as connection:
        connection.send(request)
        exchange = target.accept()
        exchange.read_head()
        exchange.send(vector.data)
        if is_interim(vector):
            exchange.send(FINAL)
        elif not vector.reusable:
            exchange.finish()
        try:
            answer = connection.read_answer(vector.method.decode())
            cut = connection.truncated
        except TimeoutError:
            return "a hang"
        except (ClosedError, MalformedAnswerError):
            return None if vector.reject is not None else "the answer broke off"
        if is_interim(vector):
            return None if (answer.status, answer.body) == (200, b"final") else f"not passed: {answer}"
        if vector.reject is not None or vector.status == 101:  # which nobody asked for
            return None if answer.status == 502 or cut else f"passed on: {answer}"
        if (answer.status, answer.body) != (vector.status, vector.body):
            return f"passed on as {answer.status} {answer.body!r}"
        return _judge_reuse(connection, request, exchange, target) if vector.reusable else None


def is_interim(vector: vectors.ResponseVector) -> bool:
    """Whether a final answer must follow (RFC 9110 15.2)."""
    return vector.status is not None and 100 <= vector.status < 200 and vector.status != 101


def _judge_reuse(connection: Connection, request: bytes, exchange: Exchange, target: StepTarget) -> str | None:
    """A further request on the visitor's connection must come on the same stream."""
    before = target.connections
    connection.send(request.replace(b"HEAD", b"GET"))
    exchange.read_head()
    exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nagain")
    answer = connection.read_answer()
    return None if answer.body == b"again" and target.connections == before else f"reused as {answer}"
