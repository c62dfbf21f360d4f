"""The clusters' API servers, as far as their agents let the relay through."""

from relay.control.kubernetes.cluster import ClusterApi, OpenStream
from relay.control.kubernetes.keeper import WorkspaceKeeper

__all__ = ["ClusterApi", "OpenStream", "WorkspaceKeeper"]
