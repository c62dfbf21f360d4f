"""The pages over the real store, called in-process by something that keeps cookies as a browser does."""

import re
from dataclasses import dataclass, field, replace
from html import unescape
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx2

from relay.auth import TextSealer, mint_nonce, nonce_hash, print_nonce_hash
from relay.dashboard import Github, Services, make_app
from relay.errors import RelayError, UnauthenticatedError
from relay.store import Database, GithubIdentity, Login, User, logins, members, orgs, users

PORT = 8443
APP = "app.localhost"
ORIGIN = f"https://{APP}:{PORT}"
PREVIEW = "web--shop.preview.localhost"
PREVIEW_URL = f"https://{PREVIEW}:{PORT}/a/b?c=d&e=f"
GITHUB = "https://github.localhost"
LOGIN, OAUTH = "__Host-sd-login", "__Host-sd-oauth"


@dataclass(slots=True, kw_only=True)
class FakeGithub:
    """Who is at GitHub, and in which org; also the memberships."""

    database: Database
    codes: dict[str, GithubIdentity] = field(default_factory=dict)
    members: dict[int, str] = field(default_factory=dict)
    """Org id by GitHub id."""
    problem: RelayError | None = None
    challenges: list[str] = field(default_factory=list)
    redirect_uris: list[str] = field(default_factory=list)
    exchanged: list[tuple[str, str]] = field(default_factory=list)

    def authorize_url(self, *, state: str, challenge: str, redirect_uri: str) -> str:
        self.challenges.append(challenge)
        self.redirect_uris.append(redirect_uri)
        return f"{GITHUB}/login/oauth/authorize?{urlencode({'state': state, 'code_challenge': challenge})}"

    async def identify(self, *, code: str, verifier: str, redirect_uri: str) -> GithubIdentity:
        self.exchanged.append((code, verifier))
        self.redirect_uris.append(redirect_uri)
        if self.problem is not None:
            raise self.problem
        if code not in self.codes:
            raise UnauthenticatedError("GitHub does not know this code")
        return self.codes.pop(code)

    async def sign_in(self, identity: GithubIdentity) -> User:
        user = await self.database.write(
            users.put, provider="github", subject=str(identity.id), login=identity.login, signed_in=True
        )
        org_id = self.members.get(identity.id)
        if org_id is not None:
            await self.database.write(members.put, org_id, user.id, source="github")
        return user


@dataclass(frozen=True, slots=True, kw_only=True)
class FakeStatus:
    online: bool = True
    capabilities: tuple[str, ...] = ()
    since: float | None = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """An answer."""

    status: int
    text: str
    headers: list[tuple[str, str]]

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key == name), None)

    @property
    def location(self) -> str:
        found = self.header("location")
        assert found is not None, self.text
        return found

    @property
    def set_cookies(self) -> list[str]:
        return [value for name, value in self.headers if name == "set-cookie"]

    def hidden(self) -> dict[str, str]:
        """The hidden fields of its form."""
        found = re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)">', self.text)
        return {unescape(name): unescape(value) for name, value in found}


class Browser:
    """One browser at the app host."""

    def __init__(self, services: Services) -> None:
        self.cookies: dict[str, str] = {}
        self.address = "192.0.2.1"
        self._app = make_app(services)

    async def get(self, target: str, *, headers: tuple[tuple[str, str], ...] = ()) -> Page:
        return await self._ask("GET", target, headers=headers)

    async def post(self, target: str, fields: dict[str, str] | None = None, *, origin: str | None = ORIGIN) -> Page:
        headers = [("content-type", "application/x-www-form-urlencoded")]
        if origin is not None:
            headers.append(("origin", origin))
        return await self._ask("POST", target, headers=tuple(headers), body=urlencode(fields or {}).encode())

    async def _ask(self, method: str, target: str, *, headers: tuple[tuple[str, str], ...], body: bytes = b"") -> Page:
        cookies = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        sent = [*headers, *([("cookie", cookies)] if cookies else [])]
        transport = httpx2.ASGITransport(self._app, client=(self.address, 1))
        async with httpx2.AsyncClient(transport=transport) as client:
            answer = await client.request(method, ORIGIN + target, headers=sent, content=body)
        pairs = [(name.decode().lower(), value.decode()) for name, value in answer.headers.raw]
        page = Page(status=answer.status_code, text=answer.text, headers=pairs)
        for line in page.set_cookies:
            self._keep(line)
        return page

    def _keep(self, line: str) -> None:
        name, _, value = line.partition(";")[0].partition("=")
        if "Max-Age=0" in line:
            self.cookies.pop(name, None)
        else:
            self.cookies[name] = value


@dataclass(slots=True, kw_only=True)
class Stage:
    """All that a test of the pages needs."""

    database: Database
    github: FakeGithub
    services: Services
    org_id: str
    clock: list[float]

    def browser(self, *, without_github: bool = False) -> Browser:
        return Browser(replace(self.services, github=None) if without_github else self.services)

    async def login_of(self, browser: Browser) -> Login | None:
        return await self.database.read(logins.find, browser.cookies.get(LOGIN, ""))

    async def sign_in(self, browser: Browser, fields: dict[str, str] | None = None, *, number: int = 1) -> Page:
        """Goes through GitHub as a member of the org."""
        self.github.members[number] = self.org_id
        return await self.finish(browser, await browser.post("/login/github", fields), number=number)

    async def finish(self, browser: Browser, begun: Page, *, number: int = 1, login: str = "mona") -> Page:
        """GitHub sends the browser back."""
        assert begun.status == 303, begun.text
        state = dict(parse_qsl(urlsplit(begun.location).query))["state"]
        self.github.codes[f"code-{number}"] = GithubIdentity(id=number, login=login)
        return await browser.get(f"/login/callback?{urlencode({'code': f'code-{number}', 'state': state})}")


def make_stage(database: Database, org_id: str, clock: list[float]) -> Stage:
    github = FakeGithub(database=database)

    async def find_login(secret: str) -> Login | None:
        return await database.read(logins.find, secret)

    services = Services(
        database=database,
        find_login=find_login,
        github=Github(provider=github, memberships=github, url=GITHUB),
        sealer=TextSealer(lambda: [bytes(32)]),
        cluster_status=lambda _: FakeStatus(),
        preview_url=lambda endpoint, workspace, org: (
            f"https://{'--'.join(filter(None, (endpoint, workspace, org)))}.preview.localhost:{PORT}/"
        ),
        app_host=APP,
        preview_domain="preview.localhost",
        api_host="api.localhost",
        port=lambda: PORT,
        login_seconds=3600,
        now=lambda: clock[0],
    )
    return Stage(database=database, github=github, services=services, org_id=org_id, clock=clock)


def to_preview(url: str = PREVIEW_URL) -> tuple[dict[str, str], str]:
    """The fields with which a preview sends a browser to sign in, and the nonce that it keeps."""
    nonce = mint_nonce()
    return {"return_to": url, "nonce": print_nonce_hash(nonce_hash(nonce))}, nonce


async def org_named(database: Database, name: str) -> str:
    org = await database.read(orgs.find, name)
    assert org is not None
    return org.id
