from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from relay.auth import Membership, Principal, PrincipalKind, Role
from relay.store import orgs
from tests.control.api import Api

ORG = "/orgs/acme"
BASE = "https://api.localhost/api/v1/repos"
PATH = f"{BASE}/acme/shop/pulls/42/workspaces"
SPEC: dict[str, Any] = {"cluster": "c1", "endpoints": [{"name": "web", "target": "http://web.shop.svc:8080"}]}
GITHUB = {"repository": "acme/shop", "branch": None, "pullRequest": 42, "headCommit": None}


@pytest.fixture
async def prepared(api: Api) -> Api:
    await api.done("PUT", f"{ORG}/clusters/c1", {})
    return api


async def test_the_workspace_of_a_pull_request_is_made_then_updated(prepared: Api) -> None:
    made = await prepared.call("POST", PATH, {"spec": SPEC})
    assert (made.status_code, made.json()["name"], made.json()["spec"]["github"]) == (201, "shop-42", GITHUB)
    changed = await prepared.call("POST", PATH, {"spec": SPEC | {"github": {"headCommit": "abc"}}, "branch": "feat"})
    assert changed.status_code == 200
    assert changed.json()["spec"]["github"] == GITHUB | {"branch": "feat", "headCommit": "abc"}
    assert changed.json()["routingKey"] == made.json()["routingKey"]
    assert changed.headers["etag"] != made.headers["etag"]
    shown = await prepared.call("GET", f"{ORG}/workspaces/shop-42")
    assert (shown.json(), shown.headers["etag"]) == (changed.json(), changed.headers["etag"])


async def test_names_at_github_have_no_case(prepared: Api) -> None:
    await prepared.done("POST", PATH, {"spec": SPEC})
    again = await prepared.call("POST", f"{BASE}/Acme/SHOP/pulls/42/workspaces", {"spec": SPEC})
    assert (again.status_code, again.json()["name"]) == (200, "shop-42")
    same = await prepared.call("POST", PATH, {"spec": SPEC | {"github": {"repository": "ACME/Shop"}}})
    assert same.status_code == 200


@pytest.mark.parametrize("github", [{"repository": "acme/other"}, {"pullRequest": 41}])
async def test_a_body_that_contradicts_the_path_is_refused(prepared: Api, github: dict[str, Any]) -> None:
    answer = await prepared.call("POST", PATH, {"spec": SPEC | {"github": github}})
    assert (answer.status_code, answer.json()["problems"][0]["path"]) == (422, "spec.github")


@pytest.mark.parametrize(
    "github",
    [
        None,
        {"repository": "acme/shop"},
        {"repository": "acme/shop", "pullRequest": 41},
        {"repository": "else/shop", "pullRequest": 42},
    ],
)
async def test_a_workspace_that_is_not_the_pull_requests_is_left_alone(prepared: Api, github: Any) -> None:
    other = await prepared.done("PUT", f"{ORG}/workspaces/shop-42", {"spec": {"cluster": "c1", "github": github}})
    answer = await prepared.call("POST", PATH, {"spec": SPEC})
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
    assert await prepared.done("GET", f"{ORG}/workspaces/shop-42") == other


async def test_without_a_spec_the_template_of_the_repository_is_used(prepared: Api) -> None:
    template = SPEC | {"description": "@{repository}#@{number} in @{workspace}"}
    await prepared.done("PUT", f"{ORG}/templates/acme/shop", {"spec": template})
    made = await prepared.call("POST", PATH)  # no body at all
    assert made.status_code == 201
    assert made.json()["spec"]["description"] == "acme/shop#42 in shop-42"
    assert made.json()["spec"]["github"] == GITHUB
    tagged = template | {"images": [{"name": "acme/web", "newTag": "@{headCommit}"}]}
    await prepared.done("PUT", f"{ORG}/templates/acme/shop", {"spec": tagged})
    answer = await prepared.call("POST", PATH, {})
    assert (answer.status_code, answer.json()["problems"][0]["path"]) == (422, "headCommit")
    built = await prepared.done("POST", PATH, {"headCommit": "abc", "branch": "feat"})
    assert built["spec"]["images"] == [{"name": "acme/web", "newTag": "abc"}]
    assert built["spec"]["github"] == GITHUB | {"headCommit": "abc", "branch": "feat"}


@pytest.mark.parametrize("body", [None, {}, {"spec": SPEC}])
async def test_a_branch_and_a_commit_that_are_left_out_stay_what_they_were(prepared: Api, body: Any) -> None:
    template = SPEC | {"images": [{"name": "acme/web", "newTag": "@{headCommit}"}]}
    await prepared.done("PUT", f"{ORG}/templates/acme/shop", {"spec": template})
    await prepared.done("POST", PATH, {"branch": "feat", "headCommit": "abc"})
    again = await prepared.done("POST", PATH, body)
    assert again["spec"]["github"] == GITHUB | {"branch": "feat", "headCommit": "abc"}
    moved = await prepared.done("POST", PATH, (body or {}) | {"headCommit": "def"})
    assert moved["spec"]["github"] == GITHUB | {"branch": "feat", "headCommit": "def"}
    spec = SPEC | {"github": {"branch": "other"}}
    assert (await prepared.done("POST", PATH, {"spec": spec}))["spec"]["github"]["branch"] == "other"


async def test_without_a_spec_and_without_a_template_it_says_so(prepared: Api) -> None:
    answer = await prepared.call("POST", PATH)
    assert answer.status_code == 422
    assert "no template for acme/shop" in answer.json()["error"]


@pytest.mark.parametrize("path", ["/acme/shop/pulls/0/", "/acme/shop/pulls/x/", f"/acme/shop/pulls/{2**31}/"])
@pytest.mark.parametrize("body", [None, {"spec": SPEC}])
async def test_a_number_that_no_pull_request_has_is_refused(prepared: Api, path: str, body: Any) -> None:
    answer = await prepared.call("POST", f"{BASE}{path}workspaces", body)
    assert (answer.status_code, answer.json()["problems"][0]["path"]) == (422, "number")


async def test_an_odd_name_gives_a_workspace_that_has_a_url(prepared: Api) -> None:
    answer = await prepared.done("POST", f"{BASE}/acme/My_Shop.js/pulls/7/workspaces", {"spec": SPEC})
    assert answer["name"].startswith("my-shop-js-")
    assert answer["endpoints"][0]["url"].startswith(f"https://web--{answer['name']}.")


async def test_a_credential_of_several_orgs_acts_in_the_one_linked_to_the_owner(
    prepared: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    acme = await prepared.principal_org()
    globex = await prepared.database.read(orgs.find, "globex")
    assert globex is not None
    places = (
        acme,
        Membership(org_id=globex.id, org="globex", role=Role.MEMBER),
    )
    both = Principal(kind=PrincipalKind.API_KEY, credential_id="both", memberships=places)
    use(prepared.client, monkeypatch, lambda _: both)
    refused = await prepared.call("POST", PATH, {"spec": SPEC})
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
    await prepared.database.write(orgs.link_github_account, acme.org_id, "acme")
    await prepared.done("POST", PATH, {"spec": SPEC})
    assert (await prepared.done("GET", f"{ORG}/workspaces"))["items"][0]["name"] == "shop-42"


def use(client: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch, find: Callable[[str], Principal]) -> None:
    app = client._transport.app  # type: ignore[attr-defined]
    monkeypatch.setattr(app.state.services.lookups, "principal_nowait", find)
