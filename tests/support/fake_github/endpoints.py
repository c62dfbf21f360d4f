"""What an installation's or a user's token may call."""

from collections.abc import Mapping
from typing import Any

from tests.support.fake_github import shapes
from tests.support.fake_github.records import Account, Repository, Status, UnknownError
from tests.support.fake_github.router import Ask, Router, page
from tests.support.fake_github.wire import (
    DOCS,
    Refusal,
    Reply,
    json_reply,
    not_accessible,
    not_found,
    refusal,
)

STATES = ("error", "failure", "pending", "success")
MOST_STATUSES = 1000
"""GitHub: "a limit of 1000 statuses per sha and context within a repository"."""
LONGEST_DESCRIPTION = 140
LONGEST_CONTEXT = 255
STATUS_DOCS = f"{DOCS}/commits/statuses#create-a-commit-status"

router = Router()


@router.add("GET", "/user", {"user"})
def get_user(ask: Ask) -> Reply:
    """The user that the token belongs to."""
    assert ask.caller.token is not None
    user = ask.state.accounts.get(ask.caller.token.owner_id)
    if user is None:
        raise refusal(401, "Bad credentials")
    return json_reply(200, shapes.profile(ask.state, user))


@router.add("GET", "/user/{id}", {"user", "installation", "app"})
def get_user_by_id(ask: Ask) -> Reply:
    """An account by its lasting id."""
    found = ask.state.accounts.get(_number(ask.words["id"]))
    if found is None:
        raise not_found()
    return json_reply(200, shapes.profile(ask.state, found))


@router.add("GET", "/users/{login}", {"user", "installation", "app"})
def get_user_by_login(ask: Ask) -> Reply:
    """An account by its present login."""
    return json_reply(200, shapes.profile(ask.state, _account(ask, ask.words["login"])))


@router.add("GET", "/orgs/{org}/members/{login}", {"installation"}, ("metadata", "read"))
def check_membership(ask: Ask) -> Reply:
    """204: a member; 404: not; 302 to the public members where the token is not of this organisation."""
    org = _account(ask, ask.words["org"])
    if org.kind != "Organization":
        raise not_found()
    if _own_account_id(ask) != org.id:
        location = f"{ask.state.api_url}/orgs/{org.login}/public_members/{ask.words['login']}"
        return Reply(status=302, headers={"location": location})
    if _account(ask, ask.words["login"]).id not in org.members:
        raise not_found()
    return Reply(status=204)


@router.add("GET", "/orgs/{org}/public_members/{login}", {"installation", "user", "app"})
def check_public_membership(ask: Ask) -> Reply:
    """204: a member who shows it; 404: not."""
    if _account(ask, ask.words["login"]).id not in _account(ask, ask.words["org"]).public_members:
        raise not_found()
    return Reply(status=204)


@router.add("GET", "/repos/{owner}/{repo}/pulls/{number}", {"installation"}, ("pull_requests", "read"))
def get_pull_request(ask: Ask) -> Reply:
    """A pull request."""
    repository = _repository(ask)
    pull = ask.state.pulls.get((repository.id, _number(ask.words["number"])))
    if pull is None:
        raise not_found()
    return json_reply(200, shapes.pull_request(ask.state, pull))


@router.add("GET", "/repos/{owner}/{repo}/commits/{ref}/statuses", {"installation"}, ("statuses", "read"))
def list_statuses(ask: Ask) -> Reply:
    """A commit's statuses, the newest first."""
    repository = _repository(ask)
    sha = ask.state.commit(repository.id, ask.words["ref"])
    if sha is None:
        raise refusal(422, f"No commit found for SHA: {ask.words['ref']}")
    found = [item for item in ask.state.statuses if item.repository_id == repository.id and item.sha == sha]
    return page(ask, [shapes.status(ask.state, item) for item in reversed(found)])


