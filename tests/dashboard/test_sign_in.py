"""Signing in by GitHub: who gets a login, where the browser goes, and what is refused."""

import hashlib
import re
from base64 import urlsafe_b64encode
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest

from relay.errors import GithubUnavailableError
from relay.store import login_codes, logins
from tests.dashboard.browser import LOGIN, OAUTH, ORIGIN, PORT, PREVIEW, PREVIEW_URL, Browser, Page, Stage, to_preview
from tests.support.return_spellings import hostile_spellings
from tests.support.url_judge import destination

SERVED = re.compile(r"app\.localhost|[a-z0-9-]+\.preview\.localhost")


async def test_a_member_comes_back_to_the_page_of_the_preview(stage: Stage) -> None:
    browser = stage.browser()
    fields, nonce = to_preview()
    page = await browser.get("/login?" + urlencode(fields))
    assert (page.status, page.hidden()) == (200, fields)
    done = await stage.sign_in(browser, page.hidden())
    assert done.status == 302
    assert done.location.startswith(f"https://{PREVIEW}:{PORT}/.signadot/login?code=")
    code = dict(parse_qsl(urlsplit(done.location).query))["code"]
    handed = await stage.database.write(login_codes.redeem, code, host=PREVIEW, nonce=nonce)
    assert handed is not None
    assert (handed.return_to, handed.login) == (PREVIEW_URL, await stage.login_of(browser))


async def test_the_code_is_worth_nothing_with_another_nonce_or_host(stage: Stage) -> None:
    browser = stage.browser()
    await stage.sign_in(browser)
    for host, right_nonce in ((PREVIEW, False), ("web--other.preview.localhost", True)):
        fields, nonce = to_preview()
        went = await browser.get("/login?" + urlencode(fields))
        code = dict(parse_qsl(urlsplit(went.location).query))["code"]
        wrong = nonce if right_nonce else to_preview()[1]
        assert await stage.database.write(login_codes.redeem, code, host=host, nonce=wrong) is None
        assert await stage.database.write(login_codes.redeem, code, host=PREVIEW, nonce=nonce) is None


async def test_who_is_signed_in_goes_on_without_a_page_and_without_github(stage: Stage) -> None:
    browser = stage.browser()
    await stage.sign_in(browser)
    fields, _ = to_preview("https://api--other--acme.preview.localhost:8443/")
    went = await browser.get("/login?" + urlencode(fields))
    assert (went.status, went.text) == (302, "")
    assert went.header("cross-origin-opener-policy") == "same-origin", "who opened the window could read the code"
    assert went.location.startswith("https://api--other--acme.preview.localhost:8443/.signadot/login?code=")
    assert len(stage.github.challenges) == 1


async def test_the_login_cookie_is_for_this_host_alone(stage: Stage) -> None:
    done = await stage.sign_in(stage.browser())
    line = next(line for line in done.set_cookies if line.startswith(LOGIN))
    attributes = [part.strip().lower() for part in line.split(";")[1:]]
    assert sorted(attributes) == ["httponly", "max-age=3600", "path=/", "samesite=lax", "secure"]
    secret = line.partition("=")[2].partition(";")[0]
    assert len(secret) == 43  # 256 bits in base64url
    assert done.header("cache-control") == "no-store"


async def test_signing_in_again_makes_a_new_secret_and_ends_the_old_login(stage: Stage) -> None:
    browser = stage.browser()
    browser.cookies[LOGIN] = planted = "A" * 43
    await stage.sign_in(browser)
    first = browser.cookies[LOGIN]
    await stage.sign_in(browser)
    assert len({planted, first, browser.cookies[LOGIN]}) == 3
    assert await stage.database.read(logins.find, first) is None
    assert await stage.login_of(browser) is not None


async def test_pkce_and_the_exact_redirect_uri_are_used(stage: Stage) -> None:
    await stage.sign_in(stage.browser())
    (_, verifier), (challenge,) = stage.github.exchanged[0], stage.github.challenges
    assert urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode() == challenge
    assert stage.github.redirect_uris == [f"{ORIGIN}/login/callback"] * 2


