"""Pods as a workspace has them: which they are, and what is known of their containers."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from relay.control.kubernetes.names import NAME, matches
from relay.kubernetes import (
    ORG_LABEL,
    PODS,
    SERVICES,
    WORKSPACE_LABEL,
    BadAnswerError,
    GoneError,
    KubernetesClient,
    Listed,
    NotFoundError,
    Where,
)

LIST_TRIES = 3
"""A list in pages may be outrun by changes; three times in a row means a cluster in trouble."""

_UID = re.compile(r"[A-Za-z0-9-]{1,64}")
_SERVICE = re.compile(r"(?:[a-z0-9-]+\.)?(?P<name>[a-z0-9-]+)\.(?P<namespace>[a-z0-9-]+)\.svc(?:\.[a-z0-9.-]+)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Workspace:
    """What tells a workspace's pods from others."""

    name: str
    org: str
    hosts: tuple[str, ...] = ()
    """Where its endpoints lead: hosts of their targets."""
    allowed_namespaces: tuple[str, ...] = ()
    """Those that the cluster's agents let be read; empty: all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Pods that are found by labels, and why they belong to a workspace."""

    origin: str
    """`workspace` for its own clones, `service/NAME` for the pods behind a Service that an endpoint leads to."""
    where: Where


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """One container of a pod."""

    name: str
    state: str
    """`running`, `terminated`, or `waiting`."""
    reason: str
    """Why it is not running, in Kubernetes' words; may be empty."""
    restarts: int
    has_log: bool
    """Whether it has run, so that there is something to read."""
    life: str
    """Names one run of it: another one after each restart."""

    @property
    def is_running(self) -> bool:
        """Whether more may come to its log."""
        return self.state == "running"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pod:
    """One pod."""

    uid: str
    namespace: str
    name: str
    origin: str
    phase: str
    created_at: str
    """RFC 3339."""
    containers: tuple[Container, ...]
    """Those that prepare the pod first, in the order of its specification."""

    @classmethod
    def of(cls, document: dict[str, Any], origin: str) -> "Pod":
        """Reads a Pod object. Raises BadAnswerError."""
        try:
            metadata, spec, status = document["metadata"], document["spec"], document.get("status") or {}
            return cls(
                uid=_checked(_UID, metadata["uid"]),
                namespace=_checked(NAME, metadata["namespace"]),
                name=_checked(NAME, metadata["name"]),
                origin=origin,
                phase=str(status.get("phase") or "Unknown"),
                created_at=str(metadata.get("creationTimestamp") or ""),
                containers=tuple(_containers(spec, status)),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise BadAnswerError("the API server's list of pods has something that is no pod") from error

    def container(self, name: str) -> Container | None:
        """Its container of that name."""
        return next((container for container in self.containers if container.name == name), None)


async def selections(api: KubernetesClient, workspace: Workspace) -> list[Selection]:
    """Where to look for a workspace's pods: its own, and those behind the Services that its endpoints lead to."""
    allowed = workspace.allowed_namespaces
    # Two orgs may share a cluster and a workspace's name.
    labels = f"{ORG_LABEL}={workspace.org},{WORKSPACE_LABEL}={workspace.name}"
    found = [
        Selection(origin="workspace", where=Where(namespace=namespace, labels=labels)) for namespace in allowed or [""]
    ]
    for namespace, name in _services(workspace.hosts):
        if allowed and namespace not in allowed:
            continue
        try:
            service = await api.get(SERVICES, namespace, name)
        except NotFoundError:
            continue  # an endpoint may lead to what does not exist yet
        if labels := _selector(service):
            found.append(Selection(origin=f"service/{name}", where=Where(namespace=namespace, labels=labels)))
    return found


async def list_pods(api: KubernetesClient, selection: Selection) -> tuple[list[Pod], str]:
    """The pods of a selection, and from where a watch goes on."""
    listed = await _list(api, selection.where)
    pods = [Pod.of(document, selection.origin) for document in listed.items]
    return sorted(pods, key=lambda pod: (pod.namespace, pod.name)), listed.resource_version


def distinct(pods: Iterable[Pod]) -> list[Pod]:
    """Each pod once, by where it was found first."""
    return list({pod.uid: pod for pod in reversed(list(pods))}.values())[::-1]


async def _list(api: KubernetesClient, where: Where) -> Listed:
    for _ in range(LIST_TRIES - 1):
        try:
            return await api.list(PODS, where)
        except GoneError:
            continue
    return await api.list(PODS, where)


def _services(hosts: Sequence[str]) -> list[tuple[str, str]]:
    """Namespace and name of the Services that hosts name in the cluster's DNS, each once."""
    found = [match for host in hosts if (match := _SERVICE.fullmatch(host))]
    return sorted({(match["namespace"], match["name"]) for match in found})


def _selector(service: dict[str, Any]) -> str:
    """A Service's selector; empty for one without pods of its own (ExternalName, or endpoints by hand)."""
    selector = (service.get("spec") or {}).get("selector") or {}
    if not isinstance(selector, dict):
        raise BadAnswerError("the selector of a Service is none")
    return ",".join(f"{key}={value}" for key, value in sorted(selector.items()))


def _containers(spec: dict[str, Any], status: dict[str, Any]) -> Iterator[Container]:
    for kind in ("initContainer", "container"):
        statuses = {item["name"]: item for item in status.get(f"{kind}Statuses") or ()}
        for item in spec.get(f"{kind}s") or ():
            yield _container(_checked(NAME, item["name"]), statuses.get(item["name"]) or {})


def _checked(grammar: re.Pattern[str], value: Any) -> str:
    """A name that is fit to go before every line of a log."""
    if not matches(value, grammar):
        raise ValueError("not a name of Kubernetes")
    return value


def _container(name: str, status: dict[str, Any]) -> Container:
    states = status.get("state") or {}
    state = next((known for known in ("running", "terminated") if states.get(known) is not None), "waiting")
    reason = str((states.get(state) or {}).get("reason") or "")
    restarts = int(status.get("restartCount") or 0)
    # One that waits to be started again still has the log of the life before.
    ran_before = (status.get("lastState") or {}).get("terminated") is not None
    return Container(
        name=name,
        state=state,
        reason=reason,
        restarts=restarts,
        has_log=state != "waiting" or ran_before,
        life=f"{restarts} {status.get('containerID') or ''}",
    )
