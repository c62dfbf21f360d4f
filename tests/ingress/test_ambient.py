"""What a page elsewhere can make a signed-in browser send, as browsers send it: nothing of it reaches a target."""

from dataclasses import replace

import pytest

from relay.transport import MuxStream
from tests.ingress.stage import HOST, OK, ROUTE, Answer, Stage, answering, read_head, request, stage

SIBLING = "https://evil--pr-1.preview.test"
STRANGER = "https://evil.example"
SELF = f"https://{HOST}"
UPGRADE = (
    "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: eA==", "Sec-WebSocket-Version: 13",
)  # fmt: skip
FORM = ("Content-Type: application/x-www-form-urlencoded", "Content-Length: 0")


def fetch(site: str, mode: str, dest: str, *more: str) -> tuple[str, ...]:
    """Fetch Metadata of one request."""
    return (f"Sec-Fetch-Site: {site}", f"Sec-Fetch-Mode: {mode}", f"Sec-Fetch-Dest: {dest}", *more)


def origin(value: str) -> str:
    return f"Origin: {value}"


ATTACKS: dict[str, tuple[str, tuple[str, ...]]] = {
    # what scripts send
    "fetch, no-cors": ("GET", fetch("same-site", "no-cors", "empty")),
    "fetch, cors": ("GET", fetch("same-site", "cors", "empty", origin(SIBLING))),
    "fetch, cors, HEAD": ("HEAD", fetch("same-site", "cors", "empty", origin(SIBLING))),
    "fetch POST, no-cors": ("POST", fetch("same-site", "no-cors", "empty", origin(SIBLING), *FORM)),
    "fetch POST, cors": ("POST", fetch("same-site", "cors", "empty", origin(SIBLING), *FORM)),
    "fetch PUT after a preflight": ("PUT", fetch("same-site", "cors", "empty", origin(SIBLING), *FORM)),
    "fetch PATCH after a preflight": ("PATCH", fetch("same-site", "cors", "empty", origin(SIBLING), *FORM)),
    "fetch DELETE after a preflight": ("DELETE", fetch("same-site", "cors", "empty", origin(SIBLING))),
    "OPTIONS without being a preflight": ("OPTIONS", fetch("same-site", "cors", "empty", origin(SIBLING))),
    "fetch with an opaque origin": ("GET", fetch("same-site", "cors", "empty", origin("null"))),
    "keepalive fetch POST": ("POST", fetch("same-site", "no-cors", "empty", origin(SIBLING), *FORM)),
    "sendBeacon": ("POST", fetch("same-site", "no-cors", "empty", origin(SIBLING), "Content-Type: text/plain",
                                 "Content-Length: 0")),
    "EventSource": ("GET", fetch("same-site", "cors", "empty", origin(SIBLING), "Accept: text/event-stream")),
    "ping of a link": ("POST", fetch("same-site", "no-cors", "empty", origin(SIBLING), "Content-Type: text/ping",
                                     "Content-Length: 0")),
    # elements of a page
    "image": ("GET", fetch("same-site", "no-cors", "image")),
    "image, crossorigin": ("GET", fetch("same-site", "cors", "image", origin(SIBLING))),
    "script": ("GET", fetch("same-site", "no-cors", "script")),
    "module script": ("GET", fetch("same-site", "cors", "script", origin(SIBLING))),
    "style sheet": ("GET", fetch("same-site", "no-cors", "style")),
    "font": ("GET", fetch("same-site", "cors", "font", origin(SIBLING))),
    "video": ("GET", fetch("same-site", "no-cors", "video", "Range: bytes=0-")),
    "audio": ("GET", fetch("same-site", "no-cors", "audio", "Range: bytes=0-")),
    "text track": ("GET", fetch("same-site", "cors", "track", origin(SIBLING))),
    "manifest": ("GET", fetch("same-site", "cors", "manifest", origin(SIBLING))),
    "prefetch of a resource": ("GET", fetch("same-site", "no-cors", "empty", "Sec-Purpose: prefetch")),
    "worker": ("GET", fetch("same-site", "same-origin", "worker")),
    "report": ("POST", fetch("same-site", "no-cors", "report", "Content-Type: application/reports+json",
                             "Content-Length: 0")),
    # navigations that are none of a person's
    "iframe": ("GET", fetch("same-site", "navigate", "iframe", "Upgrade-Insecure-Requests: 1")),
    "frame": ("GET", fetch("same-site", "navigate", "frame")),
    "object": ("GET", fetch("same-site", "navigate", "object")),
    "embed": ("GET", fetch("same-site", "navigate", "embed")),
    "fenced frame": ("GET", fetch("same-site", "navigate", "fencedframe")),
    "form POST in a window": ("POST", fetch("same-site", "navigate", "document", origin(SIBLING), *FORM)),
    "form POST by a person": ("POST", fetch("same-site", "navigate", "document", origin(SIBLING), *FORM,
                                            "Sec-Fetch-User: ?1")),
    "form POST, no referrer": ("POST", fetch("same-site", "navigate", "document", origin("null"), *FORM)),
    "form POST in a frame": ("POST", fetch("same-site", "navigate", "iframe", origin(SIBLING), *FORM)),
    "form POST of text": ("POST", fetch("same-site", "navigate", "document", origin(SIBLING),
                                        "Content-Type: text/plain", "Content-Length: 0")),
    # WebSockets
    "WebSocket": ("GET", fetch("same-site", "websocket", "empty", origin(SIBLING), *UPGRADE)),
    "WebSocket of a sandboxed frame": ("GET", fetch("same-site", "websocket", "empty", origin("null"), *UPGRADE)),
    "WebSocket from another port": ("GET", fetch("same-site", "websocket", "empty", origin(f"{SELF}:444"), *UPGRADE)),
    "WebSocket without Origin": ("GET", UPGRADE),
    "WebSocket that claims our site": ("GET", fetch("same-origin", "websocket", "websocket", *UPGRADE)),
    # other sites, with what is left of SameSite=Lax
    "fetch of another site": ("GET", fetch("cross-site", "cors", "empty", origin(STRANGER))),
    "form POST of another site": ("POST", fetch("cross-site", "navigate", "document", origin(STRANGER), *FORM)),
    "frame of another site": ("GET", fetch("cross-site", "navigate", "iframe")),
    "WebSocket of another site": ("GET", fetch("cross-site", "websocket", "empty", origin(STRANGER), *UPGRADE)),
    # browsers without Fetch Metadata, or with part of it
    "old browser, fetch": ("GET", (origin(SIBLING),)),
    "old browser, form": ("POST", (origin(SIBLING), *FORM)),
    "old browser, form without referrer": ("POST", (origin("null"), *FORM)),
    "old browser, our name within another": ("POST", (origin(f"{SELF}.evil.example"), *FORM)),
    "old browser, our name without TLS": ("POST", (origin(f"http://{HOST}"), *FORM)),
    "old browser, our name in capitals": ("POST", (origin(SELF.upper()), *FORM)),
    "old browser, WebSocket": ("GET", (origin(SIBLING), *UPGRADE)),
    "a navigation without destination": ("GET", ("Sec-Fetch-Site: same-site", "Sec-Fetch-Mode: navigate")),
    "a destination without mode": ("GET", ("Sec-Fetch-Site: same-site", "Sec-Fetch-Dest: document")),
    "a site nobody has heard of": ("GET", fetch("some-site", "cors", "empty")),
    "an empty site": ("GET", fetch("", "cors", "empty")),
    "a site in capitals": ("GET", fetch("Same-Origin", "cors", "empty")),
}  # fmt: skip

