"""Against signing in itself: codes used again or elsewhere, sign-ins begun by somebody else, return URLs, Referer."""

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import pytest
from playwright.sync_api import BrowserContext, Page, Request

from relay.auth import mint_nonce, nonce_hash, print_nonce_hash
from tests.browser.stage import LOGIN_COOKIE, NAMES, NONCE_COOKIE, PREVIEW_COOKIE, REGISTER, Stage
from tests.browser.target import Reply
from tests.support.with_github import ADMIN, MEMBER

pytestmark = pytest.mark.system


@pytest.fixture
def browser(stage: Stage, signed_in: Any) -> Iterator[BrowserContext]:
    context = stage.context(signed_in)
    yield context
    context.close()


@pytest.fixture
def attacker(stage: Stage) -> Iterator[BrowserContext]:
    """Another member, who is signed in as themselves."""
    context = stage.context()
    stage.sign_in(context.new_page(), stage.url("evil"), login=ADMIN)
    yield context
    context.close()


def requests_of(page: Page, url: str) -> list[str]:
    """Opens a URL; gives all URLs on the way."""
    urls: list[str] = []

    def note(request: Request) -> None:
        if request.is_navigation_request():
            urls.append(request.url)

    page.on("request", note)
    page.goto(url)
    return urls


def login_page(stage: Stage, host_url: str, nonce: str) -> str:
    """Where a preview sends a browser to sign in."""
    fields = {"return_to": host_url, "nonce": print_nonce_hash(nonce_hash(nonce))}
    return stage.app_url("/login?" + urlencode(fields))


def a_code(stage: Stage, browser: BrowserContext, url: str, nonce: str) -> str:
    """A code that a signed-in browser gets, not used yet."""
    login = stage.cookie(browser, NAMES["app"], LOGIN_COOKIE)
    answer = stage.ask(login_page(stage, url, nonce), cookies=f"{LOGIN_COOKIE}={login}")
    assert answer.status == 302
    return dict(parse_qsl(urlsplit(answer.header("location") or "").query))["code"]


def hand_in(stage: Stage, url: str, code: str, nonce: str = "") -> Any:
    cookies = f"{NONCE_COOKIE}={nonce}" if nonce else ""
    headers = (("accept", "text/html"),)
    return stage.ask(f"{url}.signadot/login?code={code}", cookies=cookies, headers=headers)


def assert_member(stage: Stage, browser: BrowserContext) -> None:
    page = browser.new_page()
    page.goto(stage.app_url())
    assert page.get_by_text(f"Signed in as {MEMBER}").is_visible()
    page.close()


def test_a_code_works_once_there_and_in_that_browser(stage: Stage, browser: BrowserContext) -> None:
    """So that the refusals below are for the reason that is claimed."""
    nonce = mint_nonce()
    code = a_code(stage, browser, stage.url("victim"), nonce)
    used = hand_in(stage, stage.url("victim"), code, nonce)
    assert used.status == 302
    assert PREVIEW_COOKIE in (used.header("set-cookie") or "")
    again = hand_in(stage, stage.url("victim"), code, nonce)
    assert (again.status, again.header("set-cookie")) == (403, None) or again.status == 400


def test_a_code_that_was_seen_on_its_way_is_worth_nothing(stage: Stage, browser: BrowserContext) -> None:
    browser.clear_cookies(name=PREVIEW_COOKIE, domain=stage.host("victim"))
    urls = requests_of(browser.new_page(), stage.url("victim", "/seen"))
    (code,) = {dict(parse_qsl(urlsplit(url).query)).get("code", "") for url in urls if "/.signadot/login" in url}
    assert code
    for nonce in ("", mint_nonce()):
        answer = hand_in(stage, stage.url("victim"), code, nonce)
        assert answer.status in {400, 403}
        assert answer.header("set-cookie") is None


