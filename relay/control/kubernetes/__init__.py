"""The clusters' API servers, as far as their agents let the relay through."""

from relay.control.kubernetes.cluster import ClusterApi, OpenStream
from relay.control.kubernetes.keeper import WorkspaceKeeper
from relay.control.kubernetes.log_budget import LogBudget, LogLimits

__all__ = ["ClusterApi", "LogBudget", "LogLimits", "OpenStream", "WorkspaceKeeper"]
