"""From a hint that a pull request changed to its workspace as it should be now."""

from collections.abc import Callable
from dataclasses import dataclass

from relay.control.github.answers import PullRequest
from relay.control.github.client import GithubClient
from relay.control.github.installing import Installing
from relay.control.github.payloads import PullRequestHint
from relay.control.templates import Values, render
from relay.errors import GithubUnavailableError, InvalidError
from relay.routing import pull_request_workspace
from relay.store import Actor, Database, Org, Workspace, statuses, templates, workspaces
from relay.store.rows import Transaction

DASHBOARD_CONTEXT = "signadot/dashboard"
STALE_SECONDS = 1.0
"""GitHub's answers may be older than its webhooks, by seconds at most."""
STALE_ATTEMPTS = 5
"""After so many tries GitHub's answer counts, whatever the delivery said."""

DashboardUrl = Callable[[str, str], str]
"""Where people see a workspace: of an org's and a workspace's name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shown:
    """A pull request of an org, under which name, and who is told to have done it."""

    org: Org
    pull: PullRequest
    name: str
    dashboard_url: str
    actor: Actor


class PullRequests:
    """Makes, moves and deletes the workspaces of pull requests."""

    def __init__(
        self, database: Database, client: GithubClient, installing: Installing, *, dashboard_url: DashboardUrl
    ) -> None:
        self._database = database
        self._client = client
        self._installing = installing
        self._dashboard_url = dashboard_url

    async def work(self, hint: PullRequestHint, *, guid: str, attempt: int) -> str:
        """Brings the workspace to what GitHub says now; gives a note for the log."""
        org = await self._installing.org_of(hint)
        if org is None:
            return f"no org is linked to the GitHub account {hint.account!r}"
        actor = Actor(kind="github", id=guid)
        pull = await self._client.pull_request(hint.installation_id, hint.repository, hint.number)
        _require_fresh(hint, pull, attempt)
        if pull is None or not pull.is_open:
            repository = hint.repository if pull is None else pull.repository
            return await self._database.write(_remove, org.id, repository, hint.number, actor=actor)
        name = pull_request_workspace(pull.repository, pull.number)
        shown = _Shown(org=org, pull=pull, name=name, dashboard_url=self._dashboard_url(org.name, name), actor=actor)
        return await self._database.write(_bring, shown)


def _require_fresh(hint: PullRequestHint, pull: PullRequest | None, attempt: int) -> None:
    """Raises GithubUnavailableError while GitHub's answer is older than the delivery."""
    if attempt >= STALE_ATTEMPTS:
        return
    missing = pull is None and hint.action != "closed"
    if missing or (pull is not None and pull.updated_at < hint.updated_at):
        raise GithubUnavailableError(
            "GitHub does not yet know of the change that it told", retry_after_seconds=STALE_SECONDS
        )


def _remove(tx: Transaction, org_id: str, repository: str, number: int, *, actor: Actor) -> str:
    name = pull_request_workspace(repository, number)
    found = workspaces.get(tx, org_id, name)
    if found is None or not _shows(found, repository, number):
        return f"closed; there is no workspace {name!r} of it"
    workspaces.remove(tx, org_id, name, actor=actor)
    return f"closed; the workspace {name!r} is deleted"


def _bring(tx: Transaction, shown: _Shown) -> str:
    org, pull, name = shown.org, shown.pull, shown.name
    found = workspaces.get(tx, org.id, name)
    if found is not None and not _shows(found, pull.repository, pull.number):
        return _fail(tx, shown, f"the workspace name {name!r} is taken by something else")
    template = templates.get(tx, org.id, pull.repository)
    if found is not None and (found.origin == "api" or template is None):
        workspaces.move_head(tx, org.id, name, branch=pull.branch, head_commit=pull.head_commit, actor=shown.actor)
        return f"the workspace {name!r} is at {pull.head_commit[:12]}"
    if template is None:
        return "the repository has no template"
    values = Values(
        number=pull.number,
        branch=pull.branch,
        head_commit=pull.head_commit,
        repository=pull.repository,
        workspace=name,
    )
    try:
        spec = render(template.document, values)
        if found is None or found.spec != spec:
            workspaces.put(tx, org.id, name, spec, actor=shown.actor, origin="template")
    except InvalidError as error:
        return _fail(tx, shown, str(error))
    return f"the workspace {name!r} is at {pull.head_commit[:12]}"


def _fail(tx: Transaction, shown: _Shown, reason: str) -> str:
    saying = statuses.Saying(
        repository=shown.pull.repository,
        commit=shown.pull.head_commit,
        context=DASHBOARD_CONTEXT,
        state="failure",
        description=reason,
        target_url=shown.dashboard_url,
    )
    statuses.say(tx, shown.org.id, saying)
    return f"no workspace: {reason}"


def _shows(workspace: Workspace, repository: str, number: int) -> bool:
    github = workspace.spec.github
    return github is not None and github.pull_request == number and github.repository.lower() == repository.lower()
