"""Ingress between a visitor in memory and an agent in memory: real connection, real mux, scripted target."""

import json
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from io import StringIO
from typing import Any, cast

import trio
import trio.testing

from relay.auth import Membership, PreviewCookies, Principal, PrincipalKind, Role
from relay.errors import StoreUnavailableError, UnauthenticatedError
from relay.ingress import Admission, AsgiApp, CookieKeys, Hosts, Ingress, IngressLimits, PreviewLogins, Shared
from relay.routing import Route, RouteTable
from relay.store import Cluster, HandOver, Login, Org, User
from relay.telemetry import Telemetry
from relay.transport import MuxStream, TlsStream, Tunnel
from tests.transport.pair import tunnel_pair

KEY = "sdk_good"
HOST = "web--shop.preview.test"
HOSTS = Hosts(preview="preview.test", api="api.test", app="app.test", tunnel="tunnel.test", proxy="proxy.test")
ROUTE = Route(
    org_id="o1",
    org="acme",
    cluster_id="c1",
    cluster="staging",
    workspace="shop",
    endpoint="web",
    target_host="web.shop.svc",
    target_port=8080,
    routing_key="key1",
)
Target = Callable[[MuxStream], Awaitable[None]]


class VisitorStream(trio.abc.HalfCloseableStream):
    """The relay's end of a visitor's connection: what ingress uses of a TlsStream."""

    def __init__(self, stream: trio.StapledStream[Any, Any], server_name: str | None) -> None:
        self._stream = stream
        self.server_name = server_name
        self.peer_address = ("192.0.2.7", 50000)
        self.was_cut = False
        """Closed without the close_notify that says that nothing is missing."""
        self._taken = bytearray()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        return bytes(await self._stream.receive_some(max_bytes))

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        self._taken += data
        data, self._taken = self._taken, bytearray()
        await self._stream.send_all(data)

    def send_nowait(self, data: bytes | bytearray | memoryview) -> int:
        """Takes short pieces whole and half of long ones; all of it arrives with the next `send_all`."""
        size = len(data) if len(data) < 1000 else len(data) // 2
        self._taken += data[:size]
        return size

    async def wait_send_all_might_not_block(self) -> None:
        await self._stream.wait_send_all_might_not_block()

    async def send_eof(self) -> None:
        await self._stream.send_eof()

    async def aclose(self) -> None:
        self.was_cut = trio.current_effective_deadline() == -math.inf  # by trio.aclose_forcefully
        await self._stream.aclose()


LOGIN_ID = "0" * 31 + "1"
MEMBER = Membership(org_id="o1", org="acme", role=Role.MEMBER)


@dataclass
class Logins:
    """Logins in memory, and a clock that stands still."""

    now: float = 1_700_000_000.0
    principals: dict[str, Principal] = field(default_factory=dict)
    """By login id."""
    expires_at: float = 1_700_000_000.0 + 7 * 24 * 3600
    cached: bool = True
    """Whether look-ups are answered from memory."""
    down: bool = False
    codes: dict[tuple[str, str, str], HandOver] = field(default_factory=dict)
    """By code, host and nonce."""
    presented: list[tuple[str, str, str | None]] = field(default_factory=list)
    keys: list[tuple[str, bytes]] = field(default_factory=lambda: [("01020304", bytes(32))])
    new_keys: list[tuple[str, bytes]] = field(default_factory=list)
    """What the store has that is not at hand yet."""
    refreshed: int = 0
    asked: int = 0
    """Look-ups so far."""

    def clock(self) -> float:
        return self.now

    def sign_in(self, *memberships: Membership, login_id: str = LOGIN_ID) -> None:
        self.principals[login_id] = Principal(
            kind=PrincipalKind.LOGIN, credential_id=login_id, name="alice", memberships=memberships or (MEMBER,)
        )

    def cookie(self, host: str = HOST, *, login_id: str = LOGIN_ID, seconds: float = 3600, age: float = 0) -> str:
        """A Cookie line of a browser that signed in `age` seconds ago."""
        minted = PreviewCookies(self.keys).mint(login_id, host=host, now=self.now - age, seconds=seconds)
        return f"Cookie: __Host-sd-preview={minted}"

    def code(self, code: str, return_to: str, *, host: str = HOST, nonce: str) -> None:
        """Makes a code that is good for one host and one nonce."""
        user = User(id="u1", provider="github", subject="7", login="alice", created_at=0, last_login_at=None)
        login = Login(id=LOGIN_ID, user=user, created_at=0, expires_at=self.expires_at, members=())
        self.codes[code, host, nonce] = HandOver(login=login, return_to=return_to)

    def login_nowait(self, login_id: str) -> Principal | None:
        self.asked += 1
        return self.principals.get(login_id) if self.cached else None

    async def login(self, login_id: str) -> Principal:
        await trio.lowlevel.checkpoint()
        if self.down:
            raise StoreUnavailableError("the database does not answer")
        if login_id not in self.principals:
            raise UnauthenticatedError("the login has ended; please sign in again")
        return self.principals[login_id]

    def login_expires_at(self, login_id: str) -> float | None:
        return self.expires_at if login_id in self.principals else None

    async def redeem(self, code: str, *, host: str, nonce: str | None) -> HandOver | None:
        await trio.lowlevel.checkpoint()
        self.presented.append((code, host, nonce))
        found = None if nonce is None else self.codes.get((code, host, nonce))
        for key in [key for key in self.codes if key[0] == code]:
            del self.codes[key]
        return found

    async def refresh(self) -> None:
        await trio.lowlevel.checkpoint()
        self.refreshed += 1
        self.keys += self.new_keys


