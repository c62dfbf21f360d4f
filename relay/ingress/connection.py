"""One connection of a visitor: its bytes, its deadlines, its answers to mistakes, its log lines."""

import itertools
import os
import time
from collections import Counter
from collections.abc import Awaitable, Callable

import trio

from relay.errors import BadRequestError, RelayError
from relay.http1 import RequestHead, read_request_head
from relay.ingress.admission import Admission, Admitted
from relay.ingress.answers import redirection, refusal
from relay.ingress.deadlines import SWEEP_SECONDS, Phase, Watchdog
from relay.ingress.errors import HeadTimeoutError, Redirect, TargetTimeoutError
from relay.ingress.pool import Leaving, StreamPool
from relay.ingress.repetition import Repetition
from relay.ingress.settings import Hosts, IngressLimits, Tunnels
from relay.telemetry import AccessRecord, Telemetry, access_context
from relay.transport import TlsStream

READ_BYTES = 65536
LINGER_SECONDS = 2.0  # how long a refused visitor may go on sending before the answer is cut off by a reset
# A visitor who was told that the connection is kept may have sent the next request already: it is answered, with
# `Connection: close` (RFC 9112 9.6), instead of being lost. Longer than a round trip and a browser's thought.
PARTING_SECONDS = 0.5
DEPARTURE_SECONDS = 0.25  # exchanges shorter than this never pay for a task that watches for the visitor leaving

TIMEOUTS: dict[Phase, RelayError] = {
    Phase.HEAD: HeadTimeoutError("The request head did not arrive in time."),
    Phase.BODY: HeadTimeoutError("The request body stopped arriving."),
    Phase.RESPONSE_HEAD: TargetTimeoutError("The target did not answer in time."),
}


class Shared:
    """What all visitor connections of a process share."""

    def __init__(
        self,
        *,
        hosts: Hosts,
        limits: IngressLimits,
        admission: Admission,
        tunnels: Tunnels,
        telemetry: Telemetry,
        memory_short: Callable[[], bool] = lambda: False,
    ) -> None:
        self.hosts = hosts
        self.limits = limits
        self.admission = admission
        self.tunnels = tunnels
        self.telemetry = telemetry
        self.watchdog = Watchdog()
        self.leaving = Leaving()
        self.in_flight: Counter[str] = Counter()
        """Exchanges under way by cluster id."""
        self.strangers: Counter[str] = Counter()
        """Exchanges without credential under way by the visitor's address."""
        self.body_bytes = 0
        """Bodies for applications that are held in memory now."""
        self.memory_short = memory_short
        """Whether streams should no longer be kept for later."""
        self.draining = False
        self.nursery: trio.Nursery | None = None
        """Runs tasks beside the connections while ingress runs."""
        self._request_prefix = os.urandom(5).hex()
        self._request_numbers = itertools.count(1)

    def new_request_id(self) -> str:
        """An id that is unique over processes and restarts."""
        return f"{self._request_prefix}{next(self._request_numbers):08x}"


