"""MuxStream as a trio stream."""

from collections.abc import Awaitable, Callable

import pytest
import trio
import trio.testing

from relay.errors import StreamResetError, TunnelClosedError
from relay.mux import ResetCode
from relay.transport import MuxStream
from tests.transport.pair import Pair, tunnel_pair


@pytest.mark.parametrize("from_relay", [True, False])
async def test_it_is_a_half_closeable_stream_as_trio_defines_it(*, from_relay: bool) -> None:
    async with tunnel_pair() as pair:

        async def make() -> tuple[MuxStream, MuxStream]:
            ours, theirs = await pair.stream()
            return (ours, theirs) if from_relay else (theirs, ours)

        async def make_clogged() -> tuple[MuxStream, MuxStream]:
            ours, theirs = await make()
            # Full for good once the queue does not drain by itself: the peer's window is used up too.
            for stream in (ours, theirs):
                while not stream._full:
                    if not stream.send_nowait(bytes(65536)):
                        await trio.testing.wait_all_tasks_blocked()
            return ours, theirs

        await trio.testing.check_half_closeable_stream(make, make_clogged)


async def test_a_remote_reset_carries_its_code_and_never_looks_like_a_finish() -> None:
    async with tunnel_pair() as pair:
        ours, theirs = await pair.stream()
        theirs.reset(ResetCode.TARGET_RESET, "connection reset by the target")
        with pytest.raises(StreamResetError, match="reset by the target") as caught:
            await ours.receive_some()
        assert caught.value.wire_code == ResetCode.TARGET_RESET
        assert caught.value.remote
        with pytest.raises(StreamResetError):
            await ours.send_all(b"x")
        with pytest.raises(trio.BrokenResourceError):
            ours.receive_nowait()


async def test_a_reset_reaches_a_task_that_waits_to_receive_and_one_that_waits_to_send() -> None:
    async with tunnel_pair() as pair:
        ours, theirs = await pair.stream()

        async def fails(verb: Callable[[], Awaitable[object]]) -> None:
            with pytest.raises(StreamResetError):
                await verb()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(fails, ours.receive_some)
            nursery.start_soon(fails, lambda: ours.send_all(bytes(4 << 20)))
            await trio.testing.wait_all_tasks_blocked()
            theirs.reset(ResetCode.CANCELLED)


async def test_a_local_reset_is_raised_as_local() -> None:
    async with tunnel_pair() as pair:
        ours, _ = await pair.stream()
        ours.reset(ResetCode.CANCELLED)
        ours.reset(ResetCode.INTERNAL)
        with pytest.raises(StreamResetError) as caught:
            ours.send_nowait(b"x")
        assert not caught.value.remote
        assert caught.value.wire_code == ResetCode.CANCELLED


async def test_receiving_joins_what_is_buffered_up_to_the_size_asked_for() -> None:
    async with tunnel_pair() as pair:
        ours, theirs = await pair.stream()
        for part in (b"one", b"two", b"three"):
            ours.send_nowait(part)
        await trio.testing.wait_all_tasks_blocked()
        assert theirs.receive_nowait(4) == b"onet"
        assert await theirs.receive_some() == b"wothree"
        assert theirs.receive_nowait() == b""
        assert not theirs.at_eof


async def test_a_cancelled_receive_loses_nothing() -> None:
    async with tunnel_pair() as pair:
        ours, theirs = await pair.stream()
        with trio.move_on_after(0.001):
            await theirs.receive_some()
        await ours.send_all(b"still here")
        with trio.CancelScope() as scope:
            scope.cancel()
            await theirs.receive_some()
        assert await theirs.receive_some() == b"still here"


async def test_an_unread_stream_that_is_closed_tells_the_peer_to_stop() -> None:
    async with tunnel_pair() as pair:
        ours, theirs = await pair.stream()
        await ours.aclose()
        await theirs.send_all(b"nobody reads this")
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(StreamResetError):
            await theirs.send_all(b"x")


