"""Switches that make calls fail: rate limits, server errors, answers that never come."""

import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tests.support.fake_github import limits
from tests.support.fake_github.clock import Clock
from tests.support.fake_github.wire import DOCS, Reply, Request, error_reply, json_reply

AUTHORIZE_PAGE = "/login/oauth/authorize"
_LIMIT_DOCS = f"{DOCS}/using-the-rest-api/rate-limits-for-the-rest-api"
_SECONDARY = (
    "You have exceeded a secondary rate limit. Please wait a few minutes before you try again. If you reach out to "
    "GitHub Support for help, please include the request ID {request_id}."
)


@dataclass(slots=True)
class Trouble:
    """What happens to calls that match."""

    answer: Callable[[], Reply] | None
    """None: there is none."""
    times: int | None
    path: re.Pattern[str] | None
    method: str | None
    after: bool
    """Whether the call takes effect before it fails: its answer alone is lost."""
    hang: bool = False
    hits: int = 0


@dataclass(slots=True)
class Troubles:
    """The switches.

    Each takes `times` (how many calls; None: until `clear`), `path` (a regular expression searched in the path without
    the API prefix; without one everything but the authorisation page matches), `method`, and `after` (the call takes
    effect and only then fails). Earlier switches come first.
    """

    clock: Clock
    _active: list[Trouble] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    released: threading.Event = field(default_factory=threading.Event)
    """Set: hanging calls end."""

    def primary_limit(
        self,
        *,
        status: int = 403,
        reset_in: float = 60.0,
        times: int | None = 1,
        path: str | None = None,
        method: str | None = None,
    ) -> Trouble:
        """403 or 429 with x-ratelimit-remaining: 0."""

        def answer() -> Reply:
            message = "API rate limit exceeded for installation."
            told = limits.headers(5000, 5000, self.clock.now() + reset_in)
            return error_reply(status, message, docs=_LIMIT_DOCS, headers=told)

        return self._add(Trouble(answer, times, _compiled(path), method, after=False))

    def secondary_limit(
        self,
        *,
        status: int = 403,
        retry_after: int | None = 60,
        times: int | None = 1,
        path: str | None = None,
        method: str | None = None,
    ) -> Trouble:
        """403 or 429 with Retry-After in seconds; None leaves the header out, which happens too."""

        def answer() -> Reply:
            message = _SECONDARY.format(request_id="FA2E:0001:0002:0003")
            told = limits.headers(5000, 100, self.clock.now() + limits.WINDOW_SECONDS)  # those are not used up
            told |= {} if retry_after is None else {"retry-after": str(retry_after)}
            docs = f"{_LIMIT_DOCS}#about-secondary-rate-limits"
            return error_reply(status, message, docs=docs, headers=told)

        return self._add(Trouble(answer, times, _compiled(path), method, after=False))

    def error(
        self,
        status: int = 502,
        *,
        times: int | None = 1,
        path: str | None = None,
        method: str | None = None,
        after: bool = False,
    ) -> Trouble:
        """A fault of GitHub's own: 500 in JSON, others as the HTML page of its front."""

        def answer() -> Reply:
            if status == 500:
                return json_reply(500, {"message": "Server Error"})
            body = f"<html><body><h1>{status} - Whoa there!</h1></body></html>".encode()
            return Reply(status=status, body=body, headers={"content-type": "text/html"})

        return self._add(Trouble(answer, times, _compiled(path), method, after))

    def answer(
        self,
        status: int,
        body: bytes = b"",
        *,
        headers: Mapping[str, str] | None = None,
        times: int | None = 1,
        path: str | None = None,
        method: str | None = None,
        after: bool = False,
    ) -> Trouble:
        """Any answer at all."""
        reply = Reply(status=status, body=body, headers=dict(headers or {}))
        return self._add(Trouble(lambda: reply, times, _compiled(path), method, after))

    def hang(
        self, *, times: int | None = 1, path: str | None = None, method: str | None = None, after: bool = False
    ) -> Trouble:
        """No answer until `release` or the end of the fake; then the connection ends."""
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
        """Ends the calls that hang; later ones hang again."""
        released, self.released = self.released, threading.Event()
        released.set()

    def take(self, request: Request) -> Trouble | None:
        """The trouble that this call gets into."""
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
    return None if path is None else re.compile(path, re.IGNORECASE)


def _matches(trouble: Trouble, request: Request) -> bool:
    if trouble.method not in {None, request.method}:
        return False
    if trouble.path is None:
        return request.path != AUTHORIZE_PAGE
    return trouble.path.search(request.path) is not None