ACCEPTED: dict[str, tuple[str, tuple[str, ...]]] = {
    "the page's own fetch": ("GET", fetch("same-origin", "cors", "empty")),
    "the page's own POST": ("POST", fetch("same-origin", "cors", "empty", origin(SELF), *FORM)),
    "the page's own form": ("POST", fetch("same-origin", "navigate", "document", origin(SELF), *FORM)),
    "the page's own form, no referrer": ("POST", fetch("same-origin", "navigate", "document", origin("null"), *FORM)),
    "the page's own image": ("GET", fetch("same-origin", "no-cors", "image")),
    "the page's own frame": ("GET", fetch("same-origin", "navigate", "iframe")),
    "an address that was typed": ("GET", fetch("none", "navigate", "document", "Sec-Fetch-User: ?1")),
    "a link in an email or chat": ("GET", fetch("cross-site", "navigate", "document", "Sec-Fetch-User: ?1")),
    "a link on a sibling": ("GET", fetch("same-site", "navigate", "document")),
    "HEAD of a link": ("HEAD", fetch("cross-site", "navigate", "document")),
    "old browser, its own POST": ("POST", (origin(SELF), *FORM)),
    "old browser, a link": ("GET", ("Accept: text/html",)),
}


async def never(stream: MuxStream) -> None:
    raise AssertionError(f"the target was reached: {await read_head(stream)!r}")


async def ask(made: Stage, method: str, headers: tuple[str, ...], *, host: str = HOST, at: str = "") -> Answer:
    """One request of a signed-in browser; `at` is its Host header where that has a port."""
    made.logins.sign_in()
    visitor = await made.visitor(host)
    return await visitor.ask(request(method, "/", *headers, made.logins.cookie(host), host=at or host, key=None))


def test_there_are_enough_attacks() -> None:
    assert len(ATTACKS) >= 40


