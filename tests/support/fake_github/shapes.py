"""Objects in the shapes that the REST API and webhooks document."""

import base64
from typing import Any

from tests.support.fake_github.clock import iso, iso_or_none
from tests.support.fake_github.records import Account, Installation, PullRequest, Repository, Status
from tests.support.fake_github.state import State

GHOST = Account(id=10137, login="ghost", name="Deleted user", kind="User")
"""Who stands for deleted users."""


def node_id(kind: str, number: int) -> str:
    """An opaque id for GraphQL; only its being there matters."""
    return f"{kind}_{base64.urlsafe_b64encode(str(number).encode()).decode().rstrip('=')}"


def account(state: State, item: Account) -> dict[str, Any]:
    """A "simple user", which organisations are as well."""
    url = f"{state.api_url}/users/{item.login}"
    return {
        "login": item.login,
        "id": item.id,
        "node_id": node_id("U" if item.kind == "User" else "O", item.id),
        "avatar_url": f"{state.web_url}/avatars/u/{item.id}?",
        "gravatar_id": "",
        "url": url,
        "html_url": f"{state.web_url}/{item.login}",
        "followers_url": f"{url}/followers",
        "following_url": f"{url}/following{{/other_user}}",
        "gists_url": f"{url}/gists{{/gist_id}}",
        "starred_url": f"{url}/starred{{/owner}}{{/repo}}",
        "subscriptions_url": f"{url}/subscriptions",
        "organizations_url": f"{url}/orgs",
        "repos_url": f"{url}/repos",
        "events_url": f"{url}/events{{/privacy}}",
        "received_events_url": f"{url}/received_events",
        "type": item.kind,
        "user_view_type": "public",
        "site_admin": False,
    }


def profile(state: State, item: Account) -> dict[str, Any]:
    """A "public user"."""
    return account(state, item) | {
        "name": item.name,
        "company": None,
        "blog": "",
        "location": None,
        "email": None,
        "hireable": None,
        "bio": None,
        "twitter_username": None,
        "public_repos": 0,
        "public_gists": 0,
        "followers": 0,
        "following": 0,
        "created_at": "2020-01-01T00:00:00Z",
        "updated_at": "2020-01-01T00:00:00Z",
    }


def organization(state: State, item: Account) -> dict[str, Any]:
    """What webhooks call `organization`."""
    url = f"{state.api_url}/orgs/{item.login}"
    return {
        "login": item.login,
        "id": item.id,
        "node_id": node_id("O", item.id),
        "url": url,
        "repos_url": f"{url}/repos",
        "events_url": f"{url}/events",
        "hooks_url": f"{url}/hooks",
        "issues_url": f"{url}/issues",
        "members_url": f"{url}/members{{/member}}",
        "public_members_url": f"{url}/public_members{{/member}}",
        "avatar_url": f"{state.web_url}/avatars/u/{item.id}?",
        "description": "",
    }


def short_repository(state: State, item: Repository) -> dict[str, Any]:
    """As the installation webhooks list it."""
    return {
        "id": item.id,
        "node_id": node_id("R", item.id),
        "name": item.name,
        "full_name": state.full_name(item),
        "private": item.private,
    }


def repository(state: State, item: Repository) -> dict[str, Any]:
    """A repository."""
    url = f"{state.api_url}/repos/{state.full_name(item)}"
    html = f"{state.web_url}/{state.full_name(item)}"
    return short_repository(state, item) | {
        "owner": account(state, state.accounts[item.owner_id]),
        "html_url": html,
        "description": None,
        "fork": item.fork,
        "url": url,
        "branches_url": f"{url}/branches{{/branch}}",
        "commits_url": f"{url}/commits{{/sha}}",
        "contents_url": f"{url}/contents/{{+path}}",
        "pulls_url": f"{url}/pulls{{/number}}",
        "statuses_url": f"{url}/statuses/{{sha}}",
        "clone_url": f"{html}.git",
        "created_at": "2020-01-01T00:00:00Z",
        "updated_at": "2020-01-01T00:00:00Z",
        "pushed_at": "2020-01-01T00:00:00Z",
        "homepage": None,
        "size": 0,
        "stargazers_count": 0,
        "watchers_count": 0,
        "language": None,
        "has_issues": True,
        "archived": False,
        "disabled": False,
        "open_issues_count": 0,
        "license": None,
        "allow_forking": True,
        "is_template": False,
        "topics": [],
        "visibility": "private" if item.private else "public",
        "forks": 0,
        "watchers": 0,
        "default_branch": item.default_branch,
    }


