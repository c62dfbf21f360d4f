"""What is to be said about the commit that a workspace shows; pure."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from relay.store import Org, Workspace
from relay.store.readiness import Readiness
from relay.store.statuses import Saying, StatusState

DASHBOARD = "dashboard"
_COMMIT = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")


class PreviewUrl(Protocol):
    """Prints where a preview is visited."""

    def __call__(self, endpoint: str, workspace: str, org: str | None) -> str:
        """The URL of an endpoint; `org` is named where it is given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Urls:
    """Where statuses point to."""

    preview: PreviewUrl
    dashboard: Callable[[str, str], str]
    """Of an org's and a workspace's name."""


def sayings_about(org: Org, workspace: Workspace, *, readiness: Readiness, urls: Urls) -> Sequence[Saying]:
    """One saying per endpoint and one for the dashboard; none for a workspace whose commit is not on GitHub.

    Args:
        org: the workspace's.
        workspace: it shows a commit, or not.
        readiness: whether the workspace can be used now.
        urls: where previews and the dashboard are.
    """
    github = workspace.spec.github
    if github is None or github.head_commit is None or not _COMMIT.fullmatch(github.head_commit):
        return ()
    if github.repository.partition("/")[0].lower() != org.github_account:
        return ()  # the App is not installed there
    state: StatusState = "success" if readiness.ready else "pending" if readiness.waiting else "failure"
    problem = readiness.message if readiness.waiting else f"{readiness.reason}: {readiness.message}"
    targets = [
        (
            endpoint.name,
            urls.preview(endpoint.name, workspace.name, org.name if endpoint.visibility == "public" else None),
            "the preview is ready",
        )
        for endpoint in workspace.spec.endpoints
    ]
    # An endpoint may be called `dashboard`: then its preview is what the context is for.
    if all(name != DASHBOARD for name, _, _ in targets):
        targets.append((DASHBOARD, urls.dashboard(org.name, workspace.name), f"workspace {workspace.name!r}"))
    return [
        Saying(
            repository=github.repository,
            commit=github.head_commit,
            context=f"signadot/{name}",
            state=state,
            description=ready if readiness.ready else problem,
            target_url=target,
        )
        for name, target, ready in targets
    ]
