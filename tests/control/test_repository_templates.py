import json
from typing import Any

import pytest

from tests.control.api import Api

ORG = "/orgs/acme"
PATH = f"{ORG}/templates/Acme/Shop.js"
SPEC: dict[str, Any] = {
    "cluster": "c1",
    "description": "pull request @{number} of @{repository}",
    "images": [{"name": "acme/web", "newTag": "@{headCommit}"}],
    "endpoints": [{"name": "web", "target": "http://web.shop.svc:8080"}],
}


async def test_a_template_is_put_shown_as_it_was_put_and_deleted(api: Api) -> None:
    made = await api.call("PUT", PATH, {"spec": SPEC})
    assert made.status_code == 201
    assert (made.json()["repository"], made.json()["spec"]) == ("acme/shop.js", SPEC)
    again = await api.call("PUT", f"{ORG}/templates/acme/shop.js", {"spec": SPEC | {"labels": {"a": "@{branch}"}}})
    assert (again.status_code, again.json()["createdAt"]) == (200, made.json()["createdAt"])
    assert await api.done("GET", PATH) == again.json()
    assert (await api.done("GET", f"{ORG}/templates"))["items"] == [again.json()]
    assert (await api.call("DELETE", PATH)).status_code == 204
    assert (await api.call("DELETE", PATH)).status_code == 404
    assert (await api.call("GET", PATH)).status_code == 404
    kinds = [(item["action"], item["object"]["kind"]) for item in (await api.done("GET", f"{ORG}/events"))["items"]]
    assert kinds[:3] == [("delete", "template"), ("update", "template"), ("create", "template")]


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"cluster": 1}, "spec.cluster"),
        ({"unknown": "x"}, "spec.unknown"),
        ({"description": "@{nope}"}, "spec.description"),
        ({"description": "@{number"}, "spec.description"),
        ({"endpoints": [{"name": "web"}]}, "spec.endpoints.0.target"),
        ({"github": {"repository": "acme/shop"}}, "spec.github"),
        ({"description": "\x00"}, "spec.description"),
        ({"description": "\ud800"}, "spec.description"),
        ({"labels": {"a": "\ud800"}}, "spec.labels.a"),
    ],
)
async def test_a_template_that_can_make_no_workspace_is_refused(api: Api, change: dict[str, Any], path: str) -> None:
    answer = await api.client.put(
        PATH,
        content=json.dumps({"spec": SPEC | change}),
        headers={"signadot-api-key": api.key, "content-type": "application/json"},
    )
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid"), answer.text
    assert [problem["path"] for problem in answer.json()["problems"]] == [path]


@pytest.mark.parametrize("depth", [12, 200, 800])
async def test_a_template_that_is_nested_too_deeply_is_refused(api: Api, depth: int) -> None:
    body = b'{"spec": {"cluster": "c1", "labels": ' + b'{"a": ' * depth + b"1" + b"}" * depth + b"}}"
    answer = await api.client.put(
        PATH, content=body, headers={"signadot-api-key": api.key, "content-type": "application/json"}
    )
    assert answer.status_code == 422


@pytest.mark.parametrize("repository", ["a%20b/shop", f"acme/{'x' * 101}", "acme/sh%00op", "acme/%ED%A0%80"])
async def test_what_is_no_repository_is_refused(api: Api, repository: str) -> None:
    answer = await api.call("PUT", f"{ORG}/templates/{repository}", {"spec": SPEC})
    assert answer.status_code == 422
