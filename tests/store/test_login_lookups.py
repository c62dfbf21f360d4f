"""Logins from memory: at once gone when they end, memberships as fresh as promised, and steady through outages."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import pytest
import structlog.testing
import trio
import trio.testing

from relay.auth import Principal, PrincipalKind, Role, nonce_hash
from relay.errors import (
    GithubUnavailableError,
    InvalidError,
    NotFoundError,
    RelayError,
    StoreUnavailableError,
    UnauthenticatedError,
)
from relay.store import Database, LoginLookups, login_codes, logins, members, orgs, users
from relay.store.login_lookups import (
    EARLY_SHARE,
    FOUND_SECONDS,
    LAST_PATIENCE_SECONDS,
    PATIENCE_SECONDS,
    PAUSE_SECONDS,
    QUESTION_SECONDS,
)
from relay.store.records import UserProvider
from tests.store.support import Clock

CHECK, GRACE = 300.0, 3600.0
EARLY = CHECK * EARLY_SHARE


class Github:
    """What GitHub says of all users, and how often it was asked."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.answers: dict[str, bool] = {}
        self.error: RelayError | None = None
        self.may_answer = trio.Event()
        self.may_answer.set()
        self.asked: list[str] = []

    async def __call__(self, user_id: str) -> None:
        self.asked.append(user_id)
        await self.may_answer.wait()
        if self.error is not None:
            raise self.error
        await self.database.write(members.confirm, user_id, self.answers)


