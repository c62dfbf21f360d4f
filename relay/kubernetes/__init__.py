"""The API of Kubernetes over any byte stream: requests, strict answers, typed errors, lists and watches.

The relay speaks it over streams to agents, the agent over connections to its API server.
"""

from relay.kubernetes.client import EVERYWHERE, KubernetesClient, Listed, LogOptions, Where
from relay.kubernetes.errors import (
    BadAnswerError,
    ConflictError,
    ForbiddenError,
    GoneError,
    InvalidError,
    KubernetesError,
    NotFoundError,
    TooManyRequestsError,
    UnauthorizedError,
    UnavailableError,
    error_of,
)
from relay.kubernetes.exchange import Answer, ask
from relay.kubernetes.informer import Informer, key_of
from relay.kubernetes.requests import (
    APPLY_PATCH,
    DEPLOYMENTS,
    ENDPOINT_SLICES,
    JSON,
    JSON_PATCH,
    MERGE_PATCH,
    PODS,
    REPLICA_SETS,
    SERVICES,
    WORKSPACES,
    ApiRequest,
    Query,
    Resource,
    query,
)
from relay.kubernetes.watching import Event, Events
from relay.kubernetes.work import WorkQueue
from relay.kubernetes.workspaces import (
    CLONE_OF_LABEL,
    ORG_ID_LABEL,
    ORG_LABEL,
    READY,
    STARTING,
    WAITING,
    WORKSPACE_API_VERSION,
    WORKSPACE_KIND,
    WORKSPACE_LABEL,
)

STREAM_KIND = "kubernetes"
"""Kind of the streams that carry one request to the API server each."""
STREAM_ADDRESS = ("kubernetes.default.svc", 443)
"""Host and port in their OPEN: the agent's own API server, which nothing but this names."""

CAPABILITY_KUBERNETES = "kubernetes"
"""Capability of agents that serve such streams."""
CAPABILITY_POD_LOGS = "pod-logs"
"""Capability of agents that let pods/log through."""
CAPABILITY_WORKSPACES = "workspaces"
"""Capability of agents that let Workspace objects through."""

__all__ = [
    "APPLY_PATCH",
    "CAPABILITY_KUBERNETES",
    "CAPABILITY_POD_LOGS",
    "CAPABILITY_WORKSPACES",
    "CLONE_OF_LABEL",
    "DEPLOYMENTS",
    "ENDPOINT_SLICES",
    "EVERYWHERE",
    "JSON",
    "JSON_PATCH",
    "MERGE_PATCH",
    "ORG_ID_LABEL",
    "ORG_LABEL",
    "PODS",
    "READY",
    "REPLICA_SETS",
    "SERVICES",
    "STARTING",
    "STREAM_ADDRESS",
    "STREAM_KIND",
    "WAITING",
    "WORKSPACES",
    "WORKSPACE_API_VERSION",
    "WORKSPACE_KIND",
    "WORKSPACE_LABEL",
    "Answer",
    "ApiRequest",
    "BadAnswerError",
    "ConflictError",
    "Event",
    "Events",
    "ForbiddenError",
    "GoneError",
    "Informer",
    "InvalidError",
    "KubernetesClient",
    "KubernetesError",
    "Listed",
    "LogOptions",
    "NotFoundError",
    "Query",
    "Resource",
    "TooManyRequestsError",
    "UnauthorizedError",
    "UnavailableError",
    "Where",
    "WorkQueue",
    "ask",
    "error_of",
    "key_of",
    "query",
]
