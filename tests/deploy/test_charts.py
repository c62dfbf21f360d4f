"""Both charts, over many values: what they render every supported Kubernetes takes, and it runs without privilege."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from client import __version__ as agent_version
from relay import __version__
from tests.deploy.helm import CHARTS, NEWEST, OLDEST, OPERATOR, RELAY, Document, Helm, HelmError, Rendered
from tests.deploy.values import ALL, NEEDED, OPERATOR_VALUES, RELAY_VALUES, TOKEN

over_all_values = pytest.mark.parametrize(
    ("chart", "values"), [(c, v) for c, _, v in ALL], ids=[f"{c.removeprefix('signadot-')}-{n}" for c, n, _ in ALL]
)
over_charts = pytest.mark.parametrize("chart", [OPERATOR, RELAY])

FOREIGN = {"ServiceMonitor"}
"""Kinds that other operators bring; Kubernetes' own schemas do not have them."""


def chart_file(chart: str, name: str) -> Any:
    return yaml.safe_load((CHARTS / chart / name).read_text())


@over_all_values
def test_what_is_rendered_is_valid_for_kubernetes(helm: Helm, chart: str, values: Document) -> None:
    documents = helm.render(chart, values).documents
    assert documents
    for document in documents:
        if document["kind"] not in FOREIGN:
            for version in (OLDEST, NEWEST):
                assert helm.problems(document, version=version) == [], document["kind"]


def test_a_field_that_kubernetes_does_not_know_would_be_found(helm: Helm) -> None:
    document = helm.render(OPERATOR, OPERATOR_VALUES["own-secret"]).one("Deployment")
    document["spec"]["template"]["spec"]["securityContext"]["runAsNotRoot"] = True
    assert "runAsNotRoot" in "".join(helm.problems(document, version=NEWEST))


@over_all_values
def test_lint_has_nothing_to_say(helm: Helm, chart: str, values: Document) -> None:
    assert helm.lint(chart, values) == []


@over_all_values
def test_pods_have_no_privilege(helm: Helm, chart: str, values: Document) -> None:
    rendered = helm.render(chart, values)
    pod, container = rendered.pod(), rendered.container()
    user = pod["securityContext"].get("runAsUser", "the platform's")
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert user != 0
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert not {"hostNetwork", "hostPID", "hostIPC", "initContainers"} & pod.keys()
    assert not [volume for volume in pod["volumes"] if not {"secret", "configMap"} & volume.keys()]
    assert all(mount["readOnly"] and "subPath" not in mount for mount in container["volumeMounts"])
    assert {"requests", "limits"} <= container["resources"].keys()


@over_all_values
def test_mounted_secrets_are_for_the_pods_group_only(helm: Helm, chart: str, values: Document) -> None:
    pod = helm.render(chart, values).pod()
    # The relay takes root's 0440 for a master key, docs/operations.md; certificates to trust are no secret.
    modes = {
        volume["secret"]["defaultMode"] for volume in pod["volumes"] if "secret" in volume and volume["name"] != "ca"
    }
    assert modes == {0o440}
    if "runAsUser" in pod["securityContext"]:
        assert pod["securityContext"]["fsGroup"] == pod["securityContext"]["runAsUser"]


@over_all_values
def test_every_object_is_labelled_and_everything_that_selects_the_pods_agrees(
    helm: Helm, chart: str, values: Document
) -> None:
    rendered = helm.render(chart, values)
    labels = rendered.one("Deployment")["spec"]["template"]["metadata"]["labels"]
    for document in rendered.documents:
        found = document["metadata"]["labels"]
        assert found["app.kubernetes.io/name"] == chart
        assert values.get("commonLabels", {}).keys() <= found.keys()
        assert values.get("commonAnnotations", {}).items() <= document["metadata"].get("annotations", {}).items()
    for selector in selectors(rendered):
        assert selector.items() <= labels.items()
        assert "helm.sh/chart" not in selector


