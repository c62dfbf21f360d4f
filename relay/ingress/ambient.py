"""What a browser says about who sends a request: a navigation of a person, the preview's own page, or another page.

Browsers attach cookies to whatever any page makes them send, and previews are same-site to each other, so SameSite does
not keep siblings apart. What does is Fetch Metadata (`Sec-Fetch-*`) and Origin, which no page can set.
"""

from relay.errors import ForbiddenError
from relay.http1 import RequestHead
from relay.routing import Route

SAFE_METHODS = frozenset({b"GET", b"HEAD", b"OPTIONS", b"TRACE"})  # RFC 9110 9.2.1
_NAVIGATING_METHODS = frozenset({b"GET", b"HEAD"})
_OWN_SITE = frozenset({b"same-origin", b"none"})  # `none`: the person typed it, or chose a bookmark


def is_navigation(head: RequestHead) -> bool:
    """Whether a person goes to this page, in a window of its own: only then is it of use to send them to sign in."""
    if head.method not in _NAVIGATING_METHODS or head.upgrade is not None:
        return False
    mode = head.get(b"sec-fetch-mode")
    if mode is not None:
        return mode == b"navigate" and head.get(b"sec-fetch-dest") in {b"document", None}
    return b"text/html" in (head.get(b"accept") or b"").lower()


def is_preflight(head: RequestHead) -> bool:
    """A CORS preflight as the Fetch standard defines it."""
    return (
        head.method == b"OPTIONS"
        and head.get(b"origin") is not None
        and head.get(b"access-control-request-method") is not None
    )


def check_key(head: RequestHead, route: Route) -> None:
    """Requests with an API key, which a page cannot add without a preflight that the target allows.

    Raises ForbiddenError for a WebSocket from another origin and for a state-changing request that a browser marks
    as coming from another site's or a sibling's page.
    """
    origin = head.get(b"origin")
    if origin is not None and _is_allowed(origin, route):
        return
    if head.upgrade == b"websocket":
        if origin is not None and not _is_own(origin, head):
            raise ForbiddenError("A WebSocket to a preview must come from the preview's own origin.")
        return
    site = head.get(b"sec-fetch-site")
    if (
        site in {b"same-site", b"cross-site"}
        and head.method not in SAFE_METHODS
        and head.get(b"sec-fetch-mode") != b"navigate"
    ):
        raise ForbiddenError("This request comes from a page of another site.")


def check_cookie(head: RequestHead, route: Route) -> None:
    """Requests with a login's cookie, which a browser adds by itself whoever asks.

    Raises ForbiddenError unless the preview's own page sends it, or a person navigates, or the endpoint allows the
    origin. A browser without Fetch Metadata is believed as far as its Origin goes.
    """
    origin = head.get(b"origin")
    if origin is not None and _is_allowed(origin, route):
        return
    if head.upgrade is not None:
        if origin is None or not _is_own(origin, head):
            raise ForbiddenError(
                "A WebSocket of a signed-in browser must come from the preview's own origin; programs send an API key."
            )
        return
    site = head.get(b"sec-fetch-site")
    if site is None:
        if origin is not None and not _is_own(origin, head):
            raise ForbiddenError("This request comes from a page of another origin.")
    elif site not in _OWN_SITE and not (
        head.method in _NAVIGATING_METHODS
        and head.get(b"sec-fetch-mode") == b"navigate"
        and head.get(b"sec-fetch-dest") == b"document"
    ):
        raise ForbiddenError(
            "This request comes from a page of another origin: a login lets such a page only open a preview in a "
            "window, unless the endpoint's allowedOrigins has its origin."
        )


def _is_own(origin: bytes, head: RequestHead) -> bool:
    return origin == b"https://" + (head.get(b"host") or b"")


def _is_allowed(origin: bytes, route: Route) -> bool:
    return bool(route.allowed_origins) and origin.decode("latin-1") in route.allowed_origins