def pull_request(state: State, item: PullRequest) -> dict[str, Any]:
    """A pull request."""
    base = state.repositories[item.repository_id]
    name = state.full_name(base)
    url, html = f"{state.api_url}/repos/{name}/pulls/{item.number}", f"{state.web_url}/{name}/pull/{item.number}"
    issue = f"{state.api_url}/repos/{name}/issues/{item.number}"
    author = account(state, state.accounts.get(item.author_id, GHOST))
    return {
        "url": url,
        "id": item.id,
        "node_id": node_id("PR", item.id),
        "html_url": html,
        "diff_url": f"{html}.diff",
        "patch_url": f"{html}.patch",
        "issue_url": issue,
        "number": item.number,
        "state": item.state,
        "locked": False,
        "title": item.title,
        "user": author,
        "body": None,
        "created_at": iso(item.created_at),
        "updated_at": iso(item.updated_at),
        "closed_at": iso_or_none(item.closed_at),
        "merged_at": iso_or_none(item.merged_at),
        "merge_commit_sha": None,
        "assignee": None,
        "assignees": [],
        "requested_reviewers": [],
        "requested_teams": [],
        "labels": [],
        "milestone": None,
        "draft": item.draft,
        "commits_url": f"{url}/commits",
        "review_comments_url": f"{url}/comments",
        "review_comment_url": f"{state.api_url}/repos/{name}/pulls/comments{{/number}}",
        "comments_url": f"{issue}/comments",
        "statuses_url": f"{state.api_url}/repos/{name}/statuses/{item.head_sha}",
        "head": _side(state, item.head_repository_id, item.head_ref, item.head_sha),
        "base": _side(state, item.repository_id, item.base_ref, item.base_sha),
        "author_association": "CONTRIBUTOR",
        "auto_merge": None,
        "active_lock_reason": None,
        "merged": item.merged,
        "mergeable": None,
        "rebaseable": None,
        "mergeable_state": "unknown",
        "merged_by": author if item.merged else None,
        "comments": 0,
        "review_comments": 0,
        "maintainer_can_modify": False,
        "commits": 1,
        "additions": 1,
        "deletions": 0,
        "changed_files": 1,
    }


def _side(state: State, repository_id: int | None, ref: str, sha: str) -> dict[str, Any]:
    if repository_id is None:
        return {"label": f"unknown repository:{ref}", "ref": ref, "sha": sha, "user": None, "repo": None}
    item = state.repositories[repository_id]
    owner = state.accounts[item.owner_id]
    return {
        "label": f"{owner.login}:{ref}",
        "ref": ref,
        "sha": sha,
        "user": account(state, owner),
        "repo": repository(state, item),
    }


def installation(state: State, item: Installation) -> dict[str, Any]:
    """An installation of the app."""
    owner = state.accounts[item.account_id]
    settings = f"organizations/{owner.login}/settings" if owner.kind == "Organization" else "settings"
    by = item.suspended_by_id
    return {
        "id": item.id,
        "client_id": state.app.client_id,
        "account": account(state, owner),
        "repository_selection": "all" if item.repository_ids is None else "selected",
        "access_tokens_url": f"{state.api_url}/app/installations/{item.id}/access_tokens",
        "repositories_url": f"{state.api_url}/installation/repositories",
        "html_url": f"{state.web_url}/{settings}/installations/{item.id}",
        "app_id": state.app.id,
        "app_slug": state.app.slug,
        "target_id": owner.id,
        "target_type": owner.kind,
        "permissions": dict(item.permissions),
        "events": list(item.events),
        "created_at": iso(item.created_at),
        "updated_at": iso(item.updated_at),
        "single_file_name": None,
        "has_multiple_single_files": False,
        "single_file_paths": [],
        "suspended_by": None if by is None else account(state, state.accounts[by]),
        "suspended_at": iso_or_none(item.suspended_at),
    }


def bot(state: State) -> dict[str, Any]:
    """The user that acts for the app."""
    item = Account(id=state.app.id, login=f"{state.app.slug}[bot]", name=state.app.name, kind="User")
    return account(state, item) | {"type": "Bot"}


def status(state: State, item: Status) -> dict[str, Any]:
    """A commit status."""
    return {
        "url": f"{state.api_url}/repos/{item.repository}/statuses/{item.sha}",
        "avatar_url": f"{state.web_url}/avatars/in/{state.app.id}?",
        "id": item.id,
        "node_id": node_id("SC", item.id),
        "state": item.state,
        "description": item.description,
        "target_url": item.target_url,
        "context": item.context,
        "created_at": iso(item.created_at),
        "updated_at": iso(item.created_at),
        "creator": bot(state),
    }


def app(state: State) -> dict[str, Any]:
    """The app itself."""
    item = state.app
    return {
        "id": item.id,
        "client_id": item.client_id,
        "slug": item.slug,
        "node_id": node_id("A", item.id),
        "owner": None,
        "name": item.name,
        "description": "",
        "external_url": "https://example.com",
        "html_url": f"{state.web_url}/apps/{item.slug}",
        "created_at": "2020-01-01T00:00:00Z",
        "updated_at": "2020-01-01T00:00:00Z",
        "permissions": dict(item.permissions),
        "events": list(item.events),
        "installations_count": len(state.installations),
    }