def selectors(rendered: Rendered) -> list[dict[str, str]]:
    found = [rendered.one("Deployment")["spec"]["selector"]["matchLabels"]]
    found += [policy["spec"]["podSelector"]["matchLabels"] for policy in rendered.all("NetworkPolicy")]
    found += [budget["spec"]["selector"]["matchLabels"] for budget in rendered.all("PodDisruptionBudget")]
    return found + [service["spec"]["selector"] for service in rendered.all("Service")]


@over_all_values
def test_notes_name_objects_that_exist_and_no_secret(helm: Helm, chart: str, values: Document) -> None:
    rendered = helm.render(chart, values)
    deployment = rendered.one("Deployment")["metadata"]["name"]
    assert set(re.findall(r"deployment/(\S+)", rendered.notes)) == {deployment}
    assert TOKEN not in rendered.notes


@over_charts
def test_the_chart_is_of_the_version_of_the_programs(chart: str) -> None:
    about = chart_file(chart, "Chart.yaml")
    assert about["appVersion"] == __version__ == agent_version
    assert about["kubeVersion"] == f">={OLDEST}.0-0"


@over_charts
def test_the_schema_describes_every_value_and_allows_no_other(chart: str) -> None:
    schema = json.loads((CHARTS / chart / "values.schema.json").read_text())
    compare(schema, chart_file(chart, "values.yaml"), chart)


def compare(schema: Document, values: Any, path: str) -> None:
    assert schema["description"], path
    if "properties" not in schema:
        return
    assert schema["additionalProperties"] is False, path
    # Maps that are empty by default have their keys in the schema alone.
    assert values.keys() <= schema["properties"].keys(), path
    if values:
        assert values.keys() >= schema["properties"].keys() - {"global"}, path
    for name, below in schema["properties"].items():
        compare(below, values.get(name, {}) if isinstance(values, dict) else {}, f"{path}.{name}")


WRONG: list[tuple[str, Document, str]] = [
    (OPERATOR, {}, r"relay.address: HOST:PORT of the relay is needed"),
    (OPERATOR, {"relay": {"address": "https://tunnel.example.com"}}, r"relay.address"),
    (OPERATOR, {"relay": {"address": "a:1", "adress": "b"}}, r"relay.*'adress' not allowed"),
    (OPERATOR, {"relay": {"address": "a:1", "transport": "quic"}}, r"relay.transport.*'tls', 'websocket'"),
    (OPERATOR, {"relay": {"address": "a:1"}, "token": TOKEN}, r"'token' not allowed"),
    (
        OPERATOR,
        {"relay": {"address": "a:1"}, "agent": {"clusterToken": "sdk_" + "a" * 36}},
        r"agent.clusterToken: not a cluster token",
    ),
    (OPERATOR, {"relay": {"address": "a:1"}, "podLogs": {"enabled": "false"}}, r"podLogs.enabled.*boolean"),
    (OPERATOR, {"relay": {"address": "a:1"}, "allowedNamespaces": "shop"}, r"allowedNamespaces.*array"),
    (OPERATOR, {"relay": {"address": "a:1"}, "allowedNamespaces": ["Shop"]}, r"allowedNamespaces.0"),
    (OPERATOR, {"relay": {"address": "a:1"}, "agent": {"allowTargets": ["a,b:1"]}}, r"agent.allowTargets.0"),
    (OPERATOR, {"relay": {"address": "a:1"}, "runAsUser": 0}, r"runAsUser"),
    (OPERATOR, {"relay": {"address": "a:1"}, "image": {"digest": "sha256:1"}}, r"image.digest"),
    (OPERATOR, {"relay": {"address": "a:1", "ca": {"pem": "x"}}}, r"relay.ca.pem"),
    (
        OPERATOR,
        {"relay": {"address": "a:1", "ca": {"secretName": "a", "configMapName": "b"}}},
        r"relay.ca: set one of pem, secretName and configMapName",
    ),
    (
        OPERATOR,
        {"relay": {"address": "a:1"}, "proxy": {"url": "http://p:1", "urlSecret": {"name": "p"}}},
        r"proxy: set url or urlSecret.name, not both",
    ),
    (OPERATOR, {"relay": {"address": "a:1"}, "proxy": {"url": "user:word@proxy"}}, r"proxy.url: must be http"),
    (RELAY, {}, r"domain: needed.*tls.secretName: needed.*masterKey.secretName: needed.*store.url: needed"),
    (RELAY, {**NEEDED, "replicas": 2}, r"'replicas' not allowed"),
    (RELAY, {**NEEDED, "store": {"url": "sqlite:///relay.db"}}, r"store.url"),
    (RELAY, {**NEEDED, "store": {"url": "postgresql://relay:secret@db/relay"}}, r"store.url: must not have a password"),
    (RELAY, {**NEEDED, "store": {"url": "postgresql://relay@db"}}, r"store.url: must be postgresql:..USER@HOST"),
    (RELAY, {**NEEDED, "limits": {"drain": 3}}, r"limits.*'drain' not allowed"),
    (RELAY, {**NEEDED, "limits": {"head_bytes": 1.5}}, r"limits.head_bytes.*integer"),
    (RELAY, {**NEEDED, "github": {"enabled": True}}, r"github"),
    (RELAY, {**NEEDED, "metrics": {"port": 8443}, "service": {"port": 8443}}, r"metrics.port: must differ"),
    (RELAY, {**NEEDED, "workers": 2, "service": {"tunnelPort": 9089}}, r"service.tunnelPort: port 9090 is"),
    (RELAY, {**NEEDED, "workers": 0}, r"workers"),
    (
        RELAY,
        {**NEEDED, "store": {"url": "postgresql://a@b/c", "ca": {"secretName": "a", "configMapName": "b"}}},
        r"store.ca: set one of",
    ),
    (
        RELAY,
        {**NEEDED, "store": {"url": "postgresql://a@b/c?sslrootcert=x", "ca": {"secretName": "a"}}},
        r"store: set ca, or sslrootcert",
    ),
]


