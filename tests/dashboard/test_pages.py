"""What people see: the home page, a workspace, login links, and the headers of every page."""

import re
from urllib.parse import urlencode

import pytest

from relay.auth import Role
from relay.store import Endpoint, GithubSource, WorkspaceSpec, clusters, login_links, members, orgs, users, workspaces
from tests.dashboard.browser import LOGIN, ORIGIN, Browser, Stage

SHOP = "/orgs/acme/workspaces/shop"


async def add_shop(stage: Stage, *, name: str = "shop", org_id: str | None = None) -> None:
    org_id = org_id or stage.org_id
    await stage.database.write(clusters.put, org_id, "staging")
    spec = WorkspaceSpec(
        cluster="staging",
        description="the <shop>",
        github=GithubSource(repository="acme/shop", branch="feat", pull_request=42, head_commit="9fceb02"),
        endpoints=(
            Endpoint(name="web", target="http://web.shop.svc:8080"),
            Endpoint(name="docs", target="http://docs.shop.svc:80", visibility="public"),
        ),
    )
    await stage.database.write(workspaces.put, org_id, name, spec)


async def test_a_stranger_sees_what_this_is_and_how_to_sign_in(stage: Stage) -> None:
    await add_shop(stage)
    page = await stage.browser().get("/")
    assert page.status == 200
    assert "Continue with GitHub" in page.text
    assert "shop" not in page.text
    assert "acme" not in page.text


async def test_without_github_the_page_says_how_to_get_a_link(stage: Stage) -> None:
    browser = stage.browser(without_github=True)
    for path in ("/", "/login"):
        page = await browser.get(path)
        assert "login-link" in page.text
        assert "<form" not in page.text
    assert (await browser.post("/login/github")).status == 404


async def test_a_member_sees_orgs_roles_and_previews_of_their_own(stage: Stage) -> None:
    browser = stage.browser()
    await add_shop(stage)
    other, _, _ = await stage.database.write(orgs.create_with_admin_key, "globex")
    await add_shop(stage, name="secret", org_id=other.id)
    await stage.sign_in(browser)
    page = await browser.get("/")
    assert '<a href="https://web--shop.preview.localhost:8443/">web</a>' in page.text
    assert "You are a member here." in page.text
    assert "ready" in page.text
    assert "Signed in as mona" in page.text
    assert "secret" not in page.text
    assert "globex" not in page.text


async def test_in_two_orgs_the_links_name_the_org(stage: Stage) -> None:
    browser = stage.browser()
    await add_shop(stage)
    await stage.sign_in(browser)
    other, _, _ = await stage.database.write(orgs.create_with_admin_key, "globex")
    login = await stage.login_of(browser)
    assert login is not None
    await stage.database.write(members.put, other.id, login.user.id, source="local", role=Role.ADMIN)
    page = await browser.get("/")
    assert "https://web--shop--acme.preview.localhost:8443/" in page.text
    assert "You are an admin here." in page.text


async def test_a_workspace_has_a_page_with_its_endpoints_and_pull_request(stage: Stage) -> None:
    browser = stage.browser()
    await add_shop(stage)
    await stage.sign_in(browser)
    page = await browser.get(SHOP)
    assert page.status == 200
    assert "https://docs--shop.preview.localhost:8443/" in page.text
    assert '<a href="https://github.localhost/acme/shop/pull/42">#42</a>' in page.text
    assert "the &lt;shop&gt;" in page.text


async def test_a_workspace_asks_to_sign_in_and_comes_back(stage: Stage) -> None:
    browser = stage.browser()
    await add_shop(stage)
    asked = await browser.get(SHOP)
    assert asked.location == f"{ORIGIN}/login?{urlencode({'return_to': SHOP})}"
    page = await browser.get(asked.location.removeprefix(ORIGIN))
    done = await stage.sign_in(browser, page.hidden())
    assert done.location == ORIGIN + SHOP


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/orgs/acme/workspaces/none", 404), ("/orgs/globex/workspaces/shop", 403), ("/orgs/none/workspaces/shop", 403),
        ("/nothing", 404), ("/static/x", 404), ("/login/", 404), ("//", 404), ("/%2e/", 404),
        ("/login?return_to=https://evil.example/", 400), ("/login?a=1&a=2", 400), ("/login?a=%ff", 400),
        ("/logout", 405), ("/login/github", 405),
    ],
)  # fmt: skip
async def test_what_cannot_be_shown_is_a_page_that_says_so(stage: Stage, path: str, status: int) -> None:
    browser = stage.browser()
    await add_shop(stage)
    await stage.sign_in(browser)
    page = await browser.get(path)
    assert page.status == status
    assert re.search(r"<h1>.+</h1>", page.text)


