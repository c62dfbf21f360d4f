"""A relay as an operator runs it, previews side by side on one site, GitHub, and a Chromium that trusts their CA."""

import base64
import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from playwright.sync_api import Browser, BrowserContext, Page, Playwright

from tests.browser.target import TargetApp
from tests.support.https import Answer
from tests.support.processes import Running
from tests.support.with_github import MEMBER, GithubDeployment

CHROMIUM = Path("/usr/bin/chromium")
# All below one registrable domain, as in the field: previews, app host and API are same-site to each other.
NAMES = {name: f"{name}.relay.localhost" for name in ("preview", "api", "app", "tunnel", "proxy")}
AUTHORIZE = r"/login/oauth/authorize"
PREVIEW_COOKIE, LOGIN_COOKIE, NONCE_COOKIE = "__Host-sd-preview", "__Host-sd-login", "__Host-sd-nonce"
PAGE_MILLISECONDS = 15_000.0
_FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip


def spki_hash(certificate: Path) -> str:
    """The hash by which Chromium is told to take a certificate's key for trusted."""
    key = x509.load_pem_x509_certificate(certificate.read_bytes()).public_key()
    return base64.b64encode(
        hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest()
    ).decode()


def launch(playwright: Playwright, certificates: list[Path]) -> Browser:
    """A new Chromium with a folder of its own. It trusts the keys of these certificates and no others besides."""
    trusted = f"--ignore-certificate-errors-spki-list={','.join(map(spki_hash, certificates))}"
    return playwright.chromium.launch(executable_path=CHROMIUM, headless=False, args=[*_FLAGS, trusted])


@dataclass(slots=True, kw_only=True)
class Stage:
    """What the browser tests share."""

    deployment: GithubDeployment
    relay: Running
    browser: Browser
    victim: TargetApp
    """Behind the preview that is attacked."""
    evil: TargetApp
    """Behind the preview that attacks."""

    def url(self, name: str, path: str = "/", *, org: str | None = None) -> str:
        """Of the endpoint `web` of a workspace."""
        return f"https://{self.host(name, org=org)}:{self.deployment.port}{path}"

    def host(self, name: str, *, org: str | None = None) -> str:
        return f"{'--'.join(filter(None, ('web', name, org)))}.{NAMES['preview']}"

    def app_url(self, path: str = "/") -> str:
        return f"https://{NAMES['app']}:{self.deployment.port}{path}"

    @property
    def authorizations(self) -> int:
        """How often a browser was sent to GitHub."""
        return len(self.deployment.fake.calls(path=AUTHORIZE))

    def context(self, state: Any = None) -> BrowserContext:
        """A browser of its own, with the cookies of `state` or none."""
        context = self.browser.new_context(storage_state=state)
        context.set_default_timeout(PAGE_MILLISECONDS)
        return context

    def sign_in(self, page: Page, url: str, *, login: str | None = MEMBER) -> None:
        """Opens a URL, signs in at GitHub as somebody, and ends where that leads; None: without deciding there."""
        fake = self.deployment.fake
        fake.signed_in_as = login
        try:
            page.goto(url)
            page.get_by_role("button", name="Continue with GitHub").click()
            page.wait_for_load_state()
        finally:
            fake.signed_in_as = None

    def signed_in(self) -> Any:
        """The cookies of a browser that is signed in, and was at both previews."""
        context = self.context()
        page = context.new_page()
        self.sign_in(page, self.url("victim"))
        page.goto(self.url("evil"))
        state = context.storage_state()
        context.close()
        return state

    def cookie(self, context: BrowserContext, host: str, name: str) -> str:
        """The value of a browser's cookie on a host; empty where it has none."""
        found = [
            item for item in context.cookies(f"https://{host}:{self.deployment.port}/") if item.get("name") == name
        ]
        return found[0].get("value", "") if found else ""

    def ask(
        self, url: str, *, cookies: str = "", headers: tuple[tuple[str, str], ...] = (), method: str = "GET"
    ) -> Answer:
        """One request of a program that sends what it likes."""
        parts = urlsplit(url)
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        sent = (*headers, *((("cookie", cookies),) if cookies else ()))
        return self.deployment.ask(str(parts.hostname), target, method=method, headers=sent, api_key="")

    def access(self, path: str, *, count: int = 1) -> list[dict[str, Any]]:
        """The relay's access log lines for a path, once there are so many: what the relay decided about requests."""
        return wait_for_access(self.relay, path, count)


def wait_for_access(relay: Running, path: str, count: int) -> list[dict[str, Any]]:
    """Waits for lines of the access log."""
    found: list[dict[str, Any]] = []
    mark = 0
    while len(found) < count:
        match = relay.wait_for_line(rf'.*"path": "{re.escape(path)}".*', after=mark)
        lines = relay.output.splitlines()
        mark = next(at for at in range(mark, len(lines)) if lines[at] == match.string.rstrip("\n")) + 1
        line = json.loads(match.string)
        if line.get("event") == "access":
            found.append(line)
    return found
