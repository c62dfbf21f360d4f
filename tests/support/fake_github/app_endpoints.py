"""What the app itself may call, by its JWT."""

from collections.abc import Mapping
from typing import Any

from tests.support.fake_github import shapes
from tests.support.fake_github.clock import iso
from tests.support.fake_github.records import Installation, Token, UnknownError
from tests.support.fake_github.router import LEVELS, Ask, Router, page
from tests.support.fake_github.wire import Reply, json_reply, not_found, refusal

INSTALLATION_TOKEN_SECONDS = 3600.0
"""GitHub: "installation tokens expire one hour from the time you create them"."""


def add_to(router: Router) -> None:
    """Adds the endpoints."""
    router.add("GET", "/app", {"app"})(get_app)
    router.add("GET", "/app/installations", {"app"})(list_installations)
    router.add("GET", "/app/installations/{id}", {"app"})(get_installation)
    router.add("POST", "/app/installations/{id}/access_tokens", {"app"})(create_token)
    router.add("GET", "/orgs/{owner}/installation", {"app"})(get_org_installation)
    router.add("GET", "/users/{owner}/installation", {"app"})(get_user_installation)
    router.add("GET", "/repos/{owner}/{repo}/installation", {"app"})(get_repository_installation)


def get_app(ask: Ask) -> Reply:
    """The app."""
    return json_reply(200, shapes.app(ask.state))


def list_installations(ask: Ask) -> Reply:
    """Where it is installed."""
    return page(ask, [shapes.installation(ask.state, item) for item in ask.state.installations.values()])


def get_installation(ask: Ask) -> Reply:
    """One installation."""
    return json_reply(200, shapes.installation(ask.state, _installation(ask)))


def get_org_installation(ask: Ask) -> Reply:
    """The installation on an organisation."""
    return _installation_of(ask, {"Organization"})


def get_user_installation(ask: Ask) -> Reply:
    """The installation on a user; GitHub finds organisations under this path too."""
    return _installation_of(ask, {"User", "Organization"})


def get_repository_installation(ask: Ask) -> Reply:
    """The installation that includes a repository."""
    try:
        repository = ask.state.repository(f"{ask.words['owner']}/{ask.words['repo']}")
    except UnknownError as error:
        raise not_found() from error
    found = ask.state.installation_of(repository.owner_id)
    if found is None or not ask.state.covers(found, repository):
        raise not_found()
    return json_reply(200, shapes.installation(ask.state, found))


def create_token(ask: Ask) -> Reply:
    """A token for an installation, for all that it may or for less."""
    installation = _installation(ask)
    if installation.suspended_at is not None:
        raise refusal(403, "This installation has been suspended")
    fields = ask.request.json()
    permissions = _permissions(installation, fields.get("permissions"))
    chosen = _chosen(ask, installation, fields)
    expires_at = ask.state.clock.now() + INSTALLATION_TOKEN_SECONDS
    token = ask.state.add_token(
        "ghs",
        Token(
            value="",
            kind="installation",
            owner_id=installation.id,
            expires_at=expires_at,
            permissions=permissions,
            repository_ids=chosen,
        ),
    )
    selection = "all" if installation.repository_ids is None and chosen is None else "selected"
    value: dict[str, Any] = {
        "token": token.value,
        "expires_at": iso(expires_at),
        "permissions": permissions,
        "repository_selection": selection,
    }
    if chosen is not None:
        value["repositories"] = [
            shapes.repository(ask.state, item) for item in ask.state.repositories.values() if item.id in chosen
        ]
    return json_reply(201, value)


def _permissions(installation: Installation, wanted: Any) -> dict[str, str]:
    if wanted is None:
        return dict(installation.permissions)
    if not isinstance(wanted, Mapping):
        raise refusal(422, "Invalid request.\n\nFor 'properties/permissions', it is not an object.")
    for name, level in wanted.items():
        granted = LEVELS.get(installation.permissions.get(name, ""), 0)
        if level not in LEVELS or granted < LEVELS[level]:
            raise refusal(422, "The permissions requested are not granted to this installation.")
    return {str(name): str(level) for name, level in wanted.items()}


def _chosen(ask: Ask, installation: Installation, fields: Mapping[str, Any]) -> frozenset[int] | None:
    names, numbers = fields.get("repositories"), fields.get("repository_ids")
    if names is None and numbers is None:
        return None
    own = ask.state.installed_repositories(installation)
    lower = {str(name).lower() for name in names or ()}
    chosen = frozenset(item.id for item in own if item.name.lower() in lower or item.id in (numbers or ()))
    if len(chosen) < max(len(lower), len(numbers or ())):
        message = (
            "There is at least one repository that does not exist or is not accessible to the parent installation."
        )
        raise refusal(422, message)
    return chosen


def _installation(ask: Ask) -> Installation:
    text = ask.words["id"]
    found = ask.state.installations.get(int(text)) if text.isascii() and text.isdigit() else None
    if found is None:
        raise not_found()
    return found


def _installation_of(ask: Ask, kinds: set[str]) -> Reply:
    try:
        account = ask.state.account(ask.words["owner"])
    except UnknownError as error:
        raise not_found() from error
    found = ask.state.installation_of(account.id)
    if found is None or account.kind not in kinds:
        raise not_found()
    return json_reply(200, shapes.installation(ask.state, found))
