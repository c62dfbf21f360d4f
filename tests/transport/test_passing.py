"""Bytes that go on as they arrive: `MuxStream.pass_on`."""

import pytest
import trio
import trio.testing

from relay.errors import StreamResetError
from relay.mux import ResetCode
from tests.transport.pair import tunnel_pair

MIB = 1 << 20


class Taker:
    """Takes bytes as a connection does that has room for some of them."""

    def __init__(self, room: int = MIB * 64) -> None:
        self.taken = bytearray()
        self.room = room

    def __call__(self, data: memoryview) -> int:
        size = min(len(data), self.room)
        self.taken += data[:size]
        self.room -= size
        return size


async def test_what_is_passed_on_is_credited_so_that_more_may_come() -> None:
    async with tunnel_pair() as pair, trio.open_nursery() as nursery:
        ours, theirs = await pair.stream()
        body, taker = bytes(range(256)) * 4096 * 3, Taker()
        nursery.start_soon(theirs.send_all, body)
        await ours.pass_on(len(body), taker)
        assert taker.taken == body


async def test_what_is_not_taken_is_received_next_in_order() -> None:
    async with tunnel_pair() as pair:
        ours, theirs = await pair.stream()
        taker = Taker(room=5)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ours.pass_on, MIB, taker)
            await trio.testing.wait_all_tasks_blocked()
            theirs.send_nowait(b"taken, left")
        theirs.send_nowait(b" behind")
        await trio.testing.wait_all_tasks_blocked()
        assert taker.taken == b"taken"
        assert await ours.receive_some() == b", left behind"


async def test_no_more_is_passed_on_than_was_asked_for() -> None:
    async with tunnel_pair() as pair:
        ours, theirs = await pair.stream()
        taker = Taker()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ours.pass_on, 7, taker)
            await trio.testing.wait_all_tasks_blocked()
            theirs.send_nowait(b"one")
            theirs.send_nowait(b" two|three")
        assert taker.taken == b"one two"
        assert await ours.receive_some() == b"|three"


async def test_what_waits_already_is_received_first() -> None:
    async with tunnel_pair() as pair:
        ours, theirs = await pair.stream()
        theirs.send_nowait(b"early")
        await trio.testing.wait_all_tasks_blocked()
        await ours.pass_on(MIB, Taker(room=0))
        assert await ours.receive_some() == b"early"


async def test_the_bytes_of_a_taker_that_breaks_are_kept() -> None:
    def broken(_: memoryview) -> int:
        raise trio.BrokenResourceError("the visitor left")

    async with tunnel_pair() as pair:
        ours, theirs = await pair.stream()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ours.pass_on, MIB, broken)
            await trio.testing.wait_all_tasks_blocked()
            theirs.send_nowait(b"kept")
        assert await ours.receive_some() == b"kept"
        assert pair.relay.end is None


async def test_a_finish_and_a_reset_end_it() -> None:
    async with tunnel_pair() as pair:
        for ending, raised in ((True, None), (False, StreamResetError)):
            ours, theirs = await pair.stream()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(ours.pass_on, MIB, Taker())
                await trio.testing.wait_all_tasks_blocked()
                if ending:
                    await theirs.send_eof()
                else:
                    theirs.reset(ResetCode.TARGET_RESET)
            if raised is None:
                assert await ours.receive_some() == b""
            else:
                with pytest.raises(raised):
                    await ours.receive_some()


async def test_once_cancelled_it_takes_no_more() -> None:
    async with tunnel_pair() as pair:
        ours, theirs = await pair.stream()
        taker = Taker()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ours.pass_on, MIB, taker)
            await trio.testing.wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
        theirs.send_nowait(b"later")
        assert await ours.receive_some() == b"later"
        assert not taker.taken


async def test_only_one_task_receives_or_passes_on() -> None:
    async with tunnel_pair() as pair, trio.open_nursery() as nursery:
        ours, _ = await pair.stream()
        nursery.start_soon(ours.pass_on, MIB, Taker())
        await trio.testing.wait_all_tasks_blocked()
        for verb in (ours.receive_some, lambda: ours.pass_on(MIB, Taker())):
            with pytest.raises(trio.BusyResourceError):
                await verb()
        nursery.cancel_scope.cancel()
