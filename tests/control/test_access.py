from typing import Any

import pytest

from relay.auth import TokenKind, mint
from relay.store import Database
from tests.control.api import Api

ORG = "/orgs/acme"
OPERATIONS = [
    ("GET", "/orgs"),
    ("GET", ORG),
    ("GET", f"{ORG}/clusters"),
    ("PUT", f"{ORG}/clusters/c1"),
    ("GET", f"{ORG}/clusters/c1"),
    ("DELETE", f"{ORG}/clusters/c1"),
    ("GET", f"{ORG}/clusters/c1/tokens"),
    ("POST", f"{ORG}/clusters/c1/tokens"),
    ("DELETE", f"{ORG}/clusters/c1/tokens/x"),
    ("GET", f"{ORG}/workspaces"),
    ("PUT", f"{ORG}/workspaces/w1"),
    ("GET", f"{ORG}/workspaces/w1"),
    ("DELETE", f"{ORG}/workspaces/w1"),
    ("GET", f"{ORG}/workspaces/w1/pods"),
    ("GET", f"{ORG}/workspaces/w1/logs"),
    ("GET", f"{ORG}/api-keys"),
    ("POST", f"{ORG}/api-keys"),
    ("GET", f"{ORG}/api-keys/x"),
    ("DELETE", f"{ORG}/api-keys/x"),
    ("GET", f"{ORG}/events"),
    ("GET", f"{ORG}/members"),
    ("GET", f"{ORG}/members/ada"),
    ("PUT", f"{ORG}/members/ada"),
    ("DELETE", f"{ORG}/members/ada"),
    ("GET", f"{ORG}/templates"),
    ("GET", f"{ORG}/templates/acme/shop"),
    ("PUT", f"{ORG}/templates/acme/shop"),
    ("DELETE", f"{ORG}/templates/acme/shop"),
]
FIRST_VERSION = [("POST", "https://api.localhost/api/v1/repos/acme/shop/pulls/42/workspaces")]


@pytest.mark.parametrize(("method", "path"), OPERATIONS + FIRST_VERSION)
async def test_without_a_credential_nothing_is_answered_not_even_a_validation_error(
    api: Api, method: str, path: str
) -> None:
    answer = await api.client.request(method, path, content=b"{broken", headers={"x-request-id": "r7"})
    assert answer.status_code == 401
    assert answer.json()["code"] == "unauthenticated"
    assert answer.json()["requestId"] == "r7"
    assert answer.headers["www-authenticate"].startswith("ApiKey")


@pytest.mark.parametrize(("method", "path"), [operation for operation in OPERATIONS if operation[1] != "/orgs"])
async def test_a_key_of_another_org_is_refused_everywhere(api: Api, method: str, path: str) -> None:
    answer = await api.call(method, path, {} if method in {"PUT", "POST"} else None, key=api.other)
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


@pytest.mark.parametrize(
    "key",
    [
        "",
        "nonsense",
        "sdk_tooshort",
        pytest.param(mint(TokenKind.API_KEY), id="unknown"),
        pytest.param(mint(TokenKind.CLUSTER_TOKEN), id="of another kind"),
    ],
)
async def test_wrong_keys_are_refused_without_being_repeated(api: Api, key: str) -> None:
    answer = await api.call("GET", "/orgs", key=key)
    assert answer.status_code == 401
    assert key == "" or key not in answer.text


async def test_both_ways_to_present_a_key_work(api: Api) -> None:
    who = await api.done("GET", "/orgs")
    answer = await api.client.get("/orgs", headers={"authorization": f"ApiKey {api.key}"})
    assert answer.json() == who
    assert who == {
        "items": [{"name": "acme", "role": "admin"}],
        "credential": {"kind": "api_key", "lastFour": api.key[-4:]},
    }


