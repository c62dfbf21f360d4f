"""The REST API from the command line's side."""

import json
import ssl
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from http import HTTPStatus
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import httpx2

from client.cli.errors import ApiError, UnreachableError
from client.cli.settings import Settings
from relay import __version__
from relay.errors import ConfigurationError

TIMEOUT_SECONDS = 30.0
SHORTEST_TIMEOUT_SECONDS = 1.0
"""However little time is left, an API that is there can answer within this."""
PAGE_ITEMS = 1000
"""The longest page that the API gives: the fewest requests for a whole list."""
WAIT_SECONDS = 120.0
"""How long a command waits, in all its requests together, for an API that says that it is asked too often."""
DEFAULT_RETRY_SECONDS = 1.0
LOOPBACK = ("127.0.0.1", "::1")


def tls_context(settings: Settings) -> ssl.SSLContext:
    """Trusts the system's authorities and those of `ca_file`. Raises ConfigurationError."""
    context = ssl.create_default_context()
    if settings.ca_file is not None:
        try:
            context.load_verify_locations(settings.ca_file)
        except (ssl.SSLError, OSError) as error:
            raise ConfigurationError(f"ca_file: {settings.ca_file}: no PEM certificates can be read from it") from error
    return context


class LoopbackTransport(httpx2.BaseTransport):
    """Reaches `localhost` and names below it on this machine without DNS (RFC 6761 section 6.3)."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._transport = httpx2.HTTPTransport(verify=context, trust_env=False)

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Sends the request to a loopback address; the name still stands in Host, SNI and the certificate."""
        request.extensions = {**request.extensions, "sni_hostname": request.url.host}
        url = request.url
        try:
            request.url = url.copy_with(host=LOOPBACK[0])
            return self._transport.handle_request(request)
        except httpx2.ConnectError as error:
            if _tls_problem(error) is not None:
                raise
            request.url = url.copy_with(host=LOOPBACK[1])
            return self._transport.handle_request(request)

    def close(self) -> None:
        """Closes all connections."""
        self._transport.close()


class ApiClient:
    """Calls the API for one org. Use as a context manager."""

    def __init__(self, settings: Settings, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self._settings = settings
        self._sleep = sleep
        self._patience = WAIT_SECONDS
        context = tls_context(settings)
        host = settings.api.host
        local = host == "localhost" or host.endswith(".localhost")
        self._client = httpx2.Client(
            base_url=f"https://{settings.api}/api/v2",
            headers={"signadot-api-key": settings.api_key, "user-agent": f"signadot/{__version__}"},
            verify=context,
            transport=LoopbackTransport(context) if local else None,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._client.close()

    def call(self, method: str, *path: str, body: Any = None, seconds: float | None = None) -> Any:
        """Calls below /orgs/{org}; the parts of the path are escaped here. Gives the parsed answer, None for 204.

        `seconds`: the longest to wait for an answer, or for an API that is asked too often; None for what is usual.
        Raises ApiError with the API's own sentence, UnreachableError.
        """
        return self._call(method, self._below_org(path), body=body, seconds=seconds)

    def list_all(self, *path: str, limit: int | None = None) -> dict[str, Any]:
        """A whole list, however many pages it has, or its first `limit` items; raises as `call` does."""
        items: list[Any] = []
        cursor: str | None = None
        while True:
            left = PAGE_ITEMS if limit is None else min(PAGE_ITEMS, limit - len(items))
            query = {"limit": str(left)} | ({} if cursor is None else {"cursor": cursor})
            page = self._call("GET", self._below_org(path), query=query)
            items += page["items"]
            cursor = page["nextCursor"]
            if cursor is None or (limit is not None and len(items) >= limit):
                return {"items": items, "nextCursor": cursor}

    def stream_lines(self, *path: str, query: Mapping[str, str]) -> Iterator[bytes]:
        """The lines of an answer that comes as it is made, however long that takes; raises as `call` does."""
        timeout = httpx2.Timeout(TIMEOUT_SECONDS, read=None)
        rest = b""
        try:
            with self._client.stream("GET", self._below_org(path), params=query, timeout=timeout) as answer:
                if not answer.is_success:
                    answer.read()
                    raise ApiError(_sentence(answer), answer_status=answer.status_code)
                for piece in answer.iter_bytes():
                    *lines, rest = (rest + piece).split(b"\n")
                    yield from lines
        except httpx2.HTTPError as error:
            raise UnreachableError(self._unreachable(error, TIMEOUT_SECONDS)) from error
        if rest:
            yield rest

    def whoami(self) -> Any:
        """The credential and the orgs that it belongs to; raises as `call` does."""
        return self._call("GET", "/orgs")

    def _below_org(self, path: tuple[str, ...]) -> str:
        return "".join("/" + quote(part, safe="") for part in ("orgs", self._settings.org, *path))

    def _call(self, method: str, path: str, *, seconds: float | None = None, **parts: Any) -> Any:
        answer = self._patiently(method, path, seconds=seconds, **parts)
        if not answer.is_success:
            raise ApiError(_sentence(answer), answer_status=answer.status_code)
        if not answer.content:
            return None
        try:
            return answer.json()
        except json.JSONDecodeError as error:
            raise ApiError(f"https://{self._settings.api} did not answer with JSON; is api_url right?") from error

    def _patiently(
        self,
        method: str,
        path: str,
        *,
        seconds: float | None,
        body: Any = None,
        query: Mapping[str, str] | None = None,
    ) -> httpx2.Response:
        """Asks, and asks again when the API says that it was too often, unless that takes too long."""
        left = self._patience if seconds is None else min(seconds, self._patience)
        timeout = TIMEOUT_SECONDS if seconds is None else min(TIMEOUT_SECONDS, max(seconds, SHORTEST_TIMEOUT_SECONDS))
        while True:
            try:
                answer = self._client.request(method, path, json=body, params=query, timeout=timeout)
            except httpx2.HTTPError as error:
                raise UnreachableError(self._unreachable(error, timeout)) from error
            pause = retry_seconds(answer)
            if answer.status_code != HTTPStatus.TOO_MANY_REQUESTS or pause > left:
                return answer
            sys.stderr.write(f"signadot: the API is asked too often; going on in {pause:g} s\n")
            self._sleep(pause)
            spent = max(pause, DEFAULT_RETRY_SECONDS)  # an answer of 0 must not be asked for without end
            left -= spent
            self._patience -= spent

    def _unreachable(self, error: Exception, timeout: float) -> str:
        where = f"https://{self._settings.api}"
        problem = _tls_problem(error)
        if problem is not None:
            return f"{where}: its certificate is not trusted ({problem}); ca_file or SIGNADOT_CA_FILE names your own CA"
        if isinstance(error, httpx2.TimeoutException):
            return f"{where} did not answer within {timeout:.0f} s"
        return f"{where} cannot be reached: {str(error) or type(error).__name__}"


def retry_seconds(answer: httpx2.Response) -> float:
    """When the answer says to ask again (RFC 9110 section 10.2.3, in seconds)."""
    value = answer.headers.get("retry-after", "")
    return float(value) if value.isascii() and value.isdigit() else DEFAULT_RETRY_SECONDS


def _tls_problem(error: BaseException | None) -> str | None:
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return str(error.verify_message).rstrip(".")
        error = error.__cause__ or error.__context__
    return None


def _sentence(answer: httpx2.Response) -> str:
    try:
        document = answer.json()
        return f"{document['error']} (status {answer.status_code}, request {document['requestId']})"
    except (ValueError, KeyError, TypeError):
        return f"the answer has status {answer.status_code} and is not from the API; is api_url right?"
