"""A worker's end: its sockets, and the supervisor's commands carried out."""

import json
import socket
from collections.abc import Sequence
from typing import Protocol

import trio

from relay.errors import ConfigurationError
from relay.workers.assignment import Assignment
from relay.workers.channel import LAST, STARTED, Channel


class Duties(Protocol):
    """What the supervisor may ask of a worker."""

    def exposition(self) -> bytes:
        """The metrics of this process."""

    async def readiness(self) -> str:
        """Empty, or a sentence that says why it is not ready."""

    def online_clusters(self) -> int:
        """How many clusters have a tunnel here."""

    def open(self) -> None:
        """Begins to take visitors, where the assignment held that back."""

    def give_way(self) -> None:
        """Takes no tunnels any more and tells agents to come again: a successor is there for them."""

    def stop(self) -> None:
        """Drains and ends."""


class Post:
    """Where a worker stands: its assignment and the line to the supervisor."""

    def __init__(self, assignment: Assignment, channel: Channel) -> None:
        self.assignment = assignment
        self.public = _adopted(assignment.public)
        self.tunnels = _adopted(assignment.tunnels)
        self._channel = channel

    async def serve(self, duties: Duties) -> None:
        """Says that the worker has started, then does what it is told; without a supervisor it drains and ends."""
        await self._answer(STARTED, "")
        while (line := await self._channel.receive()) is not None:
            number, _, command = line.partition(" ")
            await self._answer(int(number), await _do(command, duties))
        duties.stop()

    async def end(self, exposition: bytes) -> None:
        """The last word: the final counts, which outlive this process."""
        await self._answer(LAST, exposition.decode())
        await self._channel.aclose()

    async def _answer(self, number: int, value: str | int) -> None:
        await self._channel.send(json.dumps([number, value]))


async def take_post(control: int) -> Post:
    """Reads the assignment from the inherited socket `control`.

    Raises:
        ConfigurationError: no supervisor is there; this is not for people to start.
    """
    try:
        channel = Channel(trio.SocketStream(trio.socket.from_stdlib_socket(socket.socket(fileno=control))))
    except OSError as error:
        raise ConfigurationError(f"--control: {control} is not a supervisor's socket: {error.strerror}") from error
    line = await channel.receive()
    if line is None:
        raise ConfigurationError("--control: the supervisor is gone")
    return Post(Assignment.decode(line), channel)


async def _do(command: str, duties: Duties) -> str | int:
    match command:
        case "metrics":
            return duties.exposition().decode()
        case "readiness":
            return await duties.readiness()
        case "clusters":
            return duties.online_clusters()
        case "open":
            duties.open()
        case "give_way":
            duties.give_way()
    return ""


def _adopted(descriptors: Sequence[int]) -> list[socket.socket]:
    return [socket.socket(fileno=descriptor) for descriptor in descriptors]
