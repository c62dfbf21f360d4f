"""Dialling the relay: TLS or WebSocket, straight or through a forward proxy."""

import ssl
from pathlib import Path

import trio

from client.settings import Endpoint, Settings
from relay.errors import RelayError
from relay.transport.proxy import proxy_for
from relay.transport.tls import TlsStream, connect_tls
from relay.transport.websocket import connect_websocket

TUNNEL_ALPN = "signadot-tunnel/1"
HTTP_ALPN = "http/1.1"
CONNECT_SECONDS = 10.0
"""For name, TCP, proxy and TLS together: three lost SYNs (RFC 6298: 1, 2 and 4 s) and some.

As much again for the WebSocket's own handshake.
"""


class RelayDialError(RelayError):
    """The relay was not reached; the message is one sentence for the log and /readyz."""

    code = "relay_unreachable"


class RelayDialler:
    """Brings up transports to the relay's processes."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._context = client_context(settings.ca_file)

    async def connect(self, address: Endpoint, nursery: trio.Nursery) -> trio.abc.Stream:
        """A transport to one address of the relay; whatever the address, the certificate must be the relay's.

        A WebSocket has a task of its own, which runs in `nursery`; cancel that once the transport is not needed.

        Raises:
            RelayDialError: there is none; the message says why.
        """
        try:
            if self._settings.transport == "websocket":
                return await self._connect_websocket(address, nursery)
            return await self._connect_tls(address)
        except ssl.SSLCertVerificationError as error:
            raise RelayDialError(
                f"the certificate of {address} is not trusted for {self._settings.relay.host}: {error.verify_message}"
            ) from error
        except ssl.SSLError as error:
            raise RelayDialError(f"TLS with {address} failed: {error.reason or error}") from error
        except (OSError, RelayError, trio.BrokenResourceError) as error:
            raise RelayDialError(f"cannot reach {address}: {_reason(error)}") from error

    async def _connect_tls(self, address: Endpoint) -> TlsStream:
        stream = await self._handshake(address, TUNNEL_ALPN)
        if stream.alpn != TUNNEL_ALPN:
            await trio.aclose_forcefully(stream)
            raise RelayDialError("it does not take tunnels (nothing was agreed by ALPN); is this the relay's address?")
        return stream

    async def _connect_websocket(self, address: Endpoint, nursery: trio.Nursery) -> trio.abc.Stream:
        stream = await self._handshake(address, HTTP_ALPN)
        nursery.start_soon(_close_at_the_end, stream)
        try:
            with trio.fail_after(CONNECT_SECONDS):
                return await connect_websocket(stream, nursery=nursery, host=self._settings.relay.host)
        except trio.TooSlowError:
            raise RelayDialError("the WebSocket handshake was not answered") from None

    async def _handshake(self, address: Endpoint, alpn: str) -> TlsStream:
        return await connect_tls(
            address.host,
            address.port,
            context=self._context,
            server_hostname=self._settings.relay.host,
            alpn=[alpn],
            forward_proxy=proxy_for(address.host, address.port, self._settings.proxy_environment),
            timeout_seconds=CONNECT_SECONDS,
        )


async def _close_at_the_end(stream: trio.abc.Stream) -> None:
    """Closes what is under a WebSocket, however that ended: the library leaves it open when it is cancelled."""
    try:
        await trio.sleep_forever()
    finally:
        with trio.CancelScope(shield=True):
            await trio.aclose_forcefully(stream)


def client_context(ca_file: Path | None) -> ssl.SSLContext:
    """TLS 1.3 with verification of certificate and name: tunnels have no peers from before TLS 1.3."""
    context = ssl.create_default_context(cafile=ca_file)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    return context


def _reason(error: BaseException) -> str:
    """The system's words for what went wrong; trio keeps them in the causes when it tried several addresses."""
    cause = error.__cause__
    if isinstance(cause, BaseExceptionGroup):
        return ", ".join(sorted({_reason(part) for part in cause.exceptions}))
    if isinstance(cause, OSError):
        return _reason(cause)
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
