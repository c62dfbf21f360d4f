"""A transport over WebSocket, for networks whose egress passes nothing but HTTP (RFC 6455)."""

from typing import Final, cast

import structlog
import trio
import trio_websocket

from relay.transport.prefixed import PrefixedStream

RECEIVE_BYTES: Final = 64 * 1024
"""One read of the WebSocket's own task; the library's 4 KiB would take four reads per TLS record."""
MESSAGE_BYTES: Final = 128 * 1024
"""The longest message that we send."""
MAX_MESSAGE_BYTES: Final = 1024 * 1024
"""The longest message that we take."""
SUBPROTOCOL: Final = "signadot-tunnel.v1"
PATH: Final = "/v1/tunnel"
CLOSE_SECONDS: Final = 2.0
"""For the closing handshake."""
UNSUPPORTED_DATA: Final = 1003
"""Close code for a text message (RFC 6455 7.4.1)."""

log = structlog.get_logger("websocket")


class WebSocketStream(trio.abc.Stream):
    """Bytes as binary messages; message boundaries mean nothing."""

    def __init__(self, connection: trio_websocket.WebSocketConnection) -> None:
        self._connection = connection
        self._rest = memoryview(b"")
        self._send_conflict = trio.Lock()
        self._receiving = False

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """At least one byte; b"" after the peer's orderly close. Raises BrokenResourceError for any other end."""
        if self._receiving:
            raise trio.BusyResourceError("another task is receiving from this stream")
        self._receiving = True
        try:
            while not self._rest:
                message = await self._next_message()
                if message is None:
                    return b""
                self._rest = memoryview(message)
        finally:
            self._receiving = False
        size = len(self._rest) if max_bytes is None else max_bytes
        data, self._rest = bytes(self._rest[:size]), self._rest[size:]
        return data

    async def _next_message(self) -> bytes | None:
        try:
            message = await self._connection.get_message()
        except trio_websocket.ConnectionClosed as error:
            if error.reason is not None and error.reason.code in {1000, 1001}:
                return None
            raise trio.BrokenResourceError(f"the WebSocket ended: {error.reason}") from error
        if isinstance(message, str):
            await self.aclose(UNSUPPORTED_DATA, "only binary messages")
            raise trio.BrokenResourceError("the peer sent a text message")
        return message

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Sends everything, in messages of at most `MESSAGE_BYTES`."""
        if self._send_conflict.locked():
            raise trio.BusyResourceError("another task is sending on this stream")
        async with self._send_conflict:
            view = memoryview(data)
            for at in range(0, len(view), MESSAGE_BYTES):
                try:
                    await self._connection.send_message(bytes(view[at : at + MESSAGE_BYTES]))
                except trio_websocket.ConnectionClosed as error:
                    raise trio.BrokenResourceError(f"the WebSocket ended: {error.reason}") from error

    async def wait_send_all_might_not_block(self) -> None:
        """Returns at once: the library does not tell."""
        await trio.lowlevel.checkpoint()

    async def aclose(self, code: int = 1000, reason: str | None = None) -> None:
        """Closes with the closing handshake, within `CLOSE_SECONDS`."""
        with trio.move_on_after(CLOSE_SECONDS):
            await self._connection.aclose(code, reason)


class _Handshake:
    """An opening handshake, with the library's reading task kept apart.

    That task raises a refusal into its nursery, and when it cannot read what comes it ends while the handshake waits
    for ever: here both end the handshake, and nothing else.
    """

    def __init__(self) -> None:
        self.waiting = trio.CancelScope()
        """Whatever waits for the handshake runs in it."""
        self.begun = trio.Event()
        """Set when the nursery that `read` gives is about to be used."""
        self.problem = "it ended before it was done"

    async def read(self, *, task_status: trio.TaskStatus[trio.Nursery]) -> None:
        """Gives the nursery for the reading task, and stays as long as that task."""
        try:
            async with trio.open_nursery() as nursery:
                task_status.started(nursery)
                await self.begun.wait()
        except* trio_websocket.ConnectionRejected as refusals:
            (self.problem,) = map(_refusal, refusals.exceptions)
        except* Exception as faults:  # noqa: BLE001 - the library's own, over bytes that it did not expect
            self.problem = str(faults.exceptions[0])
            log.info("websocket reader ended", reason=self.problem)
        finally:
            self.waiting.cancel()


def _refusal(error: Exception) -> str:
    assert isinstance(error, trio_websocket.ConnectionRejected)  # noqa: S101 - for the type checker
    return f"refused with status {error.status_code}"


async def connect_websocket(
    stream: trio.abc.Stream, *, nursery: trio.Nursery, host: str, path: str = PATH, subprotocol: str = SUBPROTOCOL
) -> WebSocketStream:
    """The client's opening handshake over `stream`. The library's reading task runs in `nursery`.

    Raises ConnectionError with a sentence when the server refuses.
    """
    handshake = _Handshake()
    reading = await nursery.start(handshake.read)
    connection = None
    with handshake.waiting:
        handshake.begun.set()
        connection = await trio_websocket.wrap_client_stream(
            reading,
            cast("trio.SocketStream", stream),  # it only needs the verbs of a trio.abc.Stream
            host,
            path,
            subprotocols=[subprotocol],
            max_message_size=MAX_MESSAGE_BYTES,
            receive_buffer_size=RECEIVE_BYTES,
        )
    if connection is None or connection.closed is not None:
        raise ConnectionError(f"the WebSocket handshake with {host} failed: {handshake.problem}")
    if connection.subprotocol != subprotocol:
        await connection.aclose()
        raise ConnectionError(f"{host} does not speak {subprotocol}")
    return WebSocketStream(connection)


async def accept_websocket(
    stream: trio.abc.Stream,
    *,
    nursery: trio.Nursery,
    initial: bytes = b"",
    path: str = PATH,
    subprotocol: str = SUBPROTOCOL,
) -> WebSocketStream:
    """The server's opening handshake; `initial` are bytes that were read from `stream` before.

    A request for another path or without the subprotocol is answered 404 or 400. Raises ConnectionError then, and for
    anything that is not a WebSocket handshake.
    """
    handshake = _Handshake()
    reading = await nursery.start(handshake.read)
    request = None
    with handshake.waiting:
        handshake.begun.set()
        request = await trio_websocket.wrap_server_stream(
            reading,
            PrefixedStream(initial, stream) if initial else stream,
            max_message_size=MAX_MESSAGE_BYTES,
            receive_buffer_size=RECEIVE_BYTES,
        )
    if request is None:
        raise ConnectionError(f"the WebSocket handshake failed: {handshake.problem}")
    try:
        if request.path != path:
            await request.reject(404)
            raise ConnectionError(f"a WebSocket was asked for at {request.path}")
        if subprotocol not in request.proposed_subprotocols:
            await request.reject(400)
            raise ConnectionError("a WebSocket was asked for without our subprotocol")
        return WebSocketStream(await request.accept(subprotocol=subprotocol))
    except (trio_websocket.HandshakeError, trio_websocket.ConnectionClosed) as error:
        raise ConnectionError(f"the WebSocket handshake failed: {error}") from error