class VisitorConnection:
    """Reads heads and hands each to `dispatch`, which answers it and says whether the connection goes on."""

    def __init__(
        self,
        shared: Shared,
        stream: TlsStream,
        dispatch: Callable[["VisitorConnection", RequestHead], Awaitable[bool]],
    ) -> None:
        self.shared = shared
        self.limits = shared.limits
        self.stream = stream
        self.peer = stream.peer_address[0]
        self.buffer = bytearray()
        """Bytes that were received and not yet used."""
        self.pool = StreamPool(shared.leaving)
        self.admitted: Admitted | None = None
        """The last decision about a preview request, for the next one."""
        self.repetition = Repetition()
        self.scope = trio.CancelScope()
        self.phase = Phase.HEAD
        self.deadline = 0.0
        self.expired: Phase | None = None
        self.answering = False
        """Some of the answer has left; another one can no longer be given."""
        self.broke_off = False
        """The answer ended before its time: the visitor must not take the end of the connection for its end."""
        self.request: RequestHead | None = None
        self.request_id = ""
        self._dispatch = dispatch
        self._waiting_since: float | None = None
        self._departure: trio.CancelScope | None = None
        self._departure_over = trio.Event()

    # -- life

    async def serve(self) -> None:
        """Serves requests until the visitor leaves, a limit ends it or an answer closes the connection."""
        self.shared.watchdog.connections.add(self)
        try:
            with self.scope:
                self.enter(Phase.HEAD, self.limits.head_seconds)
                while await self._serve_one():
                    self.request = None
                    self.answering = False
                    if self.buffer:
                        self.enter(Phase.HEAD, self.limits.head_seconds)
                    else:
                        self._rest()
            if self.scope.cancelled_caught:
                self.broke_off = self.answering
                await self.reading_again()  # an exchange that was cancelled may not have come to it
                await self._answer_expired()
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            self.broke_off = self.answering  # the visitor is gone; there is nobody to tell
        except BaseException:
            self.broke_off = self.answering  # the process ends in the middle of it, or something failed
            raise
        finally:
            self.shared.watchdog.discard(self)
            self.pool.close()
            if self._departure is not None:
                self._departure.cancel()
            with trio.CancelScope(shield=True):
                if self.broke_off:
                    await trio.aclose_forcefully(self.stream)
                else:
                    await self.stream.aclose()

    def _rest(self) -> None:
        idle_seconds = PARTING_SECONDS if self.shared.draining else self.limits.keep_alive_idle_seconds
        self.enter(Phase.IDLE, idle_seconds)

    def part(self) -> None:
        """The process drains: an idle connection has a moment left, others end with the answer under way."""
        if self.phase is Phase.IDLE:
            self._rest()

    def enter(self, phase: Phase, seconds: float) -> None:
        """Says what is waited for now, and for how long at most."""
        self.phase = phase
        self.deadline = self.shared.watchdog.now + SWEEP_SECONDS + seconds

    def sweep(self, now: float) -> None:
        """See `Watched.sweep`; also begins to watch for the visitor's departure in long exchanges."""
        if now > self.deadline:
            self.expired = self.phase
            self.scope.cancel()
        elif self.phase is Phase.IDLE and self.shared.memory_short():
            self.pool.give_up()
        elif (
            self._departure is None
            and self._waiting_since is not None
            and now > self._waiting_since + DEPARTURE_SECONDS
            and self.shared.nursery is not None
        ):
            self._departure = trio.CancelScope()
            self._departure_over = trio.Event()
            self.shared.nursery.start_soon(self._watch_departure, self._departure, self._departure_over)

    @property
    def visitor_left(self) -> bool:
        """Whether the connection is ending because its visitor went away."""
        return self.scope.cancel_called and self.expired is None

    def target_awaited(self) -> None:
        """From now on only the target is waited for, so that nobody reads from the visitor."""
        self._waiting_since = self.shared.watchdog.now

    async def reading_again(self) -> None:
        """Ends what `target_awaited` began: reading from the visitor is the caller's again."""
        self._waiting_since = None
        if self._departure is not None:
            self._departure.cancel()
            await self._departure_over.wait()
            self._departure = None

    async def _watch_departure(self, scope: trio.CancelScope, over: trio.Event) -> None:
        """Reads from the visitor while only the target is waited for: an end means that nobody wants the answer."""
        try:
            with scope:
                if len(self.buffer) >= READ_BYTES:
                    return  # pipelined requests; more of them wait in the kernel
                try:
                    data = await self.stream.receive_some(READ_BYTES)
                except (trio.BrokenResourceError, trio.ClosedResourceError):
                    data = b""
                if data:
                    self.buffer += data
                else:
                    self.scope.cancel()
        finally:
            over.set()

    # -- requests

    async def _serve_one(self) -> bool:
        """Reads one request and has it answered. False when the connection is over."""
        try:
            head = await self._read_head()
        except BadRequestError as error:
            self.request_id = self.shared.new_request_id()
            await self.refuse(None, error)
            return False
        if head is None:
            return False
        self.request = head
        self.request_id = self.shared.new_request_id()
        try:
            return await self._dispatch(self, head)
        except RelayError as error:
            self.broke_off = self.answering
            return not self.answering and await self.refuse(head, error)

    async def _read_head(self) -> RequestHead | None:
        buffer = self.buffer
        while True:
            if buffer:
                parsed = read_request_head(buffer, self.limits.head, earlier=self.repetition.request)
                if parsed is not None:
                    head, consumed = parsed
                    del buffer[:consumed]
                    self.repetition.request = head
                    return head
            data = await self.stream.receive_some(READ_BYTES)
            if not data:
                if buffer:
                    raise BadRequestError("The connection ended within a request head.", reason="incomplete")
                return None
            if self.phase is Phase.IDLE:
                self.enter(Phase.HEAD, self.limits.head_seconds)
            buffer += data

    # -- answers

    async def send(self, data: bytes) -> None:
        """Sends a part of the answer."""
        self.answering = True
        await self.stream.send_all(data)

    async def refuse(self, head: RequestHead | None, error: RelayError) -> bool:
        """Answers with an error and logs it. True when the connection goes on: the head was sound and had no body."""
        if isinstance(error, BadRequestError):
            self.shared.telemetry.refused_heads[error.reason] += 1
        started = trio.current_time()
        keep_alive = not isinstance(error, BadRequestError) and self._may_go_on(head)
        app_url = self.shared.admission.logins.app_url
        answer = refusal(head, error, request_id=self.request_id, keep_alive=keep_alive, app_url=app_url)
        await self._give(answer)
        self.record("refused", head, status=error.status, code=error.code, started=started)
        if not keep_alive:
            await self.linger()
        return keep_alive

    async def redirect(self, head: RequestHead, redirect: Redirect) -> bool:
        """Leads the visitor elsewhere and logs it. True when the connection goes on."""
        started = trio.current_time()
        keep_alive = self._may_go_on(head)
        answer = redirection(redirect, request_id=self.request_id, keep_alive=keep_alive)
        await self._give(answer)
        context = access_context(host=self.asked_host(head), credential=redirect.credential)
        self.record("sign_in", head, status=302, code=redirect.code, started=started, context=context)
        if not keep_alive:
            await self.linger()
        return keep_alive

    def _may_go_on(self, head: RequestHead | None) -> bool:
        """Whether another request may follow an answer of our own: the head was sound and had no body."""
        return (
            head is not None
            and head.keep_alive
            and not head.has_body
            and self.expired is None
            and not self.shared.draining
        )

    async def _give(self, answer: bytes) -> None:
        self.enter(Phase.WRITE, self.limits.write_stalled_seconds)
        await self.send(answer)

    async def linger(self) -> None:
        """Reads on for a moment: closing with unread data would reset the connection and destroy the answer."""
        await self.stream.send_eof()
        with trio.move_on_after(LINGER_SECONDS):
            while await self.stream.receive_some(READ_BYTES):
                pass

    async def _answer_expired(self) -> None:
        """A deadline passed: says so where an answer can still be given, otherwise the connection just ends."""
        error = None if self.expired is None else TIMEOUTS.get(self.expired)
        nothing_asked = self.request is None and not self.buffer
        if error is None or nothing_asked or self.answering:
            return
        with trio.move_on_after(self.limits.write_stalled_seconds):
            await self.refuse(self.request, error)

    def record(
        self,
        kind: str,
        head: RequestHead | None,
        *,
        status: int,
        started: float,
        code: str = "",
        received_bytes: int = 0,
        sent_bytes: int = 0,
        context: str | None = None,
    ) -> None:
        """Counts and logs a finished exchange; called after the answer has left.

        `context` is that of `access_context`; without one only the host is told.
        """
        method = path = ""
        if head is not None:
            method = head.method.decode("latin-1")
            if method != "CONNECT":  # what that names is a target, and targets rest sealed
                path = head.target.partition(b"?")[0].decode("latin-1")
        if context is None:
            context = access_context(host="" if head is None else self.asked_host(head))
        self.shared.telemetry.exchange(
            kind,
            AccessRecord(
                time.time(),
                self.request_id,
                self.peer,
                method,
                path,
                status,
                code,
                received_bytes,
                sent_bytes,
                trio.current_time() - started,
                context,
            ),
        )

    def asked_host(self, head: RequestHead) -> str:
        """The host for the log: for CONNECT the one that serves it."""
        return self.shared.hosts.proxy if head.method == b"CONNECT" else head.host
