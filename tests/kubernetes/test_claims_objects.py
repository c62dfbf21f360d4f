"""Claims about single objects, held against the fake and against a real API server."""

import pytest

from tests.kubernetes.asking import Api, config, deployment


def test_a_new_object_gets_uid_version_and_time(api: Api) -> None:
    made = api.create(f"{api.core}/configmaps", config("a", x="1"))
    metadata = made["metadata"]
    assert made["kind"] == "ConfigMap"
    assert made["apiVersion"] == "v1"
    assert metadata["namespace"] == api.namespace
    assert metadata["uid"]
    assert int(metadata["resourceVersion"]) > 0
    assert metadata["creationTimestamp"].endswith("Z")
    assert api.get(f"{api.core}/configmaps/a") == made


def test_a_name_is_generated_from_its_prefix(api: Api) -> None:
    made = api.create(f"{api.core}/configmaps", {"metadata": {"generateName": "web-"}})
    name = made["metadata"]["name"]
    assert name.startswith("web-")
    assert len(name) == len("web-") + 5


def test_what_is_not_there_is_not_found(api: Api) -> None:
    answer = api.ask("GET", f"{api.apps}/deployments/nothing")
    assert answer.status == 404
    assert answer.json() == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": 'deployments.apps "nothing" not found',
        "reason": "NotFound",
        "details": {"name": "nothing", "group": "apps", "kind": "deployments"},
        "code": 404,
    }


def test_a_name_is_taken_once(api: Api) -> None:
    api.create(f"{api.core}/configmaps", config("a"))
    answer = api.ask("POST", f"{api.core}/configmaps", config("a"))
    assert answer.status == 409
    told = answer.json()
    assert told["reason"] == "AlreadyExists"
    assert told["message"] == 'configmaps "a" already exists'
    assert told["details"] == {"name": "a", "kind": "configmaps"}


def test_nothing_is_made_in_a_namespace_that_is_not_there(api: Api) -> None:
    answer = api.ask("POST", "/api/v1/namespaces/nowhere/configmaps", config("a"))
    assert answer.status == 404
    assert answer.json()["message"] == 'namespaces "nowhere" not found'


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        pytest.param(
            {"apiVersion": "apps/v1", "kind": "ConfigMap", "metadata": {"name": "a"}},
            400,
            'ConfigMap in version "v1" cannot be handled as a ConfigMap',
            id="version",
        ),
        pytest.param(
            {"metadata": {"name": "a", "namespace": "other"}},
            400,
            "the namespace of the provided object does not match the namespace sent on the request",
            id="namespace",
        ),
        pytest.param({"metadata": {}}, 422, "name or generateName is required", id="no-name"),
        pytest.param(
            {"metadata": {"name": "Not_A_Name"}}, 422, 'metadata.name: Invalid value: "Not_A_Name"', id="name"
        ),
        pytest.param(
            {"metadata": {"name": "a", "labels": {"x": "no spaces"}}},
            422,
            'metadata.labels: Invalid value: "no spaces"',
            id="label",
        ),
        pytest.param(
            {"metadata": {"name": "a", "labels": {"x": "l" * 64}}}, 422, "must be no more than 63", id="long-label"
        ),
    ],
)
def test_an_object_that_makes_no_sense_is_refused(api: Api, body: dict[str, object], status: int, message: str) -> None:
    answer = api.ask("POST", f"{api.core}/configmaps", body)
    assert answer.status == status, answer.body
    assert message in answer.json()["message"]


def test_an_update_from_an_old_version_is_a_conflict(api: Api) -> None:
    old = api.create(f"{api.core}/configmaps", config("a", x="1"))
    new = api.ask("PUT", f"{api.core}/configmaps/a", old | {"data": {"x": "2"}})
    assert new.status == 200
    assert new.json()["metadata"]["resourceVersion"] != old["metadata"]["resourceVersion"]
    answer = api.ask("PUT", f"{api.core}/configmaps/a", old | {"data": {"x": "3"}})
    assert answer.status == 409
    told = answer.json()
    assert told["reason"] == "Conflict"
    assert told["message"] == (
        'Operation cannot be fulfilled on configmaps "a": the object has been modified; '
        "please apply your changes to the latest version and try again"
    )
    assert api.get(f"{api.core}/configmaps/a")["data"] == {"x": "2"}


def test_an_update_without_a_version_replaces_whatever_is_there(api: Api) -> None:
    api.create(f"{api.core}/configmaps", config("a", x="1"))
    answer = api.ask("PUT", f"{api.core}/configmaps/a", config("a", y="2"))
    assert answer.status == 200
    assert answer.json()["data"] == {"y": "2"}


def test_a_write_that_changes_nothing_makes_no_new_version(api: Api) -> None:
    made = api.create(f"{api.core}/configmaps", config("a", x="1"))
    answer = api.ask("PUT", f"{api.core}/configmaps/a", made)
    assert answer.json()["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]
    patched = api.patch(f"{api.core}/configmaps/a", {"data": {"x": "1"}})
    assert patched["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]


def test_an_object_cannot_be_renamed(api: Api) -> None:
    made = api.create(f"{api.core}/configmaps", config("a"))
    made["metadata"]["name"] = "b"
    answer = api.ask("PUT", f"{api.core}/configmaps/a", made)
    assert answer.status == 400
    assert answer.json()["message"] == "the name of the object (b) does not match the name on the URL (a)"


def test_the_generation_counts_changes_of_the_specification_alone(api: Api) -> None:
    path = f"{api.apps}/deployments"
    assert api.create(path, deployment("web"))["metadata"]["generation"] == 1
    assert api.patch(f"{path}/web", {"metadata": {"labels": {"x": "y"}}})["metadata"]["generation"] == 1
    assert api.patch(f"{path}/web", {"spec": {"replicas": 0}})["metadata"]["generation"] == 2


def test_status_is_written_by_its_own_path_only(api: Api) -> None:
    path = f"{api.core}/pods"
    pod = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "acme/c:1"}]}}
    assert api.create(path, pod | {"status": {"message": "no"}})["status"].get("message") is None
    patched = api.patch(f"{path}/p", {"metadata": {"labels": {"x": "y"}}, "status": {"message": "no"}})
    assert patched["status"].get("message") is None
    patched = api.patch(f"{path}/p/status", {"status": {"message": "yes"}})
    assert patched["status"]["message"] == "yes"
    assert api.get(f"{path}/p")["status"]["message"] == "yes"


