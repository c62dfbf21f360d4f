import errno
import socket
from collections.abc import Sequence

import pytest
import trio
from trio.testing import MockClock

from client.addresses import Address
from client.patterns import TargetPattern
from client.policy import DialPolicy
from client.targets import DIAL_SECONDS, DialError, Dialler, SystemNetwork
from relay.mux.codes import ResetCode
from relay.transport import TcpStream
from tests.client.network import RecordingNetwork

POLICY = DialPolicy(patterns=(TargetPattern.parse("*.*.svc:*"), TargetPattern.parse("localhost:*")))


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConnectionRefusedError(errno.ECONNREFUSED, "refused"), ResetCode.REFUSED),
        (TimeoutError(errno.ETIMEDOUT, "timed out"), ResetCode.TIMED_OUT),
        (ConnectionResetError(errno.ECONNRESET, "reset"), ResetCode.TARGET_RESET),
        (OSError(errno.EHOSTUNREACH, "no route"), ResetCode.UNREACHABLE),
        (OSError(errno.ENETUNREACH, "no network"), ResetCode.UNREACHABLE),
        (OSError(errno.EAFNOSUPPORT, "no IPv6"), ResetCode.UNREACHABLE),
        (PermissionError(errno.EPERM, "network policy"), ResetCode.UNREACHABLE),
        (OSError(errno.EMFILE, "too many open files"), ResetCode.LIMIT),
    ],
)
async def test_what_connecting_raises_becomes_the_fitting_code(error: OSError, code: ResetCode) -> None:
    network = RecordingNetwork({"web.shop.svc": ["10.1.2.3"]})
    network.error = error
    with pytest.raises(DialError) as caught:
        await Dialler(POLICY, network=network).dial("web.shop.svc", 80)
    assert caught.value.wire_code is code


class FailingResolver(RecordingNetwork):
    async def resolve(self, name: str) -> Sequence[Address]:
        await trio.lowlevel.checkpoint()
        raise socket.gaierror(socket.EAI_AGAIN, f"no answer for {name}")


async def test_a_name_without_addresses_and_a_resolver_without_answer_are_not_found() -> None:
    for network in (RecordingNetwork(), RecordingNetwork({"web.shop.svc": []}), FailingResolver()):
        with pytest.raises(DialError, match=r"^web\.shop\.svc ") as caught:
            await Dialler(POLICY, network=network).dial("web.shop.svc", 80)
        assert caught.value.wire_code is ResetCode.NOT_FOUND


async def test_the_next_address_is_tried_when_one_refuses() -> None:
    class FirstRefuses(RecordingNetwork):
        async def connect(self, address: Address, port: int) -> trio.SocketStream:
            self.error = ConnectionRefusedError() if not self.dialled else None
            return await super().connect(address, port)

    network = FirstRefuses({"web.shop.svc": ["10.1.2.3", "fd00:1::3"]})
    async with await Dialler(POLICY, network=network).dial("web.shop.svc", 80):
        assert network.dialled == [("10.1.2.3", 80), ("fd00:1::3", 80)]


class SilentNetwork(RecordingNetwork):
    """Nobody answers a SYN."""

    async def connect(self, address: Address, port: int) -> trio.SocketStream:
        self.dialled.append((str(address), port))
        await trio.sleep_forever()
        raise AssertionError


async def test_a_silent_target_times_out_after_all_addresses_had_their_turn(autojump_clock: MockClock) -> None:
    network = SilentNetwork({"web.shop.svc": ["10.1.2.3", "10.1.2.4"]})
    started = trio.current_time()
    with pytest.raises(DialError, match="did not answer within 10 s") as caught:
        await Dialler(POLICY, network=network).dial("web.shop.svc", 80)
    assert caught.value.wire_code is ResetCode.TIMED_OUT
    assert trio.current_time() - started == pytest.approx(DIAL_SECONDS)
    assert network.dialled == [("10.1.2.3", 80), ("10.1.2.4", 80)]


async def test_a_real_target_is_reached_with_small_writes_sent_at_once() -> None:
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listeners[0].socket.getsockname()[1]
    try:
        async with await Dialler(POLICY).dial("localhost", port) as stream:
            assert isinstance(stream, TcpStream)
            assert stream._connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    finally:
        await listeners[0].aclose()
    with pytest.raises(DialError) as caught:
        await Dialler(POLICY).dial("127.0.0.1", port)
    assert caught.value.wire_code is ResetCode.REFUSED


async def test_the_system_resolves_names_to_all_their_addresses() -> None:
    addresses = {str(address) for address in await SystemNetwork().resolve("localhost")}
    assert addresses & {"127.0.0.1", "::1"}
