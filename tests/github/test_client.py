"""The client asks for little, follows nothing, and every failure is either final or worth another try."""

import base64
import hashlib
import json
import re
from functools import partial
from pathlib import Path

import pytest
import trio

from relay.control.github import GithubClient, GithubRefusedError, InstallationGoneError, load_app
from relay.control.github.client import ENDPOINTS
from relay.errors import ConfigurationError, GithubUnavailableError, UnauthenticatedError
from relay.store import GithubIdentity
from tests.github.stage import ACCOUNT, REPOSITORY, Files, Stage, make_app

CALLBACK = "https://app.localhost/login/callback"
VERIFIER = "v" * 43
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
MANIFEST = Path(__file__).parents[2] / "docs/github-app.json"


def installation_id(stage: Stage) -> int:
    return stage.fake.installation(ACCOUNT).id


async def sign_in(stage: Stage, login: str = "dev-one") -> GithubIdentity:
    stage.fake.app.callback_urls[:] = [CALLBACK]
    url = stage.client.authorize_url(state="s", challenge=CHALLENGE, redirect_uri=CALLBACK)
    callback = await trio.to_thread.run_sync(stage.fake.approve, url, login)
    match = re.search(r"code=([^&]+)", callback)
    assert match is not None
    return await stage.client.identify(code=match[1], verifier=VERIFIER, redirect_uri=CALLBACK)


async def test_installation_tokens_are_kept_and_asked_for_once_by_many(stage: Stage) -> None:
    async with trio.open_nursery() as nursery:
        for _ in range(10):
            nursery.start_soon(stage.client.pull_request, installation_id(stage), REPOSITORY, 1)
    assert len(stage.fake.calls(path=r"/app/installations/\d+/access_tokens")) == 1
    stage.advance(3600)
    await stage.client.pull_request(installation_id(stage), REPOSITORY, 1)
    assert len(stage.fake.calls(path=r"/app/installations/\d+/access_tokens")) == 2


async def test_a_token_that_was_revoked_is_replaced_once(stage: Stage) -> None:
    stage.fake.open_pull_request(REPOSITORY, number=1)
    await stage.client.pull_request(installation_id(stage), REPOSITORY, 1)
    stage.fake.revoke_tokens(installation_id(stage))
    assert await stage.client.pull_request(installation_id(stage), REPOSITORY, 1) is not None


async def test_installations_are_found_on_orgs_and_people(stage: Stage) -> None:
    stage.fake.install("dev-one", deliver=False)
    found = await stage.client.installation(ACCOUNT.upper())
    assert found is not None
    assert (found.id, found.is_personal, found.suspended) == (installation_id(stage), False, False)
    personal = await stage.client.installation("dev-one")
    assert personal is not None
    assert personal.is_personal
    assert await stage.client.is_member(personal, "Dev-One")
    assert not await stage.client.is_member(personal, "dev-two")
    assert await stage.client.installation("dev-two") is None
    assert await stage.client.installation("nobody-at-all") is None


async def test_members_are_told_from_others(stage: Stage) -> None:
    found = await stage.client.installation(ACCOUNT)
    assert found is not None
    answers = [await stage.client.is_member(found, name) for name in ("dev-one", "dev-two", "dev-three", "nobody")]
    assert answers == [True, True, False, False]


async def test_where_members_may_not_be_asked_for_public_ones_still_count(stage: Stage) -> None:
    stage.fake.add_member(ACCOUNT, "dev-one", public=True)
    found = await stage.client.installation(ACCOUNT)
    assert found is not None
    for status in (302, 403):
        stage.fake.troubles.answer(status, b"{}", path=r"/members/", times=2)
        assert await stage.client.is_member(found, "dev-one")
        assert not await stage.client.is_member(found, "dev-two")


async def test_a_sign_in_gives_who_it_is_and_a_code_works_once(stage: Stage) -> None:
    identity = await sign_in(stage)
    assert identity.login == "dev-one"
    with pytest.raises(UnauthenticatedError, match="please sign in again"):
        await stage.client.identify(code="used", verifier=VERIFIER, redirect_uri=CALLBACK)


@pytest.mark.parametrize("trouble", ["error", "drop", "primary_limit", "secondary_limit"])
async def test_whatever_may_pass_is_worth_another_try(stage: Stage, trouble: str) -> None:
    getattr(stage.fake.troubles, trouble)()
    with pytest.raises(GithubUnavailableError) as caught:
        await stage.client.installation(ACCOUNT)
    if "limit" in trouble:
        assert caught.value.retry_after_seconds == 60
    with stage.fake.down(), pytest.raises(GithubUnavailableError, match="cannot be reached"):
        await stage.client.installation(ACCOUNT)