@pytest.mark.parametrize("case", ["no nonce", "another nonce", "another host", "another host's form"])
def test_a_code_is_worth_nothing_elsewhere(stage: Stage, browser: BrowserContext, case: str) -> None:
    nonce = mint_nonce()
    code = a_code(stage, browser, stage.url("victim"), nonce)
    presented = {"no nonce": "", "another nonce": mint_nonce()}.get(case, nonce)
    place = {"another host": stage.url("evil"), "another host's form": stage.url("victim", org="acme")}
    answer = hand_in(stage, place.get(case, stage.url("victim")), code, presented)
    assert answer.status in {400, 403}
    assert answer.header("set-cookie") is None
    if presented:  # without one, nobody even looks the code up
        assert hand_in(stage, stage.url("victim"), code, nonce).status in {400, 403}  # and is spent now


def test_the_attackers_code_signs_the_victim_in_nowhere(
    stage: Stage, browser: BrowserContext, attacker: BrowserContext
) -> None:
    """Login CSRF: the victim would work in the attacker's account and not notice."""
    before = stage.cookie(browser, stage.host("victim"), PREVIEW_COOKIE)
    code = a_code(stage, attacker, stage.url("victim"), mint_nonce())
    page = browser.new_page()
    answer = page.goto(stage.url("victim", f"/.signadot/login?code={code}"))
    assert answer is not None
    assert answer.status in {400, 403}
    assert stage.cookie(browser, stage.host("victim"), PREVIEW_COOKIE) == before


@pytest.mark.parametrize("opened", [False, True])
def test_the_attackers_sign_in_at_github_is_not_the_victims(
    stage: Stage, browser: BrowserContext, *, opened: bool
) -> None:
    """The attacker's code and state, opened in the victim's browser: alone, and while a sign-in of its own is on."""
    fake = stage.deployment.fake
    form = (("origin", stage.app_url().removesuffix("/")), ("content-type", "application/x-www-form-urlencoded"))
    begun = stage.ask(stage.app_url("/login/github"), method="POST", headers=form)
    callback = fake.approve(begun.header("location") or "", ADMIN)
    page = browser.new_page()
    if opened:
        page.goto(stage.app_url())
        page.evaluate("fetch('/login/github', {method: 'POST', redirect: 'manual'}).then(() => '', () => '')")
    answer = page.goto(callback)
    assert answer is not None
    assert answer.status == 400
    assert page.get_by_role("heading", name="Please start again").is_visible()
    assert_member(stage, browser)


def test_the_attackers_login_link_needs_the_victims_own_click(stage: Stage, browser: BrowserContext) -> None:
    """A link that is only opened, in a frame or in a window, signs nobody in."""
    page = browser.new_page()
    page.goto(stage.url("evil"))
    page.evaluate(
        """url => new Promise(done => {
            const image = new Image(); image.onerror = () => done(""); image.src = url;
        })""",
        stage.app_url("/login/link?code=sds_" + "0" * 36),
    )
    page.goto(stage.app_url("/login/link?code=sds_" + "0" * 36))
    assert_member(stage, browser)


EVIL = (
    "https://evil.example/", "//evil.example/", "/\\evil.example", "https:evil.example", "javascript:alert(1)",
    "https://web--victim.preview.relay.localhost.evil.example/", "https://web--victim.preview.relay.localhost@evil.example/",
    "https://evil.example\\@web--victim.preview.relay.localhost/", "/\t/evil.example", "data:text/html,x",
)  # fmt: skip


@pytest.mark.parametrize("return_to", EVIL)
def test_no_return_url_leads_away(stage: Stage, browser: BrowserContext, return_to: str) -> None:
    page = browser.new_page()
    for query in (f"return_to={quote(return_to, safe='')}", f"return_to={quote(return_to, safe='')}&nonce={'A' * 43}"):
        answer = page.goto(stage.app_url(f"/login?{query}"))
        assert answer is not None
        assert answer.status == 400
        assert urlsplit(page.url).hostname == NAMES["app"]


