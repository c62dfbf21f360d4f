"""TLS straight on a non-blocking socket: no memory BIO, no second state machine, and no wait unless OpenSSL asks."""

import contextlib
import math
import os
import socket
import ssl
from collections.abc import Awaitable, Callable
from typing import Any, Final, cast

import trio

from relay.transport.read_buffer import shared_buffer

RECORD_BYTES: Final = 16384
"""The longest TLS record (RFC 8446 5.1), and the most that one read gives."""
BUDGET_BYTES: Final = 512 * 1024
"""What a task moves through a socket that is always ready before it lets the others run."""
STEP_BYTES: Final = 8192
"""The least that any one operation counts against the budget: many small ones cost time too."""
CLOSE_NOTIFY_BYTES: Final = 256
"""More than the alert record that ends one direction can be long."""

Buffer = bytearray | memoryview


class TlsStream(trio.abc.HalfCloseableStream):
    """One TLS connection. At most one task receives and one sends at a time.

    A cancelled receive loses nothing; a cancelled send leaves the stream unusable for sending. Receiving and sending
    do not yield each time, only when they must wait and after `BUDGET_BYTES`.
    """

    __slots__ = (
        "_budget",
        "_connection",
        "_drained",
        "_is_tcp",
        "_read",
        "_receiving",
        "_send_broken",
        "_send_finished",
        "_sending",
        "_unsent",
        "_unwrapped",
        "_view",
        "_write",
        "alpn",
        "peer_address",
        "server_name",
        "version",
    )

    def __init__(self, connection: ssl.SSLSocket, peer_address: tuple[str, int]) -> None:
        """Takes over a connection whose handshake is done; see `accept_tls` and `connect_tls`."""
        self._connection = connection
        self._read = cast("Callable[[int, Buffer], int]", connection.read)  # with a buffer it gives an int
        self._write = connection.write
        self._is_tcp = connection.family != socket.AF_UNIX
        self._view = memoryview(shared_buffer())
        self._budget = BUDGET_BYTES
        self._drained = False  # OpenSSL said WANT_READ last: asking again before the socket is readable is for nothing
        self._receiving = False
        self._sending = False
        self._send_broken = False
        self._send_finished = False
        self._unsent = False  # OpenSSL holds a part of a record that a next send must complete
        self._unwrapped = False
        self.peer_address = peer_address
        """Address and port of the other end, (ip, port)."""
        name = getattr(connection, "server_name", None)
        self.server_name: str | None = name if name is not None else connection.server_hostname
        """The name that the client asked for (SNI, RFC 6066 3), lower case; None if it named none."""
        self.alpn: str | None = connection.selected_alpn_protocol()
        """The application protocol agreed on (RFC 7301)."""
        self.version: str | None = connection.version()
        """`TLSv1.3` or `TLSv1.2`."""

    # -- receiving

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """At least one byte, at most `max_bytes` (64 KiB unless told); b"" once the peer has finished.

        Raises BrokenResourceError when the connection broke, an end without close_notify included (truncation,
        RFC 8446 6.1).
        """
        most = 65536 if max_bytes is None else max_bytes
        if most < 1:
            raise ValueError("max_bytes must be at least 1")
        view = self._view
        size = await self.receive_into(view if most >= len(view) else view[:most])
        return bytes(view[:size])

    async def receive_into(self, buffer: Buffer) -> int:
        """Fills the beginning of `buffer` with what there is, at least one byte; 0 once the peer has finished.

        Never suspends between reading into `buffer` and returning, so that one buffer may serve many streams.
        """
        if self._receiving:
            raise trio.BusyResourceError("another task is receiving from this stream")
        while True:
            if self._budget > 0 and not self._drained:
                size = self._fill(buffer)
                if size >= 0:
                    return size
            self._receiving = True
            try:
                if self._drained:
                    self._drained = False
                    await self._wait(trio.lowlevel.wait_readable)
                else:
                    await trio.lowlevel.checkpoint()
            finally:
                self._receiving = False
            self._budget = BUDGET_BYTES

    def _fill(self, buffer: Buffer) -> int:
        """Reads records while they come in full length; -1 if there is nothing yet."""
        size = self._try_read(len(buffer), buffer)
        if size == RECORD_BYTES and len(buffer) >= 2 * RECORD_BYTES:
            size += self._read_on(memoryview(buffer)[size:])
        self._budget -= max(size, STEP_BYTES)
        return size

    def _read_on(self, view: memoryview) -> int:
        """The records behind a full one, as far as they are there; the end and faults are left to the next receive."""
        read, size, room = self._read, 0, len(view)
        try:
            while room - size >= RECORD_BYTES:
                got = read(RECORD_BYTES, view[size:])
                size += got
                if got < RECORD_BYTES:
                    self._drained = got > 0  # as in `_try_read`
                    break
        except ssl.SSLWantReadError:
            self._drained = True
        except (OSError, ValueError):
            pass  # OpenSSL reports it again
        return size

    def _try_read(self, size: int, buffer: Buffer) -> int:
        if self._unwrapped:
            return 0  # both sides have sent close_notify
        try:
            got = self._read(size, buffer)
            # A record that ends short of both bounds is read to its end, and it is likely the last one: waiting first
            # costs less than asking OpenSSL for nothing, and loses nothing, as it never reads ahead of a record.
            self._drained = 0 < got < min(size, RECORD_BYTES)
        except ssl.SSLWantReadError:
            self._drained = True
            return -1
        except ssl.SSLZeroReturnError:  # close_notify after ours
            return 0
        except (OSError, ValueError) as error:
            raise self._failure(error) from error
        return got

    # -- sending

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Sends everything. Raises BrokenResourceError when the connection broke or an earlier send was cut off."""
        if self._sending:
            raise trio.BusyResourceError("another task is sending on this stream")
        sent = 0
        total = len(data)
        if 0 < total <= RECORD_BYTES and self._budget > 0:
            try:
                sent = self.send_nowait(data)
            except trio.BrokenResourceError:
                self._send_broken = True
                raise
            if sent == total:
                return
        self._sending = True
        finished = False
        try:
            while sent < total:
                if self._budget <= 0:
                    self._budget = BUDGET_BYTES
                    await trio.lowlevel.checkpoint()
                taken = self.send_nowait(memoryview(data)[sent:] if sent else data)
                sent += taken
                if not taken:
                    self._budget = BUDGET_BYTES
                    await self._wait(trio.lowlevel.wait_writable)
            finished = True
        finally:
            self._sending = False
            if not finished:
                self._send_broken = True

    def send_nowait(self, data: bytes | bytearray | memoryview) -> int:
        """Sends what the connection takes at once; returns how many bytes that was.

        After 0 the same bytes must be sent again, after `wait_writable`: OpenSSL may have encrypted them already.
        """
        if self._send_broken:
            raise trio.BrokenResourceError("an earlier send on this stream was cut off")
        if self._send_finished:
            raise trio.ClosedResourceError("this end has finished sending")
        try:
            sent = self._write(data) if len(data) <= RECORD_BYTES else self._write_together(data)
        except ssl.SSLWantWriteError:
            self._unsent = True
            return 0
        except (OSError, ValueError) as error:
            raise self._failure(error) from error
        self._unsent = False
        self._budget -= max(sent, STEP_BYTES)
        return sent

    def _write_together(self, data: bytes | bytearray | memoryview) -> int:
        """Writes several records, which OpenSSL gives to the kernel one by one, so that they leave in long segments."""
        if not self._is_tcp:
            return self._write(data)
        cork = self._connection.setsockopt
        cork(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
        try:
            return self._write(data)
        finally:
            cork(socket.IPPROTO_TCP, socket.TCP_CORK, 0)

    async def wait_send_all_might_not_block(self) -> None:
        """Waits until the socket takes bytes."""
        if self._sending:
            raise trio.BusyResourceError("another task is sending on this stream")
        await self._wait(trio.lowlevel.wait_writable)

    async def send_eof(self) -> None:
        """Tells the peer that nothing more will come (close_notify); receiving goes on (RFC 8446 6.1)."""
        if self._sending:
            raise trio.BusyResourceError("another task is sending on this stream")
        if self._send_finished:
            return
        if self._connection.fileno() < 0:
            raise trio.ClosedResourceError("this stream is closed")
        if self._send_broken or self._unsent:
            raise trio.BrokenResourceError("an earlier send on this stream was cut off")
        self._send_finished = True
        alert = self._close_notify()
        while alert:
            try:
                alert = alert[self._send_raw(alert) :]
            except BlockingIOError:
                await self._wait(trio.lowlevel.wait_writable)
            except OSError as error:
                raise self._failure(error) from error

    def _close_notify(self) -> bytes:
        """Has OpenSSL make its last record without letting it read.

        Python's `unwrap` sends close_notify and then reads for the peer's; a data record that comes first would be
        lost. So for the moment of the call a socket pair stands in for the connection under its file descriptor.
        """
        number = self._connection.fileno()
        ours, theirs = socket.socketpair()
        with ours, theirs:
            ours.settimeout(0)
            theirs.settimeout(0)
            saved = os.dup(number)
            try:
                os.dup2(ours.fileno(), number, inheritable=False)
                with contextlib.suppress(ssl.SSLWantReadError):  # the peer's close_notify has not come
                    self._connection.unwrap()
                    self._unwrapped = True
            except OSError as error:
                raise self._failure(error) from error
            finally:
                os.dup2(saved, number, inheritable=False)
                os.close(saved)
            with contextlib.suppress(BlockingIOError):
                return theirs.recv(CLOSE_NOTIFY_BYTES)
        return b""

    def _send_raw(self, data: bytes) -> int:
        return os.write(self._connection.fileno(), data)

    # -- the end

    async def aclose(self) -> None:
        """Closes at once and never waits. Sends close_notify if the socket takes it, unless a send was cut off.

        Closed by force (`trio.aclose_forcefully`) it sends none: to the peer, what broke off must not look like an end
        in order (RFC 8446 6.1).
        """
        connection = self._connection
        if connection.fileno() >= 0:
            trio.lowlevel.notify_closing(connection)
            by_force = trio.current_effective_deadline() == -math.inf
            cut_off = self._send_broken or self._sending or self._unsent
            if not by_force and not cut_off and not self._send_finished:
                with contextlib.suppress(OSError, ValueError):  # best effort: the peer may be gone
                    connection.unwrap()
            connection.close()
        await trio.lowlevel.checkpoint()

    def _failure(self, error: Exception) -> Exception:
        if self._connection.fileno() < 0:
            return trio.ClosedResourceError("this stream is closed")
        return trio.BrokenResourceError(f"the TLS connection broke: {error}")

    async def _wait(self, wait: Callable[[Any], Awaitable[None]]) -> None:
        if self._connection.fileno() < 0:
            raise trio.ClosedResourceError("this stream is closed")
        await wait(self._connection)


async def accept_tls(connection: socket.socket, context: ssl.SSLContext, peer_address: tuple[str, int]) -> TlsStream:
    """The server's handshake on an accepted connection, which belongs to the stream from now on.

    Raises OSError (ssl.SSLError is one) when the handshake fails; the connection is closed then.
    """
    return await _handshake(connection, context, peer_address, server_side=True)


async def start_tls(
    connection: socket.socket, context: ssl.SSLContext, peer_address: tuple[str, int], server_hostname: str
) -> TlsStream:
    """The client's handshake on a connected socket; raises as `accept_tls` does."""
    return await _handshake(connection, context, peer_address, server_side=False, server_hostname=server_hostname)


async def _handshake(
    connection: socket.socket,
    context: ssl.SSLContext,
    peer_address: tuple[str, int],
    *,
    server_side: bool,
    server_hostname: str | None = None,
) -> TlsStream:
    secured: ssl.SSLSocket | None = None
    try:
        connection.settimeout(0)
        secured = context.wrap_socket(
            connection,
            server_side=server_side,
            server_hostname=server_hostname,
            do_handshake_on_connect=False,
            # An end without close_notify may be an attacker's cut: it is reported, not taken for the end.
            suppress_ragged_eofs=False,
        )
        while True:
            try:
                secured.do_handshake()
            except ssl.SSLWantReadError:
                await trio.lowlevel.wait_readable(secured)
            except ssl.SSLWantWriteError:
                await trio.lowlevel.wait_writable(secured)
            else:
                return TlsStream(secured, peer_address)
    except BaseException:
        (secured or connection).close()
        raise