async def test_the_cookie_of_a_begun_sign_in_is_sealed_and_cleared(stage: Stage) -> None:
    browser = stage.browser()
    begun = await browser.post("/login/github")
    state = dict(parse_qsl(urlsplit(begun.location).query))["state"]
    line = next(line for line in begun.set_cookies if line.startswith(OAUTH))
    assert "; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=600" in line
    assert state not in line
    await stage.finish(browser, begun)
    assert OAUTH not in browser.cookies


@pytest.mark.parametrize("change", ["no cookie", "other browser", "no state", "wrong state", "late", "twice", "broken"])
async def test_a_callback_that_this_browser_did_not_begin_is_refused(stage: Stage, change: str) -> None:
    browser = stage.browser()
    stage.github.members[1] = stage.org_id
    begun = await browser.post("/login/github")
    state = dict(parse_qsl(urlsplit(begun.location).query))["state"]
    query = {"code": "code-1", "state": state}
    match change:
        case "no cookie":
            browser.cookies.clear()
        case "other browser":
            browser = stage.browser()
            await browser.post("/login/github")
        case "no state":
            del query["state"]
        case "wrong state":
            query["state"] = state[:-1] + ("A" if state[-1] != "A" else "B")
        case "late":
            stage.clock[0] += 601
        case "twice":
            await stage.finish(browser, begun)
            stage.github.exchanged.clear()
        case "broken":
            browser.cookies[OAUTH] = browser.cookies[OAUTH][:-2] + "AA"
    before = browser.cookies.get(LOGIN)
    page = await browser.get("/login/callback?" + urlencode(query))
    assert (page.status, stage.github.exchanged) == (400, [])
    assert "start again" in page.text
    assert browser.cookies.get(LOGIN) == before


async def test_a_cookie_that_is_there_twice_counts_as_none(stage: Stage) -> None:
    browser = stage.browser()
    await stage.sign_in(browser)
    own = browser.cookies.pop(LOGIN)
    page = await browser.get("/", headers=(("cookie", f"{LOGIN}={own}; {LOGIN}={own}"),))
    assert "Sign out" not in page.text
    page = await browser.get("/", headers=(("cookie", f"{LOGIN}={own}"),))
    assert "Sign out" in page.text


async def test_who_belongs_to_no_org_is_denied_and_gets_no_login(stage: Stage) -> None:
    browser = stage.browser()
    page = await stage.finish(browser, await browser.post("/login/github"), number=7, login="stranger<b>")
    assert page.status == 403
    assert "stranger&lt;b&gt; belongs to no organisation" in page.text
    assert LOGIN not in browser.cookies
    assert 'action="/login/github"' in page.text


async def test_cancelling_at_github_and_a_code_it_does_not_know_are_denied(stage: Stage) -> None:
    browser = stage.browser()
    for query in ({"error": "access_denied"}, {"code": "unknown"}, {}):
        begun = await browser.post("/login/github")
        state = dict(parse_qsl(urlsplit(begun.location).query))["state"]
        page = await browser.get("/login/callback?" + urlencode({**query, "state": state}))
        assert (page.status, LOGIN in browser.cookies) == (403, False)


async def test_github_being_down_says_so_and_keeps_where_to_go(stage: Stage) -> None:
    browser = stage.browser()
    stage.github.problem = GithubUnavailableError("GitHub does not answer.")
    fields, _ = to_preview()
    page = await stage.finish(browser, await browser.post("/login/github", fields))
    assert (page.status, page.hidden(), LOGIN in browser.cookies) == (503, fields, False)


@pytest.mark.parametrize("target", ["/login/github", "/login/link", "/logout", "/logout/all"])
@pytest.mark.parametrize(
    "origin",
    [
        None,
        "null",
        "https://evil.example",
        f"https://{PREVIEW}:{PORT}",
        "https://app.localhost",
        "http://app.localhost:8443",
    ],
)
async def test_a_form_of_another_page_is_refused(stage: Stage, target: str, origin: str | None) -> None:
    browser = stage.browser()
    await stage.sign_in(browser)
    page = await browser.post(target, origin=origin)
    assert (page.status, page.set_cookies) == (403, [])
    assert await stage.login_of(browser) is not None


