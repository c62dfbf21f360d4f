"""Switches that make requests fail."""

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.support.fake_kubernetes.wire import Object, Refusal, Reply, Request, failure

_MESSAGES = {
    429: ("TooManyRequests", "the server has received too many requests and has asked us to try again later"),
    500: ("InternalError", "Internal error occurred: etcdserver: request timed out"),
    503: ("ServiceUnavailable", "the server is currently unable to handle the request"),
    504: ("Timeout", "Timeout: request did not complete within the allotted timeout"),
}


@dataclass(slots=True)
class Trouble:
    """What happens to requests that match."""

    answer: Callable[[], Reply] | None
    """None: there is none."""
    times: int | None
    path: re.Pattern[str] | None
    method: str | None
    after: bool
    """Whether the request takes effect before it fails: its answer alone is lost."""
    hang: bool = False
    hits: int = 0


@dataclass(slots=True)
class Troubles:
    """The switches.

    Each takes `times` (how many requests; None: until `clear`), `path` (a regular expression searched in the path),
    `method`, and `after` (the request takes effect and only then fails). Earlier switches come first.
    """

    _active: list[Trouble] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    released: threading.Event = field(default_factory=threading.Event)
    """Set: hanging requests end."""

    def error(
        self,
        status: int = 503,
        *,
        retry_after: int | None = None,
        times: int | None = 1,
        path: str | None = None,
        method: str | None = None,
        after: bool = False,
    ) -> Trouble:
        """A Status of the API server's own; with `retry_after` seconds also where clients look for them."""
        reason, message = _MESSAGES.get(status, ("InternalError", f"the server answers {status}"))
        details: Object = {} if retry_after is None else {"retryAfterSeconds": retry_after}
        headers = {} if retry_after is None else {"retry-after": str(retry_after)}
        refusal = Refusal(failure(status, reason, message, details), headers)
        return self._add(Trouble(refusal.reply, times, _compiled(path), method, after))

    def answer(
        self,
        reply: Reply,
        *,
        times: int | None = 1,
        path: str | None = None,
        method: str | None = None,
        after: bool = False,
    ) -> Trouble:
        """Any answer at all."""
        return self._add(Trouble(lambda: reply, times, _compiled(path), method, after))

    def hang(
        self, *, times: int | None = 1, path: str | None = None, method: str | None = None, after: bool = False
    ) -> Trouble:
        """No answer until `clear` or the end of the fake; then the connection ends."""
        return self._add(Trouble(None, times, _compiled(path), method, after, hang=True))

    def drop(
        self, *, times: int | None = 1, path: str | None = None, method: str | None = None, after: bool = False
    ) -> Trouble:
        """The connection ends without an answer."""
        return self._add(Trouble(None, times, _compiled(path), method, after))

    def clear(self) -> None:
        """Switches everything off, and ends what hangs."""
        with self._lock:
            self._active.clear()
        self.release()

    def release(self) -> None:
        """Ends the requests that hang; later ones hang again."""
        released, self.released = self.released, threading.Event()
        released.set()

    def take(self, request: Request) -> Trouble | None:
        """The trouble that this request gets into."""
        with self._lock:
            for trouble in self._active:
                if not _matches(trouble, request):
                    continue
                trouble.hits += 1
                if trouble.times is not None and trouble.hits >= trouble.times:
                    self._active.remove(trouble)
                return trouble
        return None

    def _add(self, trouble: Trouble) -> Trouble:
        with self._lock:
            self._active.append(trouble)
        return trouble


def _compiled(path: str | None) -> re.Pattern[str] | None:
    return None if path is None else re.compile(path)


def _matches(trouble: Trouble, request: Request) -> bool:
    if trouble.method not in {None, request.method}:
        return False
    return trouble.path is None or trouble.path.search(request.path) is not None
