"""Logins on preview hosts: the way to the sign-in page and back, the cookie, what it opens and what it does not."""

from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import pytest
import trio

from relay.auth import Membership, Role, nonce_hash, print_nonce_hash
from relay.routing import parse_return_url
from relay.transport import MuxStream
from tests.ingress.stage import (
    HOST,
    HOSTS,
    LOGIN_ID,
    MEMBER,
    OK,
    ROUTE,
    Answer,
    Stage,
    answering,
    read_head,
    request,
    stage,
)

NAVIGATE = ("Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document", "Sec-Fetch-Site: none")
OWN = ("Sec-Fetch-Mode: cors", "Sec-Fetch-Dest: empty", "Sec-Fetch-Site: same-origin")
ORG_HOST = "web--shop--acme.preview.test"
OTHER = Membership(org_id="o2", org="other", role=Role.MEMBER)
CODE = "c" * 43
NONCE = "n" * 43


async def never(stream: MuxStream) -> None:
    raise AssertionError(f"the target was reached: {await read_head(stream)!r}")


async def ask(made: Stage, *headers: str, method: str = "GET", target: str = "/", host: str = HOST) -> Answer:
    """One request without API key over a connection of its own."""
    visitor = await made.visitor(host)
    return await visitor.ask(request(method, target, *headers, host=host, key=None))


def cookies_of(answer: Answer) -> dict[str, str]:
    """What the answer sets, by name, with attributes."""
    values = [value for name, value in answer.headers if name == "set-cookie"]
    return {value.partition("=")[0]: value.partition("=")[2] for value in values}


