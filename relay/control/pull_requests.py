"""Version 1: the workspace of a pull request, made or updated by whoever builds it (a CI run)."""

from dataclasses import dataclass, replace
from typing import Annotated

from fastapi import Depends, Response

from relay.auth import Action, Membership, Principal, require
from relay.control.access import CallerOf, ServicesOf
from relay.control.models.templates import PullRequestRequest
from relay.control.models.workspaces import WorkspaceAnswer
from relay.control.parameters import Number, Owner, Repo
from relay.control.routing import Answers, answers, make_router
from relay.control.services import Services
from relay.control.specs import answer_of, pull_request_record_of
from relay.control.templates import Values, render
from relay.control.workspaces import etag_of
from relay.errors import ConflictError, ForbiddenError, InvalidError
from relay.routing import pull_request_workspace
from relay.store import Actor, GithubSource, Workspace, WorkspaceSpec, orgs, templates, workspaces
from relay.store.rows import Transaction, to_json

router = make_router("pull requests")
CREATED: Answers = {201: {"model": WorkspaceAnswer, "description": "The workspace is new."}}


@dataclass(frozen=True, slots=True, kw_only=True)
class PullRequest:
    """Which pull request the path names."""

    repository: str
    number: int

    @property
    def workspace(self) -> str:
        """The name of its workspace."""
        return pull_request_workspace(self.repository, self.number)

    def is_shown_by(self, spec: WorkspaceSpec) -> bool:
        """Whether a specification is this pull request's; names at GitHub have no case."""
        github = spec.github
        return (
            github is not None
            and github.repository.lower() == self.repository.lower()
            and github.pull_request == self.number
        )


def pull_request_of(owner: Owner, repo: Repo, number: Number) -> PullRequest:
    """The pull request that the path names."""
    return PullRequest(repository=f"{owner}/{repo}", number=number)


PullRequestOf = Annotated[PullRequest, Depends(pull_request_of)]


@router.post("/repos/{owner}/{repo}/pulls/{number}/workspaces", responses=answers(409) | CREATED)
async def put_pull_request_workspace(
    *,
    services: ServicesOf,
    caller: CallerOf,
    pull: PullRequestOf,
    response: Response,
    body: PullRequestRequest | None = None,
) -> WorkspaceAnswer:
    """Makes the workspace of a pull request, or brings it to `spec`, or else to the repository's template.

    The org is the credential's. The workspace is named `<repo>-<number>`. A `branch` or `headCommit` that is left out
    stays what the workspace has.
    """
    member = await _membership(services, caller.principal, pull)
    record, created = await services.database.write(
        _put, member.org_id, pull, body=body or PullRequestRequest(), actor=caller.actor
    )
    response.status_code = 201 if created else 200
    response.headers["etag"] = etag_of(record)
    return answer_of(services, member.org, record)


async def _membership(services: Services, principal: Principal, pull: PullRequest) -> Membership:
    """The place by which the caller acts: its only one, else the one in the org linked to the repository's owner."""
    places = principal.memberships
    if len(places) == 1:
        return require(principal, places[0].org, Action.WRITE_WORKSPACES)
    account = pull.repository.partition("/")[0]
    org = await services.database.read(orgs.find_by_github_account, account)
    if org is None or principal.membership(org.name) is None:
        raise ForbiddenError(f"this credential belongs to no org that is linked to the GitHub account {account!r}")
    return require(principal, org.name, Action.WRITE_WORKSPACES)


def _put(
    tx: Transaction, org_id: str, pull: PullRequest, *, body: PullRequestRequest, actor: Actor
) -> tuple[Workspace, bool]:
    found = workspaces.get(tx, org_id, pull.workspace)
    if found is not None and not pull.is_shown_by(found.spec):
        raise ConflictError(
            f"there is a workspace {pull.workspace!r} that does not belong to pull request {pull.number} of"
            f" {pull.repository}"
        )
    body = _with_known_head(body, None if found is None else found.spec.github)
    if body.spec is None:
        spec = _from_template(tx, org_id, pull, body)
        return workspaces.put(tx, org_id, pull.workspace, spec, actor=actor, origin="template")
    return workspaces.put(tx, org_id, pull.workspace, _from_body(pull, body), actor=actor)


def _with_known_head(body: PullRequestRequest, known: GithubSource | None) -> PullRequestRequest:
    """What a call leaves out stays as the GitHub App, or an earlier call, has said it."""
    if known is None:
        return body
    head = {"branch": body.branch or known.branch, "head_commit": body.head_commit or known.head_commit}
    return body.model_copy(update=head)


def _from_body(pull: PullRequest, body: PullRequestRequest) -> WorkspaceSpec:
    assert body.spec is not None  # noqa: S101 - the caller looked
    spec = pull_request_record_of(body.spec, repository=pull.repository, number=pull.number)
    if not pull.is_shown_by(spec):
        raise InvalidError(f"spec.github: contradicts the path, which names {pull.repository}#{pull.number}")
    return _with_head(spec, pull, body)


def _from_template(tx: Transaction, org_id: str, pull: PullRequest, body: PullRequestRequest) -> WorkspaceSpec:
    template = templates.get(tx, org_id, pull.repository)
    if template is None:
        raise InvalidError(f"spec: is missing, and there is no template for {pull.repository}")
    given = {"branch": body.branch, "headCommit": body.head_commit}
    text = to_json(template.document)
    for name, value in given.items():
        if value is None and f"@{{{name}}}" in text:
            raise InvalidError(f"{name}: is missing, and the template of {pull.repository} needs it")
    values = Values(
        number=pull.number,
        branch=body.branch or "",
        head_commit=body.head_commit or "",
        repository=pull.repository,
        workspace=pull.workspace,
    )
    return _with_head(replace(render(template.document, values), github=None), pull, body)


def _with_head(spec: WorkspaceSpec, pull: PullRequest, body: PullRequestRequest) -> WorkspaceSpec:
    said = spec.github or GithubSource(repository=pull.repository)
    github = GithubSource(
        repository=said.repository,
        pull_request=pull.number,
        branch=said.branch or body.branch,
        head_commit=said.head_commit or body.head_commit,
    )
    return replace(spec, github=github)
