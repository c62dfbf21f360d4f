"""What the pages are given: the store, and the little they need of other services."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from relay.store import Database, GithubIdentity, Login, User


class IdentityProvider(Protocol):
    """GitHub, as far as it says who somebody is (OAuth 2.0, RFC 6749, with PKCE, RFC 7636)."""

    def authorize_url(self, *, state: str, challenge: str, redirect_uri: str) -> str:
        """Where a browser is sent to sign in. `challenge`: of the method S256."""

    async def identify(self, *, code: str, verifier: str, redirect_uri: str) -> GithubIdentity:
        """Whom a code stands for. Raises UnauthenticatedError and GithubUnavailableError."""


class Memberships(Protocol):
    """Knows who belongs to which org."""

    async def sign_in(self, identity: GithubIdentity) -> User | None:
        """Makes the user known, and a member of the orgs that GitHub says they belong to.

        None for a stranger who belongs nowhere. Raises GithubUnavailableError.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Github:
    """What the pages need of GitHub."""

    provider: IdentityProvider
    memberships: Memberships
    url: str
    """Where people look at repositories, without a slash at its end."""


class Sealer(Protocol):
    """Makes text that only this relay can have made, and that nobody else can read."""

    def seal(self, text: str) -> str:
        """Text fit for a cookie."""

    def unseal(self, sealed: str) -> str | None:
        """What was sealed; None for anything else."""


class ClusterStatus(Protocol):
    """Whether agents of a cluster are connected."""

    @property
    def online(self) -> bool:
        """Whether there is a live tunnel."""

    @property
    def capabilities(self) -> Sequence[str]:
        """What the connected agents can do."""

    @property
    def since(self) -> float | None:
        """Epoch seconds since when it is as it is; None when no agent was ever seen."""


class PreviewUrl(Protocol):
    """Prints where a preview is visited."""

    def __call__(self, endpoint: str, workspace: str, org: str | None) -> str:
        """The URL of an endpoint; names the org where it is given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """All that the pages reach beyond themselves."""

    database: Database
    find_login: Callable[[str], Awaitable[Login | None]]
    """The live login of that secret, memberships not older than they may be; None when there is none."""
    github: Github | None
    """None where nobody signs in by GitHub."""
    sealer: Sealer
    """For the cookie of a sign-in that has begun."""
    cluster_status: Callable[[str], ClusterStatus]
    """By cluster id."""
    preview_url: PreviewUrl
    app_host: str
    preview_domain: str
    api_host: str
    port: Callable[[], int]
    """The public port: known once the relay listens."""
    login_seconds: float
    """How long a login lasts."""
    now: Callable[[], float]
    """Epoch seconds."""