@dataclass
class Directory:
    """Look-ups over values in memory."""

    routes_by_name: dict[tuple[str, str], RouteTable] = field(default_factory=dict)
    last_seen_at: float | None = None
    generation: int = 0
    revoked: bool = False

    def principal_nowait(self, api_key: str) -> Principal | None:
        if self.revoked or api_key not in {KEY, "sdk_other"}:
            return None
        org_id, org = ("o1", "acme") if api_key == KEY else ("o2", "other")
        membership = Membership(org_id=org_id, org=org, role=Role.MEMBER)
        return Principal(kind=PrincipalKind.API_KEY, credential_id="k1", memberships=(membership,))

    async def principal(self, api_key: str) -> Principal:
        await trio.lowlevel.checkpoint()
        raise UnauthenticatedError(f"the API key is unknown or was revoked ({len(api_key)} characters)")

    def routes_nowait(self, org_id: str, workspace: str) -> RouteTable | None:
        return self.routes_by_name.get((org_id, workspace))

    async def routes(self, org_id: str, workspace: str) -> RouteTable | None:
        await trio.lowlevel.checkpoint()
        return self.routes_by_name.get((org_id, workspace))

    async def org(self, name: str) -> Org | None:
        await trio.lowlevel.checkpoint()
        return Org(id="o1", name="acme", created_at=0.0) if name == "acme" else None

    async def cluster(self, org_id: str, name: str) -> Cluster | None:
        await trio.lowlevel.checkpoint()
        if (org_id, name) != ("o1", "staging"):
            return None
        return Cluster(id="c1", org_id="o1", name="staging", created_at=0.0, last_seen_at=self.last_seen_at)


@dataclass(frozen=True)
class Status:
    since: float | None


@dataclass
class Tunnels:
    """One cluster with one tunnel, or none."""

    tunnel: Tunnel | None = None
    opened: list[MuxStream] = field(default_factory=list)

    def pick(self, cluster_id: str) -> Tunnel | None:
        return self.tunnel if cluster_id == "c1" else None

    def status(self, cluster_id: str) -> Status:
        return Status(since=None if cluster_id == "c1" else 0.0)


class Visitor:
    """The visitor's end: sends bytes, reads whole answers."""

    def __init__(self, stream: trio.StapledStream[Any, Any], relay_end: VisitorStream) -> None:
        self.stream = stream
        self.relay_end = relay_end
        self.received = bytearray()

    async def send(self, data: bytes) -> None:
        await self.stream.send_all(data)

    async def ask(self, data: bytes) -> "Answer":
        await self.send(data)
        return await self.answer(head_only=data.startswith(b"HEAD "))

    async def answer(self, *, head_only: bool = False) -> "Answer":
        while b"\r\n\r\n" not in self.received:
            await self._more()
        head, _, rest = bytes(self.received).partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        headers = [tuple(line.split(": ", 1)) for line in lines[1:]]
        answer = Answer(int(lines[0].split(" ")[1]), cast("list[tuple[str, str]]", headers), b"")
        self.received = bytearray(rest)
        if head_only or answer.status < 200 or answer.status in {204, 304} or "established" in lines[0]:
            return answer
        if answer.get("transfer-encoding") == "chunked":
            answer.body = await self._chunks()
        elif (length := answer.get("content-length")) is not None:
            while len(self.received) < int(length):
                await self._more()
            answer.body = bytes(self.received[: int(length)])
            del self.received[: int(length)]
        else:
            answer.body = await self.rest()
        return answer

    async def rest(self) -> bytes:
        """All that comes until the relay closes."""
        while data := await self.stream.receive_some():
            self.received += data
        data, self.received = bytes(self.received), bytearray()
        return data

    async def _chunks(self) -> bytes:
        body = b""
        while True:
            while b"\r\n" not in self.received:
                await self._more()
            line, _, rest = bytes(self.received).partition(b"\r\n")
            size = int(line, 16)
            self.received = bytearray(rest)
            while len(self.received) < size + 2:
                await self._more()
            body += bytes(self.received[:size])
            del self.received[: size + 2]
            if size == 0:
                return body

    async def _more(self) -> None:
        data = await self.stream.receive_some()
        assert data, f"the relay closed after {bytes(self.received)!r}"
        self.received += data


