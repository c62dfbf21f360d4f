"""What somebody who is signed in sees: their previews, and the page of one workspace."""

import time
from collections.abc import Iterable
from dataclasses import dataclass

from relay.dashboard.asgi import Answer, Request
from relay.dashboard.pages import redirect
from relay.dashboard.site import Site
from relay.errors import ForbiddenError
from relay.store import Login, Member, Workspace, workspaces
from relay.store.readiness import Readiness, readiness_of

SHOWN_WORKSPACES = 100
"""Per org, on one page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownEndpoint:
    """An endpoint as a link."""

    name: str
    url: str
    public: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownWorkspace:
    """A workspace with what a page says about it."""

    workspace: Workspace
    page: str
    """Path of its own page."""
    endpoints: tuple[ShownEndpoint, ...]
    status: str
    since: str
    """Since when its cluster is as it is; empty where that is not known, or the status is not about it."""
    expires: str
    """When it ends by itself; empty where it does not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A member's org and its workspaces."""

    member: Member
    workspaces: tuple[ShownWorkspace, ...]
    more: bool
    """Whether there are more than are shown."""


async def show_home(site: Site, request: Request) -> Answer:
    """GET /: what this is, or the previews of who is signed in."""
    login = await site.login(request)
    groups = [] if login is None else [await _group(site, member, login) for member in login.members]
    github = site.services.github is not None
    return site.pages.page(
        "home.html",
        leads_away=login is None and github,
        login=login,
        groups=groups,
        github=github,
        fields={},
        preview=site.services.preview_domain + site.port_suffix,
        api_url=f"https://{site.services.api_host}{site.port_suffix}",
    )


async def show_workspace(site: Site, request: Request, org: str, name: str) -> Answer:
    """GET /orgs/{org}/workspaces/{name}: one workspace; a commit status leads here."""
    login = await site.login(request)
    if login is None:
        return redirect(site.login_url(site.own_page(request.path)))
    member = next((member for member in login.members if member.org == org), None)
    if member is None:
        raise ForbiddenError(f"{login.user.login} does not belong to the organisation {org}.")
    workspace = await site.services.database.read(workspaces.require, member.org_id, name)
    shown = _shown(site, workspace, member, login)
    return site.pages.page(
        "workspace.html", login=login, org=org, shown=shown, pull_request_url=_pull_request_url(site, workspace)
    )


async def _group(site: Site, member: Member, login: Login) -> Group:
    found = await site.services.database.read(workspaces.find_all, member.org_id, limit=SHOWN_WORKSPACES + 1)
    shown = tuple(_shown(site, workspace, member, login) for workspace in found[:SHOWN_WORKSPACES])
    return Group(member=member, workspaces=shown, more=len(found) > SHOWN_WORKSPACES)


def _shown(site: Site, workspace: Workspace, member: Member, login: Login) -> ShownWorkspace:
    # The short name of a preview leaves the org to the visitor's login, which tells it only where it is the only one.
    org = None if len(login.members) == 1 else member.org
    cluster = site.services.cluster_status(workspace.cluster_id)
    readiness = readiness_of(workspace, cluster)
    return ShownWorkspace(
        workspace=workspace,
        page=f"/orgs/{member.org}/workspaces/{workspace.name}",
        endpoints=tuple(_endpoints(site, workspace, org)),
        status=_status(readiness),
        since=_printed(cluster.since) if readiness.ready or not cluster.online else "",
        expires=_printed(workspace.expires_at),
    )


def _status(readiness: Readiness) -> str:
    if readiness.ready:
        return "ready"
    return "cluster offline" if readiness.reason == "ClusterOffline" else f"{readiness.reason}: {readiness.message}"


def _endpoints(site: Site, workspace: Workspace, org: str | None) -> Iterable[ShownEndpoint]:
    for endpoint in workspace.spec.endpoints:
        url = site.services.preview_url(endpoint.name, workspace.name, org)
        yield ShownEndpoint(name=endpoint.name, url=url, public=endpoint.visibility == "public")


def _pull_request_url(site: Site, workspace: Workspace) -> str:
    source, github = workspace.spec.github, site.services.github
    if source is None or source.pull_request is None or github is None:
        return ""
    return f"{github.url}/{source.repository}/pull/{source.pull_request}"


def _printed(moment: float | None) -> str:
    return "" if moment is None else time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(moment))