@pytest.mark.parametrize(
    ("chart", "values", "said"), WRONG, ids=[f"{w[0].removeprefix('signadot-')}-{n}" for n, w in enumerate(WRONG)]
)
def test_a_wrong_value_is_refused_by_its_name(helm: Helm, chart: str, values: Document, said: str) -> None:
    with pytest.raises(HelmError) as caught:
        helm.render(chart, values)
    for secret in ("sdk_aaa", "relay:secret", "user:word"):
        assert secret not in str(caught.value)
    # Helm 4 writes paths with slashes, Helm 3 with dots.
    assert re.search(said, str(caught.value).replace("/", ".")), caught.value


def test_no_value_set_is_forgotten() -> None:
    assert len(OPERATOR_VALUES) >= 8
    assert len(RELAY_VALUES) >= 4


def test_the_image_is_built_from_what_is_in_the_repository() -> None:
    folder = Path(__file__).parents[2]
    lines = (folder / "deploy" / "Dockerfile").read_text().splitlines()
    sources = [
        source for line in lines if line.startswith("COPY ") and "--from" not in line for source in line.split()[1:-1]
    ]
    ignored = (folder / "deploy" / "Dockerfile.dockerignore").read_text().splitlines()
    assert sources
    assert [source for source in sources if not (folder / source).exists()] == []
    assert ignored[0] == "*"
    assert {f"!{source.rstrip('/')}" for source in sources} <= set(ignored)
    assert "USER 65532:65532" in lines


@over_charts
def test_the_readme_has_a_row_with_the_default_of_every_value(chart: str) -> None:
    schema = json.loads((CHARTS / chart / "values.schema.json").read_text())
    rows = re.findall(r"^\| `(\S+)` \| `(.*?)` \| (.+) \|$", (CHARTS / chart / "README.md").read_text(), re.MULTILINE)
    assert [(name, json.loads(default), text) for name, default, text in rows] == list(
        leaves(schema, chart_file(chart, "values.yaml"), "")
    )


def leaves(schema: Document, values: Any, path: str) -> Iterator[tuple[str, Any, str]]:
    """Values that have no further ones below: name, default, description. Free maps count as one."""
    for name, below in schema["properties"].items():
        default = values.get(name)
        if "properties" in below and default != {}:
            yield from leaves(below, default, f"{path}{name}.")
        elif name != "global":
            yield f"{path}{name}", default, below["description"]