async def test_forceful_closing_resets() -> None:
    async with tunnel_pair() as pair:
        ours, theirs = await pair.stream()
        await trio.aclose_forcefully(ours)
        with pytest.raises(StreamResetError) as caught:
            await theirs.receive_some()
        assert caught.value.wire_code == ResetCode.CANCELLED


async def test_only_a_quiet_stream_is_reusable() -> None:
    async with tunnel_pair() as pair:
        states = []
        ours, theirs = await pair.stream()
        states.append(ours.reusable)
        await theirs.send_all(b"unasked")
        await trio.testing.wait_all_tasks_blocked()
        states.append(ours.reusable)
        ours.receive_nowait()
        states.append(ours.reusable)
        await theirs.send_eof()
        await trio.testing.wait_all_tasks_blocked()
        states.append(ours.reusable)
        assert states == [True, False, True, False]


async def test_finished_streams_leave_nothing_behind() -> None:
    async with tunnel_pair() as pair:
        for _ in range(10):
            await exchange(pair)
        await trio.testing.wait_all_tasks_blocked()
        for tunnel in (pair.relay, pair.agent):
            assert tunnel.open_streams == 0
            assert not tunnel._streams
            assert tunnel.session.statistics().granted_bytes == 0


async def exchange(pair: Pair) -> None:
    ours, theirs = await pair.stream()
    await ours.send_all(b"question")
    await ours.send_eof()
    assert b"".join([data async for data in theirs]) == b"question"
    await theirs.send_all(b"answer")
    await theirs.aclose()
    assert b"".join([data async for data in ours]) == b"answer"


async def test_the_end_of_the_tunnel_fails_a_waiting_open() -> None:
    async with tunnel_pair() as pair:
        ours, _ = await pair.stream(accept=False)

        async def fails() -> None:
            with pytest.raises(TunnelClosedError):
                await ours.wait_opened()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(fails)
            await trio.testing.wait_all_tasks_blocked()
            pair.relay.close()


async def test_cancelling_a_task_that_waits_for_the_dial_leaves_the_stream_sound() -> None:
    async with tunnel_pair() as pair:
        ours, theirs = await pair.stream(accept=False)
        opened: list[str] = []

        async def wait() -> None:
            await ours.wait_opened()
            opened.append("opened")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait)
            async with trio.open_nursery() as given_up:
                given_up.start_soon(ours.wait_opened)
                await trio.testing.wait_all_tasks_blocked()
                given_up.cancel_scope.cancel()
            assert opened == []
            theirs.accept()
        assert opened == ["opened"]
        await theirs.send_all(b"sound")
        assert await ours.receive_some() == b"sound"


async def test_cancelling_a_task_that_waits_for_room_leaves_the_stream_sound() -> None:
    async with tunnel_pair() as pair:
        ours, theirs = await pair.stream()
        sent = 0
        while ours.send_nowait(bytes(65536)):
            sent += 65536
            await trio.testing.wait_all_tasks_blocked()
        sent += 65536
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ours.wait_send_room)
            await trio.testing.wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
        await ours.send_eof()
        assert sum([len(data) async for data in theirs]) == sent


async def test_a_reset_behind_a_finish_is_felt_by_whoever_waits_for_it() -> None:
    async with tunnel_pair() as pair, trio.open_nursery() as nursery:
        near, far = await pair.stream()
        await near.send_eof()
        assert await far.receive_some() == b""
        felt = trio.Event()

        async def wait() -> None:
            await far.wait_broken()
            felt.set()

        nursery.start_soon(wait)
        await trio.testing.wait_all_tasks_blocked()
        assert not felt.is_set()
        near.reset(ResetCode.CANCELLED)
        with trio.fail_after(30):
            await felt.wait()
            await far.wait_broken()


async def test_waiting_for_the_break_ends_with_a_close_and_can_be_cancelled() -> None:
    async with tunnel_pair() as pair, trio.open_nursery() as nursery:
        _, far = await pair.stream()
        with trio.move_on_after(0) as scope:
            await far.wait_broken()
        assert scope.cancelled_caught
        nursery.start_soon(far.wait_broken)
        await trio.testing.wait_all_tasks_blocked()
        await far.aclose()
