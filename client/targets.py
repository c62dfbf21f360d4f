"""Dialling a target: look up, check, connect to the checked address. Failures become reset codes."""

import errno
import socket
from collections.abc import Sequence
from ipaddress import ip_address
from typing import Protocol

import trio

from client.addresses import Address
from client.policy import DialPolicy, NotAllowedError
from relay.errors import RelayError
from relay.mux import ResetCode
from relay.transport import TcpStream
from relay.transport.sockets import configure

DIAL_SECONDS = 10.0
"""For look-up and connecting together. A Service without ready pods answers at once or never; a pod that lost its
first SYN gets three more in this time (RFC 6298: 1, 3 and 7 s)."""
MIN_ATTEMPT_SECONDS = 1.0
"""The least that one of several addresses gets: below it, one lost SYN would count as a dead address."""

_NO_SUCH_NAME = frozenset({socket.EAI_NONAME, socket.EAI_NODATA})
_OUT_OF_FILES = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class DialError(RelayError):
    """A target was not reached; `wire_code` says why, for the RESET, and the message is what the visitor reads."""

    code = "dial_failed"
    status = 502

    def __init__(self, message: str, *, wire_code: ResetCode) -> None:
        super().__init__(message)
        self.wire_code = wire_code


class Network(Protocol):
    """What dialling needs of the operating system; tests put their own in its place."""

    async def resolve(self, name: str) -> Sequence[Address]:
        """All addresses of a name. Raises `socket.gaierror`."""
        ...

    async def connect(self, address: Address, port: int) -> trio.abc.HalfCloseableStream:
        """Connects. Raises OSError."""
        ...


class SystemNetwork:
    """The resolver and the sockets of this machine."""

    async def resolve(self, name: str) -> Sequence[Address]:
        """Asks the system's resolver: in a pod that is the cluster's DNS with its search domains."""
        # As bytes: a string would go through IDNA, which maps other characters to dots and digits.
        found = await trio.socket.getaddrinfo(name.encode("ascii"), None, type=socket.SOCK_STREAM)
        return [ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]

    async def connect(self, address: Address, port: int) -> trio.abc.HalfCloseableStream:
        """Connects to an address, without delay for small writes and with dead peers found."""
        family = socket.AF_INET if address.version == 4 else socket.AF_INET6  # noqa: PLR2004 - IP version 4
        plain = socket.socket(family, socket.SOCK_STREAM)
        try:
            configure(plain)
            connection = trio.socket.from_stdlib_socket(plain)
            await connection.connect((str(address), port))
        except BaseException:
            plain.close()
            raise
        return TcpStream(socket.socket(fileno=connection.detach()))


class Dialler:
    """Dials targets that the policy allows."""

    def __init__(
        self, policy: DialPolicy, *, network: Network | None = None, timeout_seconds: float = DIAL_SECONDS
    ) -> None:
        self._policy = policy
        self._network = network if network is not None else SystemNetwork()
        self._timeout_seconds = timeout_seconds

    async def dial(self, host: str, port: int) -> trio.abc.HalfCloseableStream:
        """A connection to a target as the relay names it.

        Raises:
            DialError: the policy refuses it, or it cannot be reached in time.
        """
        try:
            with trio.fail_after(self._timeout_seconds):
                addresses = await self._addresses(host, port)
                return await self._connect(addresses, host, port)
        except NotAllowedError as error:
            raise DialError(str(error), wire_code=ResetCode.NOT_ALLOWED) from error
        except trio.TooSlowError:
            message = f"{host}:{port} did not answer within {self._timeout_seconds:g} s"
            raise DialError(message, wire_code=ResetCode.TIMED_OUT) from None

    async def _addresses(self, host: str, port: int) -> Sequence[Address]:
        permit = self._policy.permit(host, port)
        if permit.addresses:
            return permit.addresses
        try:
            found = await self._network.resolve(permit.name)
        except socket.gaierror as error:
            why = "does not exist" if error.errno in _NO_SUCH_NAME else f"cannot be resolved: {error.strerror}"
            raise DialError(f"{permit.name} {why}", wire_code=ResetCode.NOT_FOUND) from error
        addresses = self._policy.check(permit, found)
        if not addresses:
            raise DialError(f"{permit.name} has no addresses", wire_code=ResetCode.NOT_FOUND)
        return addresses

    async def _connect(self, addresses: Sequence[Address], host: str, port: int) -> trio.abc.HalfCloseableStream:
        # One after the other: a Service has one address per family, so racing them would save nothing.
        first: DialError | None = None
        for left, address in zip(range(len(addresses), 0, -1), addresses, strict=True):
            remaining = trio.current_effective_deadline() - trio.current_time()
            with trio.move_on_after(max(MIN_ATTEMPT_SECONDS, remaining / left)):
                try:
                    return await self._network.connect(address, port)
                except OSError as error:
                    first = first or explain(error, f"{host}:{port}")
        if first is None:
            raise trio.TooSlowError
        raise first


def explain(error: OSError, target: str) -> DialError:
    """The dial error for what connecting to `target` raised."""
    match error:
        case ConnectionRefusedError():
            return DialError(f"{target} refused the connection", wire_code=ResetCode.REFUSED)
        case TimeoutError():
            return DialError(f"{target} did not answer", wire_code=ResetCode.TIMED_OUT)
        case ConnectionResetError():
            return DialError(f"{target} reset the connection", wire_code=ResetCode.TARGET_RESET)
    if error.errno in _OUT_OF_FILES:
        return DialError("the agent has no file descriptors or memory left", wire_code=ResetCode.LIMIT)
    return DialError(f"{target} cannot be reached: {error.strerror or error}", wire_code=ResetCode.UNREACHABLE)
