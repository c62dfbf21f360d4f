"""Opening streams for visitors, within what one cluster, one stranger and the process may have."""

from collections import Counter

from relay.errors import TunnelClosedError
from relay.ingress.connection import VisitorConnection
from relay.ingress.errors import NotReadyError, OverloadedError
from relay.transport import MuxStream


class InFlight:
    """Counts an exchange under a key while it lasts; on the hot path, so not a generator's context manager."""

    __slots__ = ("_counts", "_key", "_limit", "_who")

    def __init__(self, counts: Counter[str], key: str, limit: int, who: str) -> None:
        """`who` begins the sentence that refuses what is beyond the limit."""
        self._counts = counts
        self._key = key
        self._limit = limit
        self._who = who

    def __enter__(self) -> None:
        """Raises OverloadedError beyond the limit."""
        if self._counts[self._key] >= self._limit:
            raise OverloadedError(f"{self._who} has too many requests in flight.")
        self._counts[self._key] += 1

    def __exit__(self, *_: object) -> None:
        counts = self._counts
        counts[self._key] -= 1
        if not counts[self._key]:
            del counts[self._key]  # what is no longer in use takes no memory


async def open_stream(
    connection: VisitorConnection, address: tuple[str, int], *, org_id: str, cluster_id: str, cluster: str
) -> MuxStream:
    """A new stream to `address` on a live tunnel of the cluster.

    Raises ClusterOfflineError, NotReadyError for a clone without a Service, and OverloadedError when neither tunnel nor
    memory allow another stream.
    """
    if not address[0]:
        raise NotReadyError("The workspace of this preview is not ready: what the endpoint leads to does not run yet.")
    tunnels = connection.shared.tunnels
    tunnel = tunnels.pick(cluster_id)
    if tunnel is None:
        raise await connection.shared.admission.offline(org_id, cluster, tunnels.status(cluster_id))
    try:
        return tunnel.open("tcp", *address)
    except TunnelClosedError as error:
        raise OverloadedError(f"The cluster {cluster} takes no new streams now: {error}") from error
