"""Which org an installation belongs to, and keeping what the store knows of installations true."""

import structlog

from relay.control.github.client import GithubClient
from relay.control.github.payloads import InstallationHint
from relay.errors import RelayError
from relay.store import Database, Org, installations, orgs

log = structlog.get_logger("github")


class Installing:
    """Asks GitHub where the App is installed; a delivery is only the reason to ask."""

    def __init__(self, database: Database, client: GithubClient) -> None:
        self._database = database
        self._client = client

    async def org_of(self, installation_id: int, account: str) -> Org | None:
        """The org that the installation is for; None when no org is linked to its account."""
        known = await self._database.read(installations.find, installation_id)
        if known is not None:
            return await self._database.read(orgs.get, known.org_id)
        org = await self._database.read(orgs.find_by_github_account, account)
        if org is None:
            return None
        found = await self.bring_up_to_date(org)
        return org if found == installation_id else None

    async def work(self, hint: InstallationHint) -> str:
        """Brings what is known of an account up to date; gives a note for the log."""
        if hint.action == "deleted":
            self._client.forget(hint.installation_id)
        org = await self._database.read(orgs.find_by_github_account, hint.account)
        if org is None:
            org = await self._org_by_number(hint.installation_id)
        if org is None:
            return f"no org is linked to the GitHub account {hint.account!r}"
        found = await self.bring_up_to_date(org)
        return "not installed" if found is None else f"installed as {found}"

    async def bring_up_to_date(self, org: Org) -> int | None:
        """Asks GitHub for the installation on the org's account, and notes it; gives its number."""
        if org.github_account is None:
            return None
        found = await self._client.installation(org.github_account)
        if found is None:
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

    async def _org_by_number(self, installation_id: int) -> Org | None:
        known = await self._database.read(installations.find, installation_id)
        return None if known is None else await self._database.read(orgs.get, known.org_id)
