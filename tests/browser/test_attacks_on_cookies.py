"""A sibling preview's page and app against cookies: read them, plant them, push them out, use them elsewhere."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page

from tests.browser.stage import LOGIN_COOKIE, NAMES, NONCE_COOKIE, PREVIEW_COOKIE, REGISTER, Stage
from tests.browser.target import Reply
from tests.support.with_github import MEMBER

pytestmark = pytest.mark.system

SITE, PREVIEW = "relay.localhost", NAMES["preview"]
OURS = (PREVIEW_COOKIE, LOGIN_COOKIE, NONCE_COOKIE)
SPELLINGS = (
    "{name}", "{lower}", "{upper}", "={name}", "{name} ", " {name}", "\t{name}", '"{name}"', "{name}%00", "{name}\x01",
)  # fmt: skip


@pytest.fixture
def browser(stage: Stage, signed_in: Any) -> Iterator[BrowserContext]:
    """A member's browser that may be spoiled."""
    context = stage.context(signed_in)
    yield context
    context.close()


def open_evil(stage: Stage, browser: BrowserContext, path: str = "/") -> Page:
    page = browser.new_page()
    page.goto(stage.url("evil", path))
    return page


def assert_still_the_member(stage: Stage, browser: BrowserContext, path: str) -> None:
    """The victim's app is open for the member, or asks to sign in; it is never open as somebody else."""
    page = browser.new_page()
    page.goto(stage.app_url())
    assert page.get_by_text(f"Signed in as {MEMBER}").is_visible()
    page.goto(stage.url("victim", path))
    assert page.get_by_text("Hello from victim").is_visible(), page.content()
    sent = stage.victim.wait_for(path).header("cookie") or ""
    names = {pair.strip().lstrip("= ").partition("=")[0].strip().lower() for pair in sent.split(";")}
    assert not names & {name.lower() for name in OURS}, sent
    assert stage.cookie(browser, stage.host("victim"), PREVIEW_COOKIE) not in sent
    page.close()


def test_a_page_and_its_app_see_no_cookie_of_ours(stage: Stage, browser: BrowserContext) -> None:
    page = open_evil(stage, browser, "/look")
    assert page.evaluate("document.cookie") == ""
    assert page.evaluate("typeof cookieStore === 'undefined' ? [] : cookieStore.getAll()") == []
    assert stage.evil.wait_for("/look").header("cookie") is None
    assert not [seen for seen in stage.evil.seen if "__host-sd" in str(seen.headers).lower()]


@pytest.mark.parametrize("domain", ["", SITE, PREVIEW, f".{PREVIEW}", PREVIEW.upper(), NAMES["app"], "localhost"])
def test_a_script_plants_none_of_ours(stage: Stage, browser: BrowserContext, domain: str) -> None:
    page = open_evil(stage, browser)
    suffix = f"; Domain={domain}" if domain else ""
    texts = [
        f"{spelling.format(name=name, lower=name.lower(), upper=name.upper())}=planted{rest}{suffix}"
        for name in OURS
        for spelling in SPELLINGS
        for rest in ("; Path=/; Secure", "; Path=/x; Secure", "; Path=/", "; Path=/; Secure; SameSite=None")
    ]
    page.evaluate("texts => { for (const text of texts) document.cookie = text; }", texts)
    assert_still_the_member(stage, browser, f"/planted-{domain}".lower())


@pytest.mark.parametrize("domain", ["", SITE, PREVIEW, f".{PREVIEW}", f"{PREVIEW}.", "preview%2erelay.localhost"])
def test_an_app_plants_none_of_ours(stage: Stage, browser: BrowserContext, domain: str) -> None:
    suffix = f"; Domain={domain}" if domain else ""
    lines = [
        f"{spelling.format(name=name, lower=name.lower(), upper=name.upper())}=planted; Path=/; Secure{suffix}"
        for name in OURS
        for spelling in SPELLINGS
        if not spelling.startswith(("\t", " ")) and "\x01" not in spelling
    ]
    stage.evil.replies["/plant"] = Reply(body="ok", headers=tuple(("set-cookie", line) for line in lines))
    before = {host: stage.cookie(browser, host, PREVIEW_COOKIE) for host in (stage.host("victim"), stage.host("evil"))}
    open_evil(stage, browser, "/plant")
    assert not [cookie for cookie in browser.cookies() if cookie.get("value") == "planted" and _is_ours(cookie)]
    assert before == {host: stage.cookie(browser, host, PREVIEW_COOKIE) for host in before}
    assert_still_the_member(stage, browser, f"/set-{domain}".lower())


def _is_ours(cookie: Any) -> bool:
    return cookie["name"].strip().lower() in {name.lower() for name in OURS}


def test_an_app_sets_cookies_of_its_own_for_its_own_host(stage: Stage, browser: BrowserContext) -> None:
    stage.evil.replies["/own"] = Reply(body="ok", headers=(("set-cookie", "mine=1; Path=/; Secure"),))
    open_evil(stage, browser, "/own")
    assert stage.cookie(browser, stage.host("evil"), "mine") == "1"
    assert stage.cookie(browser, stage.host("victim"), "mine") == ""


def test_an_app_sets_no_cookie_for_its_siblings(stage: Stage, browser: BrowserContext) -> None:
    for domain in (SITE, PREVIEW):
        header = ("set-cookie", f"session=attackers; Domain={domain}; Path=/; Secure")
        stage.evil.replies["/toss"] = Reply(body="ok", headers=(header,))
        open_evil(stage, browser, "/toss")
    assert not [cookie for cookie in browser.cookies() if cookie.get("name") == "session"]


