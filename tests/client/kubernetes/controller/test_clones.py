"""Clones and their Services as manifests."""

from typing import Any

import pytest

from client.kubernetes.controller.clones import clone_name, clone_of, hash_of, is_same_baseline, owner_of, service_of
from client.kubernetes.controller.images import names_of, plain, repository_of, retagged
from client.kubernetes.controller.wishes import Wish, wish_of
from tests.client.kubernetes.controller.world import workspace

PORT = {"name": "http", "port": 80, "protocol": "TCP", "targetPort": "web", "nodePort": 30001}


def wish(name: str = "pr-1", **spec: Any) -> Wish:
    document = workspace(name, **spec)
    document["metadata"] |= {"uid": "u1", "generation": 1}
    return wish_of(document)


def deployment(name: str = "web", *, namespace: str = "shop", **pod: Any) -> dict[str, Any]:
    labels = {"app": name}
    containers = [{"name": "web", "image": "acme/web:1", "ports": [{"name": "web", "containerPort": 8080}]}]
    return {
        "metadata": {"name": name, "namespace": namespace, "labels": labels, "uid": "d1", "annotations": {"a": "b"}},
        "spec": {
            "replicas": 5,
            "paused": True,
            "minReadySeconds": 3,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels | {"tier": "front"}, "annotations": {"mesh": "on"}},
                "spec": {"containers": containers} | pod,
            },
        },
    }


def service(name: str, *ports: dict[str, Any], namespace: str = "shop", **selector: str) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"type": "NodePort", "selector": selector, "ports": list(ports)},
    }


@pytest.mark.parametrize(
    ("reference", "repository"),
    [
        ("nginx", "nginx"),
        ("nginx:1.27", "nginx"),
        ("acme/web:1", "acme/web"),
        ("registry:5000/acme/web", "registry:5000/acme/web"),
        ("registry:5000/acme/web:1@sha256:00", "registry:5000/acme/web"),
        ("acme/web@sha256:00", "acme/web"),
    ],
)
def test_an_images_name_is_what_stands_before_tag_and_digest(reference: str, repository: str) -> None:
    assert repository_of(reference) == repository


@pytest.mark.parametrize(
    ("reference", "name", "expected"),
    [
        ("acme/web:1", "acme/web", "acme/web:new"),
        ("acme/web@sha256:00", "acme/web", "acme/web:new"),
        ("docker.io/library/nginx:1", "nginx", "docker.io/library/nginx:new"),
        ("nginx", "docker.io/library/nginx", "nginx:new"),
        ("registry:5000/acme/web:1", "acme/web", None),
        ("acme/web2:1", "acme/web", None),
    ],
)
def test_a_tag_is_put_on_that_very_image(reference: str, name: str, expected: str | None) -> None:
    assert retagged(reference, {name: "new"}) == expected
    running = names_of(deployment(containers=[{"name": "c", "image": reference}]))
    assert (plain(name) in running) is (expected is not None)


def test_a_clone_has_none_of_its_baselines_labels() -> None:
    clone = clone_of(wish(), deployment())
    labels = clone["spec"]["template"]["metadata"]["labels"]
    assert all(key.startswith("signadot.com/") for key in labels)
    selector = clone["spec"]["selector"]["matchLabels"]
    assert selector.items() <= labels.items()
    assert selector == {"signadot.com/clone": clone["metadata"]["name"]}
    assert clone["spec"]["template"]["metadata"]["annotations"]["mesh"] == "on"
    assert owner_of(clone) == "signadot/pr-1"


def test_a_clone_is_one_pod_that_is_not_paused_and_otherwise_as_its_baseline() -> None:
    spec = clone_of(wish(), deployment())["spec"]
    assert (spec["replicas"], "paused" in spec) == (1, False)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [({}, (10, None)), ({"progressDeadlineSeconds": 5}, (10, 11)), ({"minReadySeconds": 30}, (30, None))],
)
def test_a_clone_is_ready_only_after_a_while(fields: dict[str, Any], expected: tuple[int, int | None]) -> None:
    baseline = deployment()
    baseline["spec"] |= fields
    spec = clone_of(wish(), baseline)["spec"]
    assert (spec["minReadySeconds"], spec.get("progressDeadlineSeconds")) == expected