async def test_signing_out_ends_this_login_and_everywhere_ends_all(stage: Stage) -> None:
    first, second, third = stage.browser(), stage.browser(), stage.browser()
    for browser in (first, second, third):
        await stage.sign_in(browser)
    secret = first.cookies[LOGIN]
    out = await first.post("/logout")
    assert (out.status, out.location, LOGIN in first.cookies) == (303, f"{ORIGIN}/", False)
    assert await stage.database.read(logins.find, secret) is None
    assert await stage.login_of(second) is not None
    await second.post("/logout/all")
    assert await stage.login_of(third) is None


async def test_too_many_attempts_of_one_address_have_to_wait(stage: Stage) -> None:
    browser = stage.browser()
    statuses = [(await browser.post("/login/github")).status for _ in range(61)]
    assert statuses == [303] * 60 + [429]
    browser.address = "192.0.2.2"
    assert (await browser.post("/login/github")).status == 303


async def test_a_long_address_is_cut_to_its_root_so_that_the_cookie_fits(stage: Stage) -> None:
    browser = stage.browser()
    fields, nonce = to_preview(f"https://{PREVIEW}:{PORT}/?{'a' * 3000}")
    done = await stage.sign_in(browser, fields)
    code = dict(parse_qsl(urlsplit(done.location).query))["code"]
    handed = await stage.database.write(login_codes.redeem, code, host=PREVIEW, nonce=nonce)
    assert handed is not None
    assert handed.return_to == f"https://{PREVIEW}:{PORT}/"
    longest, _ = to_preview(f"https://{PREVIEW}:{PORT}/?".ljust(2000, "a"))
    begun = await browser.post("/login/github", longest)
    assert max(len(line.partition(";")[0]) for line in begun.set_cookies) <= 4096


@pytest.mark.parametrize("dest", ["iframe", "empty", "image", "script", "object", "embed"])
async def test_signing_in_is_for_pages_of_their_own(stage: Stage, dest: str) -> None:
    browser = stage.browser()
    await stage.sign_in(browser)
    fields, _ = to_preview()
    page = await browser.get("/login?" + urlencode(fields), headers=(("sec-fetch-dest", dest),))
    assert (page.status, page.header("location")) == (403, None)


async def test_no_spelling_of_a_return_url_leads_away(stage: Stage) -> None:
    """Each through the running pages, signed in and signed out, with a nonce and without."""
    signed_in = stage.browser()
    await stage.sign_in(signed_in)
    nonce = to_preview()[0]["nonce"]
    counted = 0
    for text in hostile_spellings(domain="preview.localhost", port=PORT):
        for fields in ({"return_to": text}, {"return_to": text, "nonce": nonce}):
            counted += 1
            await _judge(signed_in, "GET", fields)
            signed_out = stage.browser()
            signed_out.address = f"198.51.{counted // 250}.{counted % 250}"
            if (page := await _judge(signed_out, "POST", fields)) is not None:
                _judge_location(await stage.finish(signed_out, page))
    assert counted >= 600


async def _judge(browser: Browser, method: str, fields: dict[str, str]) -> Page | None:
    """The page of a sign-in that has begun."""
    if method == "GET":
        page = await browser.get("/login?" + urlencode(fields))
        assert page.status in {302, 400}, fields
        _judge_location(page)
        return None
    page = await browser.post("/login/github", fields)
    assert page.status in {303, 400}, fields
    return page if page.status == 303 else None


def _judge_location(page: Page) -> None:
    if (location := page.header("location")) is not None:
        scheme, host, port = destination(location, base=ORIGIN)
        assert (scheme, port) == ("https", PORT), location
        assert SERVED.fullmatch(host), location
