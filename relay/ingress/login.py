"""Logins of browsers on preview hosts: the way to the sign-in page and back, and the cookie that comes of it."""

import re
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import quote, urlsplit

from relay.auth import (
    PreviewCookies,
    PreviewNote,
    Principal,
    Unreadable,
    is_nonce,
    mint_nonce,
    nonce_hash,
    print_nonce_hash,
)
from relay.errors import UnauthenticatedError
from relay.http1 import NONCE_COOKIE, PREVIEW_COOKIE, RequestHead, read_own_cookie
from relay.ingress.ambient import is_navigation
from relay.ingress.errors import Redirect, SignInFailedError
from relay.routing import plain_target
from relay.store import HandOver

NONCE_SECONDS = 600
"""How long somebody may take to sign in."""
RETURN_TO_CHARACTERS = 4096
"""Longest URL, as it is written into another one, that a visitor is brought back to: request lines end at 8 KiB."""
REFRESH_SECONDS = 10.0
"""How often cookies under unknown keys may have the keys looked up again: anybody can make such cookies."""

_CODE = re.compile(rb"/\.signadot/login\?code=([A-Za-z0-9_-]{43})")
_VISIBLE = re.compile(r"[\x21-\x7e]*")


class Logins(Protocol):
    """What ingress needs to know of logins; a `*_nowait` answers from the cache or gives None."""

    def login_nowait(self, login_id: str) -> Principal | None:
        """Whom a login stands for that was seen lately."""

    async def login(self, login_id: str) -> Principal:
        """Whom a login stands for. Raises UnauthenticatedError when it has ended."""

    def login_expires_at(self, login_id: str) -> float | None:
        """When a login that was seen lately runs out, epoch seconds."""

    async def redeem(self, code: str, *, host: str, nonce: str | None) -> HandOver | None:
        """What a login code stands for, once; None when it does not fit, as without a nonce. It is used up by that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CookieKeys:
    """The keys of preview cookies."""

    keys: Callable[[], Sequence[tuple[str, bytes]]]
    """Those at hand, by id; the active one first."""
    refresh: Callable[[], Awaitable[None]] | None = None
    """Looks for new ones in the store; None where there is one key for ever."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A request whose cookie is good."""

    principal: Principal
    cookies: tuple[bytes, ...]
    """Its Cookie lines."""
    good_for_seconds: float
    """What is left of the cookie's time."""
    set_cookie: bytes
    """A header line with a fresh cookie, where it is time for one; else empty."""


