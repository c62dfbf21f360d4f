"""The rights of an agent with previews: exactly those of docs/rbac.md, which a test of the chart holds to the chart."""

import re
from typing import Any

from tests.support.fake_kubernetes import FakeKubernetes
from tests.support.processes import ROOT

_ROW = re.compile(r"\| `(\S+)` \| `(\S+)` \| ([a-z, ]+) \| (\w+) \| `(\S+)` \| .+ \|")


def rules(where: str, *, pod_logs: bool = False) -> list[dict[str, Any]]:
    """The PolicyRules for the namespaces that are `allowed`, or for the agent's `own`."""
    rows = map(_ROW.fullmatch, (ROOT / "docs" / "rbac.md").read_text().splitlines())
    return [
        {"apiGroups": [group.replace("core", "")], "resources": [resource], "verbs": verbs.split(", ")}
        for group, resource, verbs, place, value in (row.groups() for row in rows if row is not None)
        if place == where and (pod_logs or value != "podLogs.enabled")
    ]


def agent_token(fake: FakeKubernetes, *namespaces: str, pod_logs: bool = False) -> str:
    """A token of the ServiceAccount `signadot/agent`, which may write clones in these namespaces, all by default."""
    fake.service_account("signadot", "agent", rules=rules("allowed", pod_logs=pod_logs), namespaces=namespaces or None)
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "workspaces"}
    subject = {"kind": "ServiceAccount", "namespace": "signadot", "name": "agent"}
    metadata = {"name": "workspaces", "namespace": "signadot"}
    api_version = "rbac.authorization.k8s.io/v1"
    fake.create({"apiVersion": api_version, "kind": "Role", "metadata": metadata, "rules": rules("own")})
    fake.create(
        {
            "apiVersion": api_version,
            "kind": "RoleBinding",
            "metadata": metadata,
            "roleRef": role,
            "subjects": [subject],
        }
    )
    return fake.issue_token("signadot", "agent")
