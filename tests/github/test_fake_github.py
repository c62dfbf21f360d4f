"""The fake GitHub behaves as GitHub documents; what is built on it can be trusted only as far as this is."""

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from tests.support.fake_github import FakeGitHub, new_private_key
from tests.support.https import Answer, Connection

CALLBACK = "https://app.localhost/callback"
VERIFIER = "v" * 43
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[FakeGitHub]:
    with FakeGitHub(tmp_path) as github:
        github.app.callback_urls.append(CALLBACK)
        github.add_user("dev-one", name="Dev One")
        github.add_user("dev-two")
        github.add_org("acme", members=["dev-one"])
        github.add_repository("acme/shop")
        yield github


def ask(
    fake: FakeGitHub,
    method: str,
    path: str,
    *,
    token: str | None = None,
    value: Any = None,
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
) -> Answer:
    """One request to the API, or to the web where the path is /login."""
    sent = {"user-agent": "test"} | ({} if token is None else {"authorization": f"Bearer {token}"})
    target = path if path.startswith("/login") else fake.api_prefix + path
    data = json.dumps(value).encode() if value is not None else body
    with Connection(fake.port, server_name=fake.host, ca_file=fake.ca_file) as connection:
        return connection.request(
            method, target, f"{fake.host}:{fake.port}", headers=(sent | dict(headers or {})).items(), body=data
        )


def authorize_path(fake: FakeGitHub, **changes: str) -> str:
    fields = {
        "client_id": fake.app.client_id,
        "redirect_uri": CALLBACK,
        "state": "opaque",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
    }
    return "/login/oauth/authorize?" + urlencode(fields | changes)


def query(url: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


def new_code(fake: FakeGitHub) -> str:
    return query(fake.approve(fake.web_url + authorize_path(fake), "dev-one"))["code"]


def exchange(fake: FakeGitHub, code: str, **changes: str) -> dict[str, Any]:
    fields = {
        "client_id": fake.app.client_id,
        "client_secret": fake.app.client_secret,
        "code": code,
        "redirect_uri": CALLBACK,
        "code_verifier": VERIFIER,
    }
    headers = {"accept": "application/json", "content-type": "application/json"}
    answer = ask(fake, "POST", "/login/oauth/access_token", value=fields | changes, headers=headers)
    assert answer.status == 200
    value: dict[str, Any] = answer.json()
    return value


def test_a_user_signs_in_with_the_page_and_the_token_tells_who(fake: FakeGitHub) -> None:
    page = ask(fake, "GET", authorize_path(fake))
    assert page.status == 200
    assert b"Authorize as dev-one" in page.body
    form = query(authorize_path(fake)) | {"login": "dev-one"}
    answer = ask(
        fake,
        "POST",
        "/login/oauth/authorize",
        body=urlencode(form).encode(),
        headers={"content-type": "application/x-www-form-urlencoded"},
    )
    assert answer.status == 302
    location = answer.header("location")
    assert location is not None
    assert location.startswith(CALLBACK + "?")
    assert query(location)["state"] == "opaque"
    told = exchange(fake, query(location)["code"])
    assert told["access_token"].startswith("ghu_")
    user = ask(fake, "GET", "/user", token=told["access_token"]).json()
    assert (user["login"], user["name"], user["type"]) == ("dev-one", "Dev One", "User")


def test_statuses_of_an_installed_repository_are_recorded(fake: FakeGitHub) -> None:
    fake.install("acme")
    event = fake.open_pull_request("acme/shop", branch="feat")
    token = ask(
        fake, "POST", f"/app/installations/{fake.installation('acme').id}/access_tokens", token=fake.app_jwt()
    ).json()["token"]
    answer = ask(fake, "POST", f"/repos/ACME/Shop/statuses/{event.sha}", token=token, value={"state": "pending"})
    assert answer.status == 201
    assert [item.state for item in fake.statuses("acme/shop", sha=event.sha)] == ["pending"]


def test_a_jwt_of_another_key_is_refused(fake: FakeGitHub) -> None:
    assert ask(fake, "GET", "/app", token=fake.app_jwt()).status == 200
    assert ask(fake, "GET", "/app", token=fake.app_jwt(key=new_private_key())).status == 401
