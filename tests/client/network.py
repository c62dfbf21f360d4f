"""A network that counts what is dialled and connects nothing outside this process."""

import socket
from collections.abc import Mapping, Sequence
from ipaddress import ip_address

import trio

from client.addresses import Address


class RecordingNetwork:
    """Names resolve by a table (a list of answers is taken one after the other); every connect is written down."""

    def __init__(self, names: Mapping[str, list[str] | list[list[str]]] | None = None) -> None:
        self._names = dict(names or {})
        self.resolved: list[str] = []
        self.dialled: list[tuple[str, int]] = []
        self.error: OSError | None = None

    async def resolve(self, name: str) -> Sequence[Address]:
        await trio.lowlevel.checkpoint()
        self.resolved.append(name)
        if name not in self._names:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        answer = self._names[name]
        addresses = answer.pop(0) if answer and isinstance(answer[0], list) else answer
        return [ip_address(str(address)) for address in addresses]

    async def connect(self, address: Address, port: int) -> trio.SocketStream:
        await trio.lowlevel.checkpoint()
        self.dialled.append((str(address), port))
        if self.error is not None:
            raise self.error
        near, far = socket.socketpair()
        far.close()
        return trio.SocketStream(trio.socket.from_stdlib_socket(near))