async def test_a_member_writes_workspaces_and_only_reads_the_rest(api: Api) -> None:
    await api.done("PUT", f"{ORG}/clusters/c1", {})
    member = (await api.done("POST", f"{ORG}/api-keys", {"name": "ci"}))["key"]
    allowed: list[tuple[str, str, Any]] = [
        ("PUT", f"{ORG}/workspaces/w1", {"spec": {"cluster": "c1"}}),
        ("GET", f"{ORG}/workspaces", None),
        ("GET", f"{ORG}/clusters", None),
        ("GET", f"{ORG}/clusters/c1/tokens", None),
        ("GET", f"{ORG}/api-keys", None),
        ("GET", f"{ORG}/events", None),
        ("GET", f"{ORG}/members", None),
        ("GET", f"{ORG}/templates", None),
        ("DELETE", f"{ORG}/workspaces/w1", None),
    ]
    for method, path, body in allowed:
        await api.done(method, path, body, key=member)
    refused: list[tuple[str, str, Any]] = [
        ("PUT", f"{ORG}/clusters/c2", {}),
        ("DELETE", f"{ORG}/clusters/c1", None),
        ("POST", f"{ORG}/clusters/c1/tokens", {}),
        ("DELETE", f"{ORG}/clusters/c1/tokens/x", None),
        ("POST", f"{ORG}/api-keys", {"name": "more", "role": "admin"}),
        ("DELETE", f"{ORG}/api-keys/x", None),
        ("PUT", f"{ORG}/members/ada", {"role": "admin"}),
        ("DELETE", f"{ORG}/members/ada", None),
        ("PUT", f"{ORG}/templates/acme/shop", {"spec": {"cluster": "c1"}}),
        ("DELETE", f"{ORG}/templates/acme/shop", None),
    ]
    for method, path, body in refused:
        answer = await api.call(method, path, body, key=member)
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden"), (method, path)


async def test_errors_of_routing_have_the_same_shape(api: Api) -> None:
    missing = await api.call("GET", "/nowhere")
    assert (missing.status_code, missing.json()) == (
        404,
        {"code": "not_found", "error": "there is nothing at /api/v2/nowhere", "requestId": "r1"},
    )
    wrong = await api.call("PATCH", "/orgs")
    assert (wrong.status_code, wrong.json()["code"]) == (405, "method_not_allowed")
    assert wrong.headers["allow"] == "GET"
    several = await api.call("PATCH", f"{ORG}/clusters/c1")
    assert several.headers["allow"] == "DELETE, GET, PUT"


async def test_an_unexpected_failure_is_a_500_that_says_nothing_of_its_cause(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object, **__: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(Database, "read", fail)
    await api.call("GET", "/orgs")
    answer = await api.call("GET", f"{ORG}/workspaces")
    assert (answer.status_code, answer.json()["code"], answer.json()["requestId"]) == (500, "internal_error", "r1")
    assert "secret detail" not in answer.text


async def test_the_cookie_of_somebody_who_signed_in_is_no_credential_here(api: Api) -> None:
    cookie = f"__Host-sd-login={api.key}; __Host-sd-preview={api.key}"
    answer = await api.client.get("/orgs", headers={"cookie": cookie})
    assert answer.status_code == 401


async def test_answers_are_not_kept_by_anybody(api: Api) -> None:
    for path in ("/orgs", "/nowhere", "/openapi.json"):
        assert (await api.call("GET", path)).headers["cache-control"] == "no-store"


@pytest.mark.parametrize("name", ["%00", "%ED%A0%80", "a%00b", "%F0%9F%92%A9", "x" * 4000, "%0d%0aset-cookie:%20a"])
@pytest.mark.parametrize(
    ("method", "path"), [operation for operation in OPERATIONS if "{" in operation[1] or operation[1].count("/") > 2]
)
async def test_no_name_in_a_path_makes_the_relay_fail(api: Api, name: str, method: str, path: str) -> None:
    await api.done("PUT", f"{ORG}/clusters/c1", {})
    odd = path.rsplit("/", 1)[0] + "/" + name
    answer = await api.call(method, odd, {} if method in {"PUT", "POST"} else None)
    assert answer.status_code in {404, 405, 422}
