"""Who is behind a browser's login, answered from memory, with memberships that GitHub confirms again and again."""

import itertools
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog
import trio
from cachetools import LRUCache

from relay.auth import Membership, Principal, PrincipalKind
from relay.errors import GithubUnavailableError, RelayError, UnauthenticatedError
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
"""How long nobody asks GitHub again about a user when it did not answer: it limits how often we may ask."""
EARLY_SHARE = 0.8
"""After this share of the time between two questions the next one is asked, while the last answer still counts: so a
visitor waits for GitHub only where nobody has come for a while."""
PATIENCE_SECONDS = 3.0
"""How long visitors wait for an answer that is due, before the last one serves on."""
LAST_PATIENCE_SECONDS = 8.0
"""How long they wait where the last answer does not hold any more: request heads are given up after 10 s."""
QUESTION_SECONDS = 120.0
"""When a question is given up: one is several requests to GitHub, each of which ends after 20 s."""
QUESTIONS = 32
"""Users asked about at a time: what GitHub takes its time over must not fill the process with tasks."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """A login as it was loaded."""

    login: Login
    principal: Principal
    """With all of its memberships."""
    loaded_at: int
    """When it was, as a number that grows with each load and each question."""
    ask_at: float
    """From when on its memberships are asked about."""
    fresh_until: float
    """Until when none of its memberships needs a new answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """How asking about a user's memberships went."""

    at: int
    """When the answer was there, counted as loads are."""
    answered: bool
    until: float
    """Nobody asks again before that, on the clock of the look-ups."""


class _Question:
    """A question on its way."""

    __slots__ = ("awaited_since", "over")

    def __init__(self) -> None:
        self.over = trio.Event()
        self.awaited_since: float | None = None
        """When the first visitor began to wait for it, on trio's clock."""


class LoginLookups:
    """Cached, single-flight look-ups of logins that forget at once what a write on the same database changes.

    GitHub is asked by tasks of `run`, which must be running: no visitor's deadline ends a question, and a GitHub that
    is slow keeps nobody waiting for longer than PATIENCE_SECONDS. Without it the last answers hold for the grace.

    Args:
        database: where logins and memberships are.
        recheck: asks GitHub about the user of that id and writes the answers down (`members.confirm`); raises
            RelayError where that gives no answer. None where there is no GitHub to ask.
        check_seconds: how old GitHub's answer may become before a new one is due.
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
        self._asked: LRUCache[str, _Asked] = LRUCache(LOGINS)
        self._questions: dict[str, _Question] = {}
        self._at_a_time = trio.CapacityLimiter(QUESTIONS)
        self._nursery: trio.Nursery | None = None
        self._steps = itertools.count()
        self._used: set[str] = set()
        database.subscribe(self._forget)

    async def run(self) -> None:
        """Asks GitHub for those who need it, for ever."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            try:
                await trio.sleep_forever()
            finally:
                self._nursery = None

    def login_nowait(self, login_id: str) -> Principal | None:
        """Whom a login stands for if that is in memory and sure, else None: then ask `login`."""
        known = self._logins.get_nowait(login_id)
        now = self._clock()
        if known is None or now >= known.login.expires_at:
            return None
        if now >= known.ask_at:
            asked = self._asked_lately(known)
            if asked is None and now < known.fresh_until:
                self._begin(known)
            elif asked is None or not _is_all_there_is(asked, known):
                return None
        self._used.add(login_id)
        return self._principal(known, now)

    async def login(self, login_id: str) -> Principal:
        """Whom a login stands for, asking GitHub about old memberships.

        Memberships that GitHub has not confirmed for longer than check and grace together are left out. Raises
        UnauthenticatedError when the login has ended or run out, and StoreUnavailableError.
        """
        known = await self._known(login_id)
        now = self._clock()
        if now >= known.ask_at:
            question = None if self._asked_lately(known) else self._begin(known)
            if question is not None and now >= known.fresh_until:
                await self._wait(question, holds=self._principal(known, now) is known.principal)
            asked = self._asked_lately(known)
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
            ask_at=self._due(login, EARLY_SHARE),
            fresh_until=self._due(login, 1),
        )

    def _asked_lately(self, known: _Known) -> _Asked | None:
        asked = self._asked.get(known.login.user.id)
        return asked if asked is not None and self._clock() < asked.until else None

    def _begin(self, known: _Known) -> _Question | None:
        """The question about a user that is on its way, or a new one; None where nobody asks."""
        user_id = known.login.user.id
        question = self._questions.get(user_id)
        if question is None and self._nursery is not None:
            question = self._questions[user_id] = _Question()
            self._nursery.start_soon(self._answer, known.login.id, user_id, question)
        return question

    async def _wait(self, question: _Question, *, holds: bool) -> None:
        """Waits for an answer as long as anybody may: each question keeps visitors waiting once, not one by one."""
        if question.awaited_since is None:
            question.awaited_since = trio.current_time()
        seconds = PATIENCE_SECONDS if holds else LAST_PATIENCE_SECONDS
        with trio.move_on_at(question.awaited_since + seconds):
            await question.over.wait()

    async def _answer(self, login_id: str, user_id: str, question: _Question) -> None:
        asked = False
        answered = False
        try:
            async with self._at_a_time:
                with trio.move_on_after(QUESTION_SECONDS):
                    asked = await self._ask(login_id, user_id)
                    answered = True
        except RelayError as error:
            log.warning("membership_not_checked", user=user_id, problem=str(error))
        except Exception:
            # A fault of ours is no answer of GitHub's, and no reason for the process to end.
            log.exception("membership_check_failed", user=user_id)
        finally:
            # What GitHub said nothing of is not asked about again and again; another process's answer may be older.
            pause = self._check_seconds * EARLY_SHARE if asked else PAUSE_SECONDS
            self._asked[user_id] = _Asked(at=next(self._steps), answered=answered, until=self._clock() + pause)
            del self._questions[user_id]
            question.over.set()

    async def _ask(self, login_id: str, user_id: str) -> bool:
        """Asks GitHub, unless another process has done so. Raises RelayError without an answer."""
        login = await self._database.read(logins.get, login_id)
        if login is None or self._clock() < self._due(login, EARLY_SHARE):
            return False
        if self._recheck is None:
            raise GithubUnavailableError("this relay has no access to GitHub")
        await self._recheck(user_id)
        return True

    def _due(self, login: Login, share: float) -> float:
        """When so much of the time is over that the answers about a login's user may be used."""
        return login.expires_at if login.checked_at is None else login.checked_at + self._check_seconds * share

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
