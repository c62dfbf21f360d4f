"""CONNECT on the proxy host: a raw TCP connection to a target in a cluster."""

import trio

from relay.errors import BadRequestError, StreamResetError
from relay.http1 import RequestHead
from relay.ingress.connection import VisitorConnection
from relay.ingress.deadlines import Phase
from relay.ingress.errors import MisdirectedError, target_error
from relay.ingress.raw import copy_raw
from relay.ingress.streams import InFlight, open_stream
from relay.mux import ResetCode
from relay.store import Cluster
from relay.telemetry import access_context

ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"


async def serve_connect(connection: VisitorConnection, head: RequestHead) -> bool:
    """Opens a stream to the authority that is asked for and copies raw bytes (RFC 9110 9.3.6). Always ends in False.

    Raises RelayError for what is to be refused.
    """
    started = trio.current_time()
    hosts = connection.shared.hosts
    if connection.stream.server_name != hosts.proxy:
        raise MisdirectedError(f"CONNECT is served on {hosts.proxy} only.")
    if head.port is None:
        raise BadRequestError("CONNECT needs host and port.", reason="connect_port")
    principal, cluster = await connection.shared.admission.connect(head)
    limit = connection.limits.requests_per_cluster
    with InFlight(connection.shared.in_flight, cluster.id, limit, f"The cluster {cluster.name}"):
        received, sent = await _carry(connection, (head.host, head.port), cluster)
    connection.record(
        "connect",
        head,
        status=200,
        started=started,
        received_bytes=received,
        sent_bytes=sent,
        context=access_context(
            host=hosts.proxy, org=cluster.org_id, cluster=cluster.id, credential=principal.credential_id
        ),
    )
    return False


async def _carry(connection: VisitorConnection, address: tuple[str, int], cluster: Cluster) -> tuple[int, int]:
    stream = await open_stream(connection, address, org_id=cluster.org_id, cluster_id=cluster.id, cluster=cluster.name)
    try:
        connection.enter(Phase.RESPONSE_HEAD, connection.limits.response_head_seconds)
        try:
            await stream.wait_opened()
        except StreamResetError as error:
            raise target_error(error, *address, shown=True) from error
        await connection.send(ESTABLISHED)
        return await copy_raw(connection, stream)
    finally:
        stream.reset(ResetCode.CANCELLED)
