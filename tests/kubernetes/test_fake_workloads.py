"""Claims about what runs beside the fake's API: these have no real counterpart without kubelets."""

from typing import Any

from tests.kubernetes.asking import Api
from tests.support.fake_kubernetes import FakeKubernetes


def condition(value: dict[str, Any], kind: str) -> dict[str, str]:
    found: list[dict[str, str]] = value["status"]["conditions"]
    return next(item for item in found if item["type"] == kind)


def admin(fake: FakeKubernetes) -> Api:
    return Api(fake, fake.admin_token, "default")


def test_a_deployment_becomes_pods_that_are_ready(fake: FakeKubernetes) -> None:
    web = fake.add_deployment("web", replicas=2)
    assert web["status"]["observedGeneration"] == 1
    assert web["status"]["readyReplicas"] == web["status"]["updatedReplicas"] == 2
    assert condition(web, "Available")["status"] == "True"
    assert condition(web, "Progressing")["reason"] == "NewReplicaSetAvailable"
    pods = fake.pods_of("web")
    assert len(pods) == 2
    replica_set = fake.list("ReplicaSet")[0]
    assert pods[0]["metadata"]["ownerReferences"][0]["uid"] == replica_set["metadata"]["uid"]
    assert pods[0]["metadata"]["labels"]["pod-template-hash"] in replica_set["metadata"]["name"]
    assert pods[0]["status"]["phase"] == "Running"
    assert pods[0]["status"]["containerStatuses"][0]["ready"] is True


def test_an_image_that_cannot_be_pulled_keeps_its_pods_waiting(fake: FakeKubernetes) -> None:
    fake.break_image("acme/web:bad.*")
    web = fake.add_deployment("web", image="acme/web:bad-1")
    assert condition(web, "Available")["status"] == "False"
    assert web["status"]["unavailableReplicas"] == 1
    pod = fake.pods_of("web")[0]
    assert pod["status"]["phase"] == "Pending"
    assert pod["status"]["containerStatuses"][0]["state"]["waiting"]["reason"] == "ImagePullBackOff"
    assert condition(pod, "Ready")["reason"] == "ContainersNotReady"
    fake.pass_progress_deadline("web")
    assert condition(fake.get("Deployment", "web"), "Progressing")["reason"] == "ProgressDeadlineExceeded"
    fake.mend_image("acme/web:bad.*")
    assert condition(fake.get("Deployment", "web"), "Available")["status"] == "True"


def test_a_broken_rollout_leaves_the_old_pods_running(fake: FakeKubernetes) -> None:
    fake.add_deployment("web")
    old = fake.pods_of("web")[0]["metadata"]["name"]
    fake.break_image("acme/web:2")
    change = {"spec": {"template": {"spec": {"containers": [{"name": "web", "image": "acme/web:2"}]}}}}
    fake.patch("Deployment", "web", change)
    assert len(fake.pods_of("web")) == 2
    assert old in {pod["metadata"]["name"] for pod in fake.pods_of("web")}
    fake.mend_image("acme/web:2")
    left = fake.pods_of("web")
    assert [pod["spec"]["containers"][0]["image"] for pod in left] == ["acme/web:2"]


def test_readiness_is_held_and_released(fake: FakeKubernetes) -> None:
    fake.hold_readiness("app=web")
    fake.add_deployment("web")
    fake.add_deployment("api")
    assert fake.pods_of("web")[0]["status"]["phase"] == "Running"
    assert condition(fake.pods_of("web")[0], "Ready")["status"] == "False"
    assert condition(fake.pods_of("api")[0], "Ready")["status"] == "True"
    fake.release_readiness("app=web")
    assert condition(fake.get("Deployment", "web"), "Available")["status"] == "True"


def test_a_service_has_a_slice_of_the_pods_behind_it(fake: FakeKubernetes) -> None:
    fake.place_pods(lambda _pod: "127.0.0.1")
    fake.add_deployment("web", port=8080)
    service = fake.get("Service", "web")
    assert service["spec"]["clusterIP"].startswith("10.96.")
    [found] = fake.list("EndpointSlice", labels="kubernetes.io/service-name=web")
    assert found["ports"] == [{"name": "http", "protocol": "TCP", "port": 8080}]
    assert found["endpoints"][0]["addresses"] == ["127.0.0.1"]
    assert found["endpoints"][0]["conditions"]["ready"] is True
    assert found["endpoints"][0]["targetRef"]["name"] == fake.pods_of("web")[0]["metadata"]["name"]
    fake.hold_readiness("app=web")
    [found] = fake.list("EndpointSlice")
    assert found["endpoints"][0]["conditions"]["ready"] is False
    fake.delete("Service", "web")
    assert fake.list("EndpointSlice") == []


def test_a_deployment_takes_along_what_it_owns(fake: FakeKubernetes) -> None:
    fake.add_deployment("web", replicas=2)
    fake.delete("Deployment", "web")
    assert fake.list("ReplicaSet") == fake.list("Pod") == []


def test_a_deletion_in_the_foreground_waits_for_dependents(fake: FakeKubernetes) -> None:
    fake.add_deployment("web")
    with fake.lingering_pods():
        fake.delete("Deployment", "web", propagation="Foreground")
        assert fake.get("Deployment", "web")["metadata"]["finalizers"] == ["foregroundDeletion"]
        assert "deletionTimestamp" in fake.list("Pod")[0]["metadata"]
    assert fake.find("Deployment", "web") is None
    assert fake.list("Pod") == []


def test_orphans_stay_without_their_owner(fake: FakeKubernetes) -> None:
    fake.add_deployment("web")
    fake.delete("Deployment", "web", propagation="Orphan")
    [left] = fake.list("ReplicaSet")
    assert "ownerReferences" not in left["metadata"]
    assert len(fake.list("Pod")) == 1


def test_a_namespace_is_emptied_before_it_goes(fake: FakeKubernetes) -> None:
    fake.add_namespace("shop")
    fake.add_deployment("web", "shop")
    hold = {"metadata": {"finalizers": ["example.com/hold"]}}
    fake.patch("Service", "web", hold, "shop")
    fake.delete("Namespace", "shop")
    assert fake.get("Namespace", "shop")["status"]["phase"] == "Terminating"
    assert fake.list("Pod", "shop") == []
    answer = admin(fake).ask("POST", "/api/v1/namespaces/shop/configmaps", {"metadata": {"name": "a"}})
    assert answer.status == 403
    assert answer.json()["details"]["causes"][0]["reason"] == "NamespaceTerminating"
    fake.patch("Service", "web", {"metadata": {"finalizers": None}}, "shop")
    assert fake.find("Namespace", "shop") is None


def test_a_watch_sees_each_step_of_a_deployment(fake: FakeKubernetes) -> None:
    api = admin(fake)
    version = api.get(f"{api.core}/pods")["metadata"]["resourceVersion"]
    with api.watch(f"{api.core}/pods", resource_version=version) as events:
        fake.add_deployment("web")
        seen = [events.next() for _ in range(3)]
    assert [event["type"] for event in seen] == ["ADDED", "MODIFIED", "MODIFIED"]
    assert [event["object"]["status"]["phase"] for event in seen] == ["Pending", "Pending", "Running"]


def test_paused_controllers_make_nothing(fake: FakeKubernetes) -> None:
    with fake.paused_controllers():
        fake.add_deployment("web")
        assert fake.list("ReplicaSet") == []
    assert len(fake.pods_of("web")) == 1