@pytest.mark.parametrize("body", [b"<html>", b"[]", b"{}", b'{"id": "1"}', b"[" * 100_000, b" " * 5_000_000])
async def test_answers_that_are_not_githubs_are_worth_another_try(stage: Stage, body: bytes) -> None:
    stage.fake.troubles.answer(200, body, path="/installation$")
    with pytest.raises(GithubUnavailableError):
        await stage.client.installation(ACCOUNT)


async def test_redirects_elsewhere_are_not_followed(stage: Stage) -> None:
    elsewhere = {"location": "https://elsewhere.example/repositories/1/pulls/1"}
    stage.fake.troubles.answer(301, b"{}", headers=elsewhere, path="/pulls/1")
    with pytest.raises(GithubRefusedError, match="status 301"):
        await stage.client.pull_request(installation_id(stage), REPOSITORY, 1)


async def test_names_cannot_leave_their_place_in_the_path(stage: Stage) -> None:
    assert await stage.client.installation("../app/installations/1") is None
    assert stage.fake.calls()[-1].path == "/users/..%2Fapp%2Finstallations%2F1/installation"
    with pytest.raises(GithubRefusedError):
        await stage.client.pull_request(installation_id(stage), "acme/..", 1)


async def test_an_installation_that_is_gone_says_so(stage: Stage) -> None:
    with pytest.raises(InstallationGoneError):
        await stage.client.pull_request(999, REPOSITORY, 1)


async def test_a_key_that_is_not_the_apps_is_said_and_may_be_put_right(stage: Stage) -> None:
    stage.advance(-3600)
    stage.clock.now += 7200
    with pytest.raises(GithubUnavailableError, match=r"github\.app_id"):
        await stage.client.installation(ACCOUNT)


async def test_files_that_cannot_be_used_are_said_with_their_key(stage: Stage, tmp_path: Path) -> None:
    app = make_app(stage.fake, tmp_path)
    assert app.client_secret not in repr(app)
    assert "PRIVATE" not in repr(app)
    stage.fake.private_key_file.write_text("-----BEGIN RSA PRIVATE KEY-----\nnonsense\n")
    with pytest.raises(ConfigurationError, match=r"github\.private_key_file: .*: not an RSA private key") as caught:
        make_app(stage.fake, tmp_path)
    assert "nonsense" not in str(caught.value)
    files = Files(
        app_id=1,
        client_id="c",
        client_secret_file=tmp_path / "none",
        private_key_file=stage.fake.private_key_file,
        webhook_secret_file=tmp_path / "client_secret",
        api_url="https://api.test",
        web_url="https://test",
        ca_file=tmp_path / "client_secret",
    )
    (tmp_path / "client_secret").write_text("short")
    with pytest.raises(ConfigurationError) as caught:
        load_app(files)
    keys = ["private_key_file", "webhook_secret_file", "client_secret_file", "ca_file"]
    assert [problem.split(":")[0] for problem in caught.value.problems] == [f"github.{key}" for key in keys]


async def test_nothing_is_asked_for_that_is_not_on_the_list(stage: Stage) -> None:
    await sign_in(stage)
    stage.fake.install("dev-one", deliver=False)
    await stage.do(partial(stage.fake.open_pull_request, REPOSITORY, number=1))
    await stage.work()
    await stage.send()
    user = await stage.memberships.sign_in(await sign_in(stage))
    assert user is not None
    await stage.memberships.refresh(user.id)
    await stage.client.user_named("dev-one", installation_id=installation_id(stage))
    patterns = [
        re.compile(re.sub(r"\\\{[a-z]+\\\}", "[^/]+", re.escape(endpoint.replace(" ", "#", 1))))
        for endpoint in ENDPOINTS
    ]
    asked = {f"{call.method}#{call.path}" for call in stage.fake.calls() if not call.path.startswith("/login/oauth/")}
    assert len(asked) >= 7
    assert [call for call in asked if not any(pattern.fullmatch(call) for pattern in patterns)] == []


def test_the_manifest_asks_for_three_permissions_and_one_event() -> None:
    manifest = json.loads(MANIFEST.read_text())
    assert manifest["default_permissions"] == {"metadata": "read", "pull_requests": "read", "statuses": "write"}
    assert manifest["default_events"] == ["pull_request"]


async def test_tokens_are_in_no_repr(stage: Stage) -> None:
    assert isinstance(stage.client, GithubClient)
    assert "ghs_" not in repr(stage.client)
