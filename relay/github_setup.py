"""Linking orgs to accounts on GitHub, from the operator's command line."""

from dataclasses import dataclass

from relay import config
from relay.auth import Role
from relay.control.github import GithubApp, GithubClient, Installation, load_app
from relay.errors import ConfigurationError, ConflictError
from relay.setup import open_store
from relay.store import GithubIdentity, installations, members, orgs, users
from relay.store.rows import Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """What is to be written down about an org."""

    account: str
    """Login of the organisation or person on GitHub."""
    installation: Installation | None
    """The App there; None where it is not installed yet."""
    admin: GithubIdentity | None
    """Who is made an admin."""


def load_github(settings: config.Settings) -> GithubApp | None:
    """The App that [github] describes, None without that section. Raises ConfigurationError."""
    return None if settings.github is None else load_app(settings.github)


async def find_link(settings: config.Settings, account: str, *, admin: str | None) -> Link:
    """Asks GitHub what is needed to link an org to an account; writes nothing.

    Raises ConfigurationError without [github] or for a login that GitHub does not know, and GithubUnavailableError.
    """
    app = load_github(settings)
    if app is None:
        raise ConfigurationError("github: the section is missing; --github-org and --admin-github need a GitHub App")
    client = GithubClient(app)
    try:
        found = await client.installation(account)
        number = None if found is None or found.suspended else found.id
        identity = None if admin is None else await client.user_named(admin, installation_id=number)
    finally:
        await client.close()
    if admin is not None and identity is None:
        raise ConfigurationError(f"--admin-github: GitHub knows no user {admin!r}")
    return Link(account=account, installation=found, admin=identity)


def write_link(tx: Transaction, org_id: str, link: Link) -> None:
    """Links the org, and makes the admin one. Raises ConflictError when another org has the account."""
    found = link.installation
    orgs.link_github_account(tx, org_id, link.account, account_id=None if found is None else found.account_id)
    if found is not None:
        installations.put(tx, org_id, found.id, suspended=found.suspended)
    if link.admin is not None:
        user = users.put(tx, provider="github", subject=str(link.admin.id), login=link.admin.login)
        members.put(tx, org_id, user.id, source="github", role=Role.ADMIN)


async def link_org(settings: config.Settings, org: str, account: str, *, admin: str | None) -> Link:
    """Links an org that exists. Raises ConfigurationError, also where the org or the account is taken."""
    link = await find_link(settings, account, admin=admin)
    database = open_store(settings)
    try:
        found = await database.read(orgs.find, org)
        if found is not None:
            await database.write(write_link, found.id, link)
    except ConflictError as error:
        raise ConfigurationError(str(error)) from error
    finally:
        database.close()
    if found is None:
        raise ConfigurationError(f"--org: there is no org named {org!r} (`signadot-relay init` makes it)")
    return link