@dataclass
class Answer:
    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def get(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key == name), None)

    @property
    def json(self) -> Mapping[str, Any]:
        value: Mapping[str, Any] = json.loads(self.body)
        return value


@dataclass
class Stage:
    """Everything of one test."""

    ingress: Ingress
    shared: Shared
    directory: Directory
    logins: Logins
    tunnels: Tunnels
    nursery: trio.Nursery
    log: StringIO
    target: Target
    streams: list[MuxStream] = field(default_factory=list)
    """Agent's ends of the streams that were opened, in order."""
    dial: Callable[[MuxStream], None] = MuxStream.accept
    failures: tuple[type[Exception], ...] = ()
    """What may come out of a connection, which the listener would log."""

    def route(self, route: Route = ROUTE) -> None:
        self.directory.routes_by_name[route.org_id, route.workspace] = RouteTable([route])
        self.directory.generation += 1

    async def visitor(self, server_name: str | None = HOST, *, lockstep: bool = False) -> Visitor:
        """A new connection; `lockstep`: nothing is under way, what is sent waits until it is received."""
        pair = trio.testing.lockstep_stream_pair() if lockstep else trio.testing.memory_stream_pair()
        theirs = VisitorStream(pair[1], server_name)
        self.nursery.start_soon(self._serve, theirs)
        return Visitor(pair[0], theirs)

    async def _serve(self, stream: VisitorStream) -> None:
        with suppress(*self.failures):
            # The attributes that ingress reads are there; a real TlsStream is for the tests with real TLS.
            await self.ingress.serve(cast("TlsStream", stream))

    def on_stream(self, stream: MuxStream) -> None:
        self.streams.append(stream)
        self.nursery.start_soon(self._run_target, stream)

    async def _run_target(self, stream: MuxStream) -> None:
        self.dial(stream)
        with suppress(trio.BrokenResourceError):  # tests look at what the visitor saw
            await self.target(stream)


@asynccontextmanager
async def stage(
    target: Target, *, limits: IngressLimits | None = None, api: AsgiApp | None = None
) -> AsyncIterator[Stage]:
    """Ingress with one workspace whose endpoint leads to `target`, and an application on the API host."""
    async with tunnel_pair() as pair, trio.open_nursery() as nursery:
        log = StringIO()
        directory, logins, tunnels = Directory(), Logins(), Tunnels(pair.relay)
        preview_logins = PreviewLogins(
            logins,
            CookieKeys(keys=lambda: logins.keys, refresh=logins.refresh),
            app_url=f"https://{HOSTS.app}:8443",
            port_suffix=":8443",
            clock=logins.clock,
        )
        shared = Shared(
            hosts=HOSTS,
            limits=limits or IngressLimits(),
            admission=Admission(directory, HOSTS.preview, preview_logins),
            tunnels=tunnels,
            telemetry=Telemetry(output=log),
        )
        ingress = Ingress(shared, api=api or _hello, app=_hello, accept_tunnel=_no_tunnels)
        made = Stage(ingress, shared, directory, logins, tunnels, nursery, log, target)
        made.route()
        pair.listener = made.on_stream
        await nursery.start(ingress.run)
        yield made
        nursery.cancel_scope.cancel()


async def _hello(scope: Any, receive: Any, send: Any) -> None:
    body = (await receive())["body"]
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": scope["path"].encode() + b"|" + body})


async def _no_tunnels(stream: TlsStream, initial: bytes) -> None:
    await stream.send_all(b"handed over " + initial.split(b"\r\n")[0])


def request(method: str = "GET", target: str = "/", *headers: str, host: str = HOST, key: str | None = KEY) -> bytes:
    """A request head, with an API key unless told otherwise."""
    lines = [f"{method} {target} HTTP/1.1", f"Host: {host}", *headers]
    if key is not None:
        lines.append(f"signadot-api-key: {key}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


async def read_head(stream: MuxStream) -> bytes:
    """What the target receives until a head is complete."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = await stream.receive_some()
        if not more:
            return data
        data += more
    return data


def answering(*answers: bytes) -> Target:
    """A target that gives these answers, one per request without body, then stays silent."""

    async def target(stream: MuxStream) -> None:
        for answer in answers:
            if not await read_head(stream):
                return
            await stream.send_all(answer)
        await trio.sleep_forever()

    return target


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
