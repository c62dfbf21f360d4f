"""What the relay asks of GitHub, and nothing else: `ENDPOINTS` is the whole list."""

import time
from collections.abc import Callable
from typing import Any, Literal, TypeVar
from urllib.parse import quote, urlencode, urlsplit

from relay.control.github.answers import (
    Installation,
    PullRequest,
    login,
    number,
    read_installation,
    read_pull_request,
)
from relay.control.github.errors import GithubRefusedError, InstallationGoneError
from relay.control.github.requests import Answer, Requests
from relay.control.github.settings import GithubApp
from relay.control.github.tokens import MISTAKE_SECONDS, Tokens, require_app
from relay.errors import GithubUnavailableError, InvalidError, UnauthenticatedError
from relay.store import GithubIdentity

ENDPOINTS = (
    "GET /orgs/{org}/installation",
    "GET /users/{login}/installation",
    "POST /app/installations/{id}/access_tokens",
    "GET /orgs/{org}/members/{login}",
    "GET /orgs/{org}/public_members/{login}",
    "GET /user",
    "GET /user/{id}",
    "GET /users/{login}",
    "GET /repos/{owner}/{repo}/pulls/{number}",
    "POST /repos/{owner}/{repo}/statuses/{sha}",
)
"""Below api_url; beside these the OAuth pages `/login/oauth/authorize` and `/login/oauth/access_token` below web_url.
A repository that was renamed is asked for by its number, as GitHub's redirect says."""

T = TypeVar("T")
State = Literal["pending", "success", "failure"]
_OK, _CREATED, _NO_CONTENT, _FOUND = 200, 201, 204, 302
_UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND, _GONE = 401, 403, 404, 410
_MOVED = frozenset({301, 307, 308})
_OAUTH_ERRORS = {
    "bad_verification_code": "the sign-in took too long, or was used twice; please sign in again",
    "redirect_uri_mismatch": "GitHub does not know this address as a callback URL of the App",
    "incorrect_client_credentials": "GitHub does not take the App's client id and secret",
    "unverified_user_email": "the GitHub account has no verified e-mail address yet",
    "access_denied": "the sign-in was cancelled at GitHub",
}


