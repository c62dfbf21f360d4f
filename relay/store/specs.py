"""Workspace specifications: the rules that hold for every stored one, and their forms in the tables."""

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

from relay.errors import InvalidError
from relay.routing import (
    is_fork_target,
    parse_fork_target,
    parse_target,
    require_deployment,
    require_label,
    require_name,
    require_namespace,
    require_origin,
    require_routing_header,
)
from relay.store.records import Clone, Endpoint, Fork, GithubSource, Image, InCluster, Ttl, WorkspaceSpec
from relay.store.rows import to_json

MAX_ENDPOINTS = 64
"""A workspace with more previews than a person can tell apart is a mistake."""
MAX_IMAGES = 256
"""More than the containers of any application known to us."""
MAX_FORKS = 64
"""Each is at least one pod more in the cluster."""
MAX_ROUTING_HEADERS = 16
"""Per endpoint and per workspace; together with their length it bounds what is added to a head."""
MAX_ORIGINS = 64
"""Per endpoint: each request with an Origin is compared with all of them."""


_DURATION = re.compile(r"([1-9][0-9]{0,4})([mhdw])")
_UNIT_SECONDS = {"m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}


def duration_seconds(duration: str, *, field: str = "spec.ttl.duration") -> float:
    """A duration such as `90m`, `12h`, `3d` or `2w` in seconds. Raises InvalidError that names `field`."""
    match = _DURATION.fullmatch(duration)
    if match is None:
        raise InvalidError(f"{field}: {duration!r} must be a number of minutes, hours, days or weeks, such as 3d")
    return int(match[1]) * _UNIT_SECONDS[match[2]]


def expiry(spec: WorkspaceSpec, *, created_at: float, updated_at: float) -> float | None:
    """When a workspace's time to live is over, None without one."""
    return _end(spec.ttl, created_at=created_at, updated_at=updated_at)


def stored_expiry(document: str, *, created_at: float, updated_at: float) -> float | None:
    """The same from the column `spec` that `workspace_columns` gave."""
    return _end(_read_ttl(json.loads(document)), created_at=created_at, updated_at=updated_at)


def _end(ttl: Ttl | None, *, created_at: float, updated_at: float) -> float | None:
    if ttl is None:
        return None
    start = created_at if ttl.offset_from == "createdAt" else updated_at
    return start + duration_seconds(ttl.duration)


def check_spec(org: str, name: str, spec: WorkspaceSpec) -> None:
    """Raises InvalidError that names the field's path and the rule it breaks."""
    require_name(name, field="name")
    if spec.ttl is not None:
        duration_seconds(spec.ttl.duration)
    _require_unique("spec.endpoints", [endpoint.name for endpoint in spec.endpoints], MAX_ENDPOINTS)
    _require_unique("spec.images", [image.name for image in spec.images], MAX_IMAGES)
    _check_forks(spec.forks)
    _check_headers("spec.routingHeaders", spec.routing_headers)
    for position, endpoint in enumerate(spec.endpoints):
        field = f"spec.endpoints.{position}"
        require_label(endpoint.name, name, org, field=f"{field}.name")
        if is_fork_target(endpoint.target):
            parse_fork_target(endpoint.target, field=f"{field}.target")
        else:
            parse_target(endpoint.target, field=f"{field}.target")
        _check_headers(f"{field}.routingHeaders", endpoint.routing_headers)
        _require_few(f"{field}.allowedOrigins", endpoint.allowed_origins, MAX_ORIGINS)
        for index, origin in enumerate(endpoint.allowed_origins):
            require_origin(origin, field=f"{field}.allowedOrigins.{index}")


def workspace_columns(spec: WorkspaceSpec) -> dict[str, str | None]:
    """The sealed columns of the workspace's own row."""
    github = spec.github
    document = {
        "description": spec.description,
        "labels": dict(spec.labels),
        "routingHeaders": spec.routing_headers,
        "forks": [[fork.namespace, fork.deployment] for fork in spec.forks],
        "ttl": None if spec.ttl is None else [spec.ttl.duration, spec.ttl.offset_from],
    }
    pull_request = None if github is None or github.pull_request is None else str(github.pull_request)
    return {
        "spec": to_json(document),
        "repository": None if github is None else github.repository,
        "organisation": None if github is None else github.repository.partition("/")[0],
        "branch": None if github is None else github.branch,
        "head_commit": None if github is None else github.head_commit,
        "pull_request": pull_request,
    }


def in_cluster_column(state: InCluster) -> str:
    """The sealed column that holds what the cluster said."""
    clones = [[clone.fork.namespace, clone.fork.deployment, clone.service] for clone in state.clones]
    return to_json([state.revision, state.ready, state.waiting, state.reason, state.message, clones])


def read_in_cluster(column: str | None) -> InCluster | None:
    """What the cluster said, from the column that `in_cluster_column` gave."""
    if column is None:
        return None
    revision, ready, waiting, reason, message, clones = json.loads(column)
    return InCluster(
        revision=revision,
        ready=ready,
        waiting=waiting,
        reason=reason,
        message=message,
        clones=tuple(
            Clone(fork=Fork(namespace=namespace, deployment=deployment), service=service)
            for namespace, deployment, service in clones
        ),
    )


def endpoint_columns(endpoint: Endpoint) -> dict[str, str]:
    """The columns of an endpoint's row."""
    extras = {"routingHeaders": endpoint.routing_headers, "allowedOrigins": endpoint.allowed_origins}
    return {
        "name": endpoint.name,
        "target": endpoint.target,
        "visibility": endpoint.visibility,
        "host_header": endpoint.host_header,
        "preflight": endpoint.preflight,
        "extras": to_json(extras),
    }


def _read_ttl(document: dict[str, Any]) -> Ttl | None:
    ttl = document["ttl"]
    return None if ttl is None else Ttl(duration=ttl[0], offset_from=ttl[1])


def read_spec(
    cluster: str, values: dict[str, Any], images: Iterable[Image], endpoints: Iterable[Endpoint]
) -> WorkspaceSpec:
    """The specification from the columns that `workspace_columns` gave."""
    document = json.loads(values["spec"])
    return WorkspaceSpec(
        cluster=cluster,
        description=document["description"],
        labels=document["labels"],
        images=tuple(images),
        # Workspaces from before there were forks have none.
        forks=tuple(Fork(namespace=fork[0], deployment=fork[1]) for fork in document.get("forks", ())),
        github=_read_github(values),
        endpoints=tuple(endpoints),
        routing_headers=_pairs(document["routingHeaders"]),
        ttl=_read_ttl(document),
    )


def read_endpoint(values: dict[str, Any]) -> Endpoint:
    """The endpoint from the columns that `endpoint_columns` gave."""
    extras = json.loads(values["extras"])
    return Endpoint(
        name=values["name"],
        target=values["target"],
        visibility=values["visibility"],
        host_header=values["host_header"],
        preflight=values["preflight"],
        routing_headers=_pairs(extras["routingHeaders"]),
        allowed_origins=tuple(extras["allowedOrigins"]),
    )


def _read_github(values: dict[str, Any]) -> GithubSource | None:
    if values["repository"] is None:
        return None
    number = values["pull_request"]
    return GithubSource(
        repository=values["repository"],
        branch=values["branch"],
        pull_request=None if number is None else int(number),
        head_commit=values["head_commit"],
    )


def _pairs(values: Iterable[Sequence[str]]) -> tuple[tuple[str, str], ...]:
    return tuple((name, value) for name, value in values)


def _check_forks(forks: Sequence[Fork]) -> None:
    _require_few("spec.forks", forks, MAX_FORKS)
    for position, fork in enumerate(forks):
        field = f"spec.forks.{position}"
        require_namespace(fork.namespace, field=f"{field}.namespace")
        require_deployment(fork.deployment, field=f"{field}.deployment")
        if fork in forks[:position]:
            raise InvalidError(f"{field}: {fork.namespace}/{fork.deployment} is there twice")


def _require_unique(field: str, names: Sequence[str], limit: int) -> None:
    _require_few(field, names, limit)
    seen: set[str] = set()
    for position, name in enumerate(names):
        if name in seen:
            raise InvalidError(f"{field}.{position}.name: {name!r} is there twice")
        seen.add(name)


def _require_few(field: str, values: Sequence[object], limit: int) -> None:
    if len(values) > limit:
        raise InvalidError(f"{field}: at most {limit} are allowed, there are {len(values)}")


def _check_headers(field: str, headers: Sequence[tuple[str, str]]) -> None:
    _require_unique(field, [name.lower() for name, _ in headers], MAX_ROUTING_HEADERS)
    for position, (name, value) in enumerate(headers):
        require_routing_header(name, value, field=f"{field}.{position}")