class TestTheWayToTheSignInPage:
    @pytest.mark.parametrize(
        ("method", "headers"),
        [
            ("GET", NAVIGATE),
            ("HEAD", NAVIGATE),
            ("GET", ("Sec-Fetch-Mode: navigate",)),
            ("GET", ("Accept: text/html,*/*",)),
            ("GET", ("Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document", "Sec-Fetch-Site: cross-site")),
        ],
    )
    async def test_a_person_without_credential_is_led_there(self, method: str, headers: tuple[str, ...]) -> None:
        async with stage(never) as made:
            answer = await ask(made, *headers, method=method, target="/a%20b?x=1&y=/../%2F")
        assert answer.status == 302
        location = urlsplit(answer.get("location") or "")
        assert (location.scheme, location.netloc, location.path) == ("https", "app.test:8443", "/login")
        query = parse_qs(location.query, strict_parsing=True)
        assert query["return_to"] == [f"https://{HOST}:8443/a%20b?x=1&y=/../%2F"]
        nonce, _, attributes = cookies_of(answer)["__Host-sd-nonce"].partition(";")
        assert attributes == " Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=600"
        assert query["nonce"] == [print_nonce_hash(nonce_hash(nonce))]
        assert (answer.get("cache-control"), answer.get("referrer-policy")) == ("no-store", "no-referrer")

    @pytest.mark.parametrize(
        ("method", "headers"),
        [
            ("GET", ()),
            ("GET", ("Sec-Fetch-Mode: cors", "Accept: text/html")),
            ("GET", ("Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: iframe")),
            ("GET", ("Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: image")),
            ("GET", ("Sec-Fetch-Mode: no-cors", "Sec-Fetch-Dest: image")),
            ("GET", ("Accept: application/json",)),
            ("POST", (*NAVIGATE, "Content-Length: 0")),
            ("DELETE", NAVIGATE),
            ("OPTIONS", ("Accept: text/html",)),
            ("GET", ("Accept: text/html", "Connection: Upgrade", "Upgrade: websocket")),
        ],
    )
    async def test_anything_else_is_a_401(self, method: str, headers: tuple[str, ...]) -> None:
        async with stage(never) as made:
            answer = await ask(made, *headers, method=method)
        assert answer.status == 401
        assert answer.get("set-cookie") is None

    async def test_a_wrong_key_is_a_401_and_a_login_beside_it_does_not_help(self) -> None:
        async with stage(never) as made:
            made.logins.sign_in()
            visitor = await made.visitor()
            answer = await visitor.ask(request("GET", "/", *NAVIGATE, made.logins.cookie(), key="sdk_wrong"))
        assert answer.status == 401

    async def test_a_nonce_that_is_there_is_kept_for_other_tabs(self) -> None:
        async with stage(never) as made:
            answer = await ask(made, *NAVIGATE, f"Cookie: a=1; __Host-sd-nonce={NONCE}")
        assert cookies_of(answer)["__Host-sd-nonce"].startswith(f"{NONCE};")

    @pytest.mark.parametrize(
        "cookie", ["__Host-sd-nonce=short", f"__Host-sd-nonce={NONCE}; __Host-sd-nonce={NONCE}", "__Host-sd-nonce="]
    )
    async def test_a_nonce_that_is_malformed_or_doubled_is_not_kept(self, cookie: str) -> None:
        async with stage(never) as made:
            answer = await ask(made, *NAVIGATE, f"Cookie: {cookie}")
        assert not cookies_of(answer)["__Host-sd-nonce"].startswith(NONCE)

    @pytest.mark.parametrize("host", [HOST, "web--nothing.preview.test", "nonsense.preview.test", ORG_HOST])
    async def test_nothing_tells_which_previews_exist(self, host: str) -> None:
        async with stage(never) as made:
            assert (await ask(made, *NAVIGATE, host=host)).status == 302

    async def test_a_very_long_url_leads_back_to_the_hosts_first_page(self) -> None:
        async with stage(never) as made:
            answer = await ask(made, *NAVIGATE, target="/" + "a" * 5000)
        query = parse_qs(urlsplit(answer.get("location") or "").query)
        assert query["return_to"] == [f"https://{HOST}:8443/"]

    @pytest.mark.parametrize(
        ("target", "back"),
        [
            ("/a?re=\\d", "/a?re=%5Cd"),
            ('/a"b?c="d"', "/a%22b?c=%22d%22"),
            ("/a|b?x=a|b&y={z}^`'", "/a|b?x=a|b&y={z}^`'"),
            ("/p?x=<y>", "/p?x=%3Cy%3E"),
            ("/a%5Cb?q=%zz&100%", "/a%5Cb?q=%zz&100%"),
            ("/a/../b//c;d=e?a[]=1&b=//x", "/a/../b//c;d=e?a[]=1&b=//x"),
            ("//a", "/"),
            ("//evil.test/x?y", "/"),
            ("/", "/"),
        ],
    )
    async def test_any_url_that_browsers_send_leads_to_the_sign_in_page_and_back(self, target: str, back: str) -> None:
        async with stage(never) as made:
            answer = await ask(made, *NAVIGATE, target=target)
            [return_to] = parse_qs(urlsplit(answer.get("location") or "").query)["return_to"]
            place = parse_return_url(return_to, preview_domain=HOSTS.preview, app_host=HOSTS.app, port=8443)
            made.logins.code(CODE, place.url, nonce=NONCE)
            cookie = f"Cookie: __Host-sd-nonce={NONCE}"
            answer = await ask(made, *NAVIGATE, cookie, target=f"/.signadot/login?code={CODE}")
        assert (answer.status, answer.get("location")) == (302, f"https://{HOST}{back}")

    async def test_the_connection_goes_on_after_it(self) -> None:
        async with stage(answering(OK)) as made:
            visitor = await made.visitor()
            assert (await visitor.ask(request("GET", "/", *NAVIGATE, key=None))).status == 302
            assert (await visitor.ask(request())).status == 200

    async def test_a_public_endpoint_needs_no_login(self) -> None:
        async with stage(answering(OK)) as made:
            made.route(replace(ROUTE, visibility="public"))
            assert (await ask(made, *NAVIGATE, host=ORG_HOST)).status == 200


