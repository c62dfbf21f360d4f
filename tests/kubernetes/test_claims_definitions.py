"""Claims about custom resources, held against the fake and against a real API server."""

import secrets
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.kubernetes.asking import Api, until

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
WORKSPACES = Path(__file__).parents[2] / "deploy" / "crds" / "workspaces.signadot.com.yaml"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "spec": {
            "type": "object",
            "required": ["size"],
            "properties": {
                "size": {"type": "integer", "minimum": 1},
                "colour": {"type": "string", "enum": ["red", "green"], "default": "red"},
                "name": {"type": "string", "pattern": "^[a-z]+$", "maxLength": 5},
            },
        },
        "status": {"type": "object", "properties": {"phase": {"type": "string"}}},
    },
}


@pytest.fixture
def widgets(api: Api) -> str:
    """The path of a kind of this test's own."""
    group = f"g{secrets.token_hex(4)}.example.com"
    names = {"plural": "widgets", "singular": "widget", "kind": "Widget", "shortNames": ["wd"]}
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": SCHEMA},
        "subresources": {"status": {}},
        "additionalPrinterColumns": [{"name": "Size", "type": "integer", "jsonPath": ".spec.size"}],
    }
    spec = {"group": group, "names": names, "scope": "Namespaced", "versions": [version]}
    return define(api, {"metadata": {"name": f"widgets.{group}"}, "spec": spec})


def define(api: Api, crd: dict[str, Any]) -> str:
    """Makes a kind; gives the path of its collection when it is served."""
    api.create(CRDS, crd)
    group, plural = crd["spec"]["group"], crd["spec"]["names"]["plural"]
    path = f"/apis/{group}/v1/namespaces/{api.namespace}/{plural}"
    until(lambda: api.ask("GET", path).status == 200)
    return path


def widget(named: str, **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": named}, "spec": spec}


def body(path: str, value: dict[str, Any]) -> dict[str, Any]:
    """With apiVersion and kind, which custom resources have to have."""
    return {"apiVersion": path.split("/")[2] + "/v1", "kind": "Widget"} | value


def test_a_definition_is_established(api: Api, widgets: str) -> None:
    crd = api.get(f"{CRDS}/widgets.{widgets.split('/')[2]}")
    conditions = {item["type"]: item["status"] for item in crd["status"]["conditions"]}
    assert conditions["Established"] == "True"
    assert conditions["NamesAccepted"] == "True"
    group = api.get(f"/apis/{widgets.split('/')[2]}/v1")
    assert {item["name"] for item in group["resources"]} == {"widgets", "widgets/status"}


def test_a_custom_object_gets_defaults_and_loses_what_is_unknown(api: Api, widgets: str) -> None:
    made = api.create(widgets, body(widgets, widget("a", size=1, unknown="x")))
    assert made["spec"] == {"size": 1, "colour": "red"}
    assert made["metadata"]["generation"] == 1


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        pytest.param({}, "spec.size: Required value", id="missing"),
        pytest.param({"size": "1"}, "spec.size: Invalid value", id="type"),
        pytest.param({"size": 0}, "spec.size in body should be greater than or equal to 1", id="minimum"),
        pytest.param({"size": 1, "colour": "blue"}, 'spec.colour: Unsupported value: "blue"', id="enum"),
        pytest.param({"size": 1, "name": "A"}, "spec.name in body should match '^[a-z]+$'", id="pattern"),
        pytest.param({"size": 1, "name": "abcdef"}, "spec.name: Too long", id="length"),
    ],
)
def test_a_custom_object_that_does_not_fit_its_schema_is_refused(
    api: Api, widgets: str, spec: dict[str, Any], told: str
) -> None:
    answer = api.ask("POST", widgets, body(widgets, widget("a", **spec)))
    assert answer.status == 422
    assert told in answer.json()["message"]


