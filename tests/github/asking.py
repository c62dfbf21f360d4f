"""A caller of the fake GitHub, with nothing of the product in it."""

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from tests.support.fake_github import FakeGitHub
from tests.support.https import Answer, Connection

CALLBACK = "https://app.localhost/callback"
VERIFIER = "v" * 43
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
FORM = {"content-type": "application/x-www-form-urlencoded"}


@contextmanager
def furnished(folder: Path) -> Iterator[FakeGitHub]:
    """dev-one is a member of acme, dev-two is not; the app is installed there, on acme/shop among others."""
    with FakeGitHub(folder) as fake:
        fake.app.callback_urls.append(CALLBACK)
        fake.add_user("dev-one", name="Dev One")
        fake.add_user("dev-two")
        fake.add_org("acme", members=["dev-one"])
        fake.add_repository("acme/shop")
        fake.install("acme")
        yield fake


def connect(fake: FakeGitHub) -> Connection:
    return Connection(fake.port, server_name=fake.host, ca_file=fake.ca_file)


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
    """One request to the API, or to the web where the path is below /login."""
    sent = {"user-agent": "test"} | ({} if token is None else {"authorization": f"Bearer {token}"})
    target = path if path.startswith("/login") else fake.api_prefix + path
    data = json.dumps(value).encode() if value is not None else body
    with connect(fake) as connection:
        host = f"{fake.host}:{fake.port}"
        return connection.request(method, target, host, headers=(sent | dict(headers or {})).items(), body=data)


def query(url: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


def authorize_path(fake: FakeGitHub, **changes: str) -> str:
    fields = {
        "client_id": fake.app.client_id,
        "redirect_uri": CALLBACK,
        "state": "opaque",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
    }
    return "/login/oauth/authorize?" + urlencode(fields | changes)


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