def test_a_siblings_own_return_url_gives_it_no_code(stage: Stage, browser: BrowserContext) -> None:
    """The attacker may send the victim to sign in at the attacker's preview; its app sees nothing of that."""
    page = browser.new_page()
    requests_of(page, login_page(stage, stage.url("evil", "/catch"), mint_nonce()))
    assert re.fullmatch(r"https://web--evil\..*/\.signadot/login\?code=[\w-]+", page.url)
    assert [seen for seen in stage.evil.seen if "code=" in str(seen)] == []
    assert stage.evil.seen_at("/.signadot/login") == []


def test_a_page_cannot_read_a_code_from_a_window_that_it_opened(stage: Stage, member: Page) -> None:
    """With a nonce of its own a page has a code made for its host; the browser lets go of the window on the way."""
    nonce = mint_nonce()
    url = login_page(stage, stage.url("evil", "/opened"), nonce)
    with member.context.expect_page() as opened:
        member.evaluate("url => { window.opened = window.open(url); }", url)
    opened.value.wait_for_url(re.compile(r"/\.signadot/login\?code="))
    # The opener's handle is cut in another process of the browser, so it may show a moment after the page is there.
    member.wait_for_function("() => window.opened.closed")
    seen = member.evaluate("() => { try { return window.opened.location.href } catch (error) { return '' } }")
    assert "code=" not in (seen or "")
    code = opened.value.url.partition("code=")[2]
    assert hand_in(stage, stage.url("evil"), code, nonce).status == 400


def test_no_code_stands_in_a_referer(stage: Stage, browser: BrowserContext) -> None:
    stage.victim.replies["/refer"] = Reply(
        body='<meta name="referrer" content="unsafe-url"><img src="/pixel"><a href="/on">on</a>',
    )
    browser.clear_cookies(name=PREVIEW_COOKIE, domain=stage.host("victim"))
    page = browser.new_page()
    page.goto(stage.url("victim", "/refer"))
    page.get_by_role("link", name="on").click()
    stage.victim.wait_for("/on")
    stage.victim.wait_for("/pixel")
    for app in (stage.victim, stage.evil):
        assert [seen for seen in app.seen if re.search(r"code=|state=|nonce=", seen.header("referer") or "")] == []
    assert [call for call in stage.deployment.fake.calls() if "return_to" in str(call)] == []


def test_a_worker_that_catches_its_own_code_cannot_use_it_elsewhere(stage: Stage, browser: BrowserContext) -> None:
    """A service worker sees the relay's own paths of its host; what it finds there is bound to that host."""
    code = """addEventListener("fetch", event => { if (event.request.url.includes("/.signadot/"))
            event.respondWith(new Response(event.request.url, {headers: {"content-type": "text/html"}})); });
        addEventListener("install", () => skipWaiting());
        addEventListener("activate", event => event.waitUntil(clients.claim()));"""
    stage.evil.replies["/catcher.js"] = Reply(body=code, kind="text/javascript")
    page = browser.new_page()
    page.goto(stage.url("evil"))
    page.evaluate(REGISTER, "/catcher.js")
    nonce = mint_nonce()
    page.goto(login_page(stage, stage.url("evil", "/caught"), nonce))
    caught = re.search(r"code=([\w-]+)", page.content())
    assert caught is not None
    assert hand_in(stage, stage.url("victim"), caught[1], nonce).status in {400, 403}
    assert_member(stage, browser)


def test_nothing_of_ours_is_in_a_page_or_an_address(stage: Stage, browser: BrowserContext) -> None:
    """Neither the app host's pages nor the URLs on the way hold the login or a preview's cookie."""
    browser.clear_cookies(name=PREVIEW_COOKIE, domain=stage.host("victim"))
    page = browser.new_page()
    urls = requests_of(page, stage.url("victim", "/where"))
    secrets = [
        str(cookie.get("value")) for cookie in browser.cookies() if str(cookie.get("name")).startswith("__Host-sd")
    ]
    assert len(secrets) >= 3
    texts = [*urls]
    for url in (stage.app_url(), stage.app_url("/orgs/acme/workspaces/victim")):
        page.goto(url)
        texts.append(page.content())
    assert not [secret for secret in secrets if any(secret in text for text in texts)]
    assert not [secret for secret in secrets if secret in stage.relay.output]
