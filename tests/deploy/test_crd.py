"""The CustomResourceDefinition: one file, shipped by the chart, with the bounds that the relay has."""

from copy import deepcopy
from typing import Any

import pytest
import yaml

from relay.control.models.workspaces import Image
from relay.routing import parse_fork_target, valid_name
from tests.deploy.helm import CHARTS, NEWEST, OLDEST, OPERATOR, ROOT, Document, Helm

FILE = ROOT / "deploy" / "crds" / "workspaces.signadot.com.yaml"
WORKSPACE: Document = {
    "apiVersion": "signadot.com/v1",
    "kind": "Workspace",
    "metadata": {"name": "shop-42", "namespace": "signadot"},
    "spec": {
        "name": "shop-42",
        "routingKey": "5f0c1d9a4b5f0c1d9a4b",
        "images": [{"name": "registry.example.com:5000/acme/web", "newTag": "sha-1"}],
        "forks": [{"deployment": "web", "namespace": "shop"}],
        "endpoints": [
            {"name": "web", "target": "http://web.shop.svc:8080"},
            {"name": "clone", "target": "fork://deployment/web:8080"},
            {"name": "other", "target": "fork://deployment/shop/web:8080"},
        ],
        "pullRequest": {"repository": "acme/shop", "number": 42, "branch": "feat/ü", "headCommit": "9fceb02"},
    },
    "status": {
        "observedGeneration": 1,
        "conditions": [
            {
                "type": "Ready",
                "status": "False",
                "reason": "ImagePullBackOff",
                "message": "web waits for its image",
                "lastTransitionTime": "2026-11-23T20:29:00Z",
                "observedGeneration": 1,
            }
        ],
        "forks": [
            {
                "deployment": "web",
                "namespace": "shop",
                "clone": "web-shop-42",
                "service": "web-shop-42",
                "ready": False,
                "message": "ImagePullBackOff",
            }
        ],
    },
}


def crd() -> Document:
    loaded: Document = yaml.safe_load(FILE.read_text())
    return loaded


def schema() -> Document:
    (version,) = crd()["spec"]["versions"]
    found: Document = version["schema"]["openAPIV3Schema"]
    return found


def changed(path: str, value: Any) -> Document:
    """The workspace with one field set; numbers in the path are places in a list."""
    document = deepcopy(WORKSPACE)
    place: Any = document
    *parents, last = (int(part) if part.isdecimal() else part for part in path.split("."))
    for part in parents:
        place = place[part]
    place[last] = value
    return document


def test_the_chart_ships_this_very_file() -> None:
    assert (CHARTS / OPERATOR / "crds" / FILE.name).read_bytes() == FILE.read_bytes()


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
def test_kubernetes_takes_the_definition(helm: Helm, version: str) -> None:
    assert helm.problems(crd(), version=version) == []


def test_people_see_whether_it_is_ready_and_why_not() -> None:
    (version,) = crd()["spec"]["versions"]
    assert version["subresources"] == {"status": {}}
    assert [column["name"] for column in version["additionalPrinterColumns"]] == ["Ready", "Reason", "Age"]


def test_every_text_and_every_list_has_an_end() -> None:
    def walk(node: Document, path: str) -> None:
        if node.get("type") == "string" and path not in {".apiVersion", ".kind"}:
            assert {"maxLength", "enum", "format"} & node.keys(), path
        if node.get("type") == "array":
            assert "maxItems" in node, path
            walk(node["items"], f"{path}[]")
        assert "x-kubernetes-validations" not in node, path
        for name, below in node.get("properties", {}).items():
            walk(below, f"{path}.{name}")

    walk(schema(), "")


def test_a_workspace_as_the_relay_and_the_controller_write_it_is_taken(helm: Helm) -> None:
    assert helm.violations(schema(), WORKSPACE) == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("spec.name", "Shop"),
        ("spec.name", "shop--42"),
        ("spec.name", "shop-"),
        ("spec.name", "a" * 31),
        ("spec.routingKey", ""),
        ("spec.routingKey", "a\nb"),
        ("spec.images.0.newTag", "a:b"),
        ("spec.images.0.name", "-a"),
        ("spec.images", [{"name": f"a{n}", "newTag": "1"} for n in range(257)]),
        ("spec.forks.0.namespace", "shop/pay"),
        ("spec.forks.0.deployment", "../web"),
        ("spec.endpoints.0.target", "https://web"),
        ("spec.endpoints.0.target", "http://web/path"),
        ("spec.endpoints.0.target", "fork://deployment/web"),
        ("spec.pullRequest.number", 0),
        ("spec.pullRequest.repository", "shop"),
        ("status.conditions.0.status", "Maybe"),
        ("status.conditions.0.reason", "two words"),
        ("status.conditions.0.lastTransitionTime", None),
    ],
    ids=lambda value: value if isinstance(value, str) and value.startswith(("spec.", "status.")) else "",
)
def test_what_is_out_of_bounds_is_refused_where_it_is(helm: Helm, path: str, value: Any) -> None:
    (problem, *_) = helm.violations(schema(), changed(path, value))
    assert problem.startswith(f"{path}: ")


@pytest.mark.parametrize(
    "name", ["a", "a1", "shop-42", "a-b-c", "1a", "-a", "a-", "a--b", "A", "", "é", "a" * 30, "a" * 31]
)
def test_names_are_those_that_the_relay_takes(helm: Helm, name: str) -> None:
    assert (helm.violations(schema(), changed("spec.name", name)) == []) is valid_name(name)


def test_the_longest_target_that_the_relay_takes_is_taken(helm: Helm) -> None:
    target = f"fork://deployment/{'n' * 63}/{'d' * 253}:65535/"
    assert parse_fork_target(target).port == 65535
    assert helm.violations(schema(), changed("spec.endpoints.0.target", target)) == []


@pytest.mark.parametrize("tag", ["1", "_", "sha-1", ".a", "-a", "a b", "a" * 128, "a" * 129])
def test_tags_are_those_that_the_relay_takes(helm: Helm, tag: str) -> None:
    taken = True
    try:
        Image.model_validate({"name": "acme/web", "newTag": tag})
    except ValueError:
        taken = False
    assert (helm.violations(schema(), changed("spec.images.0.newTag", tag)) == []) is taken