def test_pushing_cookies_out_gains_nothing_and_signing_in_works_again(stage: Stage, browser: BrowserContext) -> None:
    page = open_evil(stage, browser)
    page.evaluate(
        """domain => {
            for (let at = 0; at < 600; at++)
                document.cookie = `c${at}=${"x".repeat(20)}; Domain=${domain}; Path=/; Secure`;
        }""",
        SITE,
    )
    send = "url => fetch(url, {method: 'POST', mode: 'no-cors', credentials: 'include'}).then(() => '', () => '')"
    page.evaluate(send, stage.url("victim", "/pushed"))
    assert stage.access("/pushed")[0]["status"] in {401, 403, 431}
    assert stage.victim.seen_at("/pushed") == []
    browser.clear_cookies()  # what the page tells a person whose requests have become too large
    again = browser.new_page()
    stage.sign_in(again, stage.url("victim", "/again-after-push"))
    assert again.get_by_text("Hello from victim").is_visible()


def test_pushed_out_by_fewer_cookies_the_browser_signs_in_again(stage: Stage, browser: BrowserContext) -> None:
    """180 a site is what Chromium keeps: ours may be the ones that go."""
    page = open_evil(stage, browser)
    script = "domain => { for (let at = 0; at < 190; at++) document.cookie = `c${at}=; Domain=${domain}; Path=/gone`; }"
    page.evaluate(script, SITE)
    again = browser.new_page()
    again.goto(stage.url("victim", "/pushed-a-little"))
    if again.get_by_role("button", name="Continue with GitHub").is_visible():
        stage.sign_in(again, stage.url("victim", "/pushed-a-little"))
    assert again.get_by_text("Hello from victim").is_visible()


def test_a_cookie_is_worth_nothing_on_another_host(stage: Stage, browser: BrowserContext) -> None:
    """Whoever has got hold of the cookies of one preview, by whatever means, cannot use them on another one."""
    stolen = {name: stage.cookie(browser, host, name) for host, name in (
        (stage.host("evil"), PREVIEW_COOKIE), (NAMES["app"], LOGIN_COOKIE))}  # fmt: skip
    assert all(stolen.values())
    for number, value in enumerate(stolen.values()):
        for name in (PREVIEW_COOKIE, LOGIN_COOKIE):
            path = f"/stolen-{number}-{name}".lower()
            answer = stage.ask(stage.url("victim", path), cookies=f"{name}={value}")
            assert answer.status == 401
            assert stage.victim.seen_at(path) == []
    value = stolen[PREVIEW_COOKIE]
    assert stage.ask(stage.url("evil"), cookies=f"{PREVIEW_COOKIE}={value}").status == 200
    assert b"Signed in as" not in stage.ask(stage.app_url(), cookies=f"{LOGIN_COOKIE}={value}").body
    api = f"https://{NAMES['api']}:{stage.deployment.port}/api/v2/orgs"
    for name, value in stolen.items():
        assert stage.ask(api, cookies=f"{name}={value}").status == 401


def test_a_doubled_or_damaged_cookie_is_worth_nothing(stage: Stage, browser: BrowserContext) -> None:
    value = stage.cookie(browser, stage.host("victim"), PREVIEW_COOKIE)
    spoiled = [
        f"{PREVIEW_COOKIE}={value}; {PREVIEW_COOKIE}=x", f"{PREVIEW_COOKIE}={value}x", f"{PREVIEW_COOKIE}={value[:-1]}",
        f"{PREVIEW_COOKIE}={value[::-1]}", f"{PREVIEW_COOKIE}={value.swapcase()}", f"x{PREVIEW_COOKIE}={value}",
    ]  # fmt: skip
    for number, cookies in enumerate(spoiled):
        path = f"/spoiled-{number}"
        assert stage.ask(stage.url("victim", path), cookies=cookies).status == 401
        assert stage.victim.seen_at(path) == []


def test_smuggled_identity_headers_do_not_reach_the_app(stage: Stage, browser: BrowserContext) -> None:
    value = stage.cookie(browser, stage.host("victim"), PREVIEW_COOKIE)
    smuggled = {
        "x-forwarded-for": "203.0.113.9", "x-forwarded-host": "evil.example", "x-forwarded-user": "root",
        "x-forwarded-proto": "http", "x-forwarded-email": "root@acme", "forwarded": "for=203.0.113.9",
        "signadot-user": "root", "signadot-org": "globex", "sd-workspace": "other", "sd-routing-key": "stolen",
        "uberctx-sd-routing-key": "stolen", "ot-baggage-sd-routing-key": "stolen",
    }  # fmt: skip
    stage.ask(stage.url("victim", "/smuggled"), cookies=f"{PREVIEW_COOKIE}={value}", headers=tuple(smuggled.items()))
    got = dict(stage.victim.wait_for("/smuggled").headers)
    assert not [name for name, sent in smuggled.items() if got.get(name) == sent], got
    assert value not in str(got)


def test_a_service_worker_serves_its_own_host_only(stage: Stage, browser: BrowserContext) -> None:
    code = """addEventListener("fetch", event => event.respondWith(new Response("taken over")));
        addEventListener("install", () => skipWaiting());
        addEventListener("activate", event => event.waitUntil(clients.claim()));"""
    stage.evil.replies["/worker.js"] = Reply(body=code, kind="text/javascript")
    page = open_evil(stage, browser)
    page.evaluate(REGISTER, "/worker.js")
    for script in (stage.url("victim", "/worker.js"), "/worker.js"):
        refused = page.evaluate(
            """([script, scope]) => navigator.serviceWorker.register(script, {scope})
                .then(() => "registered", problem => problem.name)""",
            [script, stage.url("victim")],
        )
        assert refused in {"SecurityError", "TypeError"}
    assert_still_the_member(stage, browser, "/not-taken-over")
    page.goto(stage.url("evil", "/any"))
    assert page.content().count("taken over") == 1
