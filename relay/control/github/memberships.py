"""Who belongs to which org: asked of GitHub, never taken from a person's own word."""

from collections.abc import Mapping

import trio

from relay.control.github.client import GithubClient
from relay.control.github.errors import InstallationGoneError
from relay.errors import NotFoundError
from relay.store import GithubIdentity, Org, User, installations, members, orgs, users
from relay.store.database import Database
from relay.store.rows import Transaction

AT_A_TIME = 8
"""Questions to GitHub at once, for one user."""


class Memberships:
    """Asks GitHub for a user's place in every org that is linked to an account there."""

    def __init__(self, database: Database, client: GithubClient) -> None:
        self._database = database
        self._client = client

    async def sign_in(self, identity: GithubIdentity) -> User:
        """Makes the user known, and a member of the orgs that GitHub says they belong to.

        Raises GithubUnavailableError; then nobody becomes a member.
        """
        user = await self._database.write(
            users.put, provider="github", subject=str(identity.id), login=identity.login, signed_in=True
        )
        answers = await self._ask(user, identity.login)
        await self._database.write(_write_down, user.id, answers, joins=True)
        return user

    async def refresh(self, user_id: str) -> Mapping[str, bool]:
        """Asks again for a user who is known, and writes the answers down; gives them by org id.

        Nobody gets a new place by it. Raises GithubUnavailableError, and NotFoundError for a user who is gone here.
        """
        user = await self._database.read(users.get, user_id)
        if user is None:
            raise NotFoundError("the user does not exist any more")
        if user.provider != "github":
            return {}
        login = await self._present_login(user)
        answers = await self._ask(user, login)
        await self._database.write(_write_down, user_id, answers, joins=False)
        return answers

    async def _present_login(self, user: User) -> str | None:
        """What the user is called at GitHub now; None when there is no such account any more."""
        for found in await self._database.read(installations.find_all):
            if found.suspended:
                continue
            try:
                identity = await self._client.user(int(user.subject), installation_id=found.installation_id)
            except InstallationGoneError:
                continue
            if identity is None:
                return None
            if identity.login != user.login:
                await self._database.write(users.put, provider="github", subject=user.subject, login=identity.login)
            return identity.login
        return user.login  # no installation is left to ask through, and so none will say yes

    async def _ask(self, user: User, login: str | None) -> dict[str, bool]:
        answers: dict[str, bool] = {}
        limiter = trio.CapacityLimiter(AT_A_TIME)
        linked = await self._database.read(orgs.find_linked)
        failed: list[Exception] = []

        async def ask(org: Org) -> None:
            async with limiter:
                try:
                    answers[org.id] = login is not None and await self._belongs(org, user, login)
                except Exception as error:  # noqa: BLE001 - one of them is raised below, not a group of them
                    failed.append(error)

        async with trio.open_nursery() as nursery:
            for org in linked:
                nursery.start_soon(ask, org)
        if failed:
            raise failed[0]
        return answers

    async def _belongs(self, org: Org, user: User, login: str) -> bool:
        if org.github_account is None:
            return False
        found = await self._client.installation(org.github_account)
        if found is None or found.suspended:
            return False
        if found.is_personal:
            return found.account_id == int(user.subject)
        try:
            return await self._client.is_member(found, login)
        except InstallationGoneError:
            return False


def _write_down(tx: Transaction, user_id: str, answers: Mapping[str, bool], *, joins: bool) -> None:
    for org_id, answer in answers.items():
        if not (joins and answer):
            continue
        member = members.get(tx, org_id, user_id)
        if member is None:
            members.put(tx, org_id, user_id, source="github")
    members.confirm(tx, user_id, answers)
