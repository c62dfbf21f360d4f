"""What the page of a sibling preview makes a signed-in member's browser send: nothing of it reaches the victim's app.

Each attack goes to a path of its own, so that the relay's access log tells when it has been decided, and how.
"""

import itertools
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page

from tests.browser.stage import Stage
from tests.browser.target import Reply

pytestmark = pytest.mark.system

_ELEMENT = """url => new Promise(done => {{
    const element = document.createElement("{tag}");
    element.onload = element.onerror = element.onloadeddata = () => done("");
    {set}
    document.body.append(element);
}})"""
_FORM = """url => {{
    const form = document.createElement("form");
    form.action = url; form.method = "{method}"; form.enctype = "{enctype}";
    const field = document.createElement("input");
    field.name = "amount"; field.value = "1000"; form.append(field);
    if ("{target}") {{
        const frame = document.createElement("iframe");
        frame.name = "{target}"; document.body.append(frame); form.target = "{target}";
    }}
    document.body.append(form); setTimeout(() => form.submit()); return "";
}}"""


# A form leaves its page only once the script has returned: the answer of one that is on its way out may never come.
# An element that never says how it went must not keep the test for ever.
_BOUNDED = "url => Promise.race([({script})(url), new Promise(done => setTimeout(() => done('no end'), 8000))])"


def fetching(options: str) -> str:
    """Reads what it may of the answer."""
    return f"""url => fetch(url, {{{options}}}).then(
        answer => answer.text().then(text => answer.type === "opaque" ? "" : text), problem => "")"""


def element(tag: str, set_up: str) -> str:
    return _ELEMENT.format(tag=tag, set=set_up)


def form(method: str, enctype: str = "application/x-www-form-urlencoded", target: str = "") -> str:
    return _FORM.format(method=method, enctype=enctype, target=target)


ATTACKS = {
    "fetch a page": fetching('credentials: "include"'),
    "fetch without cors": fetching('credentials: "include", mode: "no-cors"'),
    "fetch head": fetching('credentials: "include", method: "HEAD"'),
    "fetch post": fetching('credentials: "include", method: "POST", body: "x"'),
    "fetch post without cors": fetching('credentials: "include", method: "POST", mode: "no-cors", body: "x"'),
    "fetch put": fetching('credentials: "include", method: "PUT", body: "x"'),
    "fetch delete": fetching('credentials: "include", method: "DELETE"'),
    "fetch json": fetching(
        'credentials: "include", method: "POST", headers: {"content-type": "application/json"}, body: "{}"'
    ),
    "fetch with our header": fetching('credentials: "include", headers: {"signadot-api-key": "sdk_x"}'),
    "fetch with identity headers": fetching('credentials: "include", headers: {"x-forwarded-user": "root"}'),
    "fetch keepalive": fetching('credentials: "include", method: "POST", mode: "no-cors", keepalive: true, body: "x"'),
    "fetch uncached, unreferred": fetching('credentials: "include", cache: "no-store", referrerPolicy: "no-referrer"'),
    "xhr": """url => new Promise(done => {
        const request = new XMLHttpRequest();
        request.open("POST", url); request.withCredentials = true;
        request.onloadend = () => done(request.responseText); request.send("x");
    })""",
    "beacon": "url => { navigator.sendBeacon(url, 'x'); return ''; }",
    "form post": form("POST"),
    "form post as text": form("POST", enctype="text/plain"),
    "form post with a file's encoding": form("POST", enctype="multipart/form-data"),
    "form post in a frame": form("POST", target="inner"),
    "form get in a frame": form("GET", target="inner"),
    "frame": element("iframe", "element.src = url;"),
    "frame in a sandbox": element("iframe", "element.sandbox = 'allow-scripts allow-forms'; element.src = url;"),
    "frame by srcdoc": """url => new Promise(done => {
        const frame = document.createElement("iframe");
        frame.srcdoc = `<iframe src="${url}"></iframe>`; frame.onload = () => done(""); document.body.append(frame);
    })""",
    "image": element("img", "element.src = url;"),
    "image with credentials": element("img", "element.crossOrigin = 'use-credentials'; element.src = url;"),
    "script": element("script", "element.src = url;"),
    "module": element("script", "element.type = 'module'; element.crossOrigin = 'use-credentials'; element.src = url;"),
    "style": element("link", "element.rel = 'stylesheet'; element.href = url;"),
    "prefetch": element("link", "element.rel = 'prefetch'; element.href = url;"),
    "object": element("object", "element.data = url;"),
    "embed": element("embed", "element.src = url;"),
    "video": element("video", "element.src = url; element.load();"),
    "event source": """url => new Promise(done => {
        const source = new EventSource(url, {withCredentials: true});
        source.onmessage = event => done(event.data); source.onerror = () => { source.close(); done(""); };
    })""",
    "websocket": """url => new Promise(done => {
        const socket = new WebSocket(url.replace("https:", "wss:"));
        socket.onmessage = event => done(event.data); socket.onerror = () => done(""); socket.onclose = () => done("");
    })""",
    "worker": """url => new Promise(done => {
        const code = `fetch("${url}", {credentials: "include", method: "POST", mode: "no-cors"})
            .finally(() => postMessage(""))`;
        new Worker(URL.createObjectURL(new Blob([code]))).onmessage = () => done("");
    })""",
    "sandboxed origin": """url => new Promise(done => {
        const frame = document.createElement("iframe");
        frame.sandbox = "allow-scripts";
        frame.srcdoc = `<script>fetch("${url}", {credentials: "include", method: "POST", mode: "no-cors"})
            .finally(() => parent.postMessage("", "*"))</script>`;
        addEventListener("message", () => done(""), {once: true}); document.body.append(frame);
    })""",
    "ping": """url => {
        const link = document.createElement("a");
        link.href = "#there"; link.ping = url; document.body.append(link); link.click(); return "";
    }""",
    "fetch by way of ourselves": """url => fetch("/redirect?" + encodeURIComponent(url),
        {credentials: "include", method: "POST", mode: "no-cors", body: "x"}).then(() => "", () => "")""",
    "form by way of ourselves": """url => {
        const form = document.createElement("form");
        form.action = "/redirect?" + encodeURIComponent(url); form.method = "POST";
        document.body.append(form); setTimeout(() => form.submit()); return "";
    }""",
    "frame by way of ourselves": element("iframe", "element.src = '/redirect?' + encodeURIComponent(url);"),
}
LEAVING = {"form post", "form post as text", "form post with a file's encoding", "form by way of ourselves"}
_numbers = itertools.count()


