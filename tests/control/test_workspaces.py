import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.control.api import SPEC, Api, FakeStatus

ORG = "/orgs/acme"
NOTHING: dict[str, Any] = {"items": [], "nextCursor": None}


@pytest.fixture
async def prepared(api: Api) -> Api:
    await api.done("PUT", f"{ORG}/clusters/c1", {})
    return api


async def test_the_answer_is_the_same_with_what_the_relay_knows(prepared: Api) -> None:
    answer = await prepared.call("PUT", f"{ORG}/workspaces/shop-42", {"spec": SPEC})
    assert answer.status_code == 201
    body = answer.json()
    expected = copy.deepcopy(SPEC)
    expected["endpoints"][0] |= {
        "hostHeader": "target",
        "preflight": "deny",
        "routingHeaders": [],
        "allowedOrigins": [],
    }
    expected["forks"] = []
    assert body["spec"] == expected
    assert body["name"] == "shop-42"
    assert body["routingKey"]
    assert body["createdAt"] == body["updatedAt"]
    assert body["status"] == {
        "ready": False,
        "reason": "ClusterOffline",
        "message": "cluster 'c1' is offline: no agent has connected yet",
    }
    assert body["endpoints"] == [
        {
            "name": "web",
            "target": "http://web.shop.svc:8080",
            "visibility": "org",
            "url": "https://web--shop-42.preview.localhost:8443/",
        }
    ]
    assert await prepared.done("GET", f"{ORG}/workspaces/shop-42") == body
    assert await prepared.done("GET", f"{ORG}/workspaces") == {"items": [body], "nextCursor": None}


async def test_a_public_endpoint_is_shown_under_the_name_that_needs_no_credential(prepared: Api) -> None:
    spec = copy.deepcopy(SPEC)
    spec["endpoints"][0]["visibility"] = "public"
    body = await prepared.done("PUT", f"{ORG}/workspaces/shop-42", {"spec": spec})
    assert body["endpoints"][0]["url"] == "https://web--shop-42--acme.preview.localhost:8443/"


async def test_what_is_answered_can_be_put_again_and_the_routing_key_stays(prepared: Api) -> None:
    first = await prepared.done("PUT", f"{ORG}/workspaces/w1", {"spec": SPEC})
    again = await prepared.call("PUT", f"{ORG}/workspaces/w1", {"spec": first["spec"]})
    assert again.status_code == 200
    assert again.json()["spec"] == first["spec"]
    assert again.json()["routingKey"] == first["routingKey"]
    assert again.json()["createdAt"] == first["createdAt"]


async def test_it_is_ready_while_its_cluster_is_online(prepared: Api) -> None:
    await prepared.done("PUT", f"{ORG}/workspaces/w1", {"spec": SPEC | {"images": []}})
    cluster_id = await prepared.cluster_id("c1")
    prepared.statuses[cluster_id] = FakeStatus(online=True, tunnels=1)
    status = (await prepared.done("GET", f"{ORG}/workspaces/w1"))["status"]
    assert status == {"ready": True, "reason": "Ready", "message": "cluster 'c1' is online"}
    prepared.statuses[cluster_id] = FakeStatus(since=1_700_000_000)
    status = (await prepared.done("GET", f"{ORG}/workspaces/w1"))["status"]
    assert (status["ready"], status["message"]) == (False, "cluster 'c1' is offline: since 2023-11-14T22:13:20.000Z")


async def test_what_a_cluster_without_previews_cannot_do_is_said(prepared: Api) -> None:
    cluster_id = await prepared.cluster_id("c1")
    prepared.statuses[cluster_id] = FakeStatus(online=True, tunnels=1, capabilities=("kubernetes",))
    body = await prepared.done("PUT", f"{ORG}/workspaces/w1", {"spec": SPEC})
    assert body["status"]["ready"]
    assert "images are not replaced" in body["status"]["message"]
    forks = [{"namespace": "shop", "deployment": "web"}]
    body = await prepared.done("PUT", f"{ORG}/workspaces/w1", {"spec": SPEC | {"forks": forks}})
    assert body["spec"]["forks"] == forks
    assert (body["status"]["ready"], body["status"]["reason"]) == (False, "PreviewsOff")
    assert "previews.enabled" in body["status"]["message"]


