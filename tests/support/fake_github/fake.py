"""The fake as tests hold it: server, state, switches, webhooks."""

import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jwt

from certs import HTTP_ALPN, Authority, server_context, write_file
from tests.support.fake_github import app_endpoints
from tests.support.fake_github.app import App
from tests.support.fake_github.clock import Clock
from tests.support.fake_github.gateway import Gateway
from tests.support.fake_github.hooks import Hooks
from tests.support.fake_github.installations import Installations
from tests.support.fake_github.limits import RateLimits
from tests.support.fake_github.oauth import OAuth
from tests.support.fake_github.records import Call, CallerKind, Delivery, Status, Token
from tests.support.fake_github.server import Server
from tests.support.fake_github.state import State
from tests.support.fake_github.troubles import Troubles
from tests.support.https import TIMEOUT_SECONDS
from tests.support.https_server import HttpsFake

HOST = "github.localhost"
CERTIFICATE_MODE, KEY_MODE = 0o644, 0o600


class FakeGitHub(HttpsFake, Installations):
    """GitHub on a free loopback port, for the time of the block.

    `folder` gets the CA's certificate, the server's certificate and the app's private key. With an `authority` its CA
    signs the server's certificate, so that one CA file serves for everything. All methods may be called from any
    thread; those that deliver webhooks or wait block, so trio tests call them in a thread.
    """

    def __init__(
        self,
        folder: Path,
        *,
        authority: Authority | None = None,
        app: App | None = None,
        port: int = 0,
        host: str = HOST,
        api_prefix: str = "/api/v3",
    ) -> None:
        self.app = app or App()
        self.clock = Clock()
        self.state = State(self.app, self.clock)
        self.oauth = OAuth(self.state)
        self.hooks = Hooks(self.state)
        self.troubles = Troubles(self.clock)
        self.limits = RateLimits(self.clock)
        self.host = host
        self.api_prefix = api_prefix
        self.ca_file = folder / "github-ca.pem"
        self.private_key_file = folder / "github-app.pem"
        write_file(self.private_key_file, self.app.private_key_pem, mode=KEY_MODE)
        gateway = Gateway(self.state, self.oauth, self.troubles, self.limits, api_prefix)
        context = self._context(folder, authority or Authority.create())
        self._server = Server(gateway.handle, context, port=port, release=self.troubles.release)
        self.port = self._server.port
        self.web_url = self.state.web_url = f"https://{host}:{self.port}"
        self.api_url = self.state.api_url = self.web_url + api_prefix

    def close(self) -> None:
        """Ends the fake."""
        self.troubles.clear()
        self._server.close()

    # --- signing in -------------------------------------------------------------------------------------------------

    @property
    def signed_in_as(self) -> str | None:
        """Who authorises the app without being asked; None: the page asks."""
        return self.oauth.signed_in_as

    @signed_in_as.setter
    def signed_in_as(self, login: str | None) -> None:
        self.oauth.signed_in_as = login

    def approve(self, authorize_url: str, login: str) -> str:
        """The callback URL that a browser is sent to after 'Authorize as <login>'; raises AssertionError."""
        return self.oauth.decide(authorize_url, login)

    def deny(self, authorize_url: str) -> str:
        """The same after 'Cancel'."""
        return self.oauth.decide(authorize_url, None)

    # --- credentials ------------------------------------------------------------------------------------------------

    def app_jwt(
        self,
        *,
        issued_in: float = -60,
        expires_in: float = 540,
        issuer: str | None = None,
        key: bytes | None = None,
    ) -> str:
        """A JWT of the app's, or one with a mistake."""
        now = self.clock.now()
        claims = {
            "iat": int(now + issued_in),
            "exp": int(now + expires_in),
            "iss": self.app.client_id if issuer is None else issuer,
        }
        return jwt.encode(claims, (key or self.app.private_key_pem).decode(), algorithm="RS256")

    def installation_token(self, account: str) -> str:
        """A token of the installation on an account, made without a call."""
        item = self.installation(account)
        expires_at = self.clock.now() + app_endpoints.INSTALLATION_TOKEN_SECONDS
        token = Token(
            value="", kind="installation", owner_id=item.id, expires_at=expires_at, permissions=item.permissions
        )
        return self.state.add_token("ghs", token).value

    def user_token(self, login: str) -> str:
        """A token of a user's, made without signing in."""
        seconds = self.app.user_token_seconds
        expires_at = None if seconds is None else self.clock.now() + seconds
        owner_id = self.state.account(login).id
        token = Token(value="", kind="user", owner_id=owner_id, expires_at=expires_at)
        return self.state.add_token("ghu", token).value

    # --- webhooks ---------------------------------------------------------------------------------------------------

    def set_hook(self, url: str | None, *, ca_file: Path | None = None, address: str = "127.0.0.1") -> None:
        """Where webhooks go: connected to at `address`, verified by the URL's host and the CA file."""
        self.hooks.url, self.hooks.ca_file, self.hooks.address = url, ca_file, address

    def deliver(
        self,
        event: str,
        payload: Any,
        *,
        guid: str | None = None,
        secret: str | None = None,
        headers: Mapping[str, str | None] | None = None,
        body: bytes | None = None,
    ) -> Delivery:
        """Sends any webhook; gives it with the answer. `secret`, `headers` (None leaves one out), `body` spoil it."""
        return self.hooks.deliver(event, payload, guid=guid, secret=secret, headers=headers, body=body)

    def redeliver(self, guid: str) -> Delivery:
        """Sends a webhook once more, with the same GUID and body."""
        return self.hooks.redeliver(guid)

    @property
    def deliveries(self) -> list[Delivery]:
        """All webhooks, in order of their first try."""
        with self.state.lock:
            return list(self.state.deliveries.values())

    # --- what happened ----------------------------------------------------------------------------------------------

    def calls(
        self, *, method: str | None = None, path: str | None = None, auth: CallerKind | None = None
    ) -> list[Call]:
        """The requests so far; `path` is a regular expression for the whole path, without prefix and query."""
        return self.state.find_calls(method=method, path=path, auth=auth)

    def clear_calls(self) -> None:
        """Forgets them."""
        with self.state.lock:
            self.state.calls.clear()

    def wait_for_calls(
        self,
        count: int = 1,
        *,
        method: str | None = None,
        path: str | None = None,
        auth: CallerKind | None = None,
        seconds: float = TIMEOUT_SECONDS,
    ) -> list[Call]:
        """Waits until there are so many; gives all of them. Raises AssertionError."""

        def enough() -> list[Call] | None:
            found = self.state.find_calls(method=method, path=path, auth=auth)
            return found if len(found) >= count else None

        return self.state.wait_for(enough, f"{count} calls of {method or 'any'} {path or '/'}", seconds=seconds)

    def statuses(
        self, repository: str | None = None, *, sha: str | None = None, context: str | None = None
    ) -> list[Status]:
        """Commit statuses in the order in which they came."""
        with self.state.lock:
            number = None if repository is None else self.state.repository(repository).id
            return [
                item
                for item in self.state.statuses
                if number in {None, item.repository_id} and sha in {None, item.sha} and context in {None, item.context}
            ]

    def wait_for_status(
        self,
        state: str,
        repository: str | None = None,
        *,
        sha: str | None = None,
        context: str | None = None,
        seconds: float = TIMEOUT_SECONDS,
    ) -> Status:
        """Waits until the newest such status has a state. Raises AssertionError."""

        def newest() -> Status | None:
            found = self.statuses(repository, sha=sha, context=context)
            return found[-1] if found and found[-1].state == state else None

        return self.state.wait_for(newest, f"the status {state} of {repository} {sha}", seconds=seconds)

    # --- certificate ------------------------------------------------------------------------------------------------

    def _context(self, folder: Path, authority: Authority) -> ssl.SSLContext:
        write_file(self.ca_file, authority.pem, mode=CERTIFICATE_MODE)
        certificate, key = folder / "github.pem", folder / "github.key"
        names = dict.fromkeys((self.host, HOST, "127.0.0.1"))
        authority.leaf(list(names)).write(certificate, key)
        return server_context(certificate, key, alpn=(HTTP_ALPN,))