def test_a_custom_object_is_updated_from_a_version_only(api: Api, widgets: str) -> None:
    api.create(widgets, body(widgets, widget("a", size=1)))
    answer = api.ask("PUT", f"{widgets}/a", body(widgets, widget("a", size=2)))
    assert answer.status == 422
    assert "metadata.resourceVersion: Invalid value" in answer.json()["message"]
    assert "must be specified for an update" in answer.json()["message"]


def test_a_custom_object_of_another_version_is_refused(api: Api, widgets: str) -> None:
    answer = api.ask("POST", widgets, body(widgets, widget("a", size=1)) | {"apiVersion": "example.com/v1"})
    assert answer.status == 400
    assert (
        "the API version in the data (example.com/v1) does not match the expected API version"
        in answer.json()["message"]
    )


def test_the_status_of_a_custom_object_is_apart(api: Api, widgets: str) -> None:
    made = api.create(widgets, body(widgets, widget("a", size=1)) | {"status": {"phase": "no"}})
    assert "status" not in made
    patched = api.patch(f"{widgets}/a/status", {"spec": {"size": 9}, "status": {"phase": "yes"}})
    assert patched["status"] == {"phase": "yes"}
    assert patched["spec"]["size"] == 1
    assert patched["metadata"]["generation"] == 1
    changed = api.patch(f"{widgets}/a", {"spec": {"size": 2}, "status": {"phase": "no"}})
    assert changed["status"] == {"phase": "yes"}
    assert changed["metadata"]["generation"] == 2


def test_a_custom_object_has_no_strategic_patch(api: Api, widgets: str) -> None:
    api.create(widgets, body(widgets, widget("a", size=1)))
    content = "application/strategic-merge-patch+json"
    assert api.ask("PATCH", f"{widgets}/a", {"spec": {"size": 2}}, content=content).status == 415


def test_a_table_has_the_columns_of_the_definition(api: Api, widgets: str) -> None:
    api.create(widgets, body(widgets, widget("a", size=7)))
    table = api.get(widgets, accept=TABLE)
    assert table["kind"] == "Table"
    assert [item["name"] for item in table["columnDefinitions"]] == ["Name", "Size"]
    assert [row["cells"] for row in table["rows"]] == [["a", 7]]
    assert table["rows"][0]["object"]["kind"] == "PartialObjectMetadata"


def test_what_was_defined_goes_with_its_definition(api: Api, widgets: str) -> None:
    api.create(widgets, body(widgets, widget("a", size=1)))
    assert api.ask("DELETE", f"{CRDS}/widgets.{widgets.split('/')[2]}").status == 200
    until(lambda: api.ask("GET", widgets).status == 404)


@pytest.mark.skipif(not WORKSPACES.exists(), reason="deploy/crds has no definition of workspaces")
def test_the_definition_of_workspaces_is_taken_and_serves(api: Api) -> None:
    crd = yaml.safe_load(WORKSPACES.read_text())
    path = f"/apis/signadot.com/v1/namespaces/{api.namespace}/workspaces"
    if api.ask("GET", f"{CRDS}/{crd['metadata']['name']}").status == 404:
        define(api, crd)
    value = {"apiVersion": "signadot.com/v1", "kind": "Workspace", "metadata": {"name": "w"}}
    made = api.create(path, value | {"spec": {"name": "w", "routingKey": "abc123"}})
    assert made["spec"]["routingKey"] == "abc123"
    api.patch(
        f"{path}/w/status",
        {"status": {"observedGeneration": 1, "conditions": [ready("2026-01-01T00:00:00Z")]}},
    )
    table = api.get(path, accept=TABLE)
    assert [item["name"] for item in table["columnDefinitions"]][:2] == ["Name", "Ready"]
    assert table["rows"][0]["cells"][:2] == ["w", "True"]
    assert api.ask("POST", path, value | {"spec": {"name": "w", "routingKey": "NOT lower"}}).status == 422


def ready(time: str) -> dict[str, str]:
    return {"type": "Ready", "status": "True", "reason": "AllReady", "message": "", "lastTransitionTime": time}
