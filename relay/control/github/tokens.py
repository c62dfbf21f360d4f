"""Whom the relay is to GitHub: the App by a short-lived JWT, an installation by a token that is kept while it lasts."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import jwt
import trio

from relay.control.github.answers import moment
from relay.control.github.errors import GithubRefusedError, InstallationGoneError
from relay.control.github.requests import Answer, Requests
from relay.control.github.settings import GithubApp
from relay.errors import GithubUnavailableError, InvalidError

CLOCK_DRIFT_SECONDS = 60
"""GitHub recommends to date a JWT back by this much, for clocks that go fast."""
JWT_SECONDS = 480
"""GitHub allows 600 from its own clock's now; the rest is for clocks that go fast."""
SPARE_SECONDS = 120.0
"""A token is not used in its last minutes: the request must arrive while it is good."""
MISTAKE_SECONDS = 60.0
"""How long to wait when credentials are not taken: a person has to put it right."""
_CREATED, _UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND = 201, 401, 403, 404


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    token: str = field(repr=False)
    until: float


@dataclass(slots=True, kw_only=True)
class _Asking:
    """A token that is being asked for; with neither token nor error in the end, whoever asked was cancelled."""

    done: trio.Event = field(default_factory=trio.Event)
    token: str | None = field(default=None, repr=False)
    error: Exception | None = None


class Tokens:
    """Credentials for requests. One token per installation is asked for at a time, however many wait for it."""

    def __init__(self, app: GithubApp, requests: Requests, *, clock: Callable[[], float] = time.time) -> None:
        self._app = app
        self._requests = requests
        self._clock = clock
        self._kept: dict[int, _Kept] = {}
        self._asking: dict[int, _Asking] = {}

    def of_app(self) -> str:
        """A fresh JWT (RFC 7519) of the App."""
        now = int(self._clock())
        claims = {"iat": now - CLOCK_DRIFT_SECONDS, "exp": now + JWT_SECONDS, "iss": str(self._app.app_id)}
        return jwt.encode(claims, self._app.private_key, algorithm="RS256")

    async def of_installation(self, installation_id: int) -> str:
        """A token of the installation; whoever comes while GitHub is being asked gets the same answer, yes or no.

        Raises InstallationGoneError, GithubRefusedError, GithubUnavailableError.
        """
        while True:
            kept = self._kept.get(installation_id)
            if kept is not None and kept.until > self._clock():
                return kept.token
            asking = self._asking.get(installation_id)
            if asking is None:
                return await self._lead(installation_id)
            await asking.done.wait()
            if asking.error is not None:
                raise asking.error
            if asking.token is not None:
                return asking.token
            # Whoever asked was cancelled meanwhile: the next one asks.

    async def _lead(self, installation_id: int) -> str:
        asking = self._asking[installation_id] = _Asking()
        try:
            kept = self._kept[installation_id] = await self._create(installation_id)
            asking.token = kept.token
        except Exception as error:
            asking.error = error
            raise
        finally:
            del self._asking[installation_id]
            asking.done.set()
        return kept.token

    def drop(self, installation_id: int, token: str | None = None) -> None:
        """Forgets the kept token; with `token` only if that is it, so that a newer one stays."""
        kept = self._kept.get(installation_id)
        if kept is not None and token in {None, kept.token}:
            del self._kept[installation_id]

    async def _create(self, installation_id: int) -> _Kept:
        url = f"{self._app.api_url}/app/installations/{installation_id}/access_tokens"
        answer = await self._requests.send("POST", url, authorization=f"Bearer {self.of_app()}")
        if answer.status != _CREATED:
            raise _refusal(answer, installation_id)
        document = answer.document()
        token = document.get("token")
        if not isinstance(token, str) or not token.isascii() or not token.isprintable():
            raise GithubUnavailableError("GitHub's answer has no token")
        try:
            until = moment(document, "expires_at") - SPARE_SECONDS
        except InvalidError as error:
            raise GithubUnavailableError("GitHub's answer does not say until when its token is good") from error
        return _Kept(token=token, until=until)


def require_app(answer: Answer) -> None:
    """Raises GithubUnavailableError where GitHub does not take the App's JWT: once that is put right, all goes on."""
    if answer.status == _UNAUTHORIZED:
        raise GithubUnavailableError(
            "GitHub does not take the App's signature: github.app_id and github.private_key_file must belong together,"
            f" and this machine's clock must be right ({answer.message or 'no reason given'})",
            retry_after_seconds=MISTAKE_SECONDS,
        )


def _refusal(answer: Answer, installation_id: int) -> GithubRefusedError:
    require_app(answer)
    if answer.status in {_NOT_FOUND, _FORBIDDEN}:
        return InstallationGoneError(f"the App's installation {installation_id} is gone or suspended")
    return GithubRefusedError(f"GitHub gives no token for the installation {installation_id}: status {answer.status}")
