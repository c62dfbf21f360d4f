"""A plain socket that leads into a stream: TLS on the socket can so run inside another TLS connection."""

import socket

import trio


def open_bridge(outer: trio.abc.HalfCloseableStream) -> socket.socket:
    """A connected, non-blocking socket; what is sent there leaves on `outer`, and the other way round.

    The end of either side is the end of both. The task that copies belongs to nobody's nursery: it lives as long as
    the socket, which its owner closes like any other.
    """
    ours, theirs = socket.socketpair()
    ours.settimeout(0)
    trio.lowlevel.spawn_system_task(_carry, outer, trio.SocketStream(trio.socket.from_stdlib_socket(theirs)))
    return ours


async def _carry(outer: trio.abc.HalfCloseableStream, inner: trio.SocketStream) -> None:
    async with outer, inner, trio.open_nursery() as nursery:
        nursery.start_soon(_one_way, outer, inner, nursery.cancel_scope)
        nursery.start_soon(_one_way, inner, outer, nursery.cancel_scope)


async def _one_way(source: trio.abc.ReceiveStream, sink: trio.abc.SendStream, both: trio.CancelScope) -> None:
    try:
        async for data in source:
            await sink.send_all(data)
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        pass  # the other side learns of it by the end of its own connection
    both.cancel()