class TestTheWayBack:
    @staticmethod
    async def back(
        made: Stage, *headers: str, target: str = f"/.signadot/login?code={CODE}", host: str = HOST
    ) -> Answer:
        return await ask(made, *(headers or NAVIGATE), f"Cookie: __Host-sd-nonce={NONCE}", target=target, host=host)

    async def test_a_code_becomes_a_cookie_that_opens_the_page(self) -> None:
        async with stage(answering(OK)) as made:
            made.logins.sign_in()
            made.logins.code(CODE, f"https://{HOST}:8443/page?x=%2F", nonce=NONCE)
            answer = await self.back(made)
            assert (answer.status, answer.get("location")) == (302, f"https://{HOST}/page?x=%2F")
            assert (answer.get("cache-control"), answer.get("referrer-policy")) == ("no-store", "no-referrer")
            cookies = cookies_of(answer)
            value, _, attributes = cookies["__Host-sd-preview"].partition(";")
            assert attributes == " Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=3600"
            assert cookies["__Host-sd-nonce"] == "; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0"
            assert (await ask(made, *NAVIGATE, f"Cookie: __Host-sd-preview={value}")).status == 200
            assert (await ask(made, *NAVIGATE, f"Cookie: __Host-sd-preview={value}", host=ORG_HOST)).status == 302

    @pytest.mark.parametrize(
        ("return_to", "location"),
        [
            (f"https://{HOST}//evil.test/", f"https://{HOST}//evil.test/"),
            (f"https://{HOST}", f"https://{HOST}/"),
            ("https://evil.test/page", f"https://{HOST}/"),
            (f"https://{HOST}.evil.test/page", f"https://{HOST}/"),
            (f"https://{HOST}/\r\nSet-Cookie: a=b", f"https://{HOST}/"),
            (f"https://{HOST}/a b", f"https://{HOST}/"),
            (f"https://{HOST}/\u00e9", f"https://{HOST}/"),
            (f"https://{HOST}/?https://evil.test", f"https://{HOST}/?https://evil.test"),
            ("https://[", f"https://{HOST}/"),
            ("/page", f"https://{HOST}/"),
            ("javascript:alert(1)", f"https://{HOST}/"),
        ],
    )
    async def test_it_leads_to_this_host_only(self, return_to: str, location: str) -> None:
        async with stage(never) as made:
            made.logins.code(CODE, return_to, nonce=NONCE)
            answer = await self.back(made)
        assert (answer.status, answer.get("location")) == (302, location)
        assert {name for name, _ in answer.headers} == {
            "location", "set-cookie", "content-length", "cache-control", "referrer-policy", "x-request-id",
            "cross-origin-opener-policy",
        }  # fmt: skip

    async def test_a_cookie_is_not_good_for_longer_than_its_login(self) -> None:
        async with stage(never) as made:
            made.logins.expires_at = made.logins.now + 100
            made.logins.code(CODE, f"https://{HOST}/", nonce=NONCE)
            answer = await self.back(made)
        assert cookies_of(answer)["__Host-sd-preview"].endswith("Max-Age=100")

    async def test_a_code_works_once(self) -> None:
        async with stage(never) as made:
            made.logins.code(CODE, f"https://{HOST}/", nonce=NONCE)
            assert (await self.back(made)).status == 302
            answer = await self.back(made)
        assert answer.status == 400
        assert b'<a href="/">Start again</a>' in answer.body
        assert answer.get("set-cookie") is None

    async def test_a_code_for_another_host_is_refused_and_used_up(self) -> None:
        async with stage(never) as made:
            made.logins.code(CODE, f"https://{HOST}/", nonce=NONCE)
            assert (await self.back(made, host="api--shop.preview.test")).status == 400
            assert (await self.back(made)).status == 400

    @pytest.mark.parametrize(
        "cookie",
        [
            "a=1", f"__Host-sd-nonce={'m' * 43}", f"__Host-sd-nonce={NONCE}; __Host-sd-nonce={NONCE}",
            f"__host-sd-nonce={NONCE}",
        ],
    )  # fmt: skip
    async def test_a_code_that_somebody_else_fetched_is_refused(self, cookie: str) -> None:
        async with stage(never) as made:
            made.logins.code(CODE, f"https://{HOST}/", nonce=NONCE)
            answer = await ask(made, *NAVIGATE, f"Cookie: {cookie}", target=f"/.signadot/login?code={CODE}")
            assert answer.status == 400
            assert b"Start again" in answer.body
            assert answer.get("set-cookie") is None
            assert answer.get("cross-origin-opener-policy") == "same-origin"
            assert (await self.back(made)).status == 400, "the code is still good"

    async def test_a_page_that_opened_the_window_cannot_read_where_it_is_led(self) -> None:
        async with stage(never) as made:
            made.logins.code(CODE, f"https://{HOST}/", nonce=NONCE)
            answers = [
                await ask(made, *NAVIGATE),
                await ask(made, *NAVIGATE, target="/.signadot/x"),
                await self.back(made),
                await self.back(made),
            ]
        assert [answer.status for answer in answers] == [302, 404, 302, 400]
        assert {answer.get("cross-origin-opener-policy") for answer in answers} == {"same-origin"}

    @pytest.mark.parametrize(
        "query", ["", "?", "?code=", "?code=short", f"?code={CODE}&x=1", f"?code={CODE}{CODE}", f"?code={'%63' * 43}"]
    )
    async def test_a_malformed_code_is_refused_without_a_look_up(self, query: str) -> None:
        async with stage(never) as made:
            assert (await self.back(made, target=f"/.signadot/login{query}")).status == 400
            assert made.logins.presented == []

    @pytest.mark.parametrize(
        "headers",
        [
            ("Accept: */*",),
            ("Sec-Fetch-Mode: no-cors", "Sec-Fetch-Dest: image", "Sec-Fetch-Site: same-site"),
            ("Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: iframe", "Sec-Fetch-Site: same-site"),
        ],
    )
    async def test_anything_but_a_navigation_uses_a_code_up_and_signs_nobody_in(self, headers: tuple[str, ...]) -> None:
        async with stage(never) as made:
            made.logins.code(CODE, f"https://{HOST}/", nonce=NONCE)
            answer = await self.back(made, *headers)
            assert (answer.status, answer.get("set-cookie")) == (400, None)
            assert (await self.back(made)).status == 400

    @pytest.mark.parametrize("method", ["POST", "HEAD"])
    async def test_any_other_method_uses_a_code_up_and_signs_nobody_in(self, method: str) -> None:
        async with stage(never) as made:
            made.logins.code(CODE, f"https://{HOST}/", nonce=NONCE)
            cookie = f"Cookie: __Host-sd-nonce={NONCE}"
            answer = await ask(made, *NAVIGATE, cookie, method=method, target=f"/.signadot/login?code={CODE}")
            assert (answer.status, answer.get("set-cookie")) == (400, None)
            assert (await self.back(made)).status == 400

    @pytest.mark.parametrize("target", ["/.signadot/", "/.signadot/x", "/.signadot/login/", "/.signadot/login%3Fcode"])
    async def test_other_paths_of_ours_are_a_404_with_any_credential(self, target: str) -> None:
        async with stage(never) as made:
            made.logins.sign_in()
            assert (await ask(made, *NAVIGATE, made.logins.cookie(), target=target)).status == 404
            visitor = await made.visitor()
            assert (await visitor.ask(request("GET", target))).status == 404

    async def test_planted_cookies_end_it_with_a_page_instead_of_a_loop(self) -> None:
        async with stage(never) as made:
            made.logins.code(CODE, f"https://{HOST}/", nonce=NONCE)
            planted = f"Cookie: __Host-sd-nonce={NONCE}; __Host-sd-preview=x; =__Host-sd-preview=y"
            answer = await ask(made, *NAVIGATE, planted, target=f"/.signadot/login?code={CODE}")
        assert answer.status == 400
        assert b"planted cookies" in answer.body

    async def test_a_stale_cookie_of_ours_is_no_obstacle(self) -> None:
        async with stage(never) as made:
            made.logins.code(CODE, f"https://{HOST}/", nonce=NONCE)
            stale = f"Cookie: __Host-sd-nonce={NONCE}; __Host-sd-preview=stale"
            answer = await ask(made, *NAVIGATE, stale, target=f"/.signadot/login?code={CODE}")
        assert answer.status == 302

    async def test_neither_code_nor_nonce_is_logged_and_the_login_is(self) -> None:
        async with stage(never) as made:
            made.logins.code(CODE, f"https://{HOST}/", nonce=NONCE)
            await self.back(made)
            made.shared.telemetry.flush()
        log = made.log.getvalue()
        assert CODE not in log
        assert NONCE not in log
        assert LOGIN_ID in log


