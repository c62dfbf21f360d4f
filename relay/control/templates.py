"""Templates of workspaces: specifications with placeholders; checked when they are put, filled in per pull request."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from pydantic import ValidationError

from relay.control.errors import problems_of
from relay.control.models.workspaces import WorkspaceSpec
from relay.control.specs import record_of
from relay.errors import InvalidError
from relay.store import GithubSource, records

PLACEHOLDERS = ("number", "branch", "headCommit", "repository", "workspace")
DOCUMENT_DEPTH = 10
"""A specification has four levels."""
_PLACEHOLDER = re.compile(r"@\{([^{}]*)\}?")
_SAMPLE_COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass(frozen=True, slots=True, kw_only=True)
class Values:
    """What placeholders stand for."""

    number: int
    branch: str
    head_commit: str
    repository: str
    """`owner/name`."""
    workspace: str
    """Its name."""

    def texts(self) -> dict[str, str]:
        """The values by the names of the placeholders."""
        return dict(
            zip(
                PLACEHOLDERS,
                (str(self.number), self.branch, self.head_commit, self.repository, self.workspace),
                strict=True,
            )
        )


_SAMPLE = Values(number=1, branch="branch", head_commit=_SAMPLE_COMMIT, repository="owner/name", workspace="name-1")


def check_template(document: Mapping[str, Any]) -> None:
    """Raises InvalidError, with the field's path, for an unknown placeholder or what can be no specification.

    Some mistakes show only with the values of a pull request (a branch with a slash is no image tag): those are said
    in the commit status of that pull request.
    """
    render(document, _SAMPLE)


def render(document: Mapping[str, Any], values: Values) -> records.WorkspaceSpec:
    """The specification for one pull request. Raises InvalidError.

    `github` is always what GitHub says, whatever the template has there. Values are put in once: what looks like a
    placeholder inside a branch's name stays as it is.
    """
    filled = _filled(
        {key: value for key, value in document.items() if key != "github"}, values.texts(), path="", depth=0
    )
    try:
        spec = WorkspaceSpec.model_validate(filled)
    except ValidationError as error:
        raise InvalidError(f"template: {problems_of(error)}") from error
    github = GithubSource(
        repository=values.repository, branch=values.branch, pull_request=values.number, head_commit=values.head_commit
    )
    return replace(record_of(spec), github=github)


def _filled(value: Any, texts: Mapping[str, str], *, path: str, depth: int) -> Any:
    if depth > DOCUMENT_DEPTH:
        raise InvalidError(f"template: {path}: is nested too deeply")
    if isinstance(value, str):
        return _PLACEHOLDER.sub(lambda match: _text_of(match, texts, path), value)
    if isinstance(value, Mapping):
        return {key: _filled(item, texts, path=_below(path, str(key)), depth=depth + 1) for key, item in value.items()}
    if isinstance(value, list):
        return [_filled(item, texts, path=_below(path, str(at)), depth=depth + 1) for at, item in enumerate(value)]
    return value


def _text_of(match: re.Match[str], texts: Mapping[str, str], path: str) -> str:
    found = texts.get(match[1]) if match[0].endswith("}") else None
    if found is None:
        known = ", ".join(f"@{{{name}}}" for name in PLACEHOLDERS)
        raise InvalidError(f"template: {path}: {match[0]!r} is no placeholder; there are {known}")
    return found


def _below(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key
