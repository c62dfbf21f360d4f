"""Login links, by which an operator lets people in who have no account at GitHub."""

import re
from dataclasses import dataclass

from relay import config
from relay.auth import Role
from relay.errors import ConfigurationError, InvalidError
from relay.setup import open_store
from relay.store import login_links, members, orgs, users
from relay.store.rows import Transaction

HTTPS_PORT = 443
_USER_NAME = re.compile(r"[a-z0-9._-]{1,64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkRequest:
    """A login link to make."""

    user: str
    """Name of a local user, who is made known if need be."""
    org: str | None = None
    """An org to make them a member of."""
    role: Role | None = None
    """Their role there; None keeps the one they have, and makes a new one a member."""
    seconds: float
    """How long the link works."""
    port: int | None = None
    """The public port; None: the one of the configuration."""


async def make_login_link(settings: config.Settings, request: LinkRequest) -> str:
    """A URL of the app host that signs a local user in, once.

    Raises InvalidError for a bad name, ConfigurationError where the org or the port is not known, or the user would
    have no place in any org.
    """
    if not _USER_NAME.fullmatch(request.user):
        raise InvalidError(f"user: {request.user!r} must be 1 to 64 characters of a-z, 0-9, dot, underscore and hyphen")
    if request.role is not None and request.org is None:
        raise InvalidError("role: name the organisation as well, with --org")
    port = request.port or config.split_address(settings.listen.public)[1]
    if not port:
        raise ConfigurationError("listen.public: port 0 takes a free one; say which one it is, with --port")
    database = open_store(settings)
    try:
        secret = await database.write(_create_link, request)
    finally:
        database.close()
    suffix = "" if port == HTTPS_PORT else f":{port}"
    return f"https://{settings.hosts.app}{suffix}/login/link?code={secret}"


def _create_link(tx: Transaction, request: LinkRequest) -> str:
    user = users.put(tx, provider="local", subject=request.user, login=request.user)
    if request.org is not None:
        org = orgs.find(tx, request.org)
        if org is None:
            raise ConfigurationError(f"org: there is no organisation {request.org!r}; `signadot-relay init` makes one")
        members.put(tx, org.id, user.id, source="local", role=request.role)
    elif not any(member.active for member in members.find_of_user(tx, user.id)):
        raise ConfigurationError(f"user: {request.user} belongs to no organisation yet; name one, with --org")
    return login_links.create(tx, user.id, seconds=request.seconds)