async def make_link(stage: Stage, name: str = "ada") -> str:
    user = await stage.database.write(users.put, provider="local", subject=name, login=name)
    await stage.database.write(members.put, stage.org_id, user.id, source="local")
    return await stage.database.write(login_links.create, user.id)


async def test_a_login_link_asks_first_and_works_once(stage: Stage) -> None:
    code = await make_link(stage)
    scanner = stage.browser()
    for _ in range(3):
        assert (await scanner.get(f"/login/link?code={code}")).status == 200
    page = await scanner.get(f"/login/link?code={code}")
    assert scanner.cookies == {}
    assert "Sign in as ada?" in page.text
    browser = stage.browser(without_github=True)
    done = await browser.post("/login/link", page.hidden())
    assert (done.status, done.location) == (303, f"{ORIGIN}/")
    assert "Signed in as ada" in (await browser.get("/")).text
    late = stage.browser()
    assert (await late.post("/login/link", page.hidden())).status == 400
    assert late.cookies == {}


@pytest.mark.parametrize("code", ["", "x", "sds_" + "0" * 36, "sdk_" + "a" * 36])
async def test_an_unknown_link_signs_nobody_in(stage: Stage, code: str) -> None:
    browser = stage.browser()
    assert (await browser.get(f"/login/link?code={code}")).status == 400
    assert (await browser.post("/login/link", {"code": code})).status == 400
    assert LOGIN not in browser.cookies


async def test_a_late_link_signs_nobody_in(stage: Stage) -> None:
    code = await make_link(stage)
    stage.clock[0] += 601
    assert (await stage.browser().post("/login/link", {"code": code})).status == 400


async def every_page(stage: Stage) -> list[tuple[str, Browser]]:
    await add_shop(stage)
    code = await make_link(stage)
    member = stage.browser()
    await stage.sign_in(member)
    stranger, local = stage.browser(), stage.browser(without_github=True)
    paths = ["/", "/login", f"/login/link?code={code}", "/login/link?code=x", "/none", "/logout"]
    return [(path, browser) for path in paths for browser in (stranger, local)] + [
        (path, member) for path in ("/", SHOP, "/orgs/acme/workspaces/none", "/login/callback")
    ]


async def test_every_page_is_strict_and_loads_nothing(stage: Stage) -> None:
    for path, browser in await every_page(stage):
        page = await browser.get(path)
        header = page.header("content-security-policy") or ""
        policy = dict(part.strip().partition(" ")[::2] for part in header.split(";"))
        assert policy["default-src"] == policy["base-uri"] == policy["frame-ancestors"] == "'none'", path
        assert re.fullmatch(r"'sha256-[A-Za-z0-9+/=]{44}'", policy["style-src"])
        assert policy["form-action"] == ("'self' https:" if 'action="/login/github"' in page.text else "'self'"), path
        assert page.header("x-content-type-options") == "nosniff"
        assert page.header("referrer-policy") == "same-origin"
        assert page.header("cache-control") == "no-store"
        assert not re.search(r"<script|<link|src=|url\(|\son\w+=|\sstyle=", page.text), path


async def test_every_page_has_what_readers_of_pages_need(stage: Stage) -> None:
    for path, browser in await every_page(stage):
        text = (await browser.get(path)).text
        assert text.startswith('<!doctype html>\n<html lang="en">'), path
        assert 'name="viewport"' in text
        assert re.search(r"<title>\S.* \u2013 Signadot relay</title>", text)
        for landmark in ("<header>", "<nav aria-label", "<main>"):
            assert landmark in text, path
        assert len(re.findall(r"<h1[ >]", text)) == 1, path
        assert not re.search(r"<button[^>]*></button>|<a [^>]*></a>", text)


def luminance(colour: str) -> float:
    digits = "".join(char * 2 for char in colour) if len(colour) == 3 else colour
    parts = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize(
    ("text", "ground", "least"),
    [
        ("1c1e21", "fff", 4.5), ("57606a", "fff", 4.5), ("0550ae", "fff", 4.5), ("fff", "1a5fb4", 4.5),
        ("e6e8ea", "14171a", 4.5), ("9ba4ad", "14171a", 4.5), ("79b8ff", "14171a", 4.5), ("ffb454", "14171a", 3),
        ("bf5b00", "fff", 3),
    ],
)  # fmt: skip
async def test_colours_can_be_told_apart(stage: Stage, text: str, ground: str, least: float) -> None:
    """WCAG 2.2, 1.4.3 and 1.4.11."""
    page = await stage.browser().get("/")
    assert f"#{text}" in page.text
    assert f"#{ground}" in page.text
    light, dark = sorted((luminance(text), luminance(ground)), reverse=True)
    assert (light + 0.05) / (dark + 0.05) >= least