@pytest.fixture(scope="module")
def members_browser(stage: Stage, signed_in: Any) -> Iterator[BrowserContext]:
    context = stage.context(signed_in)
    yield context
    context.close()


@pytest.fixture
def evil(stage: Stage, members_browser: BrowserContext) -> Iterator[Page]:
    """The attacker's page in the member's browser."""
    page = members_browser.new_page()
    page.goto(stage.url("evil"))
    yield page
    page.close()


def run(page: Page, name: str, url: str) -> str:
    """What an attack got to read. Where it leads its page away, that is over then: such a page does not close."""
    before = page.url
    read = str(page.evaluate(_BOUNDED.format(script=ATTACKS[name]), url))
    if name in LEAVING:
        page.wait_for_url(lambda now: now != before)
    return read


def test_there_are_enough_attacks() -> None:
    assert len(ATTACKS) >= 35


@pytest.mark.parametrize("name", ATTACKS)
def test_a_sibling_reaches_nothing(stage: Stage, evil: Page, name: str) -> None:
    path = f"/attack-{next(_numbers)}"
    stage.evil.replies["/redirect"] = Reply(status=307, headers=(("location", stage.url("victim", path)),))
    read = run(evil, name, stage.url("victim", path))
    lines = stage.access(path)
    assert {line["status"] for line in lines} <= {401, 403}, lines
    assert stage.victim.seen_at(path) == []
    assert stage.victim.secret not in read
    # And the member is as signed in as before.
    assert stage.cookie(evil.context, stage.host("victim"), "__Host-sd-preview")


@pytest.mark.parametrize(
    "name", ["fetch a page", "fetch post", "fetch put", "xhr", "form post", "frame", "websocket", "image"]
)
def test_the_same_from_the_previews_own_page_does(stage: Stage, members_browser: BrowserContext, name: str) -> None:
    """So that the attacks above fail for the reason that is claimed."""
    path = f"/own-{next(_numbers)}"
    page = members_browser.new_page()
    page.goto(stage.url("victim"))
    read = run(page, name, stage.url("victim", path))
    stage.victim.wait_for(path)
    if name in {"fetch a page", "fetch post", "xhr", "websocket"}:
        assert stage.victim.secret in read
    page.close()


