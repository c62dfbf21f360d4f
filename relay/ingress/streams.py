"""Opening streams for visitors, within what one cluster, one stranger and the process may have."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from relay.errors import TunnelClosedError
from relay.ingress.connection import VisitorConnection
from relay.ingress.errors import OverloadedError
from relay.transport import MuxStream


@contextmanager
def in_flight(counts: Counter[str], key: str, limit: int, sentence: str) -> Iterator[None]:
    """Counts an exchange under `key` while it lasts. Raises OverloadedError with `sentence` beyond the limit."""
    if counts[key] >= limit:
        raise OverloadedError(sentence)
    counts[key] += 1
    try:
        yield
    finally:
        counts[key] -= 1
        if not counts[key]:
            del counts[key]  # what is no longer in use takes no memory


async def open_stream(
    connection: VisitorConnection, address: tuple[str, int], *, org_id: str, cluster_id: str, cluster: str
) -> MuxStream:
    """A new stream to `address` on a live tunnel of the cluster.

    Raises ClusterOfflineError, and OverloadedError when neither tunnel nor memory allow another stream.
    """
    tunnels = connection.shared.tunnels
    tunnel = tunnels.pick(cluster_id)
    if tunnel is None:
        raise await connection.shared.admission.offline(org_id, cluster, tunnels.status(cluster_id))
    try:
        return tunnel.open("tcp", *address)
    except TunnelClosedError as error:
        raise OverloadedError(f"The cluster {cluster} takes no new streams now: {error}") from error
