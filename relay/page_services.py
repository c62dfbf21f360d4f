"""What the pages of the app host are given in a relay process."""

import time
from collections.abc import Callable
from dataclasses import replace

from relay import config, dashboard
from relay.auth import TextSealer
from relay.errors import UnauthenticatedError
from relay.store import Database, Login, LoginLookups, logins

OAUTH_COOKIE = "oauth-cookie"
"""The purpose for which the keys of sign-ins under way are derived."""


def page_services(
    settings: config.Settings,
    database: Database,
    *,
    lookups: LoginLookups,
    github: dashboard.Github | None,
    cluster_status: Callable[[str], dashboard.ClusterStatus],
    preview_url: dashboard.PreviewUrl,
    port: Callable[[], int],
) -> dashboard.Services:
    """Ties the pages to the store, to GitHub and to the look-ups that know how old a membership may be."""

    async def find_login(secret: str) -> Login | None:
        login = await database.read(logins.find, secret)
        if login is None:
            return None
        try:
            principal = await lookups.login(login.id)  # asks GitHub about old memberships
        except UnauthenticatedError:
            return None
        held = {membership.org_id for membership in principal.memberships}
        return replace(login, members=tuple(member for member in login.members if member.org_id in held))

    return dashboard.Services(
        database=database,
        find_login=find_login,
        github=github,
        sealer=TextSealer(lambda: [key for _, key in database.sealer.derive(OAUTH_COOKIE)]),
        cluster_status=cluster_status,
        preview_url=preview_url,
        app_host=settings.hosts.app,
        preview_domain=settings.hosts.preview,
        api_host=settings.hosts.api,
        port=port,
        login_seconds=settings.limits.login_seconds,
        now=time.time,
    )
