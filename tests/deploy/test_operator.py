"""The agent's chart: it fits what `signadot cluster add` prints, what the agent reads, and docs/rbac.md."""

import re
import shlex
from base64 import b64decode
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from certs import Authority
from client.cli.clusters import CHART, NAMESPACE, SECRET, install_lines
from client.cli.settings import Address
from client.cli.settings import Settings as CliSettings
from client.patterns import TargetPattern
from client.settings import Flags, Settings, load_settings
from tests.deploy.helm import OPERATOR, ROOT, Document, Helm, Rendered
from tests.deploy.values import ADDRESS, OPERATOR_VALUES, TOKEN

over_values = pytest.mark.parametrize("values", OPERATOR_VALUES.values(), ids=OPERATOR_VALUES)

Grant = tuple[str, str, str, str, str]
"""API group, resource, verb, where, and the value that withholds it."""


def cli_settings(ca_file: Path | None = None) -> CliSettings:
    tunnel = Address(host="tunnel.example.com", port=443)
    return CliSettings(org="acme", api_key="sdk_x", api=tunnel, proxy=tunnel, tunnel=tunnel, ca_file=ca_file)


def printed(helm: Helm, words: list[str]) -> Rendered:
    """What the printed helm line installs."""
    values: Document = {}
    namespace = ""
    for flag, word in pairwise(words):
        if flag in {"--set", "--set-string"}:
            for name, value in helm.parse_set(word).items():
                values.setdefault(name, {}).update(value)
        elif flag == "--set-file":
            assert word.startswith("relay.ca.pem=")
            values["relay"]["ca"] = {"pem": Path(word.partition("=")[2]).read_text()}
        elif flag == "--namespace":
            namespace = word
    return helm.render(OPERATOR, values, name=words[3], namespace=namespace)


def test_the_line_that_cluster_add_prints_installs_an_agent_with_its_token(helm: Helm) -> None:
    words = shlex.split(install_lines(cli_settings(), TOKEN)["helm"])
    assert words[:5] == ["helm", "upgrade", "--install", "signadot-operator", CHART]
    assert (ROOT / CHART / "Chart.yaml").exists()
    rendered = printed(helm, words)
    secret = rendered.one("Secret")
    assert (secret["metadata"]["name"], secret["metadata"]["namespace"]) == (SECRET, NAMESPACE)
    assert b64decode(secret["data"]["token"]).decode() == TOKEN
    assert rendered.environment()["SIGNADOT_RELAY"] == "tunnel.example.com:443"


def test_the_lines_for_a_secret_of_ones_own_make_what_the_chart_mounts(helm: Helm) -> None:
    namespace, secret, install = map(shlex.split, install_lines(cli_settings(), TOKEN)["kubectl"])
    rendered = printed(helm, install)
    (mounted,) = [v["secret"] for v in rendered.pod()["volumes"] if v["name"] == "token"]
    assert rendered.all("Secret") == []
    assert namespace[-1] == NAMESPACE
    assert secret[4:7] == [mounted["secretName"], "--namespace", NAMESPACE]
    assert secret[7] == f"--from-literal={mounted['items'][0]['key']}={TOKEN}"
    assert "kubectl create secret generic cluster-agent" in rendered.notes


def test_an_authority_that_the_command_line_trusts_is_told_to_the_agent(helm: Helm, tmp_path: Path) -> None:
    file = tmp_path / "our own ca.pem"
    file.write_bytes(Authority.create().pem)
    lines = install_lines(cli_settings(file), TOKEN)
    for line in (lines["helm"], lines["kubectl"][-1]):
        rendered = printed(helm, shlex.split(line))
        assert rendered.one("ConfigMap")["data"] == {"ca.pem": file.read_text()}
        assert rendered.environment()["SIGNADOT_CA_FILE"] == "/run/secrets/signadot/ca/ca.pem"
    assert shlex.split(lines["agent"])[-2:] == ["--ca-file", str(file)]


@over_values
def test_the_agent_reads_its_settings_without_a_problem(helm: Helm, tmp_path: Path, values: Document) -> None:
    settings = settings_of(helm.render(OPERATOR, values), tmp_path)
    assert settings.token_file == Path("/run/secrets/signadot/token/token")
    assert settings.health.port == 8088
    assert str(settings.relay).startswith(values["relay"]["address"])
    assert settings.transport == values["relay"].get("transport", "tls")
    assert (settings.ca_file is None) == ("ca" not in values["relay"])


