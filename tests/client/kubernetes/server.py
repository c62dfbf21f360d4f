"""An API server for tests of what reaches it: real TLS, every byte written down, answers as the test says."""

import json
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import trio

from certs import Authority
from client.kubernetes.settings import InCluster

TOKEN = "token-of-the-agent"
HOST = "127.0.0.1"


@dataclass
class Request:
    """One request as it arrived, read as leniently as any server might."""

    method: str
    target: str
    headers: dict[str, str]
    names: list[str]
    body: bytes
    raw_head: bytes

    @property
    def authorization(self) -> str:
        return self.headers.get("authorization", "")


@dataclass
class Connection:
    """What came over one connection."""

    stream: trio.SSLStream[trio.SocketStream]
    requests: list[Request] = field(default_factory=list)
    extra: bytes = b""
    """What came behind the request."""
    sent_bytes: int = 0
    over: trio.Event = field(default_factory=trio.Event)
    """Set when the agent has closed it."""

    async def send(self, data: bytes) -> None:
        await self.stream.send_all(data)
        self.sent_bytes += len(data)


Handler = Callable[[Connection, Request], Awaitable[None]]


def answer(status: int, body: bytes = b"", content_type: str = "application/json", *more: str) -> bytes:
    lines = [f"HTTP/1.1 {status} X", f"content-type: {content_type}", f"content-length: {len(body)}", *more]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


def json_answer(document: Any, status: int = 200) -> bytes:
    return answer(status, json.dumps(document).encode())


async def by_default(connection: Connection, request: Request) -> None:
    if request.authorization != f"Bearer {TOKEN}":
        await connection.send(json_answer({"kind": "Status", "code": 401, "message": "Unauthorized"}, 401))
    elif request.target == "/version":
        await connection.send(json_answer({"gitVersion": "v1.33.1"}))
    else:
        await connection.send(json_answer({"kind": "Anything", "metadata": {}, "items": []}))


@dataclass
class ApiServer:
    """Serves until its nursery is cancelled."""

    folder: Path
    handler: Handler = by_default
    port: int = 0
    connections: list[Connection] = field(default_factory=list)
    handshakes_failed: int = 0
    receive_buffer_bytes: int | None = None

    def __post_init__(self) -> None:
        self.authority = Authority.create(["localhost", "other.example"])
        self.folder.mkdir(exist_ok=True)
        self.authority.leaf([HOST, "localhost"]).write(self.folder / "server.pem", self.folder / "server.key")
        (self.folder / "ca.crt").write_bytes(self.authority.pem)
        (self.folder / "token").write_text(TOKEN)
        self._changed = trio.Event()

    @property
    def requests(self) -> list[Request]:
        return [request for connection in self.connections for request in connection.requests]

    @property
    def cluster(self) -> InCluster:
        return InCluster(
            host=HOST,
            port=self.port,
            token_file=self.folder / "token",
            ca_file=self.folder / "ca.crt",
            namespace="signadot",
        )

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.folder / "server.pem", self.folder / "server.key")
        self._context = context
        listeners = await trio.open_tcp_listeners(0, host=HOST)
        self.port = listeners[0].socket.getsockname()[1]
        task_status.started()
        await trio.serve_listeners(self._serve, listeners)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Waits until something that happens at this server makes the condition true."""
        with trio.fail_after(30):
            while not condition():
                await self._changed.wait()

    def _note(self) -> None:
        self._changed.set()
        self._changed = trio.Event()

    async def _serve(self, plain: trio.SocketStream) -> None:
        stream = trio.SSLStream(plain, self._context, server_side=True, https_compatible=True)
        connection = Connection(stream)
        self.connections.append(connection)
        try:
            await stream.do_handshake()
        except trio.BrokenResourceError:
            self.handshakes_failed += 1
            self.connections.remove(connection)
            self._note()
            return
        try:
            request, rest = await self._read(stream)
            connection.requests.append(request)
            connection.extra += rest
            self._note()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._read_extra, connection, nursery.cancel_scope)
                await self._handle(connection, request)
                nursery.cancel_scope.cancel()
        except trio.BrokenResourceError:
            pass  # the agent closed it
        finally:
            connection.over.set()
            self._note()
            with trio.CancelScope(shield=True):
                await trio.aclose_forcefully(stream)

    async def _handle(self, connection: Connection, request: Request) -> None:
        try:
            await self.handler(connection, request)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return  # the agent closed it
        await connection.over.wait()

    async def _read(self, stream: trio.SSLStream[trio.SocketStream]) -> tuple[Request, bytes]:
        data = b""
        while b"\r\n\r\n" not in data:
            more = await stream.receive_some(65536)
            if not more:
                raise trio.BrokenResourceError
            data += more
        head, _, rest = data.partition(b"\r\n\r\n")
        line, *fields = head.decode("latin-1").split("\r\n")
        method, target, _ = line.split(" ", 2)
        pairs = [(name.strip().lower(), value.strip()) for name, _, value in (field.partition(":") for field in fields)]
        headers = dict(pairs)
        length = int(headers.get("content-length", "0"))
        while len(rest) < length:
            rest += await stream.receive_some(65536)
        names = [name for name, _ in pairs]
        return Request(method, target, headers, names, rest[:length], head), rest[length:]

    async def _read_extra(self, connection: Connection, exchange: trio.CancelScope) -> None:
        try:
            while data := await connection.stream.receive_some(65536):
                connection.extra += data
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        # The other end has closed: whatever the handler still wants to say, nobody hears it.
        connection.over.set()
        exchange.cancel()


def chunked_head(content_type: str = "application/json") -> bytes:
    return f"HTTP/1.1 200 OK\r\ncontent-type: {content_type}\r\ntransfer-encoding: chunked\r\n\r\n".encode()


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)
