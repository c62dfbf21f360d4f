"""Claims about patches and server-side apply, held against the fake and against a real API server."""

from typing import Any

import pytest

from tests.kubernetes.asking import Api, config, deployment

JSON_PATCH = "application/json-patch+json"
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
APPLY = "application/apply-patch+yaml"


@pytest.fixture
def web(api: Api) -> str:
    """The path of a deployment of one container with two variables."""
    environment = [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]
    api.create(f"{api.apps}/deployments", deployment("web", env=environment))
    return f"{api.apps}/deployments/web"


def containers(value: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = value["spec"]["template"]["spec"]["containers"]
    return found


def environment_of(value: dict[str, Any]) -> dict[str, str]:
    return {item["name"]: item["value"] for item in containers(value)[0]["env"]}


def in_pod(**spec: Any) -> dict[str, Any]:
    return {"spec": {"template": {"spec": spec}}}


def test_a_merge_patch_sets_and_takes_away(api: Api) -> None:
    api.create(f"{api.core}/configmaps", config("a", x="1", y="2"))
    patched = api.patch(f"{api.core}/configmaps/a", {"data": {"x": None, "z": "3"}})
    assert patched["data"] == {"y": "2", "z": "3"}


def test_a_merge_patch_replaces_lists(api: Api, web: str) -> None:
    patched = api.patch(web, in_pod(containers=[{"name": "other", "image": "acme/other:1"}]))
    assert [item["name"] for item in containers(patched)] == ["other"]


def test_a_strategic_patch_merges_containers_and_variables_by_name(api: Api, web: str) -> None:
    change = in_pod(containers=[{"name": "main", "image": "acme/web:2", "env": [{"name": "B", "value": "3"}]}])
    patched = api.patch(web, change, content=STRATEGIC)
    assert containers(patched)[0]["image"] == "acme/web:2"
    assert environment_of(patched) == {"A": "1", "B": "3"}


def test_a_strategic_patch_deletes_items_by_directive(api: Api, web: str) -> None:
    change = in_pod(containers=[{"name": "main", "env": [{"name": "A", "$patch": "delete"}]}])
    assert environment_of(api.patch(web, change, content=STRATEGIC)) == {"B": "2"}


def test_a_strategic_patch_replaces_a_list_by_directive(api: Api, web: str) -> None:
    change = in_pod(containers=[{"name": "main", "env": [{"$patch": "replace"}, {"name": "C", "value": "3"}]}])
    assert environment_of(api.patch(web, change, content=STRATEGIC)) == {"C": "3"}


def test_a_strategic_patch_adds_finalizers_to_those_there_are(api: Api) -> None:
    value = config("a")
    value["metadata"]["finalizers"] = ["example.com/a"]
    api.create(f"{api.core}/configmaps", value)
    change = {"metadata": {"finalizers": ["example.com/b"]}}
    patched = api.patch(f"{api.core}/configmaps/a", change, content=STRATEGIC)
    assert sorted(patched["metadata"]["finalizers"]) == ["example.com/a", "example.com/b"]
    api.patch(f"{api.core}/configmaps/a", {"metadata": {"finalizers": None}})


def test_a_json_patch_does_what_it_lists(api: Api) -> None:
    api.create(f"{api.core}/configmaps", config("a", x="1", y="2"))
    operations = [
        {"op": "test", "path": "/data/x", "value": "1"},
        {"op": "replace", "path": "/data/x", "value": "3"},
        {"op": "remove", "path": "/data/y"},
        {"op": "add", "path": "/metadata/annotations", "value": {"example.com/a": "b"}},
        {"op": "copy", "from": "/data/x", "path": "/data/z"},
    ]
    patched = api.patch(f"{api.core}/configmaps/a", operations, content=JSON_PATCH)
    assert patched["data"] == {"x": "3", "z": "3"}
    assert patched["metadata"]["annotations"] == {"example.com/a": "b"}


def test_a_json_patch_whose_test_fails_changes_nothing(api: Api) -> None:
    api.create(f"{api.core}/configmaps", config("a", x="1"))
    operations = [
        {"op": "replace", "path": "/data/x", "value": "3"},
        {"op": "test", "path": "/data/x", "value": "1"},
    ]
    answer = api.ask("PATCH", f"{api.core}/configmaps/a", operations, content=JSON_PATCH)
    assert answer.status == 422
    assert api.get(f"{api.core}/configmaps/a")["data"] == {"x": "1"}


def test_a_json_patch_of_what_is_not_there_is_refused(api: Api) -> None:
    api.create(f"{api.core}/configmaps", config("a"))
    answer = api.ask("PATCH", f"{api.core}/configmaps/a", [{"op": "remove", "path": "/data/x"}], content=JSON_PATCH)
    assert answer.status == 422


def test_a_patch_of_an_unknown_kind_is_refused(api: Api) -> None:
    api.create(f"{api.core}/configmaps", config("a"))
    assert api.ask("PATCH", f"{api.core}/configmaps/a", {}, content="application/json").status == 415


def test_a_patch_with_an_old_version_is_a_conflict(api: Api) -> None:
    old = api.create(f"{api.core}/configmaps", config("a", x="1"))
    api.patch(f"{api.core}/configmaps/a", {"data": {"x": "2"}})
    change = {"metadata": {"resourceVersion": old["metadata"]["resourceVersion"]}, "data": {"x": "3"}}
    answer = api.ask("PATCH", f"{api.core}/configmaps/a", change, content=MERGE)
    assert answer.status == 409
    assert answer.json()["reason"] == "Conflict"


# --- server-side apply ------------------------------------------------------------------------------------------------


def applied(name: str, **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def test_an_apply_creates_and_says_so(api: Api) -> None:
    path = f"{api.core}/configmaps/a"
    answer = api.ask("PATCH", path, applied("a", x="1"), content=APPLY, field_manager="one")
    assert answer.status == 201
    entry = answer.json()["metadata"]["managedFields"][0]
    assert (entry["manager"], entry["operation"]) == ("one", "Apply")
    assert entry["fieldsV1"] == {"f:data": {"f:x": {}}}
    assert api.ask("PATCH", path, applied("a", x="1"), content=APPLY, field_manager="one").status == 200


def test_an_apply_that_changes_nothing_makes_no_new_version(api: Api) -> None:
    path = f"{api.core}/configmaps/a"
    first = api.patch(path, applied("a", x="1"), content=APPLY, field_manager="one")
    second = api.patch(path, applied("a", x="1"), content=APPLY, field_manager="one")
    assert second["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]


def test_an_apply_takes_away_what_its_manager_no_longer_names(api: Api) -> None:
    path = f"{api.core}/configmaps/a"
    api.patch(path, applied("a", x="1", y="2"), content=APPLY, field_manager="one")
    api.patch(path, {"data": {"other": "3"}})
    kept = api.patch(path, applied("a", x="1"), content=APPLY, field_manager="one")
    assert kept["data"] == {"x": "1", "other": "3"}


def test_an_apply_of_a_field_of_another_manager_is_a_conflict_unless_it_is_forced(api: Api) -> None:
    path = f"{api.core}/configmaps/a"
    api.patch(path, applied("a", x="1"), content=APPLY, field_manager="one")
    answer = api.ask("PATCH", path, applied("a", x="2"), content=APPLY, field_manager="two")
    assert answer.status == 409
    status = answer.json()
    assert status["message"] == 'Apply failed with 1 conflict: conflict with "one": .data.x'
    assert status["details"]["causes"] == [
        {"reason": "FieldManagerConflict", "message": 'conflict with "one"', "field": ".data.x"}
    ]
    forced = api.patch(path, applied("a", x="2"), content=APPLY, field_manager="two", force="true")
    assert forced["data"] == {"x": "2"}
    again = api.ask("PATCH", path, applied("a", x="3"), content=APPLY, field_manager="one")
    assert again.status == 409


def test_managers_who_agree_share_a_field(api: Api) -> None:
    path = f"{api.core}/configmaps/a"
    api.patch(path, applied("a", x="1"), content=APPLY, field_manager="one")
    api.patch(path, applied("a", x="1", y="2"), content=APPLY, field_manager="two")
    left = api.patch(path, applied("a", y="2"), content=APPLY, field_manager="two")
    assert left["data"] == {"x": "1", "y": "2"}


def test_an_apply_merges_containers_by_name(api: Api, web: str) -> None:
    value = deployment("web") | {"apiVersion": "apps/v1", "kind": "Deployment"}
    del value["spec"]["selector"], value["spec"]["template"]["metadata"]
    value["spec"]["template"]["spec"]["containers"] = [{"name": "side", "image": "acme/side:1"}]
    both = api.patch(web, value, content=APPLY, field_manager="side")
    assert [item["name"] for item in containers(both)] == ["main", "side"]
    value["spec"]["template"]["spec"] = {}
    left = api.patch(web, value, content=APPLY, field_manager="side")
    assert [item["name"] for item in containers(left)] == ["main"]


def test_a_variable_that_is_there_twice_can_be_created_but_not_applied(api: Api) -> None:
    twice = [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]
    api.create(f"{api.apps}/deployments", deployment("web", env=twice))
    value = deployment("other", env=twice) | {"apiVersion": "apps/v1", "kind": "Deployment"}
    path = f"{api.apps}/deployments/other"
    answer = api.ask("PATCH", path, value, content=APPLY, field_manager="one")
    assert answer.status == 500
    assert "duplicate entries for key" in answer.json()["message"]


def test_an_apply_needs_a_manager(api: Api) -> None:
    answer = api.ask("PATCH", f"{api.core}/configmaps/a", applied("a"), content=APPLY)
    assert answer.status in {400, 422}
    assert "fieldManager" in answer.json()["message"]