def settings_of(rendered: Rendered, folder: Path) -> Settings:
    """The settings that the rendered pod gives to the agent; its certificates are another file here."""
    environment = rendered.environment()
    if "SIGNADOT_CA_FILE" in environment:
        (mount,) = [m for m in rendered.container()["volumeMounts"] if m["name"] == "ca"]
        assert environment["SIGNADOT_CA_FILE"] == f"{mount['mountPath']}/ca.pem"
        (folder / "ca.pem").write_bytes(Authority.create().pem)
        environment["SIGNADOT_CA_FILE"] = str(folder / "ca.pem")
    return load_settings(Flags(), environment)


@pytest.mark.parametrize(
    ("values", "patterns"),
    [
        ({}, ["*.*.svc:*"]),
        ({"allowedNamespaces": ["shop", "pay"]}, ["*.shop.svc:*", "*.pay.svc:*"]),
        ({"allowedNamespaces": ["shop"], "agent": {"allowTargets": ["db.x.example:1"]}}, ["db.x.example:1"]),
    ],
    ids=["default", "namespaces", "own"],
)
def test_what_may_be_dialled_follows_the_allowed_namespaces(
    helm: Helm, tmp_path: Path, values: Document, patterns: list[str]
) -> None:
    settings = settings_of(helm.render(OPERATOR, {**ADDRESS, **values}), tmp_path)
    assert settings.policy.patterns == tuple(map(TargetPattern.parse, patterns))


@over_values
def test_the_token_is_in_no_variable_and_no_object_but_its_secret(helm: Helm, values: Document) -> None:
    rendered = helm.render(OPERATOR, values)
    assert TOKEN not in str([document for document in rendered.documents if document["kind"] != "Secret"])


@over_values
def test_the_pod_outlives_its_drain(helm: Helm, values: Document) -> None:
    rendered = helm.render(OPERATOR, values)
    drain = int(rendered.environment()["SIGNADOT_DRAIN_SECONDS"])
    assert rendered.pod()["terminationGracePeriodSeconds"] > drain


@pytest.mark.parametrize(("replicas", "budgets"), [(0, 0), (1, 0), (2, 1)])
def test_a_budget_protects_the_second_pod(helm: Helm, replicas: int, budgets: int) -> None:
    assert len(helm.render(OPERATOR, {**ADDRESS, "replicas": replicas}).all("PodDisruptionBudget")) == budgets


def written_grants() -> set[Grant]:
    """The table of docs/rbac.md: every verb of every row."""
    found: set[Grant] = set()
    for line in (ROOT / "docs" / "rbac.md").read_text().splitlines():
        if match := re.fullmatch(r"\| `(\S+)` \| `(\S+)` \| ([a-z, ]+) \| (\w+) \| (.+?) \| .+ \|", line):
            group, resource, verbs, where, value = match.groups()
            group = group if group != "core" else ""
            found |= {(group, resource, verb, where, value.strip("`")) for verb in verbs.split(", ")}
    return found


WITHHELD: dict[str, dict[str, Any]] = {
    "kubernetes.enabled": {"kubernetes": {"enabled": False}},
    "podLogs.enabled": {"podLogs": {"enabled": False}},
    "previews.enabled": {"previews": {"enabled": False}},
}


def rendered_grants(rendered: Rendered) -> set[tuple[str, str, str, str]]:
    """What the ServiceAccount may do, by its bindings: API group, resource, verb, where."""
    roles = {(r["kind"], r["metadata"]["name"]): r for kind in ("ClusterRole", "Role") for r in rendered.all(kind)}
    account = rendered.pod()["serviceAccountName"]
    found: set[tuple[str, str, str, str]] = set()
    bound = set()
    for binding in [*rendered.all("ClusterRoleBinding"), *rendered.all("RoleBinding")]:
        subject = {"kind": "ServiceAccount", "name": account, "namespace": NAMESPACE}
        assert binding["subjects"] == [subject]
        key = (binding["roleRef"]["kind"], binding["roleRef"]["name"])
        bound.add(key)
        where = "own" if key[0] == "Role" else "allowed"
        for rule in roles[key]["rules"]:
            assert rule.keys() == {"apiGroups", "resources", "verbs"}
            found |= {(g, r, v, where) for g in rule["apiGroups"] for r in rule["resources"] for v in rule["verbs"]}
    assert bound == roles.keys()
    return found


