"""The web application flow: the page where a user authorises the app, and the exchange of the code for a token."""

import base64
import hashlib
import hmac
import secrets
from dataclasses import dataclass
from html import escape
from urllib.parse import parse_qsl, urlencode, urlsplit

from tests.support.fake_github.records import Account, Code, Token, UnknownError
from tests.support.fake_github.state import State
from tests.support.fake_github.wire import Reply, Request, json_reply

AUTHORIZE = "/login/oauth/authorize"
ACCESS_TOKEN = "/login/oauth/access_token"
Fields = dict[str, str | int]
CODE_SECONDS = 600.0
"""GitHub: "the temporary code will expire after 10 minutes"."""
REFRESH_SECONDS = 15897600
_TROUBLE_DOCS = (
    "/apps/managing-oauth-apps/troubleshooting-{page}-request-errors/#{error}"  # as GitHub abbreviates its error_uri
)


@dataclass(slots=True)
class OAuth:
    """Both endpoints; `signed_in_as` and `denying` answer at once in place of the page."""

    state: State
    signed_in_as: str | None = None
    denying: bool = False

    def authorize(self, request: Request) -> Reply:
        """GET gives the page, POST is its form."""
        fields = dict(request.query)
        login, denied = self.signed_in_as, self.denying
        if request.method == "POST":
            fields = request.form_or_json()
            login, denied = fields.get("login"), "deny" in fields
        mistake = self._mistake(fields)
        if mistake:
            return _page(404 if "client_id" in mistake else 400, f"<h1>Be careful!</h1><p>{escape(mistake)}</p>")
        if request.method == "GET" and login is None and not denied:
            return self._ask(fields)
        return Reply(status=302, headers={"location": self._decide(fields, None if denied else login)})

    def decide(self, url: str, login: str | None) -> str:
        """What the page answers to a browser: the callback URL. None denies. Raises AssertionError for a wrong URL."""
        fields = dict(parse_qsl(urlsplit(url).query, keep_blank_values=True))
        if mistake := self._mistake(fields):
            raise AssertionError(mistake)
        return self._decide(fields, login)

    def access_token(self, request: Request) -> Reply:
        """Exchanges a code; errors come with 200, as on GitHub."""
        fields = request.form_or_json()
        with self.state.lock:
            answer = self._exchange(fields)
        if "json" in request.headers.get("accept", ""):
            return json_reply(200, answer)
        kind = {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}
        return Reply(status=200, body=urlencode(answer).encode(), headers=kind)

    def _mistake(self, fields: dict[str, str]) -> str:
        """Why the request may not even be redirected."""
        if fields.get("client_id") != self.state.app.client_id:
            return "There is no app with this client_id."
        if not self.state.app.callback_urls:
            return "The app has no callback URL."
        if fields.get("redirect_uri", self.state.app.callback_urls[0]) not in self.state.app.callback_urls:
            return "The redirect_uri is not associated with this application."
        return ""

    def _decide(self, fields: dict[str, str], login: str | None) -> str:
        state: Fields = {"state": fields["state"]} if "state" in fields else {}
        redirect_uri = fields.get("redirect_uri", self.state.app.callback_urls[0])
        challenge = fields.get("code_challenge") or None
        if login is None:
            return _with_query(redirect_uri, _error("access_denied") | state)
        if challenge is not None and fields.get("code_challenge_method") != "S256":
            return _with_query(redirect_uri, _error("invalid_request") | state)
        try:
            user = self.state.account(login)
        except UnknownError:
            return _with_query(redirect_uri, _error("access_denied") | state)
        code = secrets.token_hex(10)
        with self.state.lock:
            self.state.codes[code] = Code(
                user_id=user.id,
                redirect_uri=redirect_uri,
                challenge=challenge,
                expires_at=self.state.clock.now() + CODE_SECONDS,
            )
        return _with_query(redirect_uri, state | {"code": code})

    def _exchange(self, fields: dict[str, str]) -> Fields:
        app = self.state.app
        right = fields.get("client_id") == app.client_id
        if not right or not hmac.compare_digest(fields.get("client_secret", "").encode(), app.client_secret.encode()):
            return _error("incorrect_client_credentials")
        if fields.get("grant_type", "authorization_code") != "authorization_code":
            return _error("unsupported_grant_type")
        code = self.state.codes.get(fields.get("code", ""))
        if code is None or code.expires_at <= self.state.clock.now():
            return _error("bad_verification_code")
        if fields.get("redirect_uri", code.redirect_uri) != code.redirect_uri:
            return _error("redirect_uri_mismatch")
        del self.state.codes[fields["code"]]  # a wrong verifier spends it as well: whoever guesses has one try
        if not _verified(code.challenge, fields.get("code_verifier")):
            return _error("bad_verification_code")
        return self._token(code.user_id)

    def _token(self, user_id: int) -> Fields:
        seconds = self.state.app.user_token_seconds
        now = self.state.clock.now()
        token = self.state.add_token(
            "ghu",
            Token(value="", kind="user", owner_id=user_id, expires_at=None if seconds is None else now + seconds),
        )
        expiry: Fields = {}
        if seconds is not None:
            expiry = {
                "expires_in": int(seconds),
                "refresh_token": f"ghr_{secrets.token_hex(38)}",
                "refresh_token_expires_in": REFRESH_SECONDS,
            }
        return {"access_token": token.value} | expiry | {"token_type": "bearer", "scope": ""}

    def _ask(self, fields: dict[str, str]) -> Reply:
        with self.state.lock:
            users = [item for item in self.state.accounts.values() if item.kind == "User"]
        hidden = "".join(
            f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">'
            for name, value in fields.items()
            if name not in {"login", "deny"}
        )
        buttons = "".join(_button(user) for user in users)
        return _page(
            200,
            f"<h1>Authorize {escape(self.state.app.name)}</h1>"
            f'<form method="post" action="{AUTHORIZE}">{hidden}{buttons}'
            '<p><button type="submit" name="deny" value="1">Cancel</button></p></form>',
        )


