import httpx2
import pytest
import trio

from client.health import HealthServer, open_health_listeners
from client.settings import Endpoint
from client.status import AgentStatus, LinkStatus, Metrics


class Served:
    def __init__(self, port: int, status: AgentStatus, metrics: Metrics) -> None:
        self.port = port
        self.status = status
        self.metrics = metrics

    async def get(self, path: str) -> httpx2.Response:
        async with httpx2.AsyncClient(trust_env=False) as client:
            return await client.get(f"http://127.0.0.1:{self.port}{path}")

    async def raw(self, request: bytes) -> bytes:
        async with await trio.open_tcp_stream("127.0.0.1", self.port) as stream:
            await stream.send_all(request)
            return b"".join([chunk async for chunk in stream])


@pytest.fixture
async def served(nursery: trio.Nursery) -> Served:
    status, metrics = AgentStatus(), Metrics("1.2.3")
    listeners = await open_health_listeners(Endpoint(host="127.0.0.1", port=0))
    nursery.start_soon(HealthServer(status, metrics).serve, listeners)
    return Served(listeners[0].socket.getsockname()[1], status, metrics)


async def test_live_says_yes_while_the_loop_runs(served: Served) -> None:
    answer = await served.get("/livez")
    assert (answer.status_code, answer.text) == (200, "ok\n")


async def test_ready_needs_a_tunnel(served: Served) -> None:
    answer = await served.get("/readyz")
    assert (answer.status_code, answer.text) == (503, "not ready\n")
    served.status.links["r:1"] = LinkStatus(address="r:1")
    answer = await served.get("/readyz")
    assert (answer.status_code, answer.text) == (503, "not ready\nr:1 connecting\n")
    served.status.links["r:1"] = LinkStatus(address="r:1", state="connected", live_tunnels=1)
    answer = await served.get("/readyz")
    assert (answer.status_code, answer.text) == (200, "ready\nr:1 connected\n")


async def test_ready_shows_why_the_relay_refuses(served: Served) -> None:
    served.status.links["r:1"] = LinkStatus(address="r:1", state="refused", problem="this token was revoked")
    answer = await served.get("/readyz")
    assert answer.status_code == 503
    assert "r:1 refused: this token was revoked\n" in answer.text


async def test_ready_shows_how_things_stand_with_kubernetes_and_does_not_depend_on_it(served: Served) -> None:
    served.status.links["r:1"] = LinkStatus(address="r:1", state="connected", live_tunnels=1)
    served.status.kubernetes = lambda: "kubernetes of unknown version: cannot reach the API server"
    answer = await served.get("/readyz")
    assert (answer.status_code, answer.text) == (
        200,
        "ready\nkubernetes of unknown version: cannot reach the API server\nr:1 connected\n",
    )


async def test_one_tunnel_of_several_is_enough_and_the_others_are_shown(served: Served) -> None:
    served.status.links["a:1"] = LinkStatus(address="a:1", state="connected", live_tunnels=1)
    served.status.links["b:1"] = LinkStatus(address="b:1", state="waiting", problem="refused the connection")
    answer = await served.get("/readyz")
    assert answer.status_code == 200
    assert "b:1 waiting: refused the connection" in answer.text


async def test_a_tunnel_that_still_takes_streams_is_ready_while_its_successor_is_refused(served: Served) -> None:
    served.status.links["a:1"] = LinkStatus(address="a:1", state="refused", problem="unknown token", live_tunnels=1)
    answer = await served.get("/readyz")
    assert (answer.status_code, answer.text) == (200, "ready\na:1 refused: unknown token\n")


async def test_a_token_file_that_cannot_be_used_is_shown(served: Served) -> None:
    served.status.token_problem = lambda: "the token file /t is empty"
    assert "the token file /t is empty\n" in (await served.get("/readyz")).text


async def test_an_agent_that_stops_is_not_ready(served: Served) -> None:
    served.status.links["a:1"] = LinkStatus(address="a:1", state="connected", live_tunnels=1)
    served.status.is_stopping = True
    assert (await served.get("/readyz")).status_code == 503


async def test_metrics_are_in_the_format_of_prometheus(served: Served) -> None:
    served.metrics.dials.labels("ok").inc()
    answer = await served.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert 'signadot_agent_dials_total{result="ok"} 1.0' in answer.text
    assert 'signadot_agent_info{version="1.2.3"} 1.0' in answer.text


async def test_a_query_is_no_part_of_the_path_and_other_paths_are_not_found(served: Served) -> None:
    assert (await served.get("/livez?verbose")).status_code == 200
    assert (await served.get("/")).status_code == 404


async def test_head_has_no_body(served: Served) -> None:
    answer = await served.raw(b"HEAD /livez HTTP/1.1\r\nHost: x\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert answer.endswith(b"\r\n\r\n")


@pytest.mark.parametrize(
    "request_bytes", [b"POST /livez HTTP/1.1\r\n\r\n", b"\x16\x03\x01\r\n\r\n", b"GET /livez\r\n\r\n", b"x" * 9000]
)
async def test_what_is_no_get_is_a_bad_request(served: Served, request_bytes: bytes) -> None:
    assert (await served.raw(request_bytes)).startswith(b"HTTP/1.1 400 ")


async def test_whoever_leaves_early_disturbs_nobody(served: Served) -> None:
    for sent in (b"", b"GET /metr"):
        async with await trio.open_tcp_stream("127.0.0.1", served.port) as stream:
            await stream.send_all(sent)
    assert (await served.get("/livez")).status_code == 200


async def test_a_port_in_use_is_one_sentence(served: Served) -> None:
    with pytest.raises(OSError, match=r"cannot listen on 127\.0\.0\.1:\d+ for health: .*in use"):
        await open_health_listeners(Endpoint(host="127.0.0.1", port=served.port))