def test_the_written_table_of_rights_is_what_the_chart_grants_neither_more_nor_less(helm: Helm) -> None:
    full = rendered_grants(helm.render(OPERATOR, ADDRESS))
    assert full == {grant[:4] for grant in written_grants()}


@pytest.mark.parametrize("value", WITHHELD)
def test_what_the_table_says_is_withheld_is_withheld_and_nothing_else(helm: Helm, value: str) -> None:
    kept = rendered_grants(helm.render(OPERATOR, {**ADDRESS, **WITHHELD[value]}))
    rows = written_grants()
    gone = {grant[:4] for grant in rows if value in {grant[4], "kubernetes.enabled"}}
    assert gone
    assert kept == {grant[:4] for grant in rows} - gone


@over_values
def test_nothing_is_ever_granted_on_everything_or_on_secrets(helm: Helm, values: Document) -> None:
    for group, resource, verb, _ in rendered_grants(helm.render(OPERATOR, values)):
        assert "*" not in {group, resource, verb}
        assert resource.partition("/")[0] not in {"secrets", "nodes", "serviceaccounts", "configmaps"}
        assert resource not in {"pods/exec", "pods/attach", "pods/portforward", "pods/proxy", "services/proxy"}
        assert verb not in {"impersonate", "bind", "escalate"}


def test_allowed_namespaces_leave_no_right_elsewhere(helm: Helm) -> None:
    rendered = helm.render(OPERATOR, OPERATOR_VALUES["namespaces"])
    assert rendered.all("ClusterRoleBinding") == []
    places = {(binding["metadata"]["namespace"], binding["roleRef"]["kind"]) for binding in rendered.all("RoleBinding")}
    assert places == {("shop", "ClusterRole"), ("pay", "ClusterRole"), (NAMESPACE, "Role")}


def test_without_kubernetes_the_pod_has_no_credential(helm: Helm) -> None:
    rendered = helm.render(OPERATOR, OPERATOR_VALUES["tunnel-only"])
    kinds = {document["kind"] for document in rendered.documents}
    assert kinds == {"Deployment", "ServiceAccount"}
    assert rendered.pod()["automountServiceAccountToken"] is False
    assert rendered.environment()["SIGNADOT_KUBERNETES"] == "off"


@over_values
def test_the_network_policy_lets_in_nothing_but_the_health_port(helm: Helm, values: Document) -> None:
    policies = helm.render(OPERATOR, values).all("NetworkPolicy")
    assert len(policies) == (1 if values.get("networkPolicy", {}).get("enabled", True) else 0)
    for policy in policies:
        assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]
        (rule,) = policy["spec"]["ingress"]
        assert rule["ports"] == [{"port": "health", "protocol": "TCP"}]


@pytest.mark.parametrize(
    ("name", "ports"),
    [
        ("as-cluster-add-prints", [443]),
        ("inline-ca", [8443]),
        ("ca-secret-and-proxy", [3128]),
        ("ca-map-and-secret-proxy", [443, 8444, 3128]),
    ],
    ids=str,
)
def test_the_network_policy_lets_out_to_the_relay_or_its_proxy(helm: Helm, name: str, ports: list[int]) -> None:
    policy = helm.render(OPERATOR, OPERATOR_VALUES[name]).one("NetworkPolicy")
    names, relay, api_server, targets = policy["spec"]["egress"]
    assert {port["port"] for port in names["ports"]} == {53, 5353}
    assert [port["port"] for port in relay["ports"]] == ports
    assert 6443 in [port["port"] for port in api_server["ports"]]
    assert targets == {"to": [{"namespaceSelector": {}}]}
    blocks = [peer["ipBlock"] for peer in [*relay["to"], *api_server["to"]]]
    assert all("169.254.0.0/16" in block["except"] for block in blocks if block["cidr"] == "0.0.0.0/0")


def test_the_network_policy_follows_the_allowed_namespaces(helm: Helm) -> None:
    policy = helm.render(OPERATOR, OPERATOR_VALUES["namespaces"]).one("NetworkPolicy")
    (peer,) = policy["spec"]["egress"][-1]["to"]
    (expression,) = peer["namespaceSelector"]["matchExpressions"]
    assert expression == {"key": "kubernetes.io/metadata.name", "operator": "In", "values": ["shop", "pay"]}
