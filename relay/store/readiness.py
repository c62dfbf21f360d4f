"""Whether a workspace can be used now, and if not, why; pure. API, pages and commit statuses say the same by it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from relay.store.clones import find_clones, fork_targets
from relay.store.records import Workspace

CLONES_CAPABILITY = "workspaces"
"""What agents announce that clone Deployments; `relay.kubernetes`, which has the word too, is a layer of its own."""


class ClusterStatus(Protocol):
    """What has to be known of a workspace's cluster."""

    @property
    def online(self) -> bool:
        """Whether there is a live tunnel."""

    @property
    def capabilities(self) -> Sequence[str]:
        """What the connected agents can do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Readiness:
    """What is to be said of a workspace."""

    ready: bool
    waiting: bool = False
    """If it is not ready: whether time may take care of it. Otherwise somebody has to do something."""
    reason: str
    """One word."""
    message: str
    """A sentence."""


def readiness_of(workspace: Workspace, cluster: ClusterStatus) -> Readiness:
    """What is to be said of a workspace whose cluster is as given."""
    spec, name = workspace.spec, repr(workspace.spec.cluster)
    if not cluster.online:
        return Readiness(ready=False, waiting=True, reason="ClusterOffline", message=f"cluster {name} is offline")
    online = Readiness(ready=True, reason="Ready", message=f"cluster {name} is online")
    forks = bool(spec.forks or fork_targets(spec))
    if not (forks or spec.images):
        return online
    if CLONES_CAPABILITY in cluster.capabilities:
        return _cloned(workspace)
    missing = "its agent does not clone Deployments (chart value previews.enabled)"
    if forks:
        return _not_ready("PreviewsOff", f"cluster {name} cannot run forks: {missing}")
    return Readiness(ready=True, reason="Ready", message=f"{online.message}; images are not replaced: {missing}")


def _cloned(workspace: Workspace) -> Readiness:
    state, name = workspace.in_cluster, repr(workspace.spec.cluster)
    if state is None or state.revision != workspace.revision:
        message = f"cluster {name} has not taken the specification yet"
        return Readiness(ready=False, waiting=True, reason="Pending", message=message)
    if not state.ready:
        return Readiness(ready=False, waiting=state.waiting, reason=state.reason, message=state.message)
    return _unresolved(workspace) or Readiness(ready=True, reason=state.reason, message=state.message)


def _unresolved(workspace: Workspace) -> Readiness | None:
    """For an endpoint that leads to no clone, or may mean several."""
    for endpoint, target in fork_targets(workspace.spec).items():
        found = find_clones(workspace, target)
        if not found:
            return _not_ready("ForkNotFound", f"endpoint {endpoint!r}: no Deployment {target.deployment!r} is forked")
        if len(found) > 1:
            places = ", ".join(clone.fork.namespace for clone in found)
            message = (
                f"endpoint {endpoint!r}: {target.deployment!r} is forked in several namespaces ({places}); name one"
            )
            return _not_ready("ForkNotFound", message)
        if not found[0].service:
            message = (
                f"endpoint {endpoint!r}: Deployment {target.deployment!r} has no ports, so its clone has no Service"
            )
            return _not_ready("ForkNotFound", message)
    return None


def _not_ready(reason: str, message: str) -> Readiness:
    return Readiness(ready=False, reason=reason, message=message)
