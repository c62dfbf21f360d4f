"""Which org an installation belongs to, and keeping what the store knows of installations true."""

import structlog

from relay.control.github.client import GithubClient
from relay.control.github.payloads import InstallationHint, PullRequestHint
from relay.errors import RelayError
from relay.store import Database, Org, installations, orgs

ANOTHER = "github_account_is_another"
"""The warning about an account that has taken the name of the one an org was linked to."""

log = structlog.get_logger("github")


async def is_theirs(database: Database, org: Org, account_id: int) -> bool:
    """Whether the account of that number is the one that the org was linked to, and not another with its name.

    The first one that the App is seen on counts: GitHub lets a name go when its account takes another.
    """
    known = org.github_account_id
    if known is None and org.github_account is not None:
        known = await database.write(orgs.learn_github_account_id, org.id, org.github_account, account_id)
    if known != account_id:
        log.warning(ANOTHER, org_id=org.id, known=known, found=account_id)
    return known == account_id


class Installing:
    """Asks GitHub where the App is installed; a delivery is only the reason to ask."""

    def __init__(self, database: Database, client: GithubClient) -> None:
        self._database = database
        self._client = client

    async def org_of(self, hint: PullRequestHint) -> Org | None:
        """The org that the installation is for; None when no org is linked to its account."""
        org = await self._org_by_number(hint.installation_id)
        if org is None:
            org = await self._database.read(orgs.find_by_github_account, hint.account)
            if org is None or await self.bring_up_to_date(org) != hint.installation_id:
                return None
        return org if await is_theirs(self._database, org, hint.account_id) else None

    async def work(self, hint: InstallationHint) -> str:
        """Brings what is known of an account up to date; gives a note for the log."""
        if hint.action == "deleted":
            self._client.forget(hint.installation_id)
        org = await self._database.read(orgs.find_by_github_account, hint.account)
        if org is None:
            org = await self._org_by_number(hint.installation_id)
        if org is None or org.github_account_id not in {None, hint.account_id}:
            if org is not None:
                log.warning(ANOTHER, org_id=org.id, known=org.github_account_id, found=hint.account_id)
            return f"no org is linked to the GitHub account {hint.account!r}"
        found = await self.bring_up_to_date(org)
        return "not installed" if found is None else f"installed as {found}"

    async def bring_up_to_date(self, org: Org) -> int | None:
        """Asks GitHub for the installation on the org's account, and notes it; gives its number."""
        if org.github_account is None:
            return None
        found = await self._client.installation(org.github_account)
        if found is None or not await is_theirs(self._database, org, found.account_id):
            known = await self._database.read(installations.find_by_org, org.id)
            if known is not None:
                self._client.forget(known.installation_id)
                await self._database.write(installations.remove, org.id)
                log.info("app_uninstalled", org_id=org.id)
            return None
        if await self._database.write(installations.put, org.id, found.id, suspended=found.suspended):
            self._client.forget(found.id)
            log.info("app_installed", org_id=org.id, installation=found.id, suspended=found.suspended)
        return found.id

    async def bring_all_up_to_date(self) -> None:
        """The same for every org that is linked to an account: deliveries may have been missed while we were away."""
        for org in await self._database.read(orgs.find_linked):
            try:
                await self.bring_up_to_date(org)
            except RelayError as error:
                log.warning("installation_not_asked", org_id=org.id, problem=str(error))
            except Exception:
                log.exception("installation_not_asked", org_id=org.id)

    async def _org_by_number(self, installation_id: int) -> Org | None:
        known = await self._database.read(installations.find, installation_id)
        return None if known is None else await self._database.read(orgs.get, known.org_id)