class TestTheCookie:
    async def test_it_opens_the_preview_and_never_reaches_the_target(self) -> None:
        seen: list[bytes] = []

        async def target(stream: MuxStream) -> None:
            seen.append(await read_head(stream))
            await stream.send_all(OK)

        async with stage(target) as made:
            made.logins.sign_in()
            line = made.logins.cookie() + f"; theme=dark; __Host-sd-nonce={NONCE}"
            assert (await ask(made, *OWN, line)).status == 200
            made.shared.telemetry.flush()
        assert b"cookie: theme=dark\r\n" in seen[0]
        assert b"__Host-sd" not in seen[0]
        assert LOGIN_ID in made.log.getvalue()

    @pytest.mark.parametrize(
        "change",
        [
            lambda line: line + "; " + line.removeprefix("Cookie: "),
            lambda line: line + "\r\n" + line,
            lambda line: line + "\r\nCookie: __host-sd-preview=x",
            lambda line: line + "; =__Host-sd-preview=x",
            lambda line: line.replace("__Host", "__host"),
            lambda line: line.replace("preview=", 'preview="') + '"',
            lambda line: line[:-1],
            lambda line: line.replace("Cookie: ", "Cookie: ="),
            lambda line: line.replace("preview=", "preview2="),
        ],
    )
    async def test_one_well_formed_cookie_counts_and_nothing_else(self, change: object) -> None:
        assert callable(change)
        async with stage(never) as made:
            made.logins.sign_in()
            assert (await ask(made, *OWN, change(made.logins.cookie()))).status == 401

    async def test_it_is_found_beside_others_on_any_line(self) -> None:
        async with stage(answering(OK)) as made:
            made.logins.sign_in()
            value = made.logins.cookie().removeprefix("Cookie: ")
            assert (await ask(made, *OWN, "Cookie: a=1; b=2", f"Cookie: c=3; {value}; d=4")).status == 200

    async def test_it_opens_one_host_for_its_time(self) -> None:
        async with stage(never) as made:
            made.logins.sign_in()
            assert (await ask(made, *OWN, made.logins.cookie("api--shop.preview.test"))).status == 401
            assert (await ask(made, *OWN, made.logins.cookie(age=3600))).status == 401
            assert (await ask(made, *NAVIGATE, made.logins.cookie(age=3600))).status == 302

    async def test_it_dies_with_its_login(self) -> None:
        async with stage(never) as made:
            assert (await ask(made, *OWN, made.logins.cookie())).status == 401
            assert (await ask(made, *NAVIGATE, made.logins.cookie())).status == 302

    async def test_a_login_that_ends_ends_on_connections_that_are_open(self) -> None:
        async with stage(answering(OK, OK)) as made:
            made.logins.sign_in()
            visitor = await made.visitor()
            asked = request("GET", "/", *OWN, made.logins.cookie(), key=None)
            assert (await visitor.ask(asked)).status == 200
            made.logins.principals.clear()
            made.directory.generation += 1
            assert (await visitor.ask(asked)).status == 401

    async def test_the_same_cookie_lines_are_not_opened_again_and_others_are(self) -> None:
        async with stage(answering(OK, OK, OK, OK, OK)) as made:
            made.logins.sign_in()
            made.logins.sign_in(OTHER, login_id="f" * 32)
            visitor = await made.visitor()
            line = made.logins.cookie()
            for _ in range(3):
                assert (await visitor.ask(request("GET", "/", *OWN, line, key=None))).status == 200
            assert made.logins.asked == 1
            assert (await visitor.ask(request("GET", "/", *OWN, line + "; a=1", key=None))).status == 200
            assert made.logins.asked == 2
            foreign = made.logins.cookie(login_id="f" * 32)
            assert (await visitor.ask(request("GET", "/", *OWN, foreign, key=None))).status == 404
            assert (await visitor.ask(request("GET", "/", *OWN, key=None))).status == 401
            assert (await visitor.ask(request("GET", "/", *OWN, line, "Cookie: a=1", key=None))).status == 200

    async def test_a_login_and_a_key_on_one_connection_are_decided_apart(self) -> None:
        async with stage(answering(OK, OK, OK)) as made:
            made.logins.sign_in()
            visitor = await made.visitor()
            line = made.logins.cookie()
            sibling = ("Sec-Fetch-Site: same-site", "Sec-Fetch-Mode: cors", "Sec-Fetch-Dest: empty")
            assert (await visitor.ask(request("GET", "/", *OWN, line, key=None))).status == 200
            assert (await visitor.ask(request("GET", "/", *sibling, line))).status == 200  # by key, as ever
            assert (await visitor.ask(request("GET", "/", *sibling, line, key=None))).status == 403
            assert (await visitor.ask(request("GET", "/", line, key="sdk_wrong"))).status == 401
            assert (await visitor.ask(request("GET", "/", *OWN, line, key=None))).status == 200

    async def test_a_decision_ends_with_the_cookie(self, autojump_clock: trio.abc.Clock) -> None:
        del autojump_clock
        async with stage(answering(OK, OK)) as made:
            made.logins.sign_in()
            visitor = await made.visitor()
            asked = request("GET", "/", *OWN, made.logins.cookie(seconds=10), key=None)
            assert (await visitor.ask(asked)).status == 200
            await trio.sleep(12)
            made.logins.now += 12
            assert (await visitor.ask(asked)).status == 401

    async def test_a_login_is_looked_up_in_the_store_when_it_is_not_in_memory(self) -> None:
        async with stage(answering(OK)) as made:
            made.logins.sign_in()
            made.logins.cached = False
            assert (await ask(made, *OWN, made.logins.cookie())).status == 200

    async def test_a_store_that_is_down_is_a_503_and_no_way_to_sign_in(self) -> None:
        async with stage(never) as made:
            made.logins.sign_in()
            made.logins.cached, made.logins.down = False, True
            answer = await ask(made, *OWN, made.logins.cookie())
            assert (answer.status, answer.json["code"]) == (503, "store_unavailable")
            assert (await ask(made, *NAVIGATE, made.logins.cookie())).status == 503

    async def test_a_cookie_under_a_key_of_another_process_has_the_keys_looked_up_once(self) -> None:
        async with stage(answering(OK)) as made:
            made.logins.sign_in()
            old = made.logins.keys
            made.logins.keys = made.logins.new_keys = [("a1a2a3a4", bytes(range(32)))]
            line = made.logins.cookie()
            made.logins.keys = old.copy()
            assert (await ask(made, *OWN, line)).status == 200
            assert (await ask(made, *OWN, line)).status == 200
            assert made.logins.refreshed == 1

    async def test_made_up_keys_do_not_have_the_keys_looked_up_each_time(self) -> None:
        async with stage(never) as made:
            made.logins.sign_in()
            old = made.logins.keys
            made.logins.keys = [("ffffffff", bytes(32))]
            line = made.logins.cookie()
            made.logins.keys = old
            for _ in range(5):
                assert (await ask(made, *OWN, line)).status == 401
            assert made.logins.refreshed == 1
            made.logins.now += 10
            assert (await ask(made, *OWN, line)).status == 401
            assert made.logins.refreshed == 2

    async def test_connect_does_not_take_it(self) -> None:
        async with stage(never) as made:
            made.logins.sign_in()
            visitor = await made.visitor("proxy.test")
            line = made.logins.cookie("proxy.test")
            await visitor.send(
                f"CONNECT db.shop.svc:5432 HTTP/1.1\r\nHost: db.shop.svc:5432\r\n{line}\r\n"
                "signadot-cluster: staging\r\n\r\n".encode()
            )
            assert (await visitor.answer()).status == 401


