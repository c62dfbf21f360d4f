"""Switches that make calls fail: rate limits, server errors, answers that never come."""

import re
from collections.abc import Mapping
from typing import ClassVar

from tests.support.fake_github import limits
from tests.support.fake_github.clock import Clock
from tests.support.fake_github.wire import DOCS, Reply, error_reply, json_reply
from tests.support.troubles import Switches, Trouble

AUTHORIZE_PAGE = "/login/oauth/authorize"
_LIMIT_DOCS = f"{DOCS}/using-the-rest-api/rate-limits-for-the-rest-api"
_SECONDARY = (
    "You have exceeded a secondary rate limit. Please wait a few minutes before you try again. If you reach out to "
    "GitHub Support for help, please include the request ID {request_id}."
)


class Troubles(Switches[Reply]):
    """GitHub's switches.

    Paths are those without the API prefix, in any case; switches without one leave the authorisation page alone.
    """

    path_flags: ClassVar[re.RegexFlag] = re.IGNORECASE

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.clock = clock

    def is_spared(self, path: str) -> bool:
        """People at the page wait for nobody's program."""
        return path == AUTHORIZE_PAGE

    def primary_limit(
        self,
        *,
        status: int = 403,
        reset_in: float = 60.0,
        times: int | None = 1,
        path: str | None = None,
        method: str | None = None,
    ) -> Trouble[Reply]:
        """403 or 429 with x-ratelimit-remaining: 0."""

        def answer() -> Reply:
            message = "API rate limit exceeded for installation."
            told = limits.headers(5000, 5000, self.clock.now() + reset_in)
            return error_reply(status, message, docs=_LIMIT_DOCS, headers=told)

        return self.add(answer, times=times, path=path, method=method)

    def secondary_limit(
        self,
        *,
        status: int = 403,
        retry_after: int | None = 60,
        times: int | None = 1,
        path: str | None = None,
        method: str | None = None,
    ) -> Trouble[Reply]:
        """403 or 429 with Retry-After in seconds; None leaves the header out, which happens too."""

        def answer() -> Reply:
            message = _SECONDARY.format(request_id="FA2E:0001:0002:0003")
            told = limits.headers(5000, 100, self.clock.now() + limits.WINDOW_SECONDS)  # those are not used up
            told |= {} if retry_after is None else {"retry-after": str(retry_after)}
            docs = f"{_LIMIT_DOCS}#about-secondary-rate-limits"
            return error_reply(status, message, docs=docs, headers=told)

        return self.add(answer, times=times, path=path, method=method)

    def error(
        self,
        status: int = 502,
        *,
        times: int | None = 1,
        path: str | None = None,
        method: str | None = None,
        after: bool = False,
    ) -> Trouble[Reply]:
        """A fault of GitHub's own: 500 in JSON, others as the HTML page of its front."""

        def answer() -> Reply:
            if status == 500:
                return json_reply(500, {"message": "Server Error"})
            body = f"<html><body><h1>{status} - Whoa there!</h1></body></html>".encode()
            return Reply(status=status, body=body, headers={"content-type": "text/html"})

        return self.add(answer, times=times, path=path, method=method, after=after)

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
    ) -> Trouble[Reply]:
        """Any answer at all."""
        reply = Reply(status=status, body=body, headers=dict(headers or {}))
        return self.add(lambda: reply, times=times, path=path, method=method, after=after)
