"""Login links: one page that asks, one form that signs in. Programs that open links in mail do not send forms."""

from relay.dashboard.asgi import Answer, Request
from relay.dashboard.sign_in import sign_in
from relay.dashboard.site import Site
from relay.store import login_links


async def show_link(site: Site, request: Request) -> Answer:
    """GET /login/link: whom the link signs in. It stays good."""
    code = request.query.get("code", "")
    user = await site.services.database.read(login_links.peek, code)
    if user is None:
        return _spent(site)
    return site.pages.page("link.html", name=user.login, code=code)


async def use_link(site: Site, request: Request) -> Answer:
    """POST /login/link: signs in, once."""
    site.require_own_page(request)
    site.require_patience(request)
    user = await site.services.database.write(login_links.redeem, request.form.get("code", ""))
    if user is None:
        return _spent(site)
    return await sign_in(site, request, user, None)


def _spent(site: Site) -> Answer:
    return site.message(
        400,
        "This link does not work any more",
        "A login link works once, for a few minutes. Ask the person who runs this relay for a new one.",
        code="link_unknown",
    )
