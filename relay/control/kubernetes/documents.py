"""Workspace objects as the relay writes them. Pure."""

from typing import Any

from relay.kubernetes import ORG_ID_LABEL, ORG_LABEL, WORKSPACE_API_VERSION, WORKSPACE_KIND, WORKSPACE_LABEL
from relay.store import Org, Workspace, WorkspaceSpec
from relay.store.clones import wanted_forks

Object = dict[str, Any]


def document_of(org: Org, workspace: Workspace) -> Object:
    """The object that asks a cluster for a workspace; its definition is deploy/crds/workspaces.signadot.com.yaml."""
    spec = workspace.spec
    asked: Object = {
        "name": workspace.name,
        "routingKey": workspace.routing_key,
        "images": [{"name": image.name, "newTag": image.new_tag} for image in spec.images],
        "forks": [{"namespace": fork.namespace, "deployment": fork.deployment} for fork in wanted_forks(spec)],
        "endpoints": [{"name": endpoint.name, "target": endpoint.target} for endpoint in spec.endpoints],
        "pullRequest": _pull_request(spec),
    }
    labels = {ORG_LABEL: org.name, ORG_ID_LABEL: org.id, WORKSPACE_LABEL: workspace.name}
    return {
        "apiVersion": WORKSPACE_API_VERSION,
        "kind": WORKSPACE_KIND,
        "metadata": {"name": workspace.name, "labels": labels},
        "spec": {key: value for key, value in asked.items() if value},
    }


def _pull_request(spec: WorkspaceSpec) -> Object:
    github = spec.github
    if github is None:
        return {}
    known = {
        "repository": github.repository,
        "number": github.pull_request,
        "branch": github.branch,
        "headCommit": github.head_commit,
    }
    return {key: value for key, value in known.items() if value is not None}
