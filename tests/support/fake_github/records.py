"""What the fake knows: values that are replaced as a whole, so that a test never sees one half changed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

AccountKind = Literal["User", "Organization"]
CallerKind = Literal["app", "installation", "user", "none", "bad"]


class UnknownError(LookupError):
    """The test names something that the fake does not know."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A user or an organisation; both live in one space of logins, as on GitHub."""

    id: int
    login: str
    name: str
    kind: AccountKind
    members: frozenset[int] = frozenset()
    """Ids of an organisation's members."""
    public_members: frozenset[int] = frozenset()
    """Those of them who show it to everybody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Repository:
    """A repository; its full name follows from its owner's login."""

    id: int
    owner_id: int
    name: str
    private: bool = True
    default_branch: str = "main"
    fork: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PullRequest:
    """A pull request."""

    id: int
    number: int
    repository_id: int
    title: str
    author_id: int
    head_ref: str
    head_sha: str
    head_repository_id: int | None
    """None: the fork was deleted."""
    base_ref: str
    base_sha: str
    created_at: float
    updated_at: float
    state: Literal["open", "closed"] = "open"
    merged: bool = False
    draft: bool = False
    closed_at: float | None = None
    merged_at: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """The app on an account."""

    id: int
    account_id: int
    permissions: Mapping[str, str]
    events: tuple[str, ...]
    created_at: float
    updated_at: float
    repository_ids: frozenset[int] | None = None
    """None: all of the account's."""
    suspended_at: float | None = None
    suspended_by_id: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """A commit status that the app set."""

    id: int
    repository_id: int
    repository: str
    """The full name at that time."""
    sha: str
    state: str
    context: str
    target_url: str | None
    description: str | None
    created_at: float
    installation_id: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A user or installation access token."""

    value: str = field(repr=False)
    kind: Literal["user", "installation"]
    owner_id: int
    """The user's or the installation's id."""
    expires_at: float | None
    permissions: Mapping[str, str] = field(default_factory=dict)
    repository_ids: frozenset[int] | None = None
    """None: all that the installation has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """An authorisation code."""

    user_id: int
    redirect_uri: str
    challenge: str | None
    expires_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request that reached the fake."""

    at: float
    method: str
    path: str
    """Without the API prefix."""
    auth: CallerKind
    owner_id: int | None
    """The installation or user that the token belongs to."""
    status: int
    """0: no answer was given."""
    headers: Mapping[str, str] = field(repr=False)
    """Names in lower case; without Authorization."""
    query: Mapping[str, str]
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One try to deliver a webhook."""

    at: float
    status: int
    """0: no answer came."""
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """A webhook with all tries to deliver it."""

    guid: str
    event: str
    payload: Any
    sent_headers: Mapping[str, str]
    sent_body: bytes
    secret: str | None = field(default=None, repr=False)
    """None: the app's, as it is at the time."""
    overrides: Mapping[str, str | None] = field(default_factory=dict)
    """Headers that a test replaced or, with None, left out."""
    attempts: tuple[Attempt, ...] = ()

    @property
    def status(self) -> int:
        """What the last try was answered; 0: nothing."""
        return self.attempts[-1].status if self.attempts else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened on GitHub, as its webhook tells it."""

    name: str
    """For X-GitHub-Event."""
    payload: dict[str, Any]
    delivery: Delivery | None = None
    """None: not delivered."""

    @property
    def number(self) -> int:
        """The pull request's number."""
        return int(self.payload["number"])

    @property
    def sha(self) -> str:
        """The pull request's head commit."""
        return str(self.payload["pull_request"]["head"]["sha"])

    @property
    def installation_id(self) -> int:
        """The installation that it is about."""
        return int(self.payload["installation"]["id"])