def test_a_deletion_answers_with_what_was_deleted(api: Api) -> None:
    made = api.create(f"{api.core}/configmaps", config("a"))
    answer = api.ask("DELETE", f"{api.core}/configmaps/a")
    assert answer.status == 200
    told = answer.json()
    assert told["status"] == "Success"
    assert told["details"] == {"name": "a", "kind": "configmaps", "uid": made["metadata"]["uid"]}
    assert api.ask("GET", f"{api.core}/configmaps/a").status == 404


def test_a_deletion_with_the_uid_of_another_object_is_a_conflict(api: Api) -> None:
    api.create(f"{api.core}/configmaps", config("a"))
    answer = api.ask("DELETE", f"{api.core}/configmaps/a", {"preconditions": {"uid": "another"}})
    assert answer.status == 409
    assert "the UID in the precondition (another) does not match the UID in record" in answer.json()["message"]


def test_a_finalizer_holds_what_is_deleted_until_it_is_taken_away(api: Api) -> None:
    path = f"{api.core}/configmaps/a"
    value = config("a")
    value["metadata"]["finalizers"] = ["example.com/hold"]
    api.create(f"{api.core}/configmaps", value)
    answer = api.ask("DELETE", path)
    assert answer.status == 200
    assert answer.json()["metadata"]["deletionTimestamp"]
    marked = api.get(path)
    assert marked["metadata"]["finalizers"] == ["example.com/hold"]
    refused = api.ask(
        "PATCH",
        path,
        {"metadata": {"finalizers": ["example.com/hold", "example.com/more"]}},
        content="application/merge-patch+json",
    )
    assert refused.status == 422
    assert "no new finalizers can be added if the object is being deleted" in refused.json()["message"]
    api.patch(path, {"metadata": {"finalizers": None}})
    assert api.ask("GET", path).status == 404


def test_the_selector_of_a_deployment_never_changes(api: Api) -> None:
    made = api.create(f"{api.apps}/deployments", deployment("web"))
    del made["metadata"]["resourceVersion"]
    made["spec"]["selector"] = {"matchLabels": {"app": "other"}}
    made["spec"]["template"]["metadata"]["labels"] = {"app": "other"}
    answer = api.ask("PUT", f"{api.apps}/deployments/web", made)
    assert answer.status == 422
    assert "spec.selector" in answer.json()["message"]
    assert "field is immutable" in answer.json()["message"]


def test_the_selector_of_a_deployment_has_to_match_its_pods(api: Api) -> None:
    value = deployment("web")
    value["spec"]["selector"] = {"matchLabels": {"app": "other"}}
    answer = api.ask("POST", f"{api.apps}/deployments", value)
    assert answer.status == 422
    assert "`selector` does not match template `labels`" in answer.json()["message"]


def test_a_deployment_gets_defaults(api: Api) -> None:
    spec = api.create(f"{api.apps}/deployments", deployment("web"))["spec"]
    assert spec["replicas"] == 1
    assert spec["strategy"] == {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "25%", "maxSurge": "25%"}}
    assert spec["progressDeadlineSeconds"] == 600
    assert spec["template"]["spec"]["containers"][0]["imagePullPolicy"] == "IfNotPresent"


def test_a_dry_run_changes_nothing(api: Api) -> None:
    answer = api.ask("POST", f"{api.core}/configmaps", config("a"), dry_run="All")
    assert answer.status == 201
    assert api.ask("GET", f"{api.core}/configmaps/a").status == 404


def test_a_scale_is_read_and_written(api: Api) -> None:
    path = f"{api.apps}/deployments/web"
    api.create(f"{api.apps}/deployments", deployment("web"))
    scale = api.get(f"{path}/scale")
    assert scale["kind"] == "Scale"
    assert scale["spec"] == {"replicas": 1}
    answer = api.ask("PUT", f"{path}/scale", scale | {"spec": {"replicas": 3}})
    assert answer.status == 200
    assert answer.json()["spec"] == {"replicas": 3}
    assert api.get(path)["spec"]["replicas"] == 3


def test_a_collection_is_deleted_by_labels(api: Api) -> None:
    for name in ("a", "b"):
        value = config(name)
        value["metadata"]["labels"] = {"name": name}
        api.create(f"{api.core}/configmaps", value)
    assert api.ask("DELETE", f"{api.core}/configmaps", label_selector="name=a").status == 200
    left = api.get(f"{api.core}/configmaps")["items"]
    assert [item["metadata"]["name"] for item in left] == ["b"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        pytest.param("GET", "/api/v1/namespaces/default/nothings", 404, id="resource"),
        pytest.param("GET", "/apis/nowhere.example.com/v1/things", 404, id="group"),
        pytest.param("GET", "/nowhere", 404, id="path"),
        pytest.param("PUT", "/api/v1/namespaces/default/configmaps", 405, id="method"),
    ],
)
def test_what_the_api_does_not_have_is_refused(api: Api, method: str, path: str, status: int) -> None:
    assert api.ask(method, path, {} if method == "PUT" else None).status == status
