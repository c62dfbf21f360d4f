"""Which clone an endpoint of a workspace leads to; pure."""

from collections.abc import Sequence

from relay.routing import ForkTarget, is_fork_target, parse_fork_target
from relay.store.records import Clone, Fork, Workspace, WorkspaceSpec


def wanted_forks(spec: WorkspaceSpec) -> Sequence[Fork]:
    """The Deployments that a specification names: its forks, and those that endpoints name with their namespace."""
    named = [
        Fork(namespace=target.namespace, deployment=target.deployment)
        for target in fork_targets(spec).values()
        if target.namespace
    ]
    return tuple(dict.fromkeys([*spec.forks, *named]))


def fork_targets(spec: WorkspaceSpec) -> dict[str, ForkTarget]:
    """The endpoints that lead to clones, by name."""
    return {
        endpoint.name: parse_fork_target(endpoint.target)
        for endpoint in spec.endpoints
        if is_fork_target(endpoint.target)
    }


def find_clones(workspace: Workspace, target: ForkTarget) -> Sequence[Clone]:
    """The clones that a target may mean: one, none so far, or several where it ought to name its namespace.

    A target without namespace means the fork of that name that the specification lists, if it lists just one.
    """
    clones = () if workspace.in_cluster is None else workspace.in_cluster.clones
    namespace = target.namespace
    if not namespace:
        listed = [fork for fork in workspace.spec.forks if fork.deployment == target.deployment]
        namespace = listed[0].namespace if len(listed) == 1 else ""
    return [
        clone
        for clone in clones
        if clone.fork.deployment == target.deployment and namespace in {"", clone.fork.namespace}
    ]


def clone_address(workspace: Workspace, target: str) -> tuple[str, int]:
    """Host and port of the clone's Service; an empty host where there is none, or more than one."""
    parsed = parse_fork_target(target)
    found = find_clones(workspace, parsed)
    resolved = len(found) == 1 and found[0].service
    host = f"{found[0].service}.{found[0].fork.namespace}.svc" if resolved else ""
    return host, parsed.port
