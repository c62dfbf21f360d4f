"""The app host as one ASGI application."""

import math
import re
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from relay.dashboard import home, links, sign_in
from relay.dashboard.asgi import Answer, AsgiApp, Receive, Request, Send, read_request, send_answer
from relay.dashboard.services import Services
from relay.dashboard.site import Site
from relay.errors import NotFoundError, RateLimitedError, RelayError

Handler = Callable[[Site, Request], Awaitable[Answer]]
_ROUTES: dict[str, dict[str, Handler]] = {
    "/": {"GET": home.show_home},
    "/login": {"GET": sign_in.show_login},
    "/login/github": {"POST": sign_in.begin_github},
    sign_in.CALLBACK: {"GET": sign_in.finish_github},
    "/login/link": {"GET": links.show_link, "POST": links.use_link},
    "/logout": {"POST": sign_in.log_out},
    "/logout/all": {"POST": sign_in.log_out_everywhere},
}
_WORKSPACE = re.compile(r"/orgs/([a-z0-9-]{1,63})/workspaces/([a-z0-9-]{1,63})")
_TITLES = {
    400: "This request cannot be answered",
    403: "No access",
    404: "Not found",
    429: "Please wait",
    503: "Not available at present",
}


def make_app(services: Services) -> AsgiApp:
    """The pages as an ASGI application."""
    site = Site(services)

    async def app(scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        try:
            answer = await _answer(site, await read_request(scope, receive))
        except RelayError as error:
            answer = _refusal(site, error)
        await send_answer(answer, send)

    return app


async def _answer(site: Site, request: Request) -> Answer:
    methods = _ROUTES.get(request.path)
    workspace = _WORKSPACE.fullmatch(request.path)
    if workspace is not None and request.method == "GET":
        return await home.show_workspace(site, request, workspace[1], workspace[2])
    if methods is None and workspace is None:
        raise NotFoundError("There is no such page.")
    handler = (methods or {}).get(request.method)
    if handler is None:
        allowed = ", ".join(sorted(methods or ("GET",)))
        page = site.message(405, "Not like this", f"This page takes {allowed} only.", code="method_not_allowed")
        return page.with_headers((b"allow", allowed.encode()))
    return await handler(site, request)


def _refusal(site: Site, error: RelayError) -> Answer:
    text = str(error)
    # Errors of the store are written as the end of a sentence; a page has whole ones.
    sentence = text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")
    page = site.message(error.status, _TITLES.get(error.status, "Something went wrong"), sentence, code=error.code)
    if isinstance(error, RateLimitedError):
        return page.with_headers((b"retry-after", b"%d" % math.ceil(error.retry_after_seconds)))
    return page