class TestRenewal:
    async def test_it_comes_with_an_answer_once_half_of_the_time_is_over(self) -> None:
        async with stage(answering(OK, OK)) as made:
            made.logins.sign_in()
            assert (await ask(made, *OWN, made.logins.cookie(age=1799))).get("set-cookie") is None
            answer = await ask(made, *OWN, made.logins.cookie(age=1800))
            assert answer.status == 200
            value = cookies_of(answer)["__Host-sd-preview"]
            assert value.endswith("; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=3600")
            made.logins.now += 3000
            renewed = f"Cookie: __Host-sd-preview={value.partition(';')[0]}"
            assert (await ask(made, *OWN, renewed)).status == 200

    async def test_it_comes_beside_the_applications_own_cookies(self) -> None:
        own = b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nSet-Cookie: __Host-sd-preview=evil\r\nContent-Length: 0\r\n\r\n"
        async with stage(answering(own)) as made:
            made.logins.sign_in()
            cookies = cookies_of(await ask(made, *OWN, made.logins.cookie(age=2000)))
        assert cookies["a"] == "b"
        assert not cookies["__Host-sd-preview"].startswith("evil")

    async def test_it_comes_with_a_switch_of_protocols_too(self) -> None:
        switch = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
        upgrade = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: eA==", "Sec-WebSocket-Version: 13")
        async with stage(answering(switch)) as made:
            made.logins.sign_in()
            answer = await ask(made, *upgrade, f"Origin: https://{HOST}", made.logins.cookie(age=2000))
        assert answer.status == 101
        assert "__Host-sd-preview" in cookies_of(answer)

    async def test_it_never_outlives_the_login(self) -> None:
        async with stage(answering(OK)) as made:
            made.logins.sign_in()
            made.logins.expires_at = made.logins.now + 2000
            answer = await ask(made, *OWN, made.logins.cookie(age=1800))
            assert cookies_of(answer)["__Host-sd-preview"].endswith("Max-Age=2000")
            made.logins.expires_at = made.logins.now + 1800
            assert (await ask(made, *OWN, made.logins.cookie(age=1800))).get("set-cookie") is None

    async def test_a_key_gets_no_cookie(self) -> None:
        async with stage(answering(OK)) as made:
            made.logins.sign_in()
            visitor = await made.visitor()
            answer = await visitor.ask(request("GET", "/", made.logins.cookie(age=2000)))
        assert answer.get("set-cookie") is None


