"""Names of orgs, clusters, workspaces and endpoints: one grammar, so that any of them can stand in a hostname."""

import hashlib
import re

from relay.errors import InvalidError

NAME_CHARACTERS = 30
"""Longest workspace, endpoint, org or cluster name: two of them and the separator always fit one DNS label (63)."""
LABEL_CHARACTERS = 63
"""Longest DNS label, RFC 1035 section 2.3.4."""
SEPARATOR = "--"
"""Stands between the parts of a preview's label, and therefore in no name."""

_HASH_DIGITS = 4

_NAME = re.compile(r"[a-z](?:[a-z0-9-]*[a-z0-9])?")
# `xn--` at the start of a label announces punycode (RFC 5890 section 2.3.2.1): browsers would try to decode it.
_RESERVED_ENDPOINTS = frozenset({"xn"})


def name_problem(name: str) -> str | None:
    """Says which rule `name` breaks, as the end of a sentence that starts with the field; None when it is valid."""
    if not name:
        return "must not be empty"
    if len(name) > NAME_CHARACTERS:
        return f"must have at most {NAME_CHARACTERS} characters, has {len(name)}"
    if not _NAME.fullmatch(name):
        return "must start with a letter a-z, end with a letter or digit, and hold only a-z, 0-9 and single hyphens"
    if SEPARATOR in name:
        return f"must not contain {SEPARATOR!r}, which separates the parts of a preview's hostname"
    return None


def valid_name(name: str) -> bool:
    """Whether `name` may be the name of an org, a cluster, a workspace or (see `require_label`) an endpoint."""
    return name_problem(name) is None


def require_name(name: str, *, field: str) -> str:
    """Returns `name`; raises InvalidError that says what is wrong with `field`."""
    problem = name_problem(name)
    if problem is not None:
        raise InvalidError(f"{field}: {name!r} {problem}")
    return name


def require_label(endpoint: str, workspace: str, org: str, *, field: str) -> None:
    """Checks an endpoint name, and that both forms of its preview hostname fit one DNS label.

    Raises InvalidError. Called when a workspace is applied, so that every endpoint that exists has a URL.
    """
    require_name(endpoint, field=field)
    if endpoint in _RESERVED_ENDPOINTS:
        raise InvalidError(f"{field}: {endpoint!r} is reserved: hostnames that start with 'xn--' are punycode")
    label = SEPARATOR.join((endpoint, workspace, org))
    if len(label) > LABEL_CHARACTERS:
        raise InvalidError(
            f"{field}: the hostname label {label!r} has {len(label)} characters, at most {LABEL_CHARACTERS} are"
            " allowed; shorten the endpoint's or the workspace's name"
        )


def pull_request_workspace(repository: str, number: int) -> str:
    """The name of the workspace of a pull request: `<repo>-<number>`, in lower case.

    Where the repository's name (without its owner) does not fit the rules, what does not fit becomes `-`, it is cut,
    and four hexadecimal digits of its SHA-256 keep it apart from others; the number is always whole.

    Args:
        repository: `owner/name`; names at GitHub have no case.
        number: of the pull request, from 1 to 2**31 - 1.
    """
    name = repository.rpartition("/")[2].lower()
    faithful = f"{name}-{number}"
    if valid_name(faithful):
        return faithful
    cleaned = re.sub(r"[^a-z0-9]+", "-", name).strip("-")
    if not cleaned[:1].isalpha():
        cleaned = f"r-{cleaned}" if cleaned else "r"
    digits = hashlib.sha256(name.encode("utf-8")).hexdigest()[:_HASH_DIGITS]
    end = f"-{digits}-{number}"
    return cleaned[: NAME_CHARACTERS - len(end)].rstrip("-") + end
