"""The events of a watch: one JSON object a line."""

import json
from typing import Any, NamedTuple, Self

from relay.kubernetes.errors import BadAnswerError, status_error
from relay.kubernetes.exchange import Answer

MAX_EVENT_BYTES = 8 * 1024 * 1024
"""Objects have at most 1.5 MiB in etcd; as JSON they are larger, rarely twice."""
TYPES = frozenset({"ADDED", "MODIFIED", "DELETED", "BOOKMARK"})


class Event(NamedTuple):
    """One change."""

    type: str
    """ADDED, MODIFIED, DELETED, or BOOKMARK: nothing changed, and a watch may go on from its resource version."""
    object: dict[str, Any]

    @property
    def resource_version(self) -> str:
        """From where a later watch goes on."""
        return str(self.object.get("metadata", {}).get("resourceVersion", ""))


class Events:
    """Iterates over the events of a watch until the API server ends it, which it does every so often."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._parts: list[bytes] = []
        self._size = 0
        self._lines: list[bytes] = []

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        """Raises GoneError when the version watched from is too old, other KubernetesErrors as they come."""
        while not self._lines:
            try:
                piece = await anext(self._answer)
            except StopAsyncIteration:
                if self._size:
                    raise BadAnswerError("the watch ended in the middle of an event") from None
                raise
            self._take(piece)
        return _event(self._lines.pop())

    def _take(self, piece: bytes) -> None:
        head, *rest = piece.split(b"\n")
        self._parts.append(head)
        self._size += len(head)
        if self._size > MAX_EVENT_BYTES:
            raise BadAnswerError(f"an event has more than {MAX_EVENT_BYTES} bytes")
        if rest:
            lines = [b"".join(self._parts), *rest]
            self._parts = [lines.pop()]
            self._size = len(self._parts[0])
            self._lines = [line for line in reversed(lines) if line]


def _event(line: bytes) -> Event:
    try:
        document = json.loads(line)
        kind, subject = document["type"], document["object"]
    except (ValueError, RecursionError, KeyError, TypeError) as error:
        raise BadAnswerError("an event of the watch cannot be read") from error
    if kind == "ERROR":
        raise status_error(subject)
    if kind not in TYPES or not isinstance(subject, dict):
        raise BadAnswerError("an event of the watch is of no known type")
    return Event(kind, subject)