class GithubClient:
    """Speaks with GitHub as the App.

    All methods raise GithubUnavailableError where trying again may help, and GithubRefusedError where it will not.
    Secrets are in no error and no `repr`.
    """

    def __init__(self, app: GithubApp, *, clock: Callable[[], float] = time.time) -> None:
        self._app = app
        self._requests = Requests(app, clock=clock)
        self._tokens = Tokens(app, self._requests, clock=clock)

    async def close(self) -> None:
        """Closes all connections."""
        await self._requests.close()

    def forget(self, installation_id: int) -> None:
        """Drops the kept token of an installation."""
        self._tokens.drop(installation_id)

    async def installation(self, account: str) -> Installation | None:
        """The App's installation on an organisation or person; None where it is not installed."""
        for kind in ("orgs", "users"):
            answer = await self._as_app("GET", f"/{kind}/{_escaped(account)}/installation")
            if answer.status == _OK:
                return _read(read_installation, answer)
            if answer.status not in {_NOT_FOUND, *_MOVED}:
                raise _refused(f"the installation on {account!r}", answer)
        return None

    async def is_member(self, installation: Installation, name: str) -> bool:
        """Whether the user of that login belongs to the account that the App is installed on.

        On a personal account its owner alone does. Private members are seen only where the App was granted the
        permission to read members; without it those who show their membership to everybody. Raises GithubRefusedError
        where GitHub lets the App ask neither: that is no answer, and not a no.
        """
        if installation.is_personal:
            return name.lower() == installation.account.lower()
        answer = await self._membership(installation, "members", name)
        if answer.status in {_FOUND, _FORBIDDEN}:
            answer = await self._membership(installation, "public_members", name)
        if answer.status == _NO_CONTENT:
            return True
        if answer.status in {_FOUND, _NOT_FOUND}:
            return False
        raise _refused(f"whether {name!r} belongs to {installation.account!r}", answer)

    async def user(self, user_id: int, *, installation_id: int) -> GithubIdentity | None:
        """The user of that number, under the name they go by now; None when there is none any more."""
        answer = await self._as_installation(installation_id, "GET", f"/user/{user_id}")
        return _identity(answer, f"the user {user_id}")

    async def user_named(self, name: str, *, installation_id: int | None) -> GithubIdentity | None:
        """The user who goes by that name now; None when there is none. Without an installation, as anybody may ask."""
        path = f"/users/{_escaped(name)}"
        if installation_id is None:
            answer = await self._requests.send("GET", f"{self._app.api_url}{path}")
        else:
            answer = await self._as_installation(installation_id, "GET", path)
        return _identity(answer, f"the user {name!r}")

    async def pull_request(self, installation_id: int, repository: str, number: int) -> PullRequest | None:
        """The pull request as it is now; None when it, or its repository, is not there for the App."""
        path = f"/repos/{_escaped_repository(repository)}/pulls/{number}"
        answer = await self._as_installation(installation_id, "GET", path)
        if answer.status in {_NOT_FOUND, _GONE}:
            return None
        if answer.status != _OK:
            raise _refused(f"the pull request {repository}#{number}", answer)
        return _read(read_pull_request, answer)

    async def set_status(
        self,
        installation_id: int,
        repository: str,
        commit: str,
        *,
        state: State,
        context: str,
        description: str,
        target_url: str,
    ) -> None:
        """Says something about a commit; GitHub shows the newest of each context.

        Raises GithubRefusedError where the commit or the repository is gone.
        """
        path = f"/repos/{_escaped_repository(repository)}/statuses/{_escaped(commit)}"
        document = {"state": state, "context": context, "description": description, "target_url": target_url}
        answer = await self._as_installation(installation_id, "POST", path, document=document)
        if answer.status != _CREATED:
            raise _refused(f"the commit status {context!r} of {repository}@{commit[:12]}", answer)

    def authorize_url(self, *, state: str, challenge: str, redirect_uri: str) -> str:
        """Where a browser signs in; `challenge` is S256 of the verifier (RFC 7636 section 4.2)."""
        query = {
            "client_id": self._app.client_id,
            "redirect_uri": redirect_uri,
            "state": state,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        return f"{self._app.web_url}/login/oauth/authorize?{urlencode(query)}"

    async def identify(self, *, code: str, verifier: str, redirect_uri: str) -> GithubIdentity:
        """Whom the code of a sign-in belongs to. The user's token is asked one question and forgotten.

        Raises UnauthenticatedError with a sentence for the person who signs in.
        """
        token = await self._exchange(code, verifier, redirect_uri)
        answer = await self._requests.send("GET", f"{self._app.api_url}/user", authorization=f"Bearer {token}")
        found = None if answer.status == _UNAUTHORIZED else _identity(answer, "the user who signs in")
        if found is None:
            raise UnauthenticatedError("GitHub took the sign-in back; please sign in again")
        return found

    async def _exchange(self, code: str, verifier: str, redirect_uri: str) -> str:
        form = {
            "client_id": self._app.client_id,
            "client_secret": self._app.client_secret,
            "code": code,
            "code_verifier": verifier,
            "redirect_uri": redirect_uri,
        }
        url = f"{self._app.web_url}/login/oauth/access_token"
        answer = await self._requests.send("POST", url, form=form, accept="application/json")
        # GitHub answers 200 also when it says no (RFC 6749 section 5.2 wants 400).
        document = answer.document()
        token = document.get("access_token")
        if isinstance(token, str) and token.isascii() and token.isprintable():
            return token
        error = document.get("error")
        known = _OAUTH_ERRORS.get(error) if isinstance(error, str) else None
        raise UnauthenticatedError(f"GitHub did not confirm the sign-in: {known or 'it gave no reason that is known'}")

    async def _membership(self, installation: Installation, kind: str, name: str) -> Answer:
        path = f"/orgs/{_escaped(installation.account)}/{kind}/{_escaped(name)}"
        return await self._as_installation(installation.id, "GET", path)

    async def _as_app(self, method: str, path: str) -> Answer:
        url = f"{self._app.api_url}{path}"
        answer = await self._requests.send(method, url, authorization=f"Bearer {self._tokens.of_app()}")
        require_app(answer)
        return answer

    async def _as_installation(
        self, installation_id: int, method: str, path: str, *, document: dict[str, Any] | None = None
    ) -> Answer:
        url = f"{self._app.api_url}{path}"
        answer = await self._with_token(installation_id, method, url, document=document)
        if answer.status in _MOVED and (moved := self._numbered(answer)) is not None:
            answer = await self._with_token(installation_id, method, moved, document=document)
        return answer

    async def _with_token(
        self, installation_id: int, method: str, url: str, *, document: dict[str, Any] | None
    ) -> Answer:
        token = await self._tokens.of_installation(installation_id)
        answer = await self._requests.send(method, url, authorization=f"Bearer {token}", document=document)
        if answer.status == _UNAUTHORIZED:
            # Revoked before its time, say by a new private key: a fresh one is asked for, once.
            self._tokens.drop(installation_id, token)
            token = await self._tokens.of_installation(installation_id)
            answer = await self._requests.send(method, url, authorization=f"Bearer {token}", document=document)
        if answer.status == _FORBIDDEN and "suspended" in answer.message:
            raise InstallationGoneError(f"the App's installation {installation_id} is suspended")
        if answer.status == _UNAUTHORIZED:
            self._tokens.drop(installation_id, token)
            raise GithubUnavailableError(
                f"GitHub does not take the token of the installation {installation_id}",
                retry_after_seconds=MISTAKE_SECONDS,
            )
        return answer

    def _numbered(self, answer: Answer) -> str | None:
        """Where a renamed repository is now: GitHub names it by number, on the API itself; nothing else is followed."""
        target = answer.headers.get("location", "")
        prefix = f"{self._app.api_url}/repositories/"
        rest = urlsplit(target.removeprefix(prefix)).path.split("/")
        follows = target.startswith(prefix) and rest[0].isdigit() and ".." not in rest
        return target if follows else None


def _identity(answer: Answer, what: str) -> GithubIdentity | None:
    if answer.status in {_NOT_FOUND, _GONE}:
        return None
    if answer.status != _OK:
        raise _refused(what, answer)
    return _read(lambda document: GithubIdentity(id=number(document, "id"), login=login(document)), answer)


def _read(reader: Callable[[dict[str, Any]], T], answer: Answer) -> T:
    try:
        return reader(answer.document())
    except InvalidError as error:
        raise GithubUnavailableError(f"GitHub's answer is not understood: {error}") from error


def _refused(what: str, answer: Answer) -> GithubRefusedError:
    said = f": {answer.message}" if answer.message else ""
    return GithubRefusedError(f"GitHub refuses {what} with status {answer.status}{said}")


def _escaped(part: str) -> str:
    # `.` and `..` would be taken for steps in the path; no account, repository or commit is called so.
    if part in {"", ".", ".."}:
        raise GithubRefusedError(f"{part!r} is no name at GitHub")
    return quote(part, safe="")


def _escaped_repository(repository: str) -> str:
    owner, _, name = repository.partition("/")
    return f"{_escaped(owner)}/{_escaped(name)}"