class Made:
    """An org with one member who is signed in."""

    def __init__(self, database: Database, clock: Clock, provider: UserProvider = "github") -> None:
        self.database, self.clock = database, clock
        self.org_id = database.write_now(orgs.create, "acme").id
        self.user = database.write_now(users.put, provider=provider, subject="7", login="alice")
        database.write_now(members.put, self.org_id, self.user.id, source=provider)
        self.login_id = self.sign_in()
        self.github = Github(database)
        self.github.answers = {self.org_id: True}
        self.lookups = self.process()

    def sign_in(self) -> str:
        return self.database.write_now(logins.create, self.user.id, seconds=7 * 24 * 3600)[0].id

    def process(self, **changes: Any) -> LoginLookups:
        options: dict[str, Any] = {"recheck": self.github, "check_seconds": CHECK, "grace_seconds": GRACE}
        return LoginLookups(self.database, clock=self.clock, **(options | changes))

    @asynccontextmanager
    async def asking(self, lookups: LoginLookups | None = None) -> AsyncIterator[None]:
        """Runs the task that asks GitHub."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon((lookups or self.lookups).run)
            await trio.testing.wait_all_tasks_blocked()
            yield
            nursery.cancel_scope.cancel()

    async def until_asked(self) -> None:
        """Returns once GitHub has been asked."""
        while not self.github.asked:
            await trio.lowlevel.checkpoint()

    async def after(self, seconds: float, clock: trio.testing.MockClock) -> list[str]:
        """The orgs of a visitor who waits that long, and not for less, while GitHub is silent."""
        seen: list[list[str]] = []

        async def visit() -> None:
            seen.append(await self.orgs())

        async with trio.open_nursery() as nursery:
            nursery.start_soon(visit)
            await self.until_asked()
            await trio.testing.wait_all_tasks_blocked()
            clock.jump(seconds - 0.1)
            await trio.testing.wait_all_tasks_blocked()
            assert seen == []
            clock.jump(0.2)
        return seen[0]

    async def until_answered(self) -> None:
        """Returns once nobody is being asked about."""
        while self.lookups._questions:
            await trio.lowlevel.checkpoint()

    async def orgs(self) -> list[str]:
        return [membership.org for membership in (await self.lookups.login(self.login_id)).memberships]

    def orgs_nowait(self) -> list[str] | None:
        principal = self.lookups.login_nowait(self.login_id)
        return None if principal is None else [membership.org for membership in principal.memberships]


@pytest.fixture
async def made(database: Database, clock: Clock) -> AsyncIterator[Made]:
    made = Made(database, clock)
    async with made.asking():
        yield made


@contextmanager
def outage(database: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Callable[..., Any]]]:
    """The database does not answer; gives a list that grows with each attempt."""
    attempts: list[Callable[..., Any]] = []

    async def fail(function: Callable[..., Any], *_: object, **__: object) -> None:
        attempts.append(function)
        await trio.lowlevel.checkpoint()
        raise StoreUnavailableError("the database does not answer")

    with monkeypatch.context() as patched:
        patched.setattr(database, "read", fail)
        patched.setattr(database, "write", fail)
        yield attempts


async def test_a_login_is_a_principal_with_the_users_name_and_places(made: Made) -> None:
    assert made.lookups.login_nowait(made.login_id) is None
    principal = await made.lookups.login(made.login_id)
    [membership] = principal.memberships
    assert (membership.org_id, membership.org, membership.role) == (made.org_id, "acme", Role.MEMBER)
    assert (principal.kind, principal.credential_id, principal.name) == (PrincipalKind.LOGIN, made.login_id, "alice")
    assert made.lookups.login_nowait(made.login_id) is principal
    assert made.github.asked == []


async def test_a_hundred_misses_at_once_are_one_load(made: Made) -> None:
    async with trio.open_nursery() as nursery:
        for _ in range(100):
            nursery.start_soon(made.lookups.login, made.login_id)
    assert made.lookups._logins.loads == 1


@pytest.mark.parametrize("login_id", ["0" * 32, "nonsense", ""])
async def test_a_login_that_is_not_there_is_refused(made: Made, login_id: str) -> None:
    assert made.lookups.login_nowait(login_id) is None
    with pytest.raises(UnauthenticatedError):
        await made.lookups.login(login_id)


async def test_a_login_that_is_ended_is_gone_at_once(made: Made) -> None:
    await made.lookups.login(made.login_id)
    await made.database.write(logins.remove, made.login_id)
    assert made.lookups.login_nowait(made.login_id) is None
    with pytest.raises(UnauthenticatedError):
        await made.lookups.login(made.login_id)


async def test_signing_out_everywhere_ends_every_login(made: Made) -> None:
    second = made.sign_in()
    for login_id in (made.login_id, second):
        await made.lookups.login(login_id)
    await made.database.write(logins.remove_all, made.user.id)
    for login_id in (made.login_id, second):
        with pytest.raises(UnauthenticatedError):
            await made.lookups.login(login_id)


async def test_a_login_runs_out_though_it_is_in_memory(made: Made) -> None:
    short, _ = made.database.write_now(logins.create, made.user.id, seconds=10)
    await made.lookups.login(short.id)
    assert made.lookups.login_expires_at(short.id) == short.expires_at
    made.clock.now += 10
    assert made.lookups.login_nowait(short.id) is None
    with pytest.raises(UnauthenticatedError):
        await made.lookups.login(short.id)


async def test_a_member_who_is_removed_loses_the_place_at_once(made: Made) -> None:
    await made.database.write(members.put, made.org_id, made.user.id, source="github", role=Role.ADMIN)
    other = await made.database.write(users.put, provider="github", subject="8", login="bob")
    await made.database.write(members.put, made.org_id, other.id, source="github", role=Role.ADMIN)
    assert await made.orgs() == ["acme"]
    await made.database.write(members.remove, made.org_id, made.user.id)
    assert made.orgs_nowait() is None
    assert await made.orgs() == []


async def test_a_role_that_changes_counts_at_once(made: Made) -> None:
    await made.orgs()
    await made.database.write(members.set_role, made.org_id, made.user.id, Role.ADMIN)
    assert (await made.lookups.login(made.login_id)).memberships[0].role is Role.ADMIN


class TestFreshness:
    async def test_github_is_asked_once_the_answer_is_old_and_not_before(self, made: Made) -> None:
        await made.orgs()
        made.clock.now += EARLY - 1
        assert await made.orgs() == ["acme"]
        await trio.testing.wait_all_tasks_blocked()
        assert made.github.asked == []
        made.clock.now += CHECK - EARLY + 1
        assert made.orgs_nowait() is None
        assert await made.orgs() == ["acme"]
        assert made.github.asked == [made.user.id]
        assert made.orgs_nowait() == ["acme"]
        made.clock.now += EARLY - 1
        assert await made.orgs() == ["acme"]
        assert len(made.github.asked) == 1

    async def test_who_is_in_use_is_asked_about_early_and_nobody_waits(self, made: Made) -> None:
        await made.orgs()
        made.github.answers = {made.org_id: False}
        made.github.may_answer = trio.Event()
        made.clock.now += EARLY
        assert made.orgs_nowait() == ["acme"]
        assert await made.orgs() == ["acme"]
        await made.until_asked()
        made.github.may_answer.set()
        await made.until_answered()
        assert made.orgs_nowait() is None
        assert await made.orgs() == []
        assert made.clock.now < made.user.created_at + CHECK, "a removed member is out before the time is over"

    @pytest.mark.parametrize("back_after", [EARLY, CHECK, 24 * 3600.0])
    async def test_a_place_that_github_denied_for_a_while_comes_back(self, made: Made, back_after: float) -> None:
        made.github.answers = {made.org_id: False}
        made.clock.now += CHECK
        assert await made.orgs() == []
        made.github.answers = {made.org_id: True}
        made.clock.now += EARLY - 1
        assert await made.orgs() == []
        assert len(made.github.asked) == 1
        made.clock.now += back_after - EARLY + 1
        await made.orgs()
        await made.until_answered()
        assert await made.orgs() == ["acme"]

    async def test_a_member_who_was_removed_here_does_not_come_back(self, made: Made) -> None:
        other = await made.database.write(users.put, provider="github", subject="8", login="bob")
        await made.database.write(members.put, made.org_id, other.id, source="github", role=Role.ADMIN)
        await made.database.write(members.remove, made.org_id, made.user.id)
        made.clock.now += CHECK
        assert await made.orgs() == []
        await made.until_answered()
        assert await made.orgs() == []

    async def test_githubs_no_takes_the_place_away(self, made: Made) -> None:
        await made.orgs()
        made.github.answers = {made.org_id: False}
        made.clock.now += CHECK
        assert await made.orgs() == []
        assert made.orgs_nowait() == []

    async def test_a_hundred_requests_of_two_logins_ask_once(self, made: Made) -> None:
        second = made.sign_in()
        made.clock.now += CHECK
        seen: list[Principal] = []

        async def look(login_id: str) -> None:
            seen.append(await made.lookups.login(login_id))

        async with trio.open_nursery() as nursery:
            for number in range(100):
                nursery.start_soon(look, second if number % 2 else made.login_id)
        assert len(made.github.asked) == 1
        assert all(len(principal.memberships) == 1 for principal in seen)

    async def test_what_another_process_asked_is_not_asked_again(self, made: Made) -> None:
        await made.orgs()
        made.clock.now += CHECK
        made.database.write_now(members.confirm, made.user.id, {made.org_id: True})
        assert await made.orgs() == ["acme"]
        assert made.github.asked == []

    async def test_a_place_that_github_never_answers_about_is_asked_about_no_more_often_than_others(
        self, made: Made
    ) -> None:
        made.github.answers = {}
        made.clock.now += CHECK
        for _ in range(20):
            assert await made.orgs() == ["acme"]
            assert made.orgs_nowait() == ["acme"]
        assert len(made.github.asked) == 1
        loads = made.lookups._logins.loads
        made.clock.now += EARLY - 1
        await made.orgs()
        assert len(made.github.asked) == 1
        made.clock.now += 1
        await made.orgs()
        assert len(made.github.asked) == 2
        assert made.lookups._logins.loads <= loads + 2

    async def test_local_places_are_never_asked_about(self, database: Database, clock: Clock) -> None:
        made = Made(database, clock, provider="local")
        async with made.asking():
            await made.orgs()
            clock.now += CHECK + GRACE + 1
            assert await made.orgs() == ["acme"]
            await trio.testing.wait_all_tasks_blocked()
        assert made.github.asked == []


class TestGithubDown:
    async def test_the_last_answer_holds_for_the_grace_and_no_longer(self, made: Made) -> None:
        await made.orgs()
        made.github.error = GithubUnavailableError("GitHub does not answer")
        made.clock.now += CHECK + GRACE - 1
        assert await made.orgs() == ["acme"]
        assert made.orgs_nowait() == ["acme"]
        made.clock.now += 1
        assert made.orgs_nowait() == []
        assert await made.orgs() == []

    async def test_it_is_not_asked_at_each_request(self, made: Made) -> None:
        await made.orgs()
        made.github.error = GithubUnavailableError("GitHub does not answer")
        made.clock.now += CHECK
        for _ in range(20):
            assert await made.orgs() == ["acme"]
            assert made.orgs_nowait() == ["acme"]
        assert len(made.github.asked) == 1
        made.clock.now += PAUSE_SECONDS
        assert made.orgs_nowait() is None
        await made.orgs()
        assert len(made.github.asked) == 2

    @pytest.mark.parametrize("error", [NotFoundError("no such user"), InvalidError("what is this"), RelayError("451")])
    async def test_a_refusal_is_no_answer_either(self, made: Made, error: RelayError) -> None:
        await made.orgs()
        made.github.error = error
        made.clock.now += CHECK
        assert await made.orgs() == ["acme"]
        made.clock.now += GRACE
        assert await made.orgs() == []

    async def test_its_return_brings_the_place_back_after_a_pause(self, made: Made) -> None:
        await made.orgs()
        made.github.error = GithubUnavailableError("GitHub does not answer")
        made.clock.now += CHECK + GRACE
        assert await made.orgs() == []
        made.github.error = None
        made.clock.now += PAUSE_SECONDS
        assert await made.orgs() == ["acme"]

    async def test_a_relay_without_github_holds_what_it_had_for_the_grace(self, made: Made) -> None:
        made.lookups = made.process(recheck=None)
        async with made.asking():
            made.clock.now += CHECK + GRACE - 1
            assert await made.orgs() == ["acme"]
            made.clock.now += PAUSE_SECONDS
            assert await made.orgs() == []

    async def test_a_fault_of_ours_is_no_answer_of_githubs(self, made: Made) -> None:
        async def broken(user_id: str) -> None:
            await trio.lowlevel.checkpoint()
            raise KeyError(user_id)

        made.lookups = made.process(recheck=broken)
        async with made.asking():
            made.clock.now += CHECK
            with structlog.testing.capture_logs() as logged:
                assert await made.orgs() == ["acme"]
            assert [(line["event"], line["log_level"]) for line in logged] == [("membership_check_failed", "error")]
            made.clock.now += GRACE
            assert await made.orgs() == []


class TestGithubSlow:
    async def test_visitors_wait_a_little_once_and_go_on_with_the_last_answer(
        self, made: Made, mock_clock: trio.testing.MockClock
    ) -> None:
        await made.orgs()
        made.github.may_answer = trio.Event()
        made.clock.now += CHECK
        assert await made.after(PATIENCE_SECONDS, mock_clock) == ["acme"]
        for _ in range(20):
            assert await made.orgs() == ["acme"]  # the clock stands still: nobody waits any more
        assert len(made.github.asked) == 1

    async def test_a_late_no_counts_when_it_comes(self, made: Made, mock_clock: trio.testing.MockClock) -> None:
        made.github.answers = {made.org_id: False}
        made.github.may_answer = trio.Event()
        made.clock.now += CHECK
        assert await made.after(PATIENCE_SECONDS, mock_clock) == ["acme"]
        made.github.may_answer.set()
        await made.until_answered()
        assert made.orgs_nowait() is None
        assert await made.orgs() == []

    async def test_a_visitor_who_leaves_does_not_take_the_question_along(self, made: Made) -> None:
        made.github.may_answer = trio.Event()
        made.clock.now += CHECK
        async with trio.open_nursery() as nursery:
            nursery.start_soon(made.orgs)
            while not made.github.asked:
                await trio.lowlevel.checkpoint()
            nursery.cancel_scope.cancel()
        made.github.may_answer.set()
        await made.until_answered()
        assert await made.orgs() == ["acme"]
        assert made.github.asked == [made.user.id]

    async def test_who_has_nothing_to_go_on_with_waits_longer(
        self, made: Made, mock_clock: trio.testing.MockClock
    ) -> None:
        made.github.may_answer = trio.Event()
        made.clock.now += CHECK + GRACE
        assert await made.after(LAST_PATIENCE_SECONDS, mock_clock) == []

    async def test_a_question_that_never_ends_is_given_up_and_asked_again(
        self, made: Made, mock_clock: trio.testing.MockClock
    ) -> None:
        made.github.may_answer = trio.Event()
        made.clock.now += CHECK
        await made.after(PATIENCE_SECONDS, mock_clock)
        mock_clock.jump(QUESTION_SECONDS)
        await made.until_answered()
        made.github.may_answer.set()
        made.clock.now += PAUSE_SECONDS
        assert await made.orgs() == ["acme"]
        assert len(made.github.asked) == 2


class TestDatabaseDown:
    async def test_a_login_in_memory_goes_on(self, made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
        await made.orgs()
        with outage(made.database, monkeypatch) as attempts:
            made.clock.now += FOUND_SECONDS + 60
            for _ in range(20):
                assert await made.orgs() == ["acme"]
        assert len(attempts) <= 3

    async def test_it_goes_on_for_fifteen_minutes_and_no_longer(
        self, database: Database, clock: Clock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        made = Made(database, clock, provider="local")
        await made.orgs()
        with outage(database, monkeypatch):
            clock.now += FOUND_SECONDS + 899
            assert await made.orgs() == ["acme"]
            clock.now += 1
            assert made.orgs_nowait() is None
            with pytest.raises(StoreUnavailableError):
                await made.orgs()

    async def test_githubs_grace_bounds_it_too(self, made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
        made.lookups = made.process(grace_seconds=30.0)
        await made.orgs()
        async with made.asking():
            with outage(made.database, monkeypatch):
                made.clock.now += CHECK + 29
                assert await made.orgs() == ["acme"]
                made.clock.now += 1
                assert await made.orgs() == []

    async def test_what_is_not_in_memory_is_not_known(self, made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
        with outage(made.database, monkeypatch), pytest.raises(StoreUnavailableError):
            await made.orgs()

    async def test_a_login_that_was_ended_before_is_not_brought_back(
        self, made: Made, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await made.orgs()
        await made.database.write(logins.remove, made.login_id)
        with outage(made.database, monkeypatch), pytest.raises(StoreUnavailableError):
            await made.orgs()


async def test_made_up_codes_cost_no_write(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(*_: object, **__: object) -> None:
        await trio.lowlevel.checkpoint()
        raise AssertionError("the database was written to")

    with monkeypatch.context() as patched:
        patched.setattr(made.database, "write", never)
        assert await made.lookups.redeem("a" * 43, host="web.test", nonce="n") is None


async def test_a_code_is_redeemed_once_though_two_come_at_once(made: Made) -> None:
    code = made.database.write_now(
        login_codes.create, made.login_id, host="web.test", return_to="https://web.test/", nonce_hash=nonce_hash("n")
    )
    found: list[object] = []

    async def redeem() -> None:
        found.append(await made.lookups.redeem(code, host="web.test", nonce="n"))

    async with trio.open_nursery() as nursery:
        for _ in range(4):
            nursery.start_soon(redeem)
    assert sum(hand_over is not None for hand_over in found) == 1


async def test_use_is_written_down(made: Made) -> None:
    await made.orgs()
    await made.lookups.record_usage()
    assert made.lookups._used == set()
