"""Who is behind a browser's login, answered from memory, with memberships that GitHub confirms again and again."""

import itertools
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from relay.auth import Membership, Principal, PrincipalKind
from relay.errors import GithubUnavailableError, StoreUnavailableError, UnauthenticatedError
from relay.store import login_codes, logins
from relay.store.database import Database
from relay.store.flight import FlightCache
from relay.store.records import Change, HandOver, Login, Member

LOGINS = 20_000
"""Logins kept: about 2 KiB each, more than are in use at a time on one machine."""
FOUND_SECONDS = 300.0
"""Changes made through this database are seen at once; this bounds the rest, such as a row edited by hand."""
MISSING_SECONDS = 30.0
PAUSE_SECONDS = 10.0
"""How long nobody asks GitHub again about a user, whether it answered or not: it limits how often we may ask."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """A login as it was loaded."""

    login: Login
    principal: Principal
    """With all of its memberships."""
    loaded_at: int
    """When it was, as a number that grows with each load and each question."""
    fresh_until: float
    """Until when none of its memberships needs to be asked about."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """How asking about a user's memberships went."""

    at: int
    """When the answer was there, counted as loads are."""
    answered: bool


class LoginLookups:
    """Cached, single-flight look-ups of logins that forget at once what a write on the same database changes.

    Args:
        database: where logins and memberships are.
        recheck: asks GitHub about the user of that id and writes the answers down (`members.confirm`); raises
            GithubUnavailableError. None where there is no GitHub to ask.
        check_seconds: how old GitHub's answer may become before it is asked again.
        grace_seconds: for how much longer the last answer holds while GitHub gives none.
        clock: seconds since the epoch.
    """

    def __init__(
        self,
        database: Database,
        *,
        recheck: Callable[[str], Awaitable[None]] | None,
        check_seconds: float,
        grace_seconds: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self._recheck = recheck
        self._check_seconds = check_seconds
        self._grace_seconds = grace_seconds
        self._clock = clock
        self._logins: FlightCache[str, _Known] = FlightCache(
            found=LOGINS, found_seconds=FOUND_SECONDS, missing=LOGINS, missing_seconds=MISSING_SECONDS, clock=clock
        )
        self._asked: FlightCache[str, _Asked] = FlightCache(
            found=LOGINS, found_seconds=PAUSE_SECONDS, missing=1, missing_seconds=1, clock=clock
        )
        self._steps = itertools.count()
        self._used: set[str] = set()
        database.subscribe(self._forget)

    def login_nowait(self, login_id: str) -> Principal | None:
        """Whom a login stands for if that is in memory and sure, else None: then ask `login`."""
        known = self._logins.get_nowait(login_id)
        now = self._clock()
        if known is None or now >= known.login.expires_at:
            return None
        if now >= known.fresh_until:
            asked = self._asked.get_nowait(known.login.user.id)
            if asked is None or not _is_all_there_is(asked, known):
                return None
        self._used.add(login_id)
        return self._principal(known, now)

    async def login(self, login_id: str) -> Principal:
        """Whom a login stands for, asking GitHub about old memberships.

        Memberships that GitHub has not confirmed for longer than check and grace together are left out. Raises
        UnauthenticatedError when the login has ended or run out, and StoreUnavailableError.
        """
        known = await self._known(login_id)
        if self._clock() >= known.fresh_until:
            user_id = known.login.user.id
            asked = await self._asked.get(user_id, lambda: self._ask(login_id, user_id))
            if asked is not None and not _is_all_there_is(asked, known):
                self._logins.expire(login_id)
                known = await self._known(login_id)
        self._used.add(login_id)
        return self._principal(known, self._clock())

    def login_expires_at(self, login_id: str) -> float | None:
        """When a login runs out, epoch seconds; None when it is not in memory."""
        known = self._logins.get_nowait(login_id)
        return None if known is None else known.login.expires_at

    async def redeem(self, code: str, *, host: str, nonce: str | None) -> HandOver | None:
        """What a login code stands for that is presented at `host`, once; see `login_codes.redeem`.

        Raises StoreUnavailableError.
        """
        # Anybody may present made-up codes: those must not make the database write.
        if not await self._database.read(login_codes.exists, code):
            return None
        return await self._database.write(login_codes.redeem, code, host=host, nonce=nonce)

    async def record_usage(self) -> None:
        """Writes down which logins were used since the last call. Raises StoreUnavailableError; call again then."""
        used = self._used.copy()
        if used:
            await self._database.write(logins.record_used, used)
            self._used -= used

    async def _known(self, login_id: str) -> _Known:
        known = await self._logins.get(login_id, lambda: self._load(login_id))
        if known is None or self._clock() >= known.login.expires_at:
            raise UnauthenticatedError("the login has ended; please sign in again")
        return known

    async def _load(self, login_id: str) -> _Known | None:
        loaded_at = next(self._steps)
        login = await self._database.read(logins.get, login_id)
        if login is None:
            return None
        return _Known(
            login=login,
            principal=_principal(login, login.members),
            loaded_at=loaded_at,
            fresh_until=self._fresh_until(login),
        )

    async def _ask(self, login_id: str, user_id: str) -> _Asked:
        """Asks GitHub, unless another process has done so."""
        try:
            login = await self._database.read(logins.get, login_id)
            if login is not None and self._clock() >= self._fresh_until(login):
                if self._recheck is None:
                    return _Asked(at=next(self._steps), answered=False)
                await self._recheck(user_id)
        except (GithubUnavailableError, StoreUnavailableError):
            return _Asked(at=next(self._steps), answered=False)
        return _Asked(at=next(self._steps), answered=True)

    def _fresh_until(self, login: Login) -> float:
        checked = [member.checked_at for member in login.members if member.source == "github"]
        return min(checked) + self._check_seconds if checked else login.expires_at

    def _principal(self, known: _Known, now: float) -> Principal:
        if now < known.fresh_until:
            return known.principal
        held = tuple(member for member in known.login.members if self._holds(member, now))
        return known.principal if len(held) == len(known.login.members) else _principal(known.login, held)

    def _holds(self, member: Member, now: float) -> bool:
        return member.source != "github" or now < member.checked_at + self._check_seconds + self._grace_seconds

    def _forget(self, change: Change) -> None:
        match change.kind:
            case "login":
                self._logins.forget(change.id)
            case "member":
                self._logins.forget_if(lambda known: known.login.user.id == change.id)
            case "org":
                self._logins.clear()


def _is_all_there_is(asked: _Asked, known: _Known) -> bool:
    """Whether a login as it was loaded holds all that asking has brought: loading it again would change nothing."""
    return not asked.answered or known.loaded_at > asked.at


def _principal(login: Login, members: tuple[Member, ...]) -> Principal:
    return Principal(
        kind=PrincipalKind.LOGIN,
        credential_id=login.id,
        name=login.user.login,
        memberships=tuple(Membership(org_id=member.org_id, org=member.org, role=member.role) for member in members),
    )
