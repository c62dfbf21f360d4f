"""Webhook payloads: the few fields that the work needs, checked strictly; pure."""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from relay.control.github.answers import MAX_NUMBER, login, mapping, moment, number, repository_name, text
from relay.errors import InvalidError

PULL_REQUEST_ACTIONS = frozenset({"opened", "synchronize", "reopened", "closed"})
INSTALLATION_ACTIONS = frozenset({"created", "deleted", "suspend", "unsuspend", "new_permissions_accepted"})
REPOSITORIES_ACTIONS = frozenset({"added", "removed"})
_ACTION = re.compile(r"[a-z_]{1,64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class PullRequestHint:
    """A pull request changed; what it is now, GitHub is asked."""

    kind: ClassVar[str] = "pull_request"

    action: str
    installation_id: int
    account: str
    """Login of the repository's owner."""
    account_id: int
    repository_id: int
    repository: str
    """`owner/name`."""
    number: int
    updated_at: float
    """Of the pull request, when GitHub wrote this; epoch seconds."""

    @property
    def subject(self) -> str:
        """What must not be worked on twice at the same time."""
        return f"{self.repository_id}#{self.number}"


@dataclass(frozen=True, slots=True, kw_only=True)
class InstallationHint:
    """Where the App is installed, or on what, changed."""

    kind: ClassVar[str] = "installation"

    action: str
    installation_id: int
    account: str
    account_id: int

    @property
    def subject(self) -> str:
        """What must not be worked on twice at the same time."""
        return f"account {self.account.lower()}"


Hint = PullRequestHint | InstallationHint


def parse_payload(event: str, body: bytes) -> Hint | None:
    """What a signed delivery says; None when it is nothing to us. Raises InvalidError for what GitHub never sends."""
    if event not in {"pull_request", "installation", "installation_repositories"}:
        return None
    document = _document(body)
    action = text(document, "action", _ACTION)
    if event == "pull_request":
        return _pull_request(action, document) if action in PULL_REQUEST_ACTIONS else None
    known = INSTALLATION_ACTIONS if event == "installation" else REPOSITORIES_ACTIONS
    if action not in known:
        return None
    installation = mapping(document, "installation")
    account = mapping(installation, "account")
    return InstallationHint(
        action=action,
        installation_id=number(installation, "id"),
        account=login(account),
        account_id=number(account, "id"),
    )


def write_hint(hint: Hint) -> dict[str, Any]:
    """The form in which a hint waits in the queue."""
    return {"kind": hint.kind, **asdict(hint)}


def read_hint(document: Mapping[str, Any]) -> Hint:
    """The hint that `write_hint` wrote. Raises InvalidError where another version of the relay wrote it."""
    fields = {key: value for key, value in document.items() if key != "kind"}
    try:
        return PullRequestHint(**fields) if document["kind"] == PullRequestHint.kind else InstallationHint(**fields)
    except (KeyError, TypeError) as error:
        raise InvalidError("the delivery was queued by another version of the relay") from error


def _document(body: bytes) -> Mapping[str, Any]:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise InvalidError("the body is not valid JSON") from error
    if not isinstance(document, dict):
        raise InvalidError("the body must be a JSON object")
    return document


def _pull_request(action: str, document: Mapping[str, Any]) -> PullRequestHint:
    repository = mapping(document, "repository")
    owner = mapping(repository, "owner")
    pull = mapping(document, "pull_request")
    found = number(pull, "number", most=MAX_NUMBER)
    if number(document, "number", most=MAX_NUMBER) != found:
        raise InvalidError("number: is not that of pull_request")
    return PullRequestHint(
        action=action,
        installation_id=number(mapping(document, "installation"), "id"),
        account=login(owner),
        account_id=number(owner, "id"),
        repository_id=number(repository, "id"),
        repository=repository_name(repository),
        number=found,
        updated_at=moment(pull, "updated_at"),
    )