class TestMembership:
    async def test_a_host_that_names_another_org_is_forbidden(self) -> None:
        async with stage(never) as made:
            made.logins.sign_in(OTHER)
            answer = await ask(made, *OWN, made.logins.cookie(ORG_HOST), host=ORG_HOST)
        assert answer.status == 403
        assert "signed in as alice" in answer.json["error"]
        assert "'acme'" in answer.json["error"]

    async def test_a_host_without_org_is_looked_up_among_the_users_orgs(self) -> None:
        async with stage(answering(OK)) as made:
            made.logins.sign_in(OTHER)
            answer = await ask(made, *NAVIGATE, made.logins.cookie())
            assert answer.status == 404
            assert b"&#x27;web&#x27; of a workspace &#x27;shop&#x27;" in answer.body
            made.logins.sign_in(OTHER, MEMBER)
            assert (await ask(made, *NAVIGATE, made.logins.cookie())).status == 200

    @pytest.mark.parametrize("host", [HOST, ORG_HOST])
    async def test_a_user_without_any_org_is_told_who_is_signed_in(self, host: str) -> None:
        async with stage(never) as made:
            made.logins.sign_in()
            made.logins.principals[LOGIN_ID] = replace(made.logins.principals[LOGIN_ID], memberships=())
            answer = await ask(made, *NAVIGATE, made.logins.cookie(host), host=host)
        assert answer.status == 403
        assert b"signed in as alice" in answer.body

    async def test_a_public_endpoint_of_another_org_is_open_and_the_login_is_not_taken_for_the_next(self) -> None:
        async with stage(answering(OK, OK)) as made:
            made.logins.sign_in(OTHER)
            made.route(replace(ROUTE, visibility="public"))
            visitor = await made.visitor(ORG_HOST)
            asked = request("GET", "/", *OWN, made.logins.cookie(ORG_HOST), host=ORG_HOST, key=None)
            assert (await visitor.ask(asked)).status == 200
            made.directory.routes_by_name.clear()
            assert (await visitor.ask(asked)).status == 403