async def test_a_deleted_workspace_is_gone(prepared: Api) -> None:
    await prepared.done("PUT", f"{ORG}/workspaces/w1", {"spec": {"cluster": "c1"}})
    assert (await prepared.call("DELETE", f"{ORG}/workspaces/w1")).status_code == 204
    for method in ("GET", "DELETE"):
        answer = await prepared.call(method, f"{ORG}/workspaces/w1")
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def test_another_orgs_workspace_of_the_same_name_is_another_one(prepared: Api) -> None:
    await prepared.done("PUT", f"{ORG}/workspaces/w1", {"spec": {"cluster": "c1"}})
    answer = await prepared.call("GET", "/orgs/globex/workspaces/w1", key=prepared.other)
    assert answer.status_code == 404


def _with(change: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
    spec = copy.deepcopy(SPEC)
    change(spec)
    return {"spec": spec}


def _endpoint(**values: Any) -> dict[str, Any]:
    return _with(lambda spec: spec["endpoints"][0].update(values))


FORK = {"namespace": "shop", "deployment": "web"}
BROKEN: list[tuple[str, Any, str]] = [
    ("w1", {}, "spec"),
    ("w1", [], ""),
    ("w1", {"spec": SPEC, "extra": 1}, "extra"),
    ("w1", {"spec": {}}, "spec.cluster"),
    ("w1", {"spec": {"cluster": "nope"}}, "spec.cluster"),
    ("w1", {"spec": {"cluster": 1}}, "spec.cluster"),
    ("w1", _with(lambda spec: spec.update(unknown=1)), "spec.unknown"),
    ("w1", _with(lambda spec: spec.update(description="x" * 1001)), "spec.description"),
    ("w1", _with(lambda spec: spec.update(description="a\x00b")), "spec.description"),
    ("w1", _with(lambda spec: spec.update(labels={"team": 1})), "spec.labels.team"),
    ("w1", _with(lambda spec: spec["images"][0].update(newTag="a b")), "spec.images.0.newTag"),
    ("w1", _with(lambda spec: spec["images"][0].update(new_tag="a")), "spec.images.0.new_tag"),
    ("w1", _with(lambda spec: spec["github"].update(pullRequest="42")), "spec.github.pullRequest"),
    ("w1", _with(lambda spec: spec["github"].update(repository="shop")), "spec.github.repository"),
    ("w1", _with(lambda spec: spec["ttl"].update(duration="3 days")), "spec.ttl.duration"),
    ("w1", _with(lambda spec: spec["ttl"].update(offsetFrom="now")), "spec.ttl.offsetFrom"),
    ("w1", _endpoint(visibility="private"), "spec.endpoints.0.visibility"),
    ("w1", _endpoint(hostHeader="both"), "spec.endpoints.0.hostHeader"),
    ("w1", _endpoint(name="Web"), "spec.endpoints.0.name"),
    ("w1", _endpoint(name="a--b"), "spec.endpoints.0.name"),
    ("w1", _endpoint(target="web.shop.svc:8080"), "spec.endpoints.0.target"),
    ("w1", _endpoint(target="ftp://web"), "spec.endpoints.0.target"),
    ("w1", _endpoint(target="http://web:99999"), "spec.endpoints.0.target"),
    ("w1", _endpoint(target="http://web\r\nx: y"), "spec.endpoints.0.target"),
    ("w1", _endpoint(target="fork://deployment/web"), "spec.endpoints.0.target"),
    ("w1", _with(lambda spec: spec.update(forks=[{"deployment": "web"}])), "spec.forks.0.namespace"),
    ("w1", _with(lambda spec: spec.update(forks=[FORK | {"namespace": "a/b"}])), "spec.forks.0.namespace"),
    ("w1", _with(lambda spec: spec.update(forks=[FORK | {"deployment": "Web"}])), "spec.forks.0.deployment"),
    ("w1", _with(lambda spec: spec.update(forks=[FORK, FORK])), "spec.forks.1"),
    ("w1", _with(lambda spec: spec.update(forks=[FORK | {"deployment": f"w{n}"} for n in range(65)])), "spec.forks"),
    ("w" * 30, _endpoint(name="e" * 30), "spec.endpoints.0.name"),
    ("w1", _with(lambda spec: spec["endpoints"].append(spec["endpoints"][0])), "spec.endpoints.1.name"),
    ("W1", {"spec": SPEC}, "name"),
    ("w" * 31, {"spec": SPEC}, "name"),
    ("a--b", {"spec": SPEC}, "name"),
]


@pytest.mark.parametrize(("name", "body", "path"), BROKEN)
async def test_what_breaks_a_rule_is_refused_with_its_path(prepared: Api, name: str, body: Any, path: str) -> None:
    answer = await prepared.call("PUT", f"{ORG}/workspaces/{name}", body)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid"), answer.text
    assert [problem["path"] for problem in answer.json()["problems"]] == [path]
    assert answer.json()["error"].startswith(path)
    assert await prepared.done("GET", f"{ORG}/workspaces") == NOTHING


@pytest.mark.parametrize("header", ["host", "x_y", "sd-routing-key", "content-length", "bad name"])
async def test_a_routing_header_must_not_take_the_place_of_another(prepared: Api, header: str) -> None:
    body = _with(lambda spec: spec.update(routingHeaders=[{"name": header, "value": "1"}]))
    answer = await prepared.call("PUT", f"{ORG}/workspaces/w1", body)
    assert answer.status_code == 422
    assert answer.json()["problems"][0]["path"].startswith("spec.routingHeaders.0")


async def test_every_problem_of_form_is_named_at_once(prepared: Api) -> None:
    body = {"spec": {"clusterr": "c1", "ttl": {"duration": "1y"}, "endpoints": [{"name": "a"}]}}
    answer = await prepared.call("PUT", f"{ORG}/workspaces/w1", body)
    paths = {problem["path"] for problem in answer.json()["problems"]}
    assert paths == {"spec.cluster", "spec.clusterr", "spec.ttl.duration", "spec.endpoints.0.target"}


@pytest.mark.parametrize(
    ("content", "content_type", "status", "said"),
    [
        (b"{broken", "application/json", 422, "not valid JSON"),
        (b"", "application/json", 422, "is missing"),
        (b'{"spec": {}}', "text/plain", 415, "content-type: application/json"),
        (b'{"spec": {}}', "application/x-www-form-urlencoded", 415, "content-type: application/json"),
        (b'{"spec": {}}', "application/json; charset=utf-8", 422, "spec.cluster"),
        (b"\xff\xfe", "application/json", 422, "not valid JSON"),
        (b'{"spec": "\xc3("}', "application/json", 400, "body"),
        (b"[" * 100_000, "application/json", 400, "body"),
        (b'{"spec": {"cluster": ' + b"9" * 5000 + b"}}", "application/json", 400, "body"),
    ],
)
async def test_a_body_that_is_not_json_is_refused_in_the_same_shape(
    *, prepared: Api, content: bytes, content_type: str, status: int, said: str
) -> None:
    answer = await prepared.client.put(
        f"{ORG}/workspaces/w1",
        content=content,
        headers={"signadot-api-key": prepared.key, "content-type": content_type},
    )
    assert answer.status_code == status
    assert said in answer.json()["error"]
    assert {"code", "error", "requestId"} <= answer.json().keys()


async def test_half_a_surrogate_pair_is_refused_with_its_path(prepared: Api) -> None:
    broken = [(path, SPEC | {path: "\ud800"}) for path in ("cluster", "description")]
    broken += [("routingHeaders.0.name", SPEC | {"routingHeaders": [{"name": "\ud800", "value": "1"}]})]
    broken += [("endpoints.0.name", SPEC | {"endpoints": [{"name": "\ud800", "target": "http://web"}]})]
    broken += [("", SPEC | {"\ud800": 1}), ("labels.\ufffd\ufffd\ufffd", SPEC | {"labels": {"\ud800": "x"}})]
    for path, spec in broken:
        body = json.dumps({"spec": spec}).encode()
        answer = await prepared.client.put(
            f"{ORG}/workspaces/w1",
            content=body,
            headers={"signadot-api-key": prepared.key, "content-type": "application/json"},
        )
        assert answer.status_code == 422
        assert answer.json()["problems"][0]["path"] == f"spec.{path}".rstrip(".")
