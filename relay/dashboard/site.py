"""What all pages of the app host share: who is signed in, where they came from, and answers to what goes wrong."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from relay.auth import parse_nonce_hash, print_nonce_hash
from relay.dashboard.asgi import Answer, Request
from relay.dashboard.cookies import LOGIN_COOKIE
from relay.dashboard.pages import Pages
from relay.dashboard.rate import AddressLimit
from relay.dashboard.services import Services
from relay.errors import BadRequestError, ForbiddenError
from relay.routing import ReturnUrl, parse_return_url
from relay.store import Login

HTTPS_PORT = 443
_SECRET = re.compile(r"[A-Za-z0-9_-]{43}")  # what the store mints: 256 bits in base64url


class Site:
    """The services, and the rules that more than one page follows."""

    def __init__(self, services: Services) -> None:
        self.services = services
        self.pages = Pages()
        self.attempts = AddressLimit()

    @property
    def origin(self) -> str:
        """The origin of the app host, as browsers write it (RFC 6454 6.2)."""
        return f"https://{self.services.app_host}{self.port_suffix}"

    @property
    def port_suffix(self) -> str:
        """What follows a hostname in URLs."""
        port = self.services.port()
        return "" if port == HTTPS_PORT else f":{port}"

    async def login(self, request: Request) -> Login | None:
        """The login of the browser that asks; None when it is not signed in. Raises StoreUnavailableError."""
        secret = request.cookie(LOGIN_COOKIE)
        if secret is None or _SECRET.fullmatch(secret) is None:
            return None  # the database need not be asked
        return await self.services.find_login(secret)

    def require_own_page(self, request: Request) -> None:
        """Refuses a form that was not on one of our own pages (Origin, RFC 6454 7). Raises ForbiddenError."""
        if request.header(b"origin") != self.origin.encode():
            raise ForbiddenError("This form was not sent from a page of this relay.")

    def require_patience(self, request: Request) -> None:
        """Counts an attempt to sign in. Raises RateLimitedError."""
        self.attempts.count(request.address)

    def destination(self, fields: Mapping[str, str]) -> "Destination | None":
        """Where a visitor wants to return to; None without a wish. Raises BadRequestError."""
        text = fields.get("return_to", "")
        nonce = fields.get("nonce", "")
        if not text:
            return None
        services = self.services
        place = parse_return_url(
            text, preview_domain=services.preview_domain, app_host=services.app_host, port=services.port()
        )
        digest = parse_nonce_hash(nonce) if place.is_preview else b""
        if digest is None or (nonce and not place.is_preview):
            raise BadRequestError("The nonce does not fit the address to return to.", reason="return_url")
        return Destination(place=place, nonce_hash=digest)

    def own_page(self, path: str) -> "Destination":
        """A page of the app host, by its path."""
        services = self.services
        place = parse_return_url(
            path, preview_domain=services.preview_domain, app_host=services.app_host, port=services.port()
        )
        return Destination(place=place, nonce_hash=b"")

    def login_url(self, destination: "Destination") -> str:
        """The sign-in page, from where it goes on to `destination`."""
        return f"{self.origin}/login?{urlencode(destination.fields())}"

    def message(self, status: int, title: str, *sentences: str, code: str, again: str = "", **values: Any) -> Answer:
        """A page that says what happened. `again`: what the button says that starts a sign-in anew."""
        github = self.services.github is not None
        shown = {"fields": {}, **values}
        return self.pages.page(
            "message.html",
            status=status,
            leads_away=github and bool(again),
            title=title,
            sentences=sentences,
            code=code,
            again=again,
            github=github,
            **shown,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """Where to go once signed in."""

    place: ReturnUrl
    nonce_hash: bytes
    """Of the nonce that the preview's host gave this browser; empty on the app host."""

    def fields(self) -> dict[str, str]:
        """As the fields that `Site.destination` reads."""
        if self.place.is_preview:
            return {"return_to": self.place.url, "nonce": print_nonce_hash(self.nonce_hash)}
        return {"return_to": self.place.target}
