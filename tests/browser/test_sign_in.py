"""Signing in with a real browser, from a preview's URL and back to its page."""

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.stage import LOGIN_COOKIE, NAMES, NONCE_COOKIE, PREVIEW_COOKIE, Stage
from tests.support.processes import run_module
from tests.support.with_github import ADMIN, MEMBER, OUTSIDER

pytestmark = pytest.mark.system

HELLO = re.compile("Hello from victim")


def heading(page: Page) -> Any:
    return page.get_by_role("heading", level=1)


def test_a_preview_asks_to_sign_in_and_shows_the_page_that_was_asked_for(stage: Stage, page: Page) -> None:
    stage.sign_in(page, stage.url("victim", "/deep/page?a=1&b=%C3%A9&c[]=x"))
    assert page.url == stage.url("victim", "/deep/page?a=1&b=%C3%A9&c[]=x")
    expect(heading(page)).to_have_text(HELLO)
    request = stage.victim.wait_for("/deep/page")
    assert request.target == "/deep/page?a=1&b=%C3%A9&c[]=x"
    assert "__host-sd" not in (request.header("cookie") or "").lower()
    for host, name in ((stage.host("victim"), PREVIEW_COOKIE), (NAMES["app"], LOGIN_COOKIE)):
        (cookie,) = (item for item in page.context.cookies() if item.get("name") == name)
        assert cookie.get("domain") == host  # no dot in front: this host alone
        assert (cookie.get("secure"), cookie.get("httpOnly"), cookie.get("sameSite"), cookie.get("path")) == (
            True, True, "Lax", "/",
        )  # fmt: skip


def test_a_person_decides_at_github_and_may_cancel(stage: Stage, page: Page) -> None:
    stage.sign_in(page, stage.url("victim"), login=None)
    page.get_by_role("button", name="Cancel").click()
    expect(heading(page)).to_have_text("You are not signed in")
    page.get_by_role("button", name="Try again").click()
    page.get_by_role("button", name=f"Authorize as {MEMBER}").click()
    expect(heading(page)).to_have_text(HELLO)


def test_a_second_preview_needs_no_page_and_no_github(stage: Stage, signed_in: Any) -> None:
    context = stage.context(signed_in)
    page, before = context.new_page(), stage.authorizations
    pages: list[str] = []
    page.on("framenavigated", lambda frame: pages.append(frame.url))
    page.goto(stage.url("second", "/x?y=z"))
    assert pages == [stage.url("second", "/x?y=z")]
    assert stage.authorizations == before
    page.goto(stage.url("second", "/with-org", org="acme"))
    expect(heading(page)).to_have_text(HELLO)
    context.close()


def test_an_old_preview_cookie_is_renewed_unseen(stage: Stage, signed_in: Any) -> None:
    context = stage.context(signed_in)
    page, before = context.new_page(), stage.authorizations
    page.goto(stage.url("victim"))
    for value in ("", "x" * 88):  # run out, and one that no key opens any more
        context.clear_cookies(name=PREVIEW_COOKIE, domain=stage.host("victim"))
        if value:
            cookie = {"name": PREVIEW_COOKIE, "value": value, "url": stage.url("victim"), "secure": True}
            context.add_cookies([cookie])  # type: ignore[list-item]
        page.goto(stage.url("victim", "/again?a=b"))
        assert page.url == stage.url("victim", "/again?a=b")
        expect(heading(page)).to_have_text(HELLO)
    assert stage.authorizations == before
    assert not stage.cookie(context, stage.host("victim"), NONCE_COOKIE)
    context.close()


def test_signing_out_ends_the_previews_too(stage: Stage, page: Page) -> None:
    stage.sign_in(page, stage.url("victim"))
    page.goto(stage.app_url())
    expect(page.get_by_text(f"Signed in as {MEMBER}")).to_be_visible()
    page.get_by_role("button", name="Sign out", exact=True).click()
    expect(page.get_by_role("button", name="Continue with GitHub")).to_be_visible()
    assert stage.cookie(page.context, stage.host("victim"), PREVIEW_COOKIE)  # still there, and worth nothing
    page.goto(stage.url("victim"))
    expect(heading(page)).to_have_text("Sign in")


def test_signing_out_everywhere_ends_other_browsers(stage: Stage, page: Page) -> None:
    other = stage.context()
    elsewhere = other.new_page()
    for each in (page, elsewhere):
        stage.sign_in(each, stage.url("victim"), login=ADMIN)
        expect(heading(each)).to_have_text(HELLO)
    page.goto(stage.app_url())
    page.get_by_role("button", name="Sign out everywhere").click()
    elsewhere.goto(stage.url("victim"))
    expect(heading(elsewhere)).to_have_text("Sign in")
    other.close()


def test_who_belongs_to_no_org_is_told_so(stage: Stage, page: Page) -> None:
    stage.sign_in(page, stage.url("victim", "/private"), login=OUTSIDER)
    expect(heading(page)).to_have_text("You are not signed in")
    expect(page.get_by_text(f"The GitHub account {OUTSIDER} belongs to no organisation")).to_be_visible()
    assert not stage.cookie(page.context, NAMES["app"], LOGIN_COOKIE)
    assert stage.victim.seen_at("/private") == []


def test_a_login_link_signs_in_without_github(stage: Stage, page: Page) -> None:
    deployment, before = stage.deployment, stage.authorizations
    port = str(deployment.port)
    done = run_module(
        "relay", "login-link", "--config", deployment.config, "--user", "ada", "--org", deployment.org, "--port", port
    )
    page.goto(done.stdout.strip())
    expect(heading(page)).to_have_text("Sign in as ada?")
    page.get_by_role("button", name="Sign in as ada").click()
    expect(heading(page)).to_have_text("Previews")
    page.get_by_role("row", name="victim").get_by_role("link", name="web").click()
    expect(heading(page)).to_have_text(HELLO)
    assert stage.authorizations == before


def test_the_page_of_a_workspace_asks_to_sign_in_and_comes_back(stage: Stage, page: Page) -> None:
    url = stage.app_url("/orgs/acme/workspaces/victim")
    stage.sign_in(page, url)
    assert page.url == url
    expect(heading(page)).to_have_text("victim")
    page.get_by_role("link", name="web").first.click()
    expect(heading(page)).to_have_text(HELLO)


def test_a_public_endpoint_opens_for_everybody(stage: Stage, page: Page) -> None:
    endpoint = {"target": f"http://127.0.0.1:{stage.victim.port}", "visibility": "public"}
    stage.deployment.apply("open", web=endpoint)
    page.goto(stage.url("open", "/", org="acme"))
    expect(heading(page)).to_have_text(HELLO)
    assert page.context.cookies() == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_keyboard_and_colours_are_enough_to_sign_in(stage: Stage, page: Page, scheme: Any) -> None:
    page.emulate_media(color_scheme=scheme)
    page.goto(stage.url("victim"))
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert background == {"light": "rgb(255, 255, 255)", "dark": "rgb(20, 23, 26)"}[scheme]  # the policy lets it apply
    for _ in range(3):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.tagName") == "BUTTON":
            break
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    stage.deployment.fake.signed_in_as = MEMBER
    page.keyboard.press("Enter")
    expect(heading(page)).to_have_text(HELLO)
    stage.deployment.fake.signed_in_as = None
