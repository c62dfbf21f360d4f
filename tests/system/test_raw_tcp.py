"""Raw TCP through CONNECT on the proxy host."""

import hashlib
import os
import socket
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.memory import MIB
from tests.support.site import PROXY, preview
from tests.support.step_target import Exchange, StepTarget
from tests.system.conftest import Demo

pytestmark = pytest.mark.system


def test_both_halves_finish_by_themselves(demo: Demo) -> None:
    with StepTarget() as target, demo.connect(PROXY) as visitor:
        visitor.send(demo.tunnel_request(f"127.0.0.1:{target.port}"))
        exchange = target.accept()
        assert visitor.read_head()[0] == 200
        visitor.send(b"question")
        visitor.finish()
        question = b""
        while part := exchange.receive():
            question += part
        assert question == b"question"  # the target saw the end, and may still answer
        exchange.send(b"answer")
        exchange.finish()
        assert visitor.receive_all() == b"answer"
        assert not visitor.truncated


def test_the_target_may_finish_first(demo: Demo) -> None:
    with StepTarget() as target, demo.connect(PROXY) as visitor:
        visitor.send(demo.tunnel_request(f"127.0.0.1:{target.port}"))
        exchange = target.accept()
        assert visitor.read_head()[0] == 200
        exchange.send(b"greeting")
        exchange.finish()
        assert visitor.receive_all() == b"greeting"
        visitor.send(b"late")
        visitor.finish()
        late = b""
        while part := exchange.receive():
            late += part
        assert late == b"late"


def test_large_data_arrives_whole(demo: Demo) -> None:
    data = os.urandom(8 * MIB)
    with StepTarget() as target, demo.connect(PROXY) as visitor:
        visitor.send(demo.tunnel_request(f"127.0.0.1:{target.port}"))
        exchange = target.accept()
        assert visitor.read_head()[0] == 200
        with ThreadPoolExecutor() as pool:
            arrived = pool.submit(_digest, exchange)
            visitor.send(data)
            visitor.finish()
        exchange.finish()
        assert visitor.receive_all() == b""
    assert arrived.result() == hashlib.sha256(data).digest()


def _digest(exchange: Exchange) -> bytes:
    digest = hashlib.sha256()
    while part := exchange.receive():
        digest.update(part)
    return digest.digest()


def test_a_reset_target_never_looks_like_a_finish(demo: Demo) -> None:
    with StepTarget() as target, demo.connect(PROXY) as visitor:
        visitor.send(demo.tunnel_request(f"127.0.0.1:{target.port}"))
        exchange = target.accept()
        assert visitor.read_head()[0] == 200
        exchange.send(b"half of")
        assert visitor.receive_exactly(7) == b"half of"
        exchange.reset()
        assert visitor.receive_all() == b""
        assert visitor.truncated


@pytest.mark.parametrize(
    ("case", "status", "code"),
    [
        ("no key", 401, "unauthenticated"),
        ("unknown cluster", 404, "not_found"),
        ("refused", 502, "target_refused"),
        ("not allowed", 502, "target_not_allowed"),
        ("metadata", 502, "target_not_allowed"),
        ("wrong host", 421, "misdirected"),
    ],
)
def test_what_cannot_be_connected_is_answered(demo: Demo, case: str, status: int, code: str) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # bound and not listening: refuses
        authority = {"not allowed": "10.9.8.7:80", "metadata": "169.254.169.254:80"}.get(
            case, f"127.0.0.1:{closed.getsockname()[1]}"
        )
        host = preview("web", "hello") if case == "wrong host" else PROXY
        head = demo.tunnel_request(
            authority,
            cluster="nowhere" if case == "unknown cluster" else None,
            api_key="" if case == "no key" else None,
        )
        with demo.connect(host) as visitor:
            visitor.send(head)
            answer = visitor.read_answer()
    assert (answer.status, answer.json()["code"]) == (status, code)
    assert answer.json()["requestId"] == answer.header("x-request-id")