class PreviewLogins:
    """The logins of one relay as its preview hosts see them.

    Args:
        logins: look-ups.
        keys: the keys of preview cookies.
        app_url: the app host, `https://host[:port]`.
        port_suffix: what follows the names of preview hosts in URLs.
        seconds: how long a preview cookie is good, an hour at most.
        clock: seconds since the epoch.
    """

    def __init__(
        self,
        logins: Logins,
        keys: CookieKeys,
        *,
        app_url: str,
        port_suffix: str = "",
        seconds: float = 3600.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._logins = logins
        self._keys = keys
        self.app_url = app_url
        """Where people sign in and see their previews."""
        self._port_suffix = port_suffix
        self._seconds = seconds
        self._clock = clock
        self._cookies = PreviewCookies(keys.keys())
        self._refreshed_at = float("-inf")

    def rekey(self) -> None:
        """Takes the keys that are at hand now; call it when they changed."""
        self._cookies = PreviewCookies(self._keys.keys())

    async def session(self, head: RequestHead) -> Session | None:
        """The login that a request's cookie stands for; None without one that is good. Raises StoreUnavailableError.

        Whether the cookie counts for this request is for `ambient.check_cookie` to say.
        """
        cookies = head.cookies
        value, _ = read_own_cookie(cookies, PREVIEW_COOKIE) if cookies else (None, 0)
        if value is None:
            return None
        note = await self._read(value, head.host)
        if note is None:
            return None
        principal = self._logins.login_nowait(note.login_id)
        if principal is None:
            try:
                principal = await self._logins.login(note.login_id)
            except UnauthenticatedError:
                return None
        now = self._clock()
        return Session(
            principal=principal,
            cookies=cookies,
            good_for_seconds=note.expires_at - now,
            set_cookie=self._renewed(note, head.host, now),
        )

    def sign_in(self, head: RequestHead) -> Redirect:
        """The way to the sign-in page for a navigation, which comes back to the same URL."""
        value, _ = read_own_cookie(head.cookies, NONCE_COOKIE)
        nonce = None if value is None else value.decode("latin-1")
        if nonce is None or not is_nonce(nonce):
            nonce = mint_nonce()  # otherwise kept: another tab may be on its way with it
        here = f"https://{head.host}{self._port_suffix}"
        return_to = quote(here + plain_target(head.target), safe="")
        if len(return_to) > RETURN_TO_CHARACTERS:
            return_to = quote(here + "/", safe="")
        location = f"{self.app_url}/login?return_to={return_to}&nonce={print_nonce_hash(nonce_hash(nonce))}"
        return Redirect(location=location, code="sign_in", set_cookies=(_cookie(NONCE_COOKIE, nonce, NONCE_SECONDS),))

    async def hand_over(self, head: RequestHead) -> Redirect:
        """Turns the code that a navigation carries into a cookie, and leads to the page it wanted.

        A code that is presented here is used up, whoever presents it and however: a page of this host may have had a
        visitor's browser fetch one for it, and must not find it still good. Raises SignInFailedError, and
        StoreUnavailableError.
        """
        code = _CODE.fullmatch(head.target)
        nonce, _ = read_own_cookie(head.cookies, NONCE_COOKIE)
        found = None
        # A page's image or frame must not sign anybody in.
        arrives = head.method == b"GET" and is_navigation(head)
        if code is not None:
            known = None if nonce is None or not arrives else nonce.decode("latin-1")
            found = await self._logins.redeem(code[1].decode(), host=head.host, nonce=known)
        if not arrives:
            raise SignInFailedError("Only a person's browser comes here, on its way from the sign-in page.")
        if code is None or nonce is None:
            raise SignInFailedError("Signing in at this preview did not work: its cookie is missing, or took too long.")
        if found is None:
            raise SignInFailedError(
                "Signing in at this preview did not work: the link was used before, or took too long, or was made for "
                "another browser."
            )
        value, count = read_own_cookie(head.cookies, PREVIEW_COOKIE)
        if count and value is None:
            # With ours beside it none would count, and the visitor would be sent to and fro for ever.
            raise SignInFailedError(
                "Signing in at this preview did not work: a page has planted cookies of the same name. Delete the "
                "cookies of this site and start again."
            )
        now = self._clock()
        seconds = min(self._seconds, found.login.expires_at - now)
        return Redirect(
            location=f"https://{(head.get(b'host') or b'').decode('latin-1')}{_path_of(found.return_to, head.host)}",
            code="signed_in",
            set_cookies=(
                self._preview_cookie(found.login.id, head.host, now=now, seconds=seconds),
                _cookie(NONCE_COOKIE, "", 0),
            ),
            credential=found.login.id,
        )

    async def _read(self, value: bytes, host: str) -> PreviewNote | None:
        now = self._clock()
        note = self._cookies.read(value, host=host, now=now)
        refresh = self._keys.refresh
        if note is Unreadable.UNKNOWN_KEY and refresh is not None and now >= self._refreshed_at + REFRESH_SECONDS:
            self._refreshed_at = now
            await refresh()
            self.rekey()
            note = self._cookies.read(value, host=host, now=now)
        return note if isinstance(note, PreviewNote) else None

    def _renewed(self, note: PreviewNote, host: str, now: float) -> bytes:
        """A fresh cookie once half of the old one's time is over, unless it would not be good for longer."""
        if now < (note.issued_at + note.expires_at) / 2:
            return b""
        login_expires_at = self._logins.login_expires_at(note.login_id)
        if login_expires_at is None or min(now + self._seconds, login_expires_at) < note.expires_at + 1:
            return b""
        seconds = min(self._seconds, login_expires_at - now)
        return b"set-cookie: " + self._preview_cookie(note.login_id, host, now=now, seconds=seconds) + b"\r\n"

    def _preview_cookie(self, login_id: str, host: str, *, now: float, seconds: float) -> bytes:
        value = self._cookies.mint(login_id, host=host, now=now, seconds=seconds)
        return _cookie(PREVIEW_COOKIE, value, max(1, int(seconds)))


def _cookie(name: bytes, value: str, seconds: int) -> bytes:
    """The value of a Set-Cookie; nought seconds remove the cookie (RFC 6265 5.2.2)."""
    return b"%b=%b; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=%d" % (name, value.encode("ascii"), seconds)


def _path_of(url: str, host: str) -> str:
    """Path and query of a URL on `host`; `/` for any other."""
    if _VISIBLE.fullmatch(url) is None:
        return "/"  # header lines are made of it
    try:
        parts = urlsplit(url)
    except ValueError:
        return "/"
    if parts.hostname != host or not parts.path.startswith("/"):
        return "/"
    return parts.path + (f"?{parts.query}" if parts.query else "")
