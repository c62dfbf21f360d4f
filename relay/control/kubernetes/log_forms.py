"""The two forms of a log stream: plain text, and server-sent events."""

import json
from collections.abc import Iterable
from typing import Any, Protocol

from relay.control.kubernetes.pods import Pod


class LogForm(Protocol):
    """How lines, and what is to be said between them, are written."""

    media_type: str

    def lines(self, pod: Pod, container: str, lines: Iterable[bytes]) -> bytes:
        """Lines of a container, given without their ends."""

    def note(self, message: str) -> bytes:
        """What the relay has to say; no line of a log can be taken for it."""

    def beat(self) -> bytes:
        """What tells that the stream is alive, where the form has such; else nothing."""

    def end(self) -> bytes:
        """The last of a stream that came to its end."""


class PlainText:
    """`pod/container line`, as the container wrote it; notes begin with `# `, as no name of a pod does."""

    media_type = "text/plain"

    def lines(self, pod: Pod, container: str, lines: Iterable[bytes]) -> bytes:
        """See `LogForm`."""
        prefix = f"{pod.name}/{container} ".encode()
        return b"".join([b"%b%b\n" % (prefix, line) for line in lines])

    def note(self, message: str) -> bytes:
        """See `LogForm`."""
        return f"# {' '.join(message.split())}\n".encode("utf-8", "replace")

    def beat(self) -> bytes:
        """See `LogForm`."""
        return b""

    def end(self) -> bytes:
        """See `LogForm`."""
        return b""


class ServerSentEvents:
    """JSON in each event (WHATWG HTML, section Server-sent events): `line`, `note`, and `end` after the last.

    Bytes that are no UTF-8 are replaced: events are text.
    """

    media_type = "text/event-stream"

    def lines(self, pod: Pod, container: str, lines: Iterable[bytes]) -> bytes:
        """See `LogForm`."""
        where = {"namespace": pod.namespace, "pod": pod.name, "container": container}
        return b"".join([_event("line", {**where, "line": line.decode("utf-8", "replace")}) for line in lines])

    def note(self, message: str) -> bytes:
        """See `LogForm`."""
        return _event("note", {"message": message})

    def beat(self) -> bytes:
        """See `LogForm`."""
        return b":\n\n"

    def end(self) -> bytes:
        """See `LogForm`."""
        return _event("end", {})


def _event(kind: str, data: dict[str, Any]) -> bytes:
    return f"event: {kind}\ndata: {json.dumps(data)}\n\n".encode()