def test_previews_are_same_site_here_as_in_the_field(stage: Stage, evil: Page) -> None:
    stage.deployment.apply("site", web={"target": f"http://127.0.0.1:{stage.victim.port}", "visibility": "public"})
    run(evil, "fetch without cors", stage.url("site", "/site", org="acme"))
    request = stage.victim.wait_for("/site")
    assert request.header("sec-fetch-site") == "same-site"
    assert "sd-" not in (request.header("cookie") or "")


def test_an_allowed_origin_may_and_preflights_may_pass(
    stage: Stage, evil: Page, members_browser: BrowserContext
) -> None:
    origin = stage.url("evil").removesuffix("/")
    target = f"http://127.0.0.1:{stage.victim.port}"
    allowed = (
        ("access-control-allow-origin", origin), ("access-control-allow-credentials", "true"),
        ("access-control-allow-headers", "content-type"),
    )  # fmt: skip
    stage.victim.replies["/shared"] = Reply(body="for friends", headers=allowed)
    stage.deployment.apply("friendly", web={"target": target, "allowedOrigins": [origin], "preflight": "pass"})
    first = members_browser.new_page()
    first.goto(stage.url("friendly", org="acme"))
    first.close()
    assert run(evil, "fetch json", stage.url("friendly", "/shared", org="acme")) == "for friends"
    assert [request.method for request in stage.victim.seen_at("/shared")] == ["OPTIONS", "POST"]


def test_opening_the_victim_shows_it_to_the_person_alone(stage: Stage, evil: Page) -> None:
    """A link is a link: the page opens, and its opener can neither read nor steer what it holds."""
    read = evil.evaluate(
        """url => new Promise(done => {
            const heard = [];
            addEventListener("message", event => heard.push(event.data));
            const opened = open(url);
            const look = () => {
                try {
                    heard.push(opened.document.body.innerText);
                    setTimeout(look, 20);
                } catch (problem) { done([problem.name, heard]); }
            };
            setTimeout(look, 200);
        })""",
        stage.url("victim", "/opened"),
    )
    assert stage.victim.wait_for("/opened").method == "GET"
    name, heard = read
    assert name == "SecurityError"
    assert not [text for text in heard if stage.victim.secret in str(text)]


@pytest.mark.parametrize("path", ["/", "/login", "/orgs/acme/workspaces/victim"])
def test_the_app_host_shows_nothing_to_a_sibling(stage: Stage, evil: Page, path: str) -> None:
    url = stage.app_url(path)
    assert run(evil, "fetch a page", url) == ""
    assert run(evil, "frame", url) == ""
    frame = evil.frames[-1]
    assert frame.url in {"chrome-error://chromewebdata/", "about:blank"}  # frame-ancestors


@pytest.mark.parametrize("path", ["/logout", "/logout/all", "/login/github", "/login/link"])
@pytest.mark.parametrize("name", ["form post", "form post in a frame", "fetch post without cors", "fetch post"])
def test_a_sibling_signs_nobody_out_or_in(stage: Stage, evil: Page, path: str, name: str) -> None:
    before = stage.authorizations, stage.cookie(evil.context, "app.relay.localhost", "__Host-sd-login")
    count = sum(f'"path": "{path}"' in line for line in stage.relay.output.splitlines())
    run(evil, name, stage.app_url(path))
    assert stage.access(path, count=count + 1)[-1]["status"] == 403
    assert before == (stage.authorizations, stage.cookie(evil.context, "app.relay.localhost", "__Host-sd-login"))
    page = evil.context.new_page()
    page.goto(stage.app_url())
    assert page.get_by_text("Signed in as dev-one").is_visible()
    page.close()


def test_the_api_takes_no_cookie(stage: Stage, evil: Page) -> None:
    url = f"https://api.relay.localhost:{stage.deployment.port}/api/v2/orgs"
    assert run(evil, "fetch a page", url) == ""
    page = evil.context.new_page()
    answer = page.goto(url)
    assert answer is not None
    assert answer.status == 401
    page.close()
