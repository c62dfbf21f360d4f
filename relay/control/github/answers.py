"""GitHub's answers and payloads as records: exact types and sizes, or an error that names the field."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from relay.errors import InvalidError

MAX_NUMBER = 2**31 - 1
"""Of a pull request: as the API has it."""
MAX_ID = 2**63 - 1
"""Of anything at GitHub; what the database holds."""
MAX_BRANCH = 255
"""Longest name of a branch, in characters: git keeps each as a file."""
_REPOSITORY = re.compile(r"[A-Za-z0-9_-]{1,39}/[A-Za-z0-9._-]{1,100}")
_LOGIN = re.compile(r"[A-Za-z0-9_-]{1,39}(\[bot\])?")
_COMMIT = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


@dataclass(frozen=True, slots=True, kw_only=True)
class PullRequest:
    """A pull request as GitHub has it."""

    repository: str
    """`owner/name`, as it is called now."""
    number: int
    is_open: bool
    branch: str
    head_commit: str
    updated_at: float
    """Epoch seconds, whole ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """The App on one account."""

    id: int
    account: str
    """Login of the organisation or person."""
    account_id: int
    """Stays when the account takes another name."""
    is_personal: bool
    suspended: bool


def read_pull_request(document: Mapping[str, Any]) -> PullRequest:
    """Raises InvalidError."""
    head = mapping(document, "head")
    base = mapping(mapping(document, "base"), "repo")
    return PullRequest(
        repository=repository_name(base),
        number=number(document, "number", most=MAX_NUMBER),
        is_open=text(document, "state", re.compile("open|closed")) == "open",
        branch=_branch(head),
        head_commit=text(head, "sha", _COMMIT),
        updated_at=moment(document, "updated_at"),
    )


def read_installation(document: Mapping[str, Any]) -> Installation:
    """Raises InvalidError."""
    account = mapping(document, "account")
    return Installation(
        id=number(document, "id"),
        account=login(account),
        account_id=number(account, "id"),
        is_personal=text(account, "type", re.compile("User|Organization")) == "User",
        suspended=document.get("suspended_at") is not None,
    )


def repository_name(document: Mapping[str, Any]) -> str:
    """`owner/name` of a repository. Raises InvalidError."""
    return text(document, "full_name", _REPOSITORY)


def login(document: Mapping[str, Any]) -> str:
    """The login of an account. Raises InvalidError."""
    return text(document, "login", _LOGIN)


def mapping(document: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """The object at `key`. Raises InvalidError."""
    value = document.get(key)
    if not isinstance(value, dict):
        raise InvalidError(f"{key}: must be an object")
    return value


def text(document: Mapping[str, Any], key: str, pattern: re.Pattern[str]) -> str:
    """The text at `key`, all of which must match. Raises InvalidError."""
    value = document.get(key)
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise InvalidError(f"{key}: is missing, or not what GitHub sends")
    return value


def number(document: Mapping[str, Any], key: str, *, most: int = MAX_ID) -> int:
    """The number at `key`, from 1 on. Raises InvalidError."""
    value = document.get(key)
    # A truth value is an int to Python.
    if type(value) is not int or not 1 <= value <= most:
        raise InvalidError(f"{key}: must be a number from 1 to {most}")
    return value


def moment(document: Mapping[str, Any], key: str) -> float:
    """The time at `key`, as epoch seconds. Raises InvalidError."""
    value = document.get(key)
    try:
        parsed = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        parsed = None
    if parsed is None:
        raise InvalidError(f"{key}: must be a time in ISO 8601")
    return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()


def _branch(head: Mapping[str, Any]) -> str:
    value = head.get("ref")
    if not isinstance(value, str) or not 1 <= len(value) <= MAX_BRANCH or _UNPRINTABLE.search(value):
        raise InvalidError(f"head.ref: must be the name of a branch, of at most {MAX_BRANCH} characters")
    return value
