"""Streams whose exchange is over end in order: a reset is for what went wrong, and tunnels carry only so many."""

import pytest
import trio.testing

from relay.errors import StreamResetError
from relay.ingress.pool import Leaving
from relay.transport import MuxStream
from tests.ingress.stage import OK, read_head, request, stage
from tests.transport.pair import tunnel_pair

CLOSING = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"


class Targets:
    """Answer one request on each stream, then note how the stream ends."""

    def __init__(self, answer: bytes) -> None:
        self.answer = answer
        self.endings: list[str] = []

    async def __call__(self, stream: MuxStream) -> None:
        await read_head(stream)
        await stream.send_all(self.answer)
        try:
            assert await stream.receive_some() == b""
        except StreamResetError as error:
            self.endings.append(f"reset {error.wire_code}")
        else:
            self.endings.append("finished")
            await stream.aclose()


@pytest.mark.parametrize("answer", [OK, CLOSING], ids=["kept", "connection: close"])
async def test_a_visitor_who_is_done_leaves_no_reset_behind(answer: bytes) -> None:
    targets = Targets(answer)
    async with stage(targets) as made:
        for _ in range(3):
            visitor = await made.visitor()
            assert (await visitor.ask(request())).status == 200
            await visitor.stream.aclose()
            await trio.testing.wait_all_tasks_blocked()
        assert targets.endings == ["finished"] * 3
        assert made.tunnels.tunnel is not None
        assert made.tunnels.tunnel.open_streams == 0


async def test_targets_that_never_finish_hold_a_bounded_number_of_streams() -> None:
    async with tunnel_pair() as pair:
        leaving = Leaving(most=2)
        for _ in range(5):
            stream, theirs = await pair.stream()
            leaving.add(stream)
            assert await theirs.receive_some() == b""
        assert pair.relay.open_streams == 2
