"""The same requests over every way from an agent to the relay: TLS or WebSocket, straight or by a forward proxy."""

import hashlib
import os
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager

import pytest
import trio

from tests.support.deployment import Deployment
from tests.support.forward_proxy import ForwardProxyServer, serve_forward_proxy
from tests.support.memory import MIB
from tests.support.site import PROXY, SampleApp, preview
from tests.support.step_target import StepTarget

pytestmark = pytest.mark.system

HIDDEN_NAME = "tunnel.relay.test"


class RunningProxy(AbstractContextManager["RunningProxy"]):
    """The forward proxy in a thread with a trio loop of its own."""

    def __init__(self) -> None:
        self.server = ForwardProxyServer(addresses={HIDDEN_NAME: "127.0.0.1"})
        self._started = threading.Event()
        self._scope = trio.CancelScope()
        self._thread = threading.Thread(target=trio.run, args=(self._main,))
        self._thread.start()
        self._started.wait()

    def __exit__(self, *_error: object) -> None:
        self._token.run_sync_soon(self._scope.cancel)
        self._thread.join()

    async def _main(self) -> None:
        self._token = trio.lowlevel.current_trio_token()
        async with trio.open_nursery() as nursery:
            self._scope = nursery.cancel_scope
            await nursery.start(serve_forward_proxy, self.server)
            self._started.set()


@pytest.fixture(scope="module", params=["straight", "forward-proxy"])
def relay(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """A relay whose name the agent can resolve, or one whose name only the forward proxy can."""
    names = {} if request.param == "straight" else {"tunnel": HIDDEN_NAME}
    folder = tmp_path_factory.mktemp("transports")
    with Deployment(folder, names=names, domains=("localhost", "test")) as deployment:
        deployment.init()
        deployment.start_relay()
        yield deployment


def check_requests(relay: Deployment, sample: SampleApp, cluster: str) -> None:
    """A small, a large and a streamed request, and a raw connection."""
    relay.apply(cluster, cluster, web=sample.port)
    host = preview("web", cluster)
    answer = relay.ask(host, "/headers", headers=(("x-question", "1"),))
    assert answer.status == 200
    assert ["x-question", "1"] in answer.json()["headers"]
    body = os.urandom(4 * MIB)
    assert relay.ask(host, "/echo", method="POST", body=body).body == body
    assert relay.ask(host, "/sha256", method="POST", body=body).json()["sha256"] == hashlib.sha256(body).hexdigest()
    assert len(relay.ask(host, f"/bytes?n={4 * MIB}").body) == 4 * MIB
    check_raw(relay, cluster)


def check_raw(relay: Deployment, cluster: str) -> None:
    with StepTarget() as target, relay.connect(PROXY) as visitor:
        visitor.send(relay.tunnel_request(f"127.0.0.1:{target.port}", cluster=cluster))
        exchange = target.accept()
        assert visitor.read_head()[0] == 200
        visitor.send(b"question")
        visitor.finish()
        assert b"".join(iter(exchange.receive, b"")) == b"question"
        exchange.send(b"answer")
        exchange.finish()
        assert visitor.receive_all() == b"answer"


@pytest.mark.parametrize("transport", ["tls", "websocket"])
def test_the_same_requests_pass(relay: Deployment, sample: SampleApp, transport: str) -> None:
    with RunningProxy() as proxy:
        environment = {"HTTPS_PROXY": proxy.server.url}  # not used for names of this machine
        agent = relay.start_agent("--transport", transport, cluster=transport, environment=environment)
        check_requests(relay, sample, transport)
        assert agent.stop() == 0
        hidden = relay.host_names["tunnel"] == HIDDEN_NAME
        assert proxy.server.asked == ([f"{HIDDEN_NAME}:{relay.port}"] if hidden else [])
