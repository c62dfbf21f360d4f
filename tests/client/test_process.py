"""The agent as its own process, over real TLS, with signals and health over HTTP."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx2
import pytest
import trio

from certs import Authority
from tests.client.relay import FakeRelay, ask

pytestmark = pytest.mark.system


class AgentProcess:
    """An agent that runs; what it logs is kept."""

    def __init__(self, process: trio.Process) -> None:
        self.process = process
        self.log: list[dict[str, Any]] = []
        self.rest = b""

    async def read_log_until(self, event: str) -> dict[str, Any]:
        assert self.process.stderr is not None
        with trio.fail_after(20):
            while True:
                for entry in self.log:
                    if entry["event"] == event:
                        return entry
                chunk = await self.process.stderr.receive_some()
                assert chunk, f"the agent ended without logging {event!r}: {self.log}"
                *lines, self.rest = (self.rest + chunk).split(b"\n")
                self.log.extend(json.loads(line) for line in lines)

    async def health(self, path: str) -> httpx2.Response:
        address = (await self.read_log_until("agent starts"))["health"]
        async with httpx2.AsyncClient(trust_env=False) as http:
            return await http.get(f"http://{address}{path}")


async def start(nursery: trio.Nursery, relay: FakeRelay, *flags: str) -> AgentProcess:
    (relay.folder / "ca.pem").write_bytes(relay.authority.pem)
    arguments = ["run", "--relay", relay.address, "--token-file", str(relay.folder / "token")]
    arguments += ["--ca-file", str(relay.folder / "ca.pem"), "--health", "127.0.0.1:0", "--allow-target", "127.0.0.1:*"]
    clean = {name: value for name, value in os.environ.items() if not name.upper().endswith("_PROXY")}

    async def run(*, task_status: trio.TaskStatus[trio.Process]) -> None:
        await trio.run_process(
            [sys.executable, "-m", "client", *arguments, *flags],
            stderr=subprocess.PIPE,
            env=clean,
            check=False,
            task_status=task_status,
        )

    return AgentProcess(await nursery.start(run))


@pytest.fixture
async def relay(nursery: trio.Nursery, tmp_path: Path) -> FakeRelay:
    relay = FakeRelay(tmp_path, Authority.create(["localhost", "relay.test"]))
    (tmp_path / "token").write_text("sdt_good")
    await nursery.start(relay.run)
    return relay


async def echo(stream: trio.SocketStream) -> None:
    async for chunk in stream:
        await stream.send_all(chunk)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_drains_the_agent_and_it_ends_with_0(
    nursery: trio.Nursery, relay: FakeRelay, number: signal.Signals
) -> None:
    agent = await start(nursery, relay)
    tunnel = await relay.next_tunnel()
    listeners = await nursery.start(trio.serve_tcp, echo, 0)
    stream = tunnel.open("tcp", "127.0.0.1", listeners[0].socket.getsockname()[1])
    with trio.fail_after(20):
        await stream.wait_opened()
        assert (await agent.health("/livez")).status_code == 200
        assert (await agent.health("/readyz")).status_code == 200
        assert "signadot_agent_tunnels 1.0" in (await agent.health("/metrics")).text
        agent.process.send_signal(number)
        await agent.read_log_until("stopping")
        assert (await agent.health("/readyz")).status_code == 503
        assert await ask(stream, b"open streams finish") == b"open streams finish"
        assert await agent.process.wait() == 0
    await agent.read_log_until("agent stopped")
    assert "sdt_good" not in json.dumps(agent.log)


async def test_a_second_signal_does_not_wait(nursery: trio.Nursery, relay: FakeRelay) -> None:
    agent = await start(nursery, relay, "--drain-seconds", "3600")
    tunnel = await relay.next_tunnel()
    listeners = await nursery.start(trio.serve_tcp, echo, 0)
    stream = tunnel.open("tcp", "127.0.0.1", listeners[0].socket.getsockname()[1])
    with trio.fail_after(20):
        await stream.wait_opened()
        agent.process.send_signal(signal.SIGTERM)
        await agent.read_log_until("stopping")
        agent.process.send_signal(signal.SIGTERM)
        assert await agent.process.wait() == 0


async def test_a_killed_agent_is_noticed_by_the_relay_at_once(nursery: trio.Nursery, relay: FakeRelay) -> None:
    agent = await start(nursery, relay)
    tunnel = await relay.next_tunnel()
    agent.process.kill()
    with trio.fail_after(5):
        assert (await tunnel.closed()).remote


async def test_a_refused_agent_stays_up_and_says_why(nursery: trio.Nursery, relay: FakeRelay) -> None:
    (relay.folder / "token").write_text("sdt_secret_but_wrong")
    agent = await start(nursery, relay)
    entry = await agent.read_log_until("will log in again")
    assert entry["reason"] == "this cluster token is not known"
    assert 30 <= entry["wait_seconds"] <= 60
    answer = await agent.health("/readyz")
    assert answer.status_code == 503
    assert "refused: this cluster token is not known" in answer.text
    assert (await agent.health("/livez")).status_code == 200
    assert "secret" not in json.dumps(agent.log) + answer.text
    agent.process.terminate()
    with trio.fail_after(20):
        assert await agent.process.wait() == 0
