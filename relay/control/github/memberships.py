"""Who belongs to which org: asked of GitHub, never taken from a person's own word."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import structlog
import trio
from cachetools import TTLCache

from relay.control.github.client import GithubClient
from relay.control.github.errors import GithubRefusedError, InstallationGoneError
from relay.control.github.installing import is_theirs
from relay.errors import GithubUnavailableError, NotFoundError, RelayError
from relay.store import GithubIdentity, Org, User, installations, members, orgs, users
from relay.store.database import Database
from relay.store.rows import Transaction

AT_A_TIME = 8
"""Questions to GitHub at once, for one user."""
STRANGER_SECONDS = 60.0
"""For so long whoever belongs nowhere is told so again without asking GitHub anew."""
STRANGERS = 10_000
"""Of them at most that are remembered."""

log = structlog.get_logger("github")


class Memberships:
    """Asks GitHub for a user's place in the orgs that are linked to an account there."""

    def __init__(
        self, database: Database, client: GithubClient, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._database = database
        self._client = client
        self._strangers: TTLCache[int, None] = TTLCache(STRANGERS, STRANGER_SECONDS, timer=clock)

    async def sign_in(self, identity: GithubIdentity) -> User | None:
        """Makes the user known, and a member of the orgs that GitHub says they belong to.

        Whoever belongs nowhere and was never known leaves no trace: None. Raises GithubUnavailableError where an org
        got no answer and no other one said yes; the answers that came are written down.
        """
        user = await self._database.read(users.find_by_github_id, identity.id)
        if user is None and identity.id in self._strangers:
            return None
        linked = await self._database.read(orgs.find_linked)
        asked = await self._ask(linked, identity.id, identity.login)
        welcome = any(asked.answers.values())
        if user is not None or welcome:
            user = await self._database.write(_admit, identity, asked.answers)
        if not welcome:
            asked.require_all()
        if user is None:
            self._strangers[identity.id] = None
        return user

    async def refresh(self, user_id: str) -> Mapping[str, bool]:
        """Asks again about the places of a user who is known, and writes the answers down; gives them by org id.

        Nobody gets a new place by it. Raises GithubUnavailableError where a place got no answer; those that came are
        written down all the same. NotFoundError for a user who is gone here.
        """
        user = await self._database.read(users.get, user_id)
        if user is None:
            raise NotFoundError("the user does not exist any more")
        if user.provider != "github":
            return {}
        places = await self._database.read(_find_places, user_id)
        if not places:
            return {}
        login = await self._present_login(user, places)
        if login is None:
            asked = _Asked(answers={org.id: False for org in places})
        else:
            asked = await self._ask(places, int(user.subject), login)
        await self._database.write(members.confirm, user_id, asked.answers)
        asked.require_all()
        return asked.answers

    async def _present_login(self, user: User, places: Sequence[Org]) -> str | None:
        """What the user is called at GitHub now; None when there is no such account any more."""
        theirs = {org.id for org in places}
        failed: RelayError | None = None
        for found in await self._database.read(installations.find_all):
            if found.suspended or found.org_id not in theirs:
                continue
            try:
                identity = await self._client.user(int(user.subject), installation_id=found.installation_id)
            except InstallationGoneError:
                continue
            except (GithubRefusedError, GithubUnavailableError) as error:
                failed = error  # what keeps one installation from asking may not concern the next
                continue
            if identity is None:
                return None
            if identity.login != user.login:
                await self._database.write(users.put, provider="github", subject=user.subject, login=identity.login)
            return identity.login
        if failed is not None:
            raise _unavailable(failed) from failed
        return user.login  # no installation is left to ask through, and so none will say yes

    async def _ask(self, linked: Sequence[Org], github_id: int, login: str) -> "_Asked":
        asked = _Asked()
        limiter = trio.CapacityLimiter(AT_A_TIME)

        async def ask(org: Org) -> None:
            async with limiter:
                try:
                    asked.answers[org.id] = await self._belongs(org, github_id, login)
                except RelayError as error:
                    log.warning("membership_not_answered", org_id=org.id, problem=str(error))
                    asked.failed.append(error)
                except Exception as error:
                    log.exception("membership_not_answered", org_id=org.id)
                    asked.failed.append(error)

        async with trio.open_nursery() as nursery:
            for org in linked:
                nursery.start_soon(ask, org)
        return asked

    async def _belongs(self, org: Org, github_id: int, login: str) -> bool:
        if org.github_account is None:
            return False
        found = await self._client.installation(org.github_account)
        if found is None or found.suspended or not await is_theirs(self._database, org, found.account_id):
            return False
        if found.is_personal:
            return found.account_id == github_id
        try:
            return await self._client.is_member(found, login)
        except InstallationGoneError:
            return False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """What GitHub said about one user."""

    answers: dict[str, bool] = field(default_factory=dict)
    """By org id; an org without an answer is not in it."""
    failed: list[Exception] = field(default_factory=list)

    def require_all(self) -> None:
        """Raises GithubUnavailableError where an answer is missing."""
        if self.failed:
            raise _unavailable(self.failed[0]) from self.failed[0]


def _unavailable(error: Exception) -> GithubUnavailableError:
    if isinstance(error, GithubUnavailableError):
        return GithubUnavailableError(str(error), retry_after_seconds=error.retry_after_seconds)
    said = str(error) if isinstance(error, RelayError) else "what GitHub said could not be worked on"
    return GithubUnavailableError(said)


def _find_places(tx: Transaction, user_id: str) -> Sequence[Org]:
    """The orgs in which GitHub vouches for the user, or did."""
    theirs = [member.org_id for member in members.find_of_user(tx, user_id) if member.source == "github"]
    return [org for org_id in theirs if (org := orgs.get(tx, org_id)) is not None]


def _admit(tx: Transaction, identity: GithubIdentity, answers: Mapping[str, bool]) -> User:
    user = users.put(tx, provider="github", subject=str(identity.id), login=identity.login, signed_in=True)
    for org_id, answer in answers.items():
        if answer and members.get(tx, org_id, user.id) is None:
            members.put(tx, org_id, user.id, source="github")
    members.confirm(tx, user.id, answers)
    return user
