"""Answers of applications that come in parts: each part leaves at once, and the next waits until it has."""

import math
from collections.abc import Iterable
from typing import Never

import trio

from relay.errors import RelayError
from relay.http1 import CHUNKED, UNTIL_CLOSE, BodyWriter, RequestHead, response_head
from relay.ingress.connection import VisitorConnection
from relay.ingress.deadlines import Phase

OWN_HEADERS = frozenset({b"content-length", b"transfer-encoding", b"connection", b"x-request-id"})
"""What an application says of these is replaced: they belong to the connection."""


class BrokenAnswerError(RelayError):
    """An application failed in the middle of its answer: it is cut off, so that nobody takes it for whole."""


class StreamedAnswer:
    """An answer without a length.

    How long it takes is the application's affair. A visitor who takes nothing is given up after
    `write_stalled_seconds`, as for previews; one who leaves cancels the application.
    """

    def __init__(self, connection: VisitorConnection, head: RequestHead) -> None:
        self.sent_bytes = 0
        self.done = False
        """Whether the application has said that nothing follows."""
        # HTTP/1.0 knows no chunks (RFC 9112 7.1): there the connection's end has to do.
        self._writer = BodyWriter(CHUNKED if head.version >= (1, 1) else UNTIL_CLOSE)
        self.keep_alive = head.keep_alive and not connection.shared.draining and not self._writer.until_close
        self._connection = connection
        self._has_body = head.method != b"HEAD"

    async def begin(self, status: int, headers: Iterable[tuple[bytes, bytes]]) -> None:
        """Sends the head; from now on the visitor is watched for leaving."""
        own = [(name.lower(), value) for name, value in headers if name.lower() not in OWN_HEADERS]
        own.append((b"x-request-id", self._connection.request_id.encode()))
        if not self._writer.until_close:
            own.append((b"transfer-encoding", b"chunked"))
        if not self.keep_alive:
            own.append((b"connection", b"close"))
        self._connection.target_awaited()
        await self._send(response_head(status, own))

    async def send(self, data: bytes, *, more: bool) -> None:
        """Sends a part of the body; not `more`: it was the last."""
        self.done = not more
        if self._has_body:
            self.sent_bytes += len(data)
            await self._send(self._writer.encode(data) + (b"" if more else self._writer.end()))

    async def _send(self, data: bytes) -> None:
        if not data:
            return
        connection = self._connection
        connection.enter(Phase.WRITE, connection.limits.write_stalled_seconds)
        try:
            await connection.send(data)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            await self._give_up()
        connection.enter(Phase.RESPONSE, math.inf)

    async def _give_up(self) -> Never:
        """The visitor is gone: ends the application, whatever it makes of errors."""
        self._connection.scope.cancel()
        await trio.sleep_forever()
