"""The way of a request: troubles, token, rights, endpoint, record."""

import threading
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field, replace

from tests.support.fake_kubernetes import discovery
from tests.support.fake_kubernetes.access import Attempt, User
from tests.support.fake_kubernetes.controllers import Controllers
from tests.support.fake_kubernetes.endpoints import Endpoints
from tests.support.fake_kubernetes.paths import attempt_of, target_of, verb_of
from tests.support.fake_kubernetes.troubles import Troubles
from tests.support.fake_kubernetes.wire import Refusal, Reply, Request

READING = {"get", "list", "watch"}


@dataclass(slots=True, kw_only=True)
class Call:
    """A request that came, and what became of it."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    """Names in lower case, without Authorization."""
    verb: str = ""
    """As RBAC names it; empty where the path is no resource."""
    user: str = ""
    """Empty where the token was refused."""
    status: int | None = None
    """None: there was no answer."""
    open: bool = False
    """Whether its answer is still going on, as of a watch or a followed log."""


@dataclass(slots=True)
class Gateway:
    """Answers requests."""

    endpoints: Endpoints
    controllers: Controllers
    troubles: Troubles
    calls: list[Call] = field(default_factory=list)

    def handle(self, request: Request) -> Reply | None:
        """The answer; None where the connection is to end without one."""
        released = self.troubles.released
        trouble = self.troubles.take(request)
        headers = {name: value for name, value in request.headers.items() if name != "authorization"}
        call = Call(method=request.method, path=request.path, query=dict(request.query), headers=headers)
        reply = None
        if trouble is None or trouble.after:
            reply = self._answer(request, call)
        if trouble is not None:
            reply = None if trouble.answer is None else trouble.answer()
        reply = self._recorded(call, reply)
        if trouble is not None and trouble.hang:
            released.wait()
        return reply

    def _answer(self, request: Request, call: Call) -> Reply:
        with self.endpoints.registry.store.lock:
            try:
                return self._allowed(request, call)
            except Refusal as refusal:
                return refusal.reply()
            finally:
                if call.verb not in READING:
                    self.controllers.settle()

    def _allowed(self, request: Request, call: Call) -> Reply:
        access, registry = self.endpoints.access, self.endpoints.registry
        user = self._impersonated(request, self.endpoints.tokens.user(request.headers.get("authorization")))
        call.user = user.name
        target = target_of(request.path, registry.kinds)
        if target is None:
            access.require_path(user, request.method.lower(), request.path)
            return discovery.answer(request.path, registry.kinds)
        call.verb = verb_of(request, target)
        access.require(user, attempt_of(target, call.verb))
        return self.endpoints.answer(request, target, call.verb, user)

    def _impersonated(self, request: Request, user: User) -> User:
        name = request.headers.get("impersonate-user")
        if name is None:
            return user
        self.endpoints.access.require(user, Attempt(verb="impersonate", resource="users", name=name))
        group = request.headers.get("impersonate-group")
        return User(name=name, groups=("system:authenticated", *([group] if group else ())))

    def _recorded(self, call: Call, reply: Reply | None) -> Reply | None:
        changed = self.endpoints.registry.store.changed
        with changed:
            call.status = None if reply is None else reply.status
            self.calls.append(call)
            call.open = reply is not None and not isinstance(reply.body, bytes)
            changed.notify_all()
        if reply is None or isinstance(reply.body, bytes):
            return reply
        return replace(reply, body=_Parts(call, reply.body, changed))


class _Parts(Iterator[bytes]):
    """Parts of an answer; closing it ends the call, also before the first, which a generator would not notice."""

    def __init__(self, call: Call, parts: Iterator[bytes], changed: threading.Condition) -> None:
        self._call = call
        self._parts = parts
        self._changed = changed

    def __next__(self) -> bytes:
        try:
            return next(self._parts)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        if isinstance(self._parts, Generator):
            self._parts.close()
        with self._changed:
            self._call.open = False
            self._changed.notify_all()