def _button(user: Account) -> str:
    login = escape(user.login)
    return f'<p><button type="submit" name="login" value="{login}">Authorize as {login}</button></p>'


def _verified(challenge: str | None, verifier: str | None) -> bool:
    if challenge is None or verifier is None:
        return challenge is None and verifier is None
    digest = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=")
    return hmac.compare_digest(digest, challenge.encode())


_DESCRIPTIONS = {
    "access_denied": "The user has denied your application access.",
    "invalid_request": "The code_challenge_method must be S256.",
    "incorrect_client_credentials": "The client_id and/or client_secret passed are incorrect.",
    "redirect_uri_mismatch": "The redirect_uri MUST match the registered callback URL for this application.",
    "bad_verification_code": "The code passed is incorrect or expired.",
    "unsupported_grant_type": "The grant type is not supported.",
}
_ON_THE_PAGE = {"access_denied", "invalid_request"}


def _error(error: str) -> Fields:
    page = "authorization" if error in _ON_THE_PAGE else "oauth-app-access-token"
    uri = _TROUBLE_DOCS.format(page=page, error=error.replace("_", "-"))
    return {"error": error, "error_description": _DESCRIPTIONS[error], "error_uri": uri}


def _with_query(url: str, fields: Fields) -> str:
    return url + ("&" if urlsplit(url).query else "?") + urlencode(fields)


def _page(status: int, body: str) -> Reply:
    html = f"<!doctype html><html lang=en><meta charset=utf-8><title>Fake GitHub</title><body>{body}</body></html>"
    headers = {"content-type": "text/html; charset=utf-8", "cache-control": "no-store", "x-frame-options": "deny"}
    return Reply(status=status, body=html.encode(), headers=headers)
