"""Where the controller may clone Deployments, and where it sees its clones. Pure."""

from dataclasses import dataclass

SYSTEM_PREFIX = "kube-"
"""Kubernetes keeps namespaces of that name for itself: what runs there may do anything to the cluster."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """What the operator and the API server let the agent do, by namespace."""

    allowed: frozenset[str] = frozenset()
    """Empty: all of them, apart from those of Kubernetes and of the agent."""
    unreadable: frozenset[str] = frozenset()
    """Of the allowed ones those that the API server does not show."""

    def sees(self, namespace: str) -> bool:
        """Whether what is there is known."""
        return namespace not in self.unreadable and (not self.allowed or namespace in self.allowed)

    def objection(self, namespace: str, *, own: str) -> str:
        """Why no Deployment of a namespace is cloned, empty where they are. `own`: the agent's namespace."""
        if namespace in self.unreadable:
            return f"the API server does not let the agent read the namespace {namespace}"
        if self.allowed:
            return "" if namespace in self.allowed else f"the agent's allowedNamespaces do not name {namespace}"
        if namespace.startswith(SYSTEM_PREFIX) or namespace == own:
            return f"Deployments of {namespace} are cloned only where allowedNamespaces name it"
        return ""


ANYWHERE = Reach()
