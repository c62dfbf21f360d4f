import os
import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio

from client.cli.forward import Forward, parse_forward
from relay.errors import ConfigurationError
from tests.cli.server import Server


@pytest.mark.parametrize(
    ("text", "forward"),
    [
        ("5432:db.shop.svc:5433", Forward(local_port=5432, host="db.shop.svc", port=5433)),
        ("db.shop.svc:5432", Forward(local_port=5432, host="db.shop.svc", port=5432)),
        ("0:db:1", Forward(local_port=0, host="db", port=1)),
        ("0:[fd00::1]:80", Forward(local_port=0, host="[fd00::1]", port=80)),
    ],
)
def test_forwards_are_read(text: str, forward: Forward) -> None:
    assert parse_forward(text) == forward


@pytest.mark.parametrize("text", ["", "db", "db:0", "db:65536", "65536:db:1", "a b:1", "1:2:3:4", "db:1\r\nx: y"])
def test_what_is_not_a_forward_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError):
        parse_forward(text)


@asynccontextmanager
async def forwarding(server: Server, target: str) -> AsyncIterator[tuple[trio.Process, int]]:
    process = await trio.lowlevel.open_process(
        server.command("port-forward", target, "--cluster", "c1"),
        env=server.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    async with process.stdout, process.stderr:
        try:
            with trio.fail_after(20):
                line = b""
                while not line.endswith(b"\n"):
                    line += await process.stdout.receive_some(100)
            yield process, int(line.split()[0].rpartition(b":")[2])
        finally:
            if process.returncode is None:
                os.kill(process.pid, signal.SIGINT)
            await process.wait()


async def test_bytes_go_both_ways_and_the_target_may_speak_first(server: Server) -> None:
    async with forwarding(server, "0:db.shop.svc:5432") as (process, port), trio.open_nursery() as nursery:
        received: list[bytes] = []

        async def use() -> None:
            async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
                await stream.send_all(b"x" * 100_000)
                await stream.send_eof()
                received.append(b"".join([part async for part in stream]))

        with trio.fail_after(20):
            nursery.start_soon(use)
            nursery.start_soon(use)
            while len(received) < 2:
                await trio.testing.wait_all_tasks_blocked(0.05)
        assert received == [b"hello " + b"X" * 100_000] * 2
        assert process.returncode is None
    head = server.heads[0]
    assert (head.method, head.target) == (b"CONNECT", b"db.shop.svc:5432")
    assert head.get(b"signadot-cluster") == b"c1"
    assert head.get(b"proxy-authorization") == f"Bearer {server.key}".encode()


async def test_a_refusal_closes_the_connection_and_is_one_line(server: Server) -> None:
    async with forwarding(server, "0:refused.svc:1") as (process, port):
        assert process.stderr is not None
        with trio.fail_after(20):
            async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
                assert await stream.receive_some(1) == b""
            assert (
                await process.stderr.receive_some(1000) == b"signadot: refused.svc refused (status 502, request r2)\n"
            )
        assert process.returncode is None


async def test_a_local_port_in_use_is_one_line(server: Server) -> None:
    said = await server.failed(1, "port-forward", f"{server.port}:db:1", "--cluster", "c1")
    assert said == f"signadot: cannot listen on 127.0.0.1:{server.port}: Address already in use\n"


async def test_a_bad_forward_or_cluster_is_wrong_usage(server: Server) -> None:
    assert "LOCAL_PORT" in await server.failed(2, "port-forward", "db", "--cluster", "c1")
    assert "--cluster" in await server.failed(2, "port-forward", "db:1", "--cluster", "c1\r\nx: y")


async def test_ctrl_c_ends_it_without_a_traceback(server: Server) -> None:
    async with forwarding(server, "0:db.shop.svc:5432") as (process, _):
        assert process.stderr is not None
        os.kill(process.pid, signal.SIGINT)
        with trio.fail_after(20):
            assert await process.wait() == 130
            assert b"Traceback" not in b"".join([part async for part in process.stderr])
