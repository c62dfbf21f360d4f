"""The fake GitHub behaves as GitHub documents; what is tested with it can be trusted only as far as this is."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import jwt
import pytest

from tests.github.asking import CALLBACK, FORM, ask, authorize_path, exchange, furnished, new_code, query
from tests.support.fake_github import FakeGitHub, new_private_key

HOUR = 3600.0
CODE_SECONDS = 600.0


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[FakeGitHub]:
    with furnished(tmp_path) as github:
        yield github


# --- signing in ---


def test_a_user_signs_in_with_the_page_and_the_token_tells_who(fake: FakeGitHub) -> None:
    page = ask(fake, "GET", authorize_path(fake))
    assert page.status == 200
    assert b"Authorize as dev-one" in page.body
    form = urlencode(query(authorize_path(fake)) | {"login": "dev-one"}).encode()
    answer = ask(fake, "POST", "/login/oauth/authorize", body=form, headers=FORM)
    assert answer.status == 302
    location = answer.header("location") or ""
    assert location.startswith(CALLBACK + "?")
    assert query(location)["state"] == "opaque"
    told = exchange(fake, query(location)["code"])
    assert told["access_token"].startswith("ghu_")
    assert (told["token_type"], told["scope"], told["expires_in"]) == ("bearer", "", 8 * HOUR)
    user = ask(fake, "GET", "/user", token=told["access_token"]).json()
    assert (user["login"], user["name"], user["type"]) == ("dev-one", "Dev One", "User")


def test_who_is_signed_in_is_sent_back_without_a_page(fake: FakeGitHub) -> None:
    fake.signed_in_as = "DEV-TWO"
    answer = ask(fake, "GET", authorize_path(fake))
    assert answer.status == 302
    token = exchange(fake, query(answer.header("location") or "")["code"])["access_token"]
    assert ask(fake, "GET", "/user", token=token).json()["login"] == "dev-two"


def test_a_user_who_cancels_is_sent_back_with_the_error_and_the_state(fake: FakeGitHub) -> None:
    form = urlencode(query(authorize_path(fake)) | {"deny": "1"}).encode()
    answer = ask(fake, "POST", "/login/oauth/authorize", body=form, headers=FORM)
    told = query(answer.header("location") or "")
    assert (told["error"], told["state"]) == ("access_denied", "opaque")
    assert "code" not in told


@pytest.mark.parametrize(
    "change", [{"client_id": "another"}, {"redirect_uri": CALLBACK + "/"}, {"redirect_uri": "https://evil.localhost/"}]
)
def test_a_wrong_client_or_redirect_uri_gets_a_page_and_no_redirect(fake: FakeGitHub, change: dict[str, str]) -> None:
    fake.signed_in_as = "dev-one"
    answer = ask(fake, "GET", authorize_path(fake, **change))
    assert answer.status in {400, 404}
    assert answer.header("location") is None


def test_a_challenge_in_the_clear_is_refused(fake: FakeGitHub) -> None:
    fake.signed_in_as = "dev-one"
    answer = ask(fake, "GET", authorize_path(fake, code_challenge_method="plain"))
    assert query(answer.header("location") or "")["error"] == "invalid_request"


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"code_verifier": "w" * 43}, "bad_verification_code"),
        ({"code_verifier": ""}, "bad_verification_code"),
        ({"code": "0" * 20}, "bad_verification_code"),
        ({"client_secret": "guess"}, "incorrect_client_credentials"),
        ({"client_id": "another"}, "incorrect_client_credentials"),
        ({"redirect_uri": CALLBACK + "/"}, "redirect_uri_mismatch"),
    ],
)
def test_what_does_not_match_is_exchanged_for_an_error(fake: FakeGitHub, change: dict[str, str], error: str) -> None:
    told = exchange(fake, **{"code": new_code(fake)} | change)
    assert told["error"] == error
    assert told["error_description"]
    assert "access_token" not in told


def test_a_verifier_for_a_code_without_a_challenge_is_refused(fake: FakeGitHub) -> None:
    callback = fake.approve(f"{fake.web_url}/login/oauth/authorize?client_id={fake.app.client_id}", "dev-one")
    assert exchange(fake, query(callback)["code"])["error"] == "bad_verification_code"


def test_a_code_serves_once(fake: FakeGitHub) -> None:
    code = new_code(fake)
    assert "access_token" in exchange(fake, code)
    assert exchange(fake, code)["error"] == "bad_verification_code"


def test_a_code_expires_after_ten_minutes(fake: FakeGitHub) -> None:
    code, late = new_code(fake), new_code(fake)
    fake.clock.advance(CODE_SECONDS - 30)
    assert "access_token" in exchange(fake, code)
    fake.clock.advance(31)
    assert exchange(fake, late)["error"] == "bad_verification_code"


def test_forms_are_understood_and_answered_unless_json_is_asked_for(fake: FakeGitHub) -> None:
    fields = {"client_id": fake.app.client_id, "client_secret": "guess", "code": "x"}
    answer = ask(fake, "POST", "/login/oauth/access_token", body=urlencode(fields).encode(), headers=FORM)
    assert answer.header("content-type") == "application/x-www-form-urlencoded; charset=utf-8"
    assert query("?" + answer.body.decode())["error"] == "incorrect_client_credentials"


# --- credentials ---


@pytest.mark.parametrize("issuer", [lambda fake: fake.app.client_id, lambda fake: str(fake.app.id)])
def test_the_app_is_known_by_client_id_or_app_id(fake: FakeGitHub, issuer: Callable[[FakeGitHub], str]) -> None:
    answer = ask(fake, "GET", "/app", token=fake.app_jwt(issuer=issuer(fake)))
    assert answer.json()["slug"] == fake.app.slug
    found = ask(fake, "GET", "/app/installations", token=fake.app_jwt()).json()
    assert [item["account"]["login"] for item in found] == ["acme"]


@pytest.mark.parametrize(
    ("make", "status"),
    [
        (lambda fake: fake.app_jwt(expires_in=-1), 401),
        (lambda fake: fake.app_jwt(expires_in=630), 401),
        (lambda fake: fake.app_jwt(issued_in=30), 401),
        (lambda fake: fake.app_jwt(key=new_private_key()), 401),
        (lambda fake: fake.app_jwt(issuer="another"), 404),
        (lambda fake: jwt.encode({"iss": fake.app.client_id}, "", algorithm="none"), 401),
        (lambda fake: fake.installation_token("acme"), 401),
        (lambda fake: fake.user_token("dev-one"), 401),
        (lambda _: "ghs_guess", 401),
        (lambda _: None, 401),
    ],
    ids=["expired", "too long", "future", "other key", "other app", "unsigned", "ghs", "ghu", "unknown", "none"],
)
def test_wrong_credentials_of_the_app_are_refused(
    fake: FakeGitHub, make: Callable[[FakeGitHub], str | None], status: int
) -> None:
    answer = ask(fake, "GET", "/app", token=make(fake))
    assert answer.status == status
    assert answer.json()["message"]
    assert answer.json()["documentation_url"].startswith("https://docs.github.com/rest")


def test_an_installation_token_expires_after_an_hour(fake: FakeGitHub) -> None:
    fake.clock.freeze()
    number = fake.installation("acme").id
    made = ask(fake, "POST", f"/app/installations/{number}/access_tokens", token=fake.app_jwt())
    assert made.status == 201
    assert made.json()["permissions"] == fake.app.permissions
    token = made.json()["token"]
    fake.clock.advance(HOUR - 1)
    assert ask(fake, "GET", "/orgs/acme/members/dev-one", token=token).status == 204
    fake.clock.advance(1)
    late = ask(fake, "GET", "/orgs/acme/members/dev-one", token=token)
    assert (late.status, late.json()["message"]) == (401, "Bad credentials")


def test_a_user_token_expires_and_is_revoked(fake: FakeGitHub) -> None:
    old, new = fake.user_token("dev-one"), fake.user_token("dev-one")
    fake.revoke_authorization("dev-one")
    assert ask(fake, "GET", "/user", token=new).status == 401
    old = fake.user_token("dev-one")
    fake.clock.advance(8 * HOUR)
    assert ask(fake, "GET", "/user", token=old).status == 401


def test_a_token_can_be_made_for_less_and_not_for_more(fake: FakeGitHub) -> None:
    fake.add_repository("acme/api")
    number = fake.open_pull_request("acme/shop").number
    path = f"/app/installations/{fake.installation('acme').id}/access_tokens"
    more = ask(fake, "POST", path, token=fake.app_jwt(), value={"permissions": {"contents": "read"}})
    assert more.status == 422
    wanted = {"permissions": {"pull_requests": "read"}, "repositories": ["API"]}
    less = ask(fake, "POST", path, token=fake.app_jwt(), value=wanted).json()
    assert [item["full_name"] for item in less["repositories"]] == ["acme/api"]
    assert ask(fake, "GET", f"/repos/acme/shop/pulls/{number}", token=less["token"]).status == 404
    assert ask(fake, "GET", "/orgs/acme/members/dev-one", token=less["token"]).status == 403


def test_a_suspended_installation_is_refused_and_an_uninstalled_one_unknown(fake: FakeGitHub) -> None:
    token, number = fake.installation_token("acme"), fake.installation("acme").id
    path = f"/app/installations/{number}/access_tokens"
    fake.suspend("acme")
    for answer in (
        ask(fake, "POST", path, token=fake.app_jwt()),
        ask(fake, "GET", "/orgs/acme/members/dev-one", token=token),
    ):
        assert (answer.status, answer.json()["message"]) == (403, "This installation has been suspended")
    assert ask(fake, "GET", "/orgs/ACME/installation", token=fake.app_jwt()).json()["suspended_at"] is not None
    fake.unsuspend("acme")
    assert ask(fake, "GET", "/orgs/acme/members/dev-one", token=token).status == 204
    fake.uninstall("acme")
    assert ask(fake, "POST", path, token=fake.app_jwt()).status == 404
    assert ask(fake, "GET", "/orgs/acme/installation", token=fake.app_jwt()).status == 404
    assert ask(fake, "GET", "/orgs/acme/members/dev-one", token=token).status == 401


# --- endpoints ---


def test_membership_is_told_of_the_own_organisation_and_redirected_for_others(fake: FakeGitHub) -> None:
    fake.add_org("other", members=["dev-one"])
    token = fake.installation_token("acme")
    assert ask(fake, "GET", "/orgs/ACME/members/Dev-One", token=token).status == 204
    assert ask(fake, "GET", "/orgs/acme/members/dev-two", token=token).status == 404
    assert ask(fake, "GET", "/orgs/acme/members/nobody", token=token).status == 404
    other = ask(fake, "GET", "/orgs/other/members/dev-one", token=token)
    assert other.status == 302
    assert other.header("location") == f"{fake.api_url}/orgs/other/public_members/dev-one"
    fake.remove_member("acme", "dev-one")
    assert ask(fake, "GET", "/orgs/acme/members/dev-one", token=token).status == 404


def test_a_renamed_user_keeps_the_id_and_frees_the_login(fake: FakeGitHub) -> None:
    number, token = fake.state.account("dev-one").id, fake.installation_token("acme")
    fake.rename_user("dev-one", "dev-uno")
    assert fake.add_user("dev-one").id != number
    assert ask(fake, "GET", f"/user/{number}", token=token).json()["login"] == "dev-uno"
    assert ask(fake, "GET", "/orgs/acme/members/dev-uno", token=token).status == 204
    assert ask(fake, "GET", "/orgs/acme/members/dev-one", token=token).status == 404
    assert ask(fake, "GET", f"/user/{number}").status == 401


def test_a_pull_request_is_told_in_githubs_shape(fake: FakeGitHub) -> None:
    opened = fake.open_pull_request("acme/shop", branch="feat", author="dev-two", title="Faster", number=42)
    token = fake.installation_token("acme")
    told = ask(fake, "GET", "/repos/Acme/SHOP/pulls/42", token=token).json()
    assert told == opened.payload["pull_request"]
    assert (told["number"], told["state"], told["title"], told["merged"]) == (42, "open", "Faster", False)
    assert (told["user"]["login"], told["head"]["ref"], told["head"]["sha"]) == ("dev-two", "feat", opened.sha)
    assert told["base"]["repo"]["owner"]["id"] == fake.state.account("acme").id
    assert ask(fake, "GET", "/repos/acme/shop/pulls/43", token=token).status == 404
    assert ask(fake, "GET", "/repos/acme/nothing/pulls/42", token=token).status == 404
    fake.close_pull_request("acme/shop", 42, merged=True)
    told = ask(fake, "GET", "/repos/acme/shop/pulls/42", token=token).json()
    assert (told["state"], told["merged"]) == ("closed", True)


def test_only_the_repositories_of_the_installation_are_seen(fake: FakeGitHub) -> None:
    fake.add_repository("acme/api")
    fake.open_pull_request("acme/api")
    fake.remove_repositories("acme", "acme/api")
    token = fake.installation_token("acme")
    assert ask(fake, "GET", "/repos/acme/api/pulls/1", token=token).status == 404
    fake.add_repositories("acme", "acme/api")
    assert ask(fake, "GET", "/repos/acme/api/pulls/1", token=token).status == 200


def test_the_old_name_of_a_repository_redirects_to_its_id(fake: FakeGitHub) -> None:
    fake.open_pull_request("acme/shop")
    fake.rename_repository("acme/shop", "store")
    token = fake.installation_token("acme")
    answer = ask(fake, "GET", "/repos/acme/shop/pulls/1", token=token)
    assert answer.status == 301
    path = (answer.header("location") or "").removeprefix(fake.api_url)
    assert ask(fake, "GET", path, token=token).json()["base"]["repo"]["full_name"] == "acme/store"


def test_statuses_are_recorded_in_order_and_listed_newest_first(fake: FakeGitHub) -> None:
    sha, token = fake.open_pull_request("acme/shop", branch="feat").sha, fake.installation_token("acme")
    for state in ("pending", "success"):
        value = {"state": state, "context": "preview", "target_url": "https://x.localhost/", "description": "d" * 140}
        made = ask(fake, "POST", f"/repos/acme/shop/statuses/{sha}", token=token, value=value)
        assert (made.status, made.json()["creator"]["type"]) == (201, "Bot")
    assert [item.state for item in fake.statuses("acme/shop", sha=sha, context="preview")] == ["pending", "success"]
    assert fake.wait_for_status("success", "acme/shop", sha=sha).description == "d" * 140
    listed = ask(fake, "GET", "/repos/acme/shop/commits/feat/statuses?per_page=1", token=token)
    assert [item["state"] for item in listed.json()] == ["success"]
    assert 'rel="next"' in (listed.header("link") or "")


@pytest.mark.parametrize(
    ("value", "field"),
    [
        ({}, None),
        ({"state": "done"}, "state"),
        ({"state": "success", "description": "d" * 141}, "description"),
        ({"state": "success", "target_url": "javascript:alert(1)"}, "target_url"),
        ({"state": "success", "context": "c" * 256}, "context"),
        ({"state": "success", "description": 1}, None),
    ],
)
def test_a_status_that_breaks_the_rules_is_refused(fake: FakeGitHub, value: dict[str, Any], field: str | None) -> None:
    sha = fake.add_commit("acme/shop")
    token = fake.installation_token("acme")
    answer = ask(fake, "POST", f"/repos/acme/shop/statuses/{sha}", token=token, value=value)
    assert answer.status == 422
    if field is not None:
        assert answer.json()["message"] == "Validation Failed"
        assert [(item["resource"], item["field"]) for item in answer.json()["errors"]] == [("Status", field)]
    assert fake.statuses() == []


def test_a_commit_takes_a_thousand_statuses_of_a_context(fake: FakeGitHub) -> None:
    sha, token = fake.add_commit("acme/shop"), fake.installation_token("acme")
    path, value = f"/repos/acme/shop/statuses/{sha}", {"state": "pending", "context": "preview"}
    assert ask(fake, "POST", path, token=token, value=value).status == 201
    fake.state.statuses.extend(fake.statuses() * 999)
    assert ask(fake, "POST", path, token=token, value=value).status == 422
    assert ask(fake, "POST", path, token=token, value=value | {"context": "other"}).status == 201
    unknown = ask(fake, "POST", f"/repos/acme/shop/statuses/{'0' * 40}", token=token, value=value)
    assert (unknown.status, unknown.json()["message"]) == (422, f"No commit found for SHA: {'0' * 40}")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/repos/acme/shop/contents/README.md"),
        ("GET", "/repos/acme/shop/pulls"),
        ("GET", "/orgs/acme/members"),
        ("POST", "/repos/acme/shop/issues/1/comments"),
        ("GET", "/user"),
    ],
)
def test_what_the_app_has_no_permission_for_is_refused(fake: FakeGitHub, method: str, path: str) -> None:
    answer = ask(fake, method, path, token=fake.installation_token("acme"))
    assert (answer.status, answer.json()["message"]) == (403, "Resource not accessible by integration")


def test_every_call_is_logged_with_who_made_it(fake: FakeGitHub) -> None:
    ask(fake, "GET", "/app", token=fake.app_jwt())
    ask(fake, "GET", "/user", token=fake.user_token("dev-one"))
    ask(fake, "GET", "/user", token="ghu_guess")
    ask(fake, "GET", "/repos/acme/shop/pulls/1?x=y", token=fake.installation_token("acme"))
    seen = [(call.method, call.path, call.auth, call.status) for call in fake.calls()]
    assert seen == [
        ("GET", "/app", "app", 200),
        ("GET", "/user", "user", 200),
        ("GET", "/user", "bad", 401),
        ("GET", "/repos/acme/shop/pulls/1", "installation", 404),
    ]
    assert fake.calls(path="/repos/.*", auth="installation")[0].owner_id == fake.installation("acme").id
    assert all("authorization" not in call.headers for call in fake.calls())
