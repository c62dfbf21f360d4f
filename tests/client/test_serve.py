import pytest
import structlog.testing
import trio
import trio.testing
from trio.testing import MockClock

from client import serve
from client.addresses import Address
from client.patterns import TargetPattern
from client.policy import DialPolicy
from client.serve import StreamServer
from client.status import Metrics
from client.targets import DIAL_SECONDS, Dialler
from relay.errors import StreamResetError
from relay.mux import Hello, ResetCode, Role, Welcome
from relay.transport import MuxStream, Tunnel
from tests.client.network import RecordingNetwork


class SilentNetwork(RecordingNetwork):
    async def connect(self, address: Address, port: int) -> trio.SocketStream:
        self.dialled.append((str(address), port))
        await trio.sleep_forever()
        raise AssertionError


async def open_tunnel(nursery: trio.Nursery, server: StreamServer) -> Tunnel:
    """The relay's end of a tunnel in memory whose other end serves its streams with `server`."""
    near, far = trio.testing.memory_stream_pair()

    def on_stream(stream: MuxStream) -> None:
        nursery.start_soon(server.serve, stream)

    relay = Tunnel(near, Role.RELAY)
    hello = Hello(agent_version="1", token="sdt_x", instance_id="i")
    agent = Tunnel(far, Role.AGENT, hello=hello, on_stream=on_stream)
    nursery.start_soon(agent.run)
    await nursery.start(relay.run)
    relay.accept(Welcome(relay_process_id="p", tunnel_id="t"))
    return relay


async def test_dials_at_once_are_bounded_and_a_stream_waits_no_longer_than_a_dial(
    nursery: trio.Nursery, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serve, "MAX_DIALS", 2)
    network = SilentNetwork()
    policy = DialPolicy(patterns=(TargetPattern.parse("10.0.0.0/8:*"),))
    metrics = Metrics("1")
    tunnel = await open_tunnel(nursery, StreamServer(Dialler(policy, network=network), metrics))
    streams = [tunnel.open("tcp", "10.1.2.3", port) for port in (1, 2, 3)]
    await trio.sleep(DIAL_SECONDS / 2)
    assert len(network.dialled) == 2
    codes = []
    for stream in streams:
        with pytest.raises(StreamResetError) as caught:
            await stream.wait_opened()
        codes.append(caught.value.wire_code)
    # The third gave up waiting at the moment at which the first two gave up dialling, or got a place just then.
    assert sorted(codes)[:2] == [ResetCode.TIMED_OUT] * 2
    assert sorted(codes)[2] in {ResetCode.LIMIT, ResetCode.TIMED_OUT}
    assert trio.current_time() <= 2 * DIAL_SECONDS + 1
    assert "signadot_agent_streams_open 0.0" in metrics.text().decode()
    nursery.cancel_scope.cancel()


async def test_a_fault_in_one_stream_resets_it_and_harms_no_other(nursery: trio.Nursery) -> None:
    async def fail(_: MuxStream) -> None:
        await trio.lowlevel.checkpoint()
        raise LookupError("a mistake of ours")

    async def serve_well(stream: MuxStream) -> None:
        stream.accept()
        await stream.send_all(b"well")
        await stream.send_eof()

    policy = DialPolicy(patterns=())
    server = StreamServer(Dialler(policy), Metrics("1"), others={"bad": fail, "good": serve_well})
    tunnel = await open_tunnel(nursery, server)
    with structlog.testing.capture_logs() as logs:
        bad = tunnel.open("bad", "x", 1)
        with pytest.raises(StreamResetError) as caught:
            await bad.wait_opened()
    assert caught.value.wire_code == ResetCode.INTERNAL
    assert [line["event"] for line in logs] == ["stream failed"]
    good = tunnel.open("good", "x", 1)
    assert await good.receive_some() == b"well"
    nursery.cancel_scope.cancel()
