"""Whoever reads the API's log stream: an ASGI call that runs while its parts are read."""

from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import trio

from tests.control.api import Api


class Visitor:
    """Reads parts as they come; leaving the block is leaving the stream."""

    def __init__(self, api: Api, path: str, *, accept: str = "*/*", key: str | None = None) -> None:
        split = urlsplit(f"/api/v2/orgs/acme{path}")
        self.status = 0
        self.notes: list[bytes] = []
        self.headers: dict[str, str] = {}
        self._api = api
        self._scope: dict[str, Any] = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "GET",
            "scheme": "https",
            "path": split.path,
            "raw_path": split.path.encode(),
            "query_string": split.query.encode(),
            "headers": [
                (b"signadot-api-key", (key or api.key).encode()),
                (b"accept", accept.encode()),
                (b"x-request-id", b"r1"),
            ],
        }
        self._send, self._receive = trio.open_memory_channel[bytes](0)
        self._begun = trio.Event()
        self._cancel = trio.CancelScope()
        self._buffer = b""

    async def start(self, nursery: trio.Nursery) -> Self:
        """Asks, and returns when there is an answer."""
        nursery.start_soon(self._run)
        await self._begun.wait()
        return self

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.leave()

    def leave(self) -> None:
        self._cancel.cancel()

    async def line(self) -> bytes:
        """The next line of a log; notes are kept apart."""
        while (line := await self._line()).startswith(b"# "):
            self.notes.append(line)
        return line

    async def _line(self) -> bytes:
        while b"\n" not in self._buffer:
            self._buffer += await self._receive.receive()
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line

    async def lines(self, count: int) -> list[bytes]:
        return [await self.line() for _ in range(count)]

    async def rest(self) -> bytes:
        return self._buffer + b"".join([part async for part in self._receive])

    async def _run(self) -> None:
        with self._cancel, self._send:
            await self._api.app(self._scope, self._wait, self._take)

    async def _wait(self) -> dict[str, Any]:
        await trio.lowlevel.checkpoint()
        return {"type": "http.request", "body": b"", "more_body": False}

    async def _take(self, message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {name.decode(): value.decode() for name, value in message["headers"]}
            self._begun.set()
        elif message["body"]:
            await self._send.send(message["body"])
