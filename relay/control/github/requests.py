"""One request to GitHub: bounded in time and size, and what its failures mean."""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx2
import trio

from relay import __version__
from relay.control.github.settings import GithubApp
from relay.errors import ConfigurationError, GithubUnavailableError
from relay.transport.sockets import is_local_name

API_VERSION = "2022-11-28"
"""The oldest version that GitHub and Enterprise servers from 3.9 on speak; all that is asked for is in it."""
CONNECT_SECONDS = 5.0
TOTAL_SECONDS = 20.0
"""For one request from its beginning to its last byte; GitHub ends its own work after 10 s."""
ANSWER_BYTES = 4 * 1024 * 1024
"""A pull request is some 30 KiB, and its text may have 64 KiB more."""
LIMIT_PAUSE_SECONDS = 60.0
"""GitHub: without Retry-After wait at least a minute after a secondary rate limit."""
LONGEST_PAUSE_SECONDS = 3600.0
"""Rate limits are by the hour: whatever a header says, the next try is not later."""
LOOPBACK = ("127.0.0.1", "::1")
_TOO_MANY, _FORBIDDEN, _SERVER_ERRORS = 429, 403, 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What GitHub answered."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    """Names in lower case."""
    body: bytes = field(repr=False)

    def document(self) -> dict[str, Any]:
        """The body as a JSON object. Raises GithubUnavailableError: something between us and GitHub answered."""
        try:
            value = json.loads(self.body)
        except (ValueError, RecursionError) as error:
            raise GithubUnavailableError("GitHub's answer is not JSON") from error
        if not isinstance(value, dict):
            raise GithubUnavailableError("GitHub's answer is not a JSON object")
        return value

    @property
    def message(self) -> str:
        """GitHub's own sentence; empty where there is none."""
        try:
            value = json.loads(self.body)
        except (ValueError, RecursionError):
            return ""
        return str(value.get("message", ""))[:200] if isinstance(value, dict) else ""


class LoopbackTransport(httpx2.AsyncBaseTransport):
    """Reaches `localhost` and names below it on this machine without DNS (RFC 6761 section 6.3)."""

    def __init__(self, transport: httpx2.AsyncBaseTransport) -> None:
        self._transport = transport

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Sends to a loopback address; the name still stands in Host, SNI and the certificate."""
        request.extensions = {**request.extensions, "sni_hostname": request.url.host}
        url = request.url
        try:
            request.url = url.copy_with(host=LOOPBACK[0])
            return await self._transport.handle_async_request(request)
        except httpx2.ConnectError:
            request.url = url.copy_with(host=LOOPBACK[1])
            return await self._transport.handle_async_request(request)

    async def aclose(self) -> None:
        """Closes all connections."""
        await self._transport.aclose()


class Requests:
    """Sends requests to GitHub; follows no redirect, and takes the proxies of the environment."""

    def __init__(self, app: GithubApp, *, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        hosts = {urlsplit(url).hostname or "" for url in (app.api_url, app.web_url)}
        local = {
            f"all://{host}": LoopbackTransport(httpx2.AsyncHTTPTransport(verify=app.tls, trust_env=False))
            for host in hosts
            if is_local_name(host)
        }
        try:
            self._client = httpx2.AsyncClient(
                verify=app.tls,
                mounts=local,
                timeout=httpx2.Timeout(TOTAL_SECONDS, connect=CONNECT_SECONDS),
                follow_redirects=False,
                headers={"user-agent": f"signadot-relay/{__version__}", "accept-encoding": "identity"},
            )
        except (ValueError, ImportError) as error:
            raise ConfigurationError(
                f"the proxy that the environment names for GitHub cannot be used: {error}"
            ) from error

    async def close(self) -> None:
        """Closes all connections."""
        await self._client.aclose()

    async def send(
        self,
        method: str,
        url: str,
        *,
        authorization: str | None = None,
        document: Mapping[str, Any] | None = None,
        form: Mapping[str, str] | None = None,
        accept: str = "application/vnd.github+json",
    ) -> Answer:
        """Sends one request, gives whatever is GitHub's decision.

        Raises GithubUnavailableError for whatever is not: no connection, no answer in time, an answer too large, 5xx,
        and both kinds of rate limit, with the time to wait where GitHub says it.
        """
        headers = {"accept": accept, "x-github-api-version": API_VERSION}
        if authorization is not None:
            headers["authorization"] = authorization
        host = urlsplit(url).hostname
        try:
            with trio.fail_after(TOTAL_SECONDS):
                answer = await self._exchange(method, url, headers=headers, json=document, data=form)
        except (trio.TooSlowError, httpx2.TimeoutException) as error:
            raise GithubUnavailableError(f"GitHub ({host}) did not answer in time") from error
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
            # Only the kind: the text of such an error may quote what was sent.
            raise GithubUnavailableError(f"GitHub ({host}) cannot be reached: {type(error).__name__}") from error
        self._require_available(answer, str(host))
        return answer

    async def _exchange(self, method: str, url: str, **parts: Any) -> Answer:
        body, size = bytearray(), 0
        async with self._client.stream(method, url, **parts) as response:
            async for chunk in response.aiter_raw():
                size += len(chunk)
                if size <= ANSWER_BYTES:  # the rest is read, for as long as there is time, and not kept
                    body += chunk
            if size > ANSWER_BYTES:
                raise GithubUnavailableError(f"GitHub's answer is larger than {ANSWER_BYTES} bytes")
            headers = {name.lower(): value for name, value in response.headers.items()}
            return Answer(status=response.status_code, headers=headers, body=bytes(body))

    def _require_available(self, answer: Answer, host: str) -> None:
        status = answer.status
        if status >= _SERVER_ERRORS:
            raise GithubUnavailableError(
                f"GitHub ({host}) answered {status}", retry_after_seconds=_seconds(answer.headers.get("retry-after"))
            )
        if status not in {_FORBIDDEN, _TOO_MANY}:
            return
        pause = self._pause(answer)
        if pause is not None:
            raise GithubUnavailableError(
                f"GitHub ({host}) asks to wait: its rate limit is used up", retry_after_seconds=pause
            )

    def _pause(self, answer: Answer) -> float | None:
        """For how long GitHub wants not to be asked; None when the answer is no rate limit."""
        pause = _seconds(answer.headers.get("retry-after"))
        if pause is not None:
            return pause
        if answer.headers.get("x-ratelimit-remaining", "").strip() == "0":
            reset = _number(answer.headers.get("x-ratelimit-reset"))
            until = LIMIT_PAUSE_SECONDS if reset is None else reset - self._clock()
            return min(max(until, 1.0), LONGEST_PAUSE_SECONDS)
        said = answer.message.lower()
        limited = answer.status == _TOO_MANY or "rate limit" in said or "abuse detection" in said
        return LIMIT_PAUSE_SECONDS if limited else None


def _number(text: str | None) -> float | None:
    # Digits only: a header's float may be `nan` or `inf`.
    return float(text) if text is not None and text.isascii() and text.isdigit() and len(text) < 16 else None  # noqa: PLR2004 - digits of a time


def _seconds(retry_after: str | None) -> float | None:
    """Retry-After in seconds (RFC 9110 section 10.2.3); GitHub sends no dates."""
    seconds = _number(retry_after)
    return None if seconds is None else min(seconds, LONGEST_PAUSE_SECONDS)
