"""The real API behind a small HTTPS server, and CONNECT towards an echo: what the command line talks to."""

import json
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import trio
import trustme

from relay.control import Services, make_api
from relay.http1 import RequestHead, read_request_head
from relay.http1.limits import HeadLimits
from relay.store import Database, Lookups
from tests.control.api import FakeStatus, no_cluster, preview_url

REFUSAL = b"HTTP/1.1 429 X\r\nconnection: close\r\nretry-after: 0\r\ncontent-length: 2\r\n\r\n{}"


@dataclass(slots=True, kw_only=True)
class Server:
    """Runs while the fixture does."""

    app: Any
    key: str
    port: int = 0
    ca_file: Path = Path()
    folder: Path = Path()
    online: bool = False
    heads: list[RequestHead] = field(default_factory=list)
    answer: bytes = b""
    """What everything is answered with, where that is not the API."""
    refusals: int = 0
    """How many requests are answered before that with: too many."""

    def environment(self, **changes: str) -> dict[str, str]:
        values = {
            "HOME": str(self.folder),
            "SIGNADOT_ORG": "acme",
            "SIGNADOT_API_KEY": self.key,
            "SIGNADOT_API_URL": f"https://api.localhost:{self.port}",
            "SIGNADOT_CA_FILE": str(self.ca_file),
        }
        return {name: value for name, value in (values | changes).items() if value}

    def command(self, *arguments: str) -> Sequence[str]:
        return [sys.executable, "-W", "error", "-m", "client.cli", *arguments]

    async def run(self, *arguments: str, stdin: str = "", **changes: str) -> "subprocess.CompletedProcess[bytes]":
        with trio.fail_after(30):
            return await trio.run_process(
                self.command(*arguments),
                stdin=stdin.encode(),
                capture_stdout=True,
                capture_stderr=True,
                check=False,
                env=self.environment(**changes),
            )

    async def done(self, *arguments: str, stdin: str = "", **changes: str) -> str:
        result = await self.run(*arguments, stdin=stdin, **changes)
        assert (result.returncode, result.stderr) == (0, b""), result
        return result.stdout.decode()

    async def failed(self, code: int, *arguments: str, stdin: str = "", **changes: str) -> str:
        """What is said on standard error: never a traceback, nothing on standard output."""
        result = await self.run(*arguments, stdin=stdin, **changes)
        assert (result.returncode, result.stdout) == (code, b""), result
        assert b"Traceback" not in result.stderr
        return result.stderr.decode()

    async def serve(self, stream: trio.SSLStream[trio.SocketStream]) -> None:
        try:
            await self._serve(stream)
        except (trio.BrokenResourceError, ssl.SSLError):
            pass  # the test's client left, or does not trust us: both are what some tests are about
        finally:
            await trio.aclose_forcefully(stream)

    async def _serve(self, stream: trio.SSLStream[trio.SocketStream]) -> None:
        buffer = bytearray()
        while (parsed := read_request_head(buffer, HeadLimits())) is None:
            data = await stream.receive_some(65536)
            if not data:
                return
            buffer += data
        head, consumed = parsed
        self.heads.append(head)
        if self.refusals:
            self.refusals -= 1
            await stream.send_all(REFUSAL)
        elif self.answer:
            await stream.send_all(self.answer)
        elif head.method == b"CONNECT":
            await self._connect(stream, head)
        else:
            length = int(head.get(b"content-length") or b"0")
            body = bytes(buffer[consumed:])
            while len(body) < length:
                body += await stream.receive_some(65536)
            await stream.send_all(await self._call(head, body))

    async def _call(self, head: RequestHead, body: bytes) -> bytes:
        messages: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: dict[str, Any]) -> None:
            messages.append(message)

        path, _, query = head.target.partition(b"?")
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": head.method.decode(),
            "scheme": "https",
            "path": path.decode(),
            "raw_path": path,
            "query_string": query,
            "headers": [*head.headers, (b"x-request-id", b"r1")],
        }
        await self.app(scope, receive, send)
        content: bytes = messages[-1].get("body", b"")
        head_line = f"HTTP/1.1 {messages[0]['status']} X\r\nconnection: close\r\ncontent-length: {len(content)}\r\n"
        return head_line.encode() + b"content-type: application/json\r\n\r\n" + content

    async def _connect(self, stream: trio.SSLStream[trio.SocketStream], head: RequestHead) -> None:
        if head.host == "refused.svc":
            error = json.dumps({"code": "target_refused", "error": "refused.svc refused", "requestId": "r2"}).encode()
            await stream.send_all(b"HTTP/1.1 502 X\r\nContent-Length: %d\r\n\r\n%b" % (len(error), error))
            return
        await stream.send_all(b"HTTP/1.1 200 Connection established\r\n\r\nhello ")  # the target speaks first
        while data := await stream.receive_some(65536):
            await stream.send_all(data.upper())


@asynccontextmanager
async def running(database: Database, key: str, folder: Path) -> AsyncIterator[Server]:
    server = Server(app=None, key=key, folder=folder, ca_file=folder / "ca.pem")
    services = Services(
        database=database,
        lookups=Lookups(database),
        cluster_status=lambda _: FakeStatus(
            online=server.online,
            tunnels=int(server.online),
            agent_versions=("0.1.0",) if server.online else (),
            kubernetes_versions=("v1.33.1",) if server.online else (),
            capabilities=("kubernetes", "pod-logs") if server.online else (),
        ),
        preview_url=preview_url,
        cluster_api=no_cluster,
    )
    server.app = make_api(services)
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(server.ca_file))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("api.localhost", "proxy.localhost").configure_cert(context)
    plain = await trio.open_tcp_listeners(0, host="127.0.0.1")
    server.port = plain[0].socket.getsockname()[1]
    listeners = [trio.SSLListener(plain[0], context, https_compatible=True)]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(partial(trio.serve_listeners, server.serve, listeners))
        yield server
        nursery.cancel_scope.cancel()