def test_all_containers_get_images_and_variables_and_ours_win() -> None:
    first = {"name": "init", "image": "acme/tool:1"}
    main = {
        "name": "web",
        "image": "acme/web:1",
        "env": [{"name": "SIGNADOT_ROUTING_KEY", "value": "x"}, {"name": "A", "value": "$(SIGNADOT_WORKSPACE_NAME)"}],
    }
    images = [{"name": "acme/web", "newTag": "2"}, {"name": "acme/tool", "newTag": "3"}]
    baseline = deployment(initContainers=[first], containers=[main])
    pod = clone_of(wish(images=images), baseline)["spec"]["template"]["spec"]
    ours = [
        {"name": "SIGNADOT_WORKSPACE_NAME", "value": "pr-1"},
        {"name": "SIGNADOT_ROUTING_KEY", "value": "keypr1"},
    ]
    assert pod["initContainers"] == [{"name": "init", "image": "acme/tool:3", "env": ours}]
    assert pod["containers"][0]["image"] == "acme/web:2"
    assert pod["containers"][0]["env"] == [*ours, main["env"][1]]
    assert main["image"] == "acme/web:1", "the baseline itself is not changed"


def test_of_what_a_baseline_has_twice_the_last_stays() -> None:
    old, other, new = ({"name": name, "value": value} for name, value in (("A", "1"), ("B", "2"), ("A", "$(B)")))
    ports = [{"containerPort": 80}, {"containerPort": 80, "protocol": "UDP"}, {"containerPort": 80, "name": "http"}]
    container = {"name": "web", "image": "acme/web:1", "env": [old, other, new], "ports": ports}
    secrets = [{"name": "one"}, {"name": "one"}]
    pod = clone_of(wish(), deployment(containers=[container], imagePullSecrets=secrets))["spec"]["template"]["spec"]
    assert pod["containers"][0]["env"][2:] == [other, new]
    assert pod["containers"][0]["ports"] == ports[1:]
    assert pod["imagePullSecrets"] == secrets[:1]


def test_the_hash_tells_manifests_apart_and_nothing_else() -> None:
    first = clone_of(wish(), deployment())
    assert hash_of(first) == hash_of(clone_of(wish(), deployment() | {"status": {"replicas": 5}}))
    assert hash_of(first) != hash_of(clone_of(wish(routingKey="other"), deployment()))


@pytest.mark.parametrize("name", ["web", "1st.of-all", "a" * 253, "w-" * 100 + "w"])
def test_names_of_clones_are_fit_for_services_and_labels(name: str) -> None:
    clone = clone_of(wish("a" * 30), deployment(name))
    made = clone["metadata"]["name"]
    assert len(made) <= 63
    assert made.replace("-", "a").isalnum()
    assert made[0].isalpha()
    assert all(len(value) <= 63 for value in clone["metadata"]["labels"].values())


def test_no_two_clones_have_one_name() -> None:
    names = {
        clone_name(wish("a-b"), "shop", "c"),
        clone_name(wish("a"), "shop", "b-c"),
        clone_name(wish("a"), "pay", "b-c"),
        clone_name(wish("a"), "shop", "b.c"),
    }
    assert len(names) == 4


def test_a_clones_service_has_the_ports_of_all_services_before_the_baseline_and_of_its_containers() -> None:
    services = [
        service("b", PORT | {"port": 81, "appProtocol": "h2c"}, PORT, app="web"),
        service("a", PORT, app="web", tier="front"),
        service("other", PORT | {"port": 99}, app="api"),
        service("elsewhere", PORT | {"port": 98}, namespace="pay", app="web"),
        service("all", PORT | {"port": 97}),
    ]
    made = service_of(wish(), deployment(), services, {"metadata": {"uid": "c1"}})
    assert made is not None
    assert made["spec"]["ports"] == [
        {"name": "http", "port": 80, "protocol": "TCP", "targetPort": "web"},
        {"appProtocol": "h2c", "name": "tcp-81", "port": 81, "protocol": "TCP", "targetPort": "web"},
        {"name": "web", "port": 8080, "protocol": "TCP", "targetPort": 8080},
    ]
    assert made["spec"]["type"] == "ClusterIP"
    assert made["metadata"]["ownerReferences"][0]["uid"] == "c1"


def test_a_deployment_without_ports_has_no_service() -> None:
    baseline = deployment(containers=[{"name": "worker", "image": "acme/web:1"}])
    assert service_of(wish(), baseline, [], {"metadata": {"uid": "c1"}}) is None


def test_scale_and_status_of_a_baseline_concern_no_clone_and_its_template_and_ports_do() -> None:
    old = deployment()
    scaled = old | {"spec": old["spec"] | {"replicas": 9, "paused": False}, "status": {"replicas": 9}}
    assert is_same_baseline(old, scaled)
    assert is_same_baseline(service("a", PORT, app="web"), service("a", PORT, app="web") | {"status": {"a": 1}})
    assert not is_same_baseline(old, deployment(containers=[{"name": "web", "image": "acme/web:2"}]))
    assert not is_same_baseline(service("a", PORT, app="web"), service("a", PORT, app="api"))
    assert not is_same_baseline(service("a", PORT, app="web"), service("a", PORT | {"port": 81}, app="web"))
    assert not is_same_baseline(None, old)
    assert not is_same_baseline(old, None)
