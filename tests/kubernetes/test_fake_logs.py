"""Claims about logs of the fake's containers."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.kubernetes.asking import HOST, Api
from tests.support.fake_kubernetes import FakeKubernetes
from tests.support.https import Connection, request_bytes

TWO_CONTAINERS = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "two"},
    "spec": {"containers": [{"name": "a", "image": "acme/a:1"}, {"name": "b", "image": "acme/b:1"}]},
}


@pytest.fixture
def pod(fake: FakeKubernetes) -> str:
    fake.add_deployment("web")
    return str(fake.pods_of("web")[0]["metadata"]["name"])


def ask(fake: FakeKubernetes, pod: str, **query: Any) -> bytes:
    answer = Api(fake, fake.admin_token, "default").ask("GET", f"/api/v1/namespaces/default/pods/{pod}/log", **query)
    assert answer.status == 200, answer.body
    return answer.body


@contextmanager
def follower(fake: FakeKubernetes, pod: str, query: str = "follow=true") -> Iterator[Connection]:
    """A connection on which a followed log arrives, the head already read."""
    target = f"/api/v1/namespaces/default/pods/{pod}/log?{query}"
    headers = [("Authorization", f"Bearer {fake.admin_token}")]
    with Connection(fake.port, server_name=HOST, ca_file=fake.ca_file) as connection:
        connection.send(request_bytes("GET", target, HOST, headers=headers))
        status, told = connection.read_head()
        assert (status, dict(told)["transfer-encoding"]) == (200, "chunked")
        yield connection


def parts(connection: Connection) -> Iterator[bytes]:
    return connection.body_parts("GET", 200, [("transfer-encoding", "chunked")])


def test_a_log_is_what_was_written(fake: FakeKubernetes, pod: str) -> None:
    fake.log(pod, "one", "two\n", b"bytes \xff without an end")
    assert ask(fake, pod) == b"one\ntwo\nbytes \xff without an end"


def test_a_log_is_cut_by_lines_by_time_and_by_bytes(fake: FakeKubernetes, pod: str) -> None:
    fake.log(pod, "old", at=1_000_000.0)
    fake.log(pod, "new", "newest")
    assert ask(fake, pod, tail_lines=1) == b"newest\n"
    assert ask(fake, pod, tail_lines=0) == b""
    assert ask(fake, pod, since_seconds=3600) == b"new\nnewest\n"
    assert ask(fake, pod, since_time="1970-01-12T13:46:40Z") == b"old\nnew\nnewest\n"
    assert ask(fake, pod, since_time="1970-01-12T13:46:41Z") == b"new\nnewest\n"
    assert ask(fake, pod, limit_bytes=5) == b"old\nn"


def test_times_stand_before_lines(fake: FakeKubernetes, pod: str) -> None:
    fake.log(pod, "one", at=1_000_000.5)
    assert ask(fake, pod, timestamps="true") == b"1970-01-12T13:46:40.500000000Z one\n"


def test_a_follower_gets_what_is_there_and_what_comes(fake: FakeKubernetes, pod: str) -> None:
    fake.log(pod, "before")
    with follower(fake, pod) as connection:
        arriving = parts(connection)
        assert next(arriving) == b"before\n"
        fake.log(pod, "after")
        assert next(arriving) == b"after\n"
        fake.delete("Pod", pod)
        assert list(arriving) == []


def test_a_follower_is_done_when_its_container_ends(fake: FakeKubernetes, pod: str) -> None:
    with follower(fake, pod) as connection:
        fake.wait_for_open_calls(1, path="/log")
        fake.log(pod, "last words")
        fake.crash(pod, "web")
        assert b"".join(parts(connection)) == b"last words\n"
    assert ask(fake, pod) == b""
    assert fake.get("Pod", pod)["status"]["containerStatuses"][0]["restartCount"] == 1


def test_a_follower_that_leaves_is_noticed(fake: FakeKubernetes, pod: str) -> None:
    with follower(fake, pod):
        fake.wait_for_open_calls(1, path="/log")
    fake.wait_for_open_calls(0, path="/log")


def test_a_follower_that_does_not_read_holds_up_nobody(fake: FakeKubernetes, pod: str) -> None:
    line = b"x" * (1 << 16) + b"\n"
    with follower(fake, pod) as slow:
        for _ in range(400):  # more than all buffers on the way, and more than is kept
            fake.log(pod, line)
        fake.log(pod, "the end")
        assert ask(fake, pod, tail_lines=1) == b"the end\n"
        received = parts(slow)
        while not next(received).endswith(b"the end\n"):
            pass


@pytest.mark.parametrize(
    ("query", "message"),
    [
        pytest.param({}, "a container name must be specified for pod two, choose one of: [a b]", id="none"),
        pytest.param({"container": "c"}, "container c is not valid for pod two", id="unknown"),
        pytest.param(
            {"container": "a", "previous": "true"},
            'previous terminated container "a" in pod "two" not found',
            id="previous",
        ),
    ],
)
def test_a_container_has_to_be_there(fake: FakeKubernetes, query: dict[str, Any], message: str) -> None:
    fake.create(TWO_CONTAINERS)
    answer = Api(fake, fake.admin_token, "default").ask("GET", "/api/v1/namespaces/default/pods/two/log", **query)
    assert answer.status == 400
    assert answer.json()["message"] == message


def test_containers_have_logs_of_their_own(fake: FakeKubernetes) -> None:
    fake.create(TWO_CONTAINERS)
    fake.log("two", "from a", container="a")
    fake.log("two", "from b", container="b")
    assert ask(fake, "two", container="b") == b"from b\n"


def test_a_container_that_waits_has_no_log(fake: FakeKubernetes) -> None:
    fake.break_image("acme/web:1")
    fake.add_deployment("web")
    pod = fake.pods_of("web")[0]["metadata"]["name"]
    answer = Api(fake, fake.admin_token, "default").ask("GET", f"/api/v1/namespaces/default/pods/{pod}/log")
    assert answer.status == 400
    told = f'container "web" in pod "{pod}" is waiting to start: trying and failing to pull image'
    assert answer.json()["message"] == told
