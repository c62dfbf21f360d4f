"""Signing in by GitHub, going on to a preview, and signing out. docs/logins.md has the picture."""

import hmac

from relay.dashboard import oauth
from relay.dashboard.asgi import Answer, Request
from relay.dashboard.cookies import LOGIN_COOKIE, OAUTH_COOKIE, OAUTH_SECONDS, clear_cookie, set_cookie
from relay.dashboard.pages import redirect
from relay.dashboard.services import Github
from relay.dashboard.site import Destination, Site
from relay.errors import (
    ForbiddenError,
    GithubUnavailableError,
    NotFoundError,
    UnauthenticatedError,
)
from relay.store import Login, User, login_codes, logins, members

CALLBACK = "/login/callback"
COOKIE_RETURN_CHARACTERS = 2000
"""Browsers drop cookies of more than 4096 bytes, and sealing adds a third. A longer address is cut to its root."""


async def show_login(site: Site, request: Request) -> Answer:
    """GET /login: goes on at once where the browser is signed in, else shows how to sign in."""
    # A frame or a fetch of another page must neither show nor move anything here.
    if request.header(b"sec-fetch-dest") not in {None, b"document"}:
        raise ForbiddenError("Signing in needs a page of its own.")
    destination = site.destination(request.query)
    login = await site.login(request)
    if login is not None:
        return await _go_on(site, login, destination)
    github = site.services.github is not None
    return site.pages.page(
        "login.html",
        leads_away=github,
        github=github,
        fields={} if destination is None else destination.fields(),
        destination="" if destination is None or not destination.place.is_preview else destination.place.host,
    )


async def _go_on(site: Site, login: Login, destination: Destination | None, *, status: int = 302) -> Answer:
    """Sends a browser that is signed in where it wants to go: to a preview with a code that works there, once."""
    if destination is None:
        return redirect(f"{site.origin}/", status=status)
    place = destination.place
    if not place.is_preview:
        return redirect(place.url, status=status)
    code = await site.services.database.write(
        login_codes.create, login.id, host=place.host, return_to=place.url, nonce_hash=destination.nonce_hash
    )
    return redirect(f"https://{place.host}{site.port_suffix}/.signadot/login?code={code}", status=status)


async def begin_github(site: Site, request: Request) -> Answer:
    """POST /login/github: to GitHub, with what must come back kept in this browser."""
    site.require_own_page(request)
    site.require_patience(request)
    github = _github(site)
    destination = site.destination(request.form)
    fields = {}
    if destination is not None:
        if len(destination.place.url) > COOKIE_RETURN_CHARACTERS:
            destination = Destination(place=destination.place.at_root(), nonce_hash=destination.nonce_hash)
        fields = destination.fields()
    attempt = oauth.begin(fields, now=site.services.now())
    url = github.provider.authorize_url(
        state=attempt.state, challenge=attempt.challenge, redirect_uri=site.origin + CALLBACK
    )
    cookie = set_cookie(OAUTH_COOKIE, oauth.seal(attempt, site.services.sealer), seconds=OAUTH_SECONDS)
    return redirect(url, status=303).with_headers(cookie)


async def finish_github(site: Site, request: Request) -> Answer:
    """GET /login/callback: GitHub's answer. Nothing of it counts unless this browser began the sign-in."""
    site.require_patience(request)
    github = _github(site)
    attempt = _attempt(site, request)
    if attempt is None:
        return site.message(
            400,
            "Please start again",
            "This sign-in was not begun in this browser, or took longer than ten minutes.",
            code="sign_in_unknown",
            again="Sign in with GitHub",
        ).with_headers(clear_cookie(OAUTH_COOKIE))
    try:
        answer = await _identified(site, request, github, attempt)
    except GithubUnavailableError as error:
        answer = site.message(
            503,
            "GitHub does not answer",
            str(error),
            code=error.code,
            again="Try again",
            fields=attempt.fields,
        )
    except UnauthenticatedError:
        answer = _denied(site, attempt, "GitHub did not confirm this sign-in.")
    return answer.with_headers(clear_cookie(OAUTH_COOKIE))


def _attempt(site: Site, request: Request) -> oauth.Attempt | None:
    cookie = request.cookie(OAUTH_COOKIE)
    attempt = cookie and oauth.unseal(cookie, site.services.sealer, now=site.services.now())
    state = request.query.get("state", "")
    if not attempt or not hmac.compare_digest(attempt.state.encode(), state.encode()):
        return None
    return attempt


async def _identified(site: Site, request: Request, github: Github, attempt: oauth.Attempt) -> Answer:
    if "error" in request.query:
        return _denied(site, attempt, "The sign-in was cancelled at GitHub.")
    identity = await github.provider.identify(
        code=request.query.get("code", ""), verifier=attempt.verifier, redirect_uri=site.origin + CALLBACK
    )
    user = await github.memberships.sign_in(identity)
    places = [] if user is None else await site.services.database.read(members.find_of_user, user.id)
    if user is None or not any(member.active for member in places):
        return _denied(
            site,
            attempt,
            f"The GitHub account {identity.login} belongs to no organisation of this relay.",
            "To use another account, sign in as that one at GitHub first.",
        )
    return await sign_in(site, request, user, site.destination(attempt.fields))


async def sign_in(site: Site, request: Request, user: User, destination: Destination | None) -> Answer:
    """Makes a new login for this browser, ends the one it had, and goes on."""
    await end_login(site, request)
    login, secret = await site.services.database.write(logins.create, user.id, seconds=site.services.login_seconds)
    answer = await _go_on(site, login, destination, status=303 if request.method == "POST" else 302)
    return answer.with_headers(set_cookie(LOGIN_COOKIE, secret, seconds=site.services.login_seconds))


async def end_login(site: Site, request: Request) -> None:
    """Ends the login that this browser had, if any."""
    login = await site.login(request)
    if login is not None:
        await site.services.database.write(logins.remove, login.id)


async def log_out(site: Site, request: Request) -> Answer:
    """POST /logout: ends this browser's login, and with it its previews."""
    site.require_own_page(request)
    await end_login(site, request)
    return redirect(f"{site.origin}/", status=303).with_headers(clear_cookie(LOGIN_COOKIE))


async def log_out_everywhere(site: Site, request: Request) -> Answer:
    """POST /logout/all: ends all logins of this user."""
    site.require_own_page(request)
    login = await site.login(request)
    if login is not None:
        await site.services.database.write(logins.remove_all, login.user.id)
    return redirect(f"{site.origin}/", status=303).with_headers(clear_cookie(LOGIN_COOKIE))


def _denied(site: Site, attempt: oauth.Attempt, *sentences: str) -> Answer:
    return site.message(
        403, "You are not signed in", *sentences, code="denied", again="Try again", fields=attempt.fields
    )


def _github(site: Site) -> Github:
    if site.services.github is None:
        raise NotFoundError("This relay has no sign-in by GitHub.")
    return site.services.github