@router.add("POST", "/repos/{owner}/{repo}/statuses/{sha}", {"installation"}, ("statuses", "write"))
def create_status(ask: Ask) -> Reply:
    """Sets a commit status."""
    assert ask.caller.token is not None
    repository = _repository(ask, write=True)
    fields = ask.request.json()
    _check_types(fields)
    sha = ask.words["sha"].lower()
    if sha not in ask.state.commits.get(repository.id, ()):
        raise refusal(422, f"No commit found for SHA: {ask.words['sha']}", docs=STATUS_DOCS)
    context = fields.get("context") or "default"
    earlier = [item for item in ask.state.statuses if (item.repository_id, item.sha) == (repository.id, sha)]
    if sum(item.context.lower() == context.lower() for item in earlier) >= MOST_STATUSES:
        raise _invalid(None, "This SHA and context has reached the maximum number of statuses.")
    status = Status(
        id=ask.state.next_id(),
        repository_id=repository.id,
        repository=ask.state.full_name(repository),
        sha=sha,
        state=fields["state"],
        context=context,
        target_url=fields.get("target_url"),
        description=fields.get("description"),
        created_at=ask.state.clock.now(),
        installation_id=ask.caller.token.owner_id,
    )
    ask.state.statuses.append(status)
    ask.state.changed.notify_all()
    value = shapes.status(ask.state, status)
    return json_reply(201, value, {"location": value["url"]})


def _check_types(fields: Mapping[str, Any]) -> None:
    if "state" not in fields:
        raise refusal(422, 'Invalid request.\n\n"state" wasn\'t supplied.', docs=STATUS_DOCS)
    for name in ("state", "target_url", "description", "context"):
        value = fields.get(name)
        if value is not None and not isinstance(value, str):
            message = f"Invalid request.\n\nFor 'properties/{name}', {value!r} is not a string."
            raise refusal(422, message, docs=STATUS_DOCS)
    if fields["state"] not in STATES:
        raise _invalid("state", "state is not included in the list")
    if not (fields.get("target_url") or "http://").lower().startswith(("http://", "https://")):
        raise _invalid("target_url", "target_url must use http(s) scheme")
    if len(fields.get("description") or "") > LONGEST_DESCRIPTION:
        raise _invalid("description", f"description is too long (maximum is {LONGEST_DESCRIPTION} characters)")
    if len(fields.get("context") or "") > LONGEST_CONTEXT:
        raise _invalid("context", f"context is too long (maximum is {LONGEST_CONTEXT} characters)")


def _invalid(field: str | None, message: str) -> Refusal:
    named = {} if field is None else {"field": field}
    error = {"resource": "Status", "code": "custom", **named, "message": message}
    return refusal(422, "Validation Failed", docs=STATUS_DOCS, errors=[error])


def _own_account_id(ask: Ask) -> int:
    assert ask.caller.token is not None
    return ask.state.installations[ask.caller.token.owner_id].account_id


def _account(ask: Ask, login: str) -> Account:
    try:
        return ask.state.account(login)
    except UnknownError as error:
        raise not_found() from error


def _repository(ask: Ask, *, write: bool = False) -> Repository:
    """The repository of the path, where the token may see it: its own ones and public ones, which it can only read."""
    token = ask.caller.token
    assert token is not None
    name = f"{ask.words['owner']}/{ask.words['repo']}"
    try:
        found = ask.state.repository(name)
        moved = False
    except UnknownError as error:
        moved = name.lower() in ask.state.old_names
        if not moved:
            raise not_found() from error
        found = ask.state.repositories[ask.state.old_names[name.lower()]]
    installation = ask.state.installations[token.owner_id]
    chosen = token.repository_ids is None or found.id in token.repository_ids
    own = chosen and ask.state.covers(installation, found)
    if found.private and not own:
        raise not_found()
    if moved:
        raise _moved(ask, found)
    if write and not own:
        raise not_accessible()
    return found


def _moved(ask: Ask, repository: Repository) -> Refusal:
    """GitHub sends who asks for an old name to the repository's lasting id."""
    rest = ask.request.path.split("/", 4)[4]  # "", "repos", owner, name, rest
    url = f"{ask.state.api_url}/repositories/{repository.id}/{rest}"
    status = 301 if ask.request.method == "GET" else 307
    value = {"message": "Moved Permanently", "url": url, "documentation_url": DOCS}
    return Refusal(json_reply(status, value, {"location": url}))


def _number(text: str) -> int:
    """The id in a path; whoever asks for words finds nothing."""
    if not (text.isascii() and text.isdigit()):
        raise not_found()
    return int(text)
