"""Raw bytes both ways: after the target itself said 101, or after an accepted CONNECT."""

import math

from relay.ingress.connection import VisitorConnection
from relay.ingress.deadlines import Phase
from relay.transport import MuxStream, copy_both_ways


async def copy_raw(connection: VisitorConnection, stream: MuxStream) -> tuple[int, int]:
    """Copies until both directions ended, or one of them broke. Gives bytes from and to the visitor."""
    connection.enter(Phase.UPGRADED, math.inf)  # the copy keeps its own idle limit
    already = bytes(connection.buffer)
    connection.buffer.clear()
    if already:
        await stream.send_all(already)
    received, sent = await copy_both_ways(
        connection.stream, stream, idle_seconds=connection.limits.upgraded_idle_seconds
    )
    return received + len(already), sent
