"""Many requests at once, each with a body of its own."""

import random
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from tests.support.site import preview
from tests.system.conftest import Demo

pytestmark = pytest.mark.system

PARALLEL = 200
HOST = preview("web", "hello")


def test_200_parallel_requests_are_not_mixed_up(demo: Demo) -> None:
    ready = Barrier(PARALLEL)

    def exchange(number: int) -> bool:
        body = random.Random(number).randbytes(1 + number * 613)
        with demo.connect(HOST) as connection:
            ready.wait(60)
            headers = [demo.key_header, ("x-number", str(number))]
            answer = connection.request("POST", "/echo", demo.authority(HOST), headers=headers, body=body)
            shown = connection.request("GET", f"/headers?{number}", demo.authority(HOST), headers=headers)
        return (
            answer.body == body
            and shown.json()["target"] == f"/headers?{number}"
            and ["x-number", str(number)] in shown.json()["headers"]
        )

    with ThreadPoolExecutor(PARALLEL) as pool:
        assert list(pool.map(exchange, range(PARALLEL))) == [True] * PARALLEL


def test_pipelined_requests_are_answered_in_order(demo: Demo) -> None:
    head = "GET /headers?{} HTTP/1.1\r\nHost: {}\r\nsignadot-api-key: {}\r\n\r\n"
    with demo.connect(HOST) as connection:
        connection.send("".join(head.format(number, HOST, demo.api_key) for number in range(50)).encode())
        targets = [connection.read_answer().json()["target"] for _ in range(50)]
    assert targets == [f"/headers?{number}" for number in range(50)]
