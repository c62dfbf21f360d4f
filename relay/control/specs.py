"""Workspaces between their two forms: messages of the API and records of the store."""

from collections.abc import Iterable

from relay.control.models.common import optional_timestamp, timestamp
from relay.control.models.workspaces import (
    Endpoint,
    EndpointAnswer,
    Fork,
    Github,
    Image,
    PullRequestGithub,
    PullRequestSpec,
    RoutingHeader,
    Status,
    Ttl,
    WorkspaceAnswer,
    WorkspaceSpec,
)
from relay.control.services import Services
from relay.store import records
from relay.store.readiness import readiness_of


def record_of(spec: WorkspaceSpec) -> records.WorkspaceSpec:
    """The store's form of a specification."""
    github = spec.github
    return _record_of(spec, None if github is None else records.GithubSource(**github.model_dump()))


def pull_request_record_of(spec: PullRequestSpec, *, repository: str, number: int) -> records.WorkspaceSpec:
    """The same for a pull request's; where it says nothing of GitHub it is what the arguments say."""
    github = spec.github or PullRequestGithub.model_construct()
    source = records.GithubSource(
        repository=github.repository or repository,
        pull_request=github.pull_request or number,
        branch=github.branch,
        head_commit=github.head_commit,
    )
    return _record_of(spec, source)


def _record_of(spec: PullRequestSpec, github: records.GithubSource | None) -> records.WorkspaceSpec:
    ttl = spec.ttl
    return records.WorkspaceSpec(
        cluster=spec.cluster,
        description=spec.description,
        labels=spec.labels,
        images=tuple(records.Image(name=image.name, new_tag=image.new_tag) for image in spec.images),
        forks=tuple(records.Fork(namespace=fork.namespace, deployment=fork.deployment) for fork in spec.forks),
        github=github,
        endpoints=tuple(_endpoint_record(endpoint) for endpoint in spec.endpoints),
        routing_headers=_pairs(spec.routing_headers),
        ttl=None if ttl is None else records.Ttl(duration=ttl.duration, offset_from=ttl.offset_from),
    )


def answer_of(services: Services, org: str, workspace: records.Workspace) -> WorkspaceAnswer:
    """The answer that shows a workspace as it is now."""
    return WorkspaceAnswer(
        name=workspace.name,
        spec=_spec_of(workspace.spec),
        routing_key=workspace.routing_key,
        created_at=timestamp(workspace.created_at),
        updated_at=timestamp(workspace.updated_at),
        expires_at=optional_timestamp(workspace.expires_at),
        status=_status(services, workspace),
        endpoints=[
            EndpointAnswer(
                name=endpoint.name,
                target=endpoint.target,
                visibility=endpoint.visibility,
                # Without a credential only the name with the org tells whose endpoint it is.
                url=services.preview_url(
                    endpoint.name, workspace.name, org if endpoint.visibility == "public" else None
                ),
            )
            for endpoint in workspace.spec.endpoints
        ],
    )


def _status(services: Services, workspace: records.Workspace) -> Status:
    cluster = services.cluster_status(workspace.cluster_id)
    readiness = readiness_of(workspace, cluster)
    message = readiness.message
    if not cluster.online:
        since = "no agent has connected yet" if cluster.since is None else f"since {timestamp(cluster.since)}"
        message = f"{message}: {since}"
    return Status(ready=readiness.ready, reason=readiness.reason, message=message)


def _spec_of(spec: records.WorkspaceSpec) -> WorkspaceSpec:
    github, ttl = spec.github, spec.ttl
    return WorkspaceSpec.model_construct(
        cluster=spec.cluster,
        description=spec.description,
        labels=dict(spec.labels),
        images=[Image.model_construct(name=image.name, new_tag=image.new_tag) for image in spec.images],
        forks=[Fork.model_construct(namespace=fork.namespace, deployment=fork.deployment) for fork in spec.forks],
        github=None
        if github is None
        else Github.model_construct(
            repository=github.repository,
            branch=github.branch,
            pull_request=github.pull_request,
            head_commit=github.head_commit,
        ),
        endpoints=[_endpoint_of(endpoint) for endpoint in spec.endpoints],
        routing_headers=_headers(spec.routing_headers),
        ttl=None if ttl is None else Ttl.model_construct(duration=ttl.duration, offset_from=ttl.offset_from),
    )


def _endpoint_record(endpoint: Endpoint) -> records.Endpoint:
    return records.Endpoint(
        name=endpoint.name,
        target=endpoint.target,
        visibility=endpoint.visibility,
        host_header=endpoint.host_header,
        preflight=endpoint.preflight,
        routing_headers=_pairs(endpoint.routing_headers),
        allowed_origins=tuple(endpoint.allowed_origins),
    )


def _endpoint_of(endpoint: records.Endpoint) -> Endpoint:
    return Endpoint.model_construct(
        name=endpoint.name,
        target=endpoint.target,
        visibility=endpoint.visibility,
        host_header=endpoint.host_header,
        preflight=endpoint.preflight,
        routing_headers=_headers(endpoint.routing_headers),
        allowed_origins=list(endpoint.allowed_origins),
    )


def _pairs(headers: Iterable[RoutingHeader]) -> tuple[tuple[str, str], ...]:
    return tuple((header.name, header.value) for header in headers)


def _headers(pairs: Iterable[tuple[str, str]]) -> list[RoutingHeader]:
    return [RoutingHeader.model_construct(name=name, value=value) for name, value in pairs]