@pytest.mark.parametrize("name", ATTACKS)
async def test_an_attack_reaches_no_target(name: str) -> None:
    method, headers = ATTACKS[name]
    async with stage(never) as made:
        answer = await ask(made, method, headers)
        assert answer.status == 403
        assert made.tunnels.opened == []
        assert made.streams == []


@pytest.mark.parametrize("name", ATTACKS)
async def test_an_attack_is_refused_on_a_connection_that_the_page_itself_has_used(name: str) -> None:
    method, headers = ATTACKS[name]
    seen: list[bytes] = []

    async def target(stream: MuxStream) -> None:
        while head := await read_head(stream):
            seen.append(head)
            await stream.send_all(OK)

    async with stage(target) as made:
        made.logins.sign_in()
        visitor = await made.visitor()
        line = made.logins.cookie()
        good = request("GET", "/good", *fetch("same-origin", "cors", "empty"), line, key=None)
        assert (await visitor.ask(good)).status == 200
        assert (await visitor.ask(request(method, "/bad", *headers, line, key=None))).status == 403
    assert [head.split(b" ")[1] for head in seen] == [b"/good"]


@pytest.mark.parametrize("name", ACCEPTED)
async def test_what_the_preview_itself_or_a_person_does_passes(name: str) -> None:
    method, headers = ACCEPTED[name]
    async with stage(answering(OK)) as made:
        assert (await ask(made, method, headers)).status == 200


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("GET", fetch("same-site", "cors", "empty", origin(SIBLING))),
        ("POST", fetch("same-site", "cors", "empty", origin(SIBLING), *FORM)),
        ("POST", fetch("same-site", "navigate", "document", origin(SIBLING), *FORM)),
        ("POST", (origin(SIBLING), *FORM)),
    ],
)
async def test_an_origin_that_the_endpoint_allows_passes_and_no_other(method: str, headers: tuple[str, ...]) -> None:
    async with stage(answering(OK)) as made:
        made.route(replace(ROUTE, allowed_origins=(SIBLING,)))
        assert (await ask(made, method, headers)).status == 200
    async with stage(never) as made:
        made.route(replace(ROUTE, allowed_origins=(STRANGER,)))
        assert (await ask(made, method, headers)).status == 403


async def test_a_request_without_origin_is_not_covered_by_allowed_origins() -> None:
    async with stage(never) as made:
        made.route(replace(ROUTE, allowed_origins=(SIBLING,)))
        assert (await ask(made, "GET", fetch("same-site", "no-cors", "image"))).status == 403


SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"


@pytest.mark.parametrize(
    ("at", "sent", "status"),
    [
        (HOST, SELF, 101),
        (f"{HOST}:8443", f"{SELF}:8443", 101),
        (f"{HOST}:8443", SELF, 403),
        (HOST, f"{SELF}:8443", 403),
        (HOST, SIBLING, 403),
    ],
)
async def test_a_websocket_comes_from_the_same_host_and_port(at: str, sent: str, status: int) -> None:
    async with stage(answering(SWITCH)) as made:
        answer = await ask(made, "GET", (origin(sent), *UPGRADE), at=at)
    assert answer.status == status


async def test_a_websocket_of_an_allowed_origin_passes() -> None:
    async with stage(answering(SWITCH)) as made:
        made.route(replace(ROUTE, allowed_origins=(SIBLING,)))
        assert (await ask(made, "GET", (origin(SIBLING), *UPGRADE))).status == 101


async def test_a_preflight_with_a_cookie_passes_only_where_the_endpoint_says_so() -> None:
    host = "web--shop--acme.preview.test"
    preflight = fetch("same-site", "cors", "empty", origin(SIBLING), "Access-Control-Request-Method: PUT")
    async with stage(answering(OK)) as made:
        assert (await ask(made, "OPTIONS", preflight, host=host)).status == 403
        made.route(replace(ROUTE, preflight="pass"))
        assert (await ask(made, "OPTIONS", preflight, host=host)).status == 200


async def test_what_is_open_to_all_is_open_to_other_pages_too_without_the_login() -> None:
    host = "web--shop--acme.preview.test"
    async with stage(answering(OK)) as made:
        made.route(replace(ROUTE, visibility="public"))
        assert (await ask(made, "GET", fetch("same-site", "no-cors", "image"), host=host)).status == 200
        made.shared.telemetry.flush()
    assert '"credential":""' in made.log.getvalue().replace(" ", "")


async def test_a_sibling_learns_nothing_by_what_it_is_told() -> None:
    async with stage(never) as made:
        there = await ask(made, "GET", fetch("same-site", "cors", "empty", origin(SIBLING)))
        assert there.get("access-control-allow-origin") is None
        assert "allowedOrigins" in there.json["error"]
