"""The rights of an agent with previews, as docs/rbac.md has them; a test of the chart holds that page to the chart."""

from typing import Any

from tests.support.fake_kubernetes import FakeKubernetes

READ, WRITE = ["get", "list", "watch"], ["create", "update", "patch", "delete"]
ALLOWED: list[dict[str, Any]] = [
    {"apiGroups": [""], "resources": ["pods"], "verbs": READ},
    {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": READ},
    {"apiGroups": ["apps"], "resources": ["replicasets"], "verbs": READ},
    {"apiGroups": [""], "resources": ["services"], "verbs": [*READ, *WRITE]},
    {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": [*READ, *WRITE]},
]
OWN: list[dict[str, Any]] = [
    {"apiGroups": ["signadot.com"], "resources": ["workspaces"], "verbs": [*READ, *WRITE]},
    {"apiGroups": ["signadot.com"], "resources": ["workspaces/status"], "verbs": ["get", "update", "patch"]},
]


def agent_token(fake: FakeKubernetes, *namespaces: str) -> str:
    """A token of the ServiceAccount `signadot/agent`, which may write clones in these namespaces, all by default."""
    fake.service_account("signadot", "agent", rules=ALLOWED, namespaces=namespaces or None)
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "workspaces"}
    subject = {"kind": "ServiceAccount", "namespace": "signadot", "name": "agent"}
    metadata = {"name": "workspaces", "namespace": "signadot"}
    api_version = "rbac.authorization.k8s.io/v1"
    fake.create({"apiVersion": api_version, "kind": "Role", "metadata": metadata, "rules": OWN})
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
