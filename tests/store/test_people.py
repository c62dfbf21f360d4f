"""Users, members, logins, login codes and login links: what each query keeps, refuses and tells."""

import pytest

from relay.auth import Role, nonce_hash
from relay.errors import ConflictError, NotFoundError
from relay.store import (
    Change,
    Database,
    Member,
    User,
    api_keys,
    events,
    login_codes,
    login_links,
    logins,
    members,
    orgs,
    users,
)
from tests.store.support import Clock

HOST = "web--shop.preview.test"
URL = f"https://{HOST}/page"


@pytest.fixture
def org_id(database: Database) -> str:
    return database.write_now(orgs.create, "acme").id


@pytest.fixture
def alice(database: Database) -> User:
    return database.write_now(users.put, provider="github", subject="7", login="Alice")


def join(database: Database, org_id: str, user: User, role: Role | None = None) -> Member:
    return database.write_now(members.put, org_id, user.id, source=user.provider, role=role)


def told(database: Database) -> list[Change]:
    heard: list[Change] = []
    database.subscribe(heard.append)
    return heard


def actions(database: Database, org_id: str) -> list[str]:
    found = database.read_now(events.find_all, org_id)
    return [event.action for event in reversed(found) if event.object_kind == "member"]


class TestUsers:
    def test_a_user_stays_the_same_when_they_take_another_name(
        self, database: Database, alice: User, clock: Clock
    ) -> None:
        clock.now += 10
        again = database.write_now(users.put, provider="github", subject="7", login="alicia", signed_in=True)
        assert (again.id, again.login, again.last_login_at) == (alice.id, "alicia", clock.now)
        assert alice.last_login_at is None

    def test_the_same_subject_at_another_provider_is_another_user(self, database: Database, alice: User) -> None:
        local = database.write_now(users.put, provider="local", subject="7", login="7")
        assert local.id != alice.id
        assert database.read_now(users.find_local, "7") == local
        assert database.read_now(users.find_local, "8") is None
        assert database.read_now(users.get, alice.id) == alice

    def test_a_login_name_is_looked_up_in_one_org_whatever_its_case(
        self, database: Database, org_id: str, alice: User
    ) -> None:
        other = database.write_now(orgs.create, "other")
        join(database, org_id, alice)
        assert database.read_now(users.find_by_login, org_id, "aLICE") == alice
        assert database.read_now(users.find_by_login, other.id, "alice") is None


class TestMembers:
    def test_a_new_member_is_member_and_keeps_their_role_when_put_again(
        self, database: Database, org_id: str, alice: User
    ) -> None:
        assert join(database, org_id, alice).role is Role.MEMBER
        database.write_now(members.set_role, org_id, alice.id, Role.ADMIN)
        assert join(database, org_id, alice).role is Role.ADMIN

    def test_only_visible_changes_are_events(self, database: Database, org_id: str, alice: User, clock: Clock) -> None:
        join(database, org_id, alice)
        clock.now += 100
        assert join(database, org_id, alice).checked_at == clock.now
        database.write_now(members.confirm, alice.id, {org_id: True})
        database.write_now(members.set_role, org_id, alice.id, Role.MEMBER)
        assert actions(database, org_id) == ["create"]
        database.write_now(members.confirm, alice.id, {org_id: False})
        assert actions(database, org_id) == ["create", "update"]

    def test_githubs_no_ends_a_place_and_its_yes_brings_the_role_back(
        self, database: Database, org_id: str, alice: User, clock: Clock
    ) -> None:
        join(database, org_id, alice, Role.ADMIN)
        clock.now += 5
        database.write_now(members.confirm, alice.id, {org_id: False, "elsewhere": True})
        [member] = database.read_now(members.find_of_user, alice.id)
        assert (member.active, member.checked_at) == (False, clock.now)
        database.write_now(members.confirm, alice.id, {org_id: True})
        [member] = database.read_now(members.find_of_user, alice.id)
        assert (member.active, member.role) == (True, Role.ADMIN)

    def test_github_has_no_say_about_local_places(self, database: Database, org_id: str) -> None:
        user = database.write_now(users.put, provider="local", subject="bob", login="bob")
        join(database, org_id, user)
        database.write_now(members.confirm, user.id, {org_id: False})
        [member] = database.read_now(members.find_of_user, user.id)
        assert member.active

    def test_the_last_admin_stays_unless_there_is_an_admin_key_or_another_admin(
        self, database: Database, org_id: str, alice: User
    ) -> None:
        join(database, org_id, alice, Role.ADMIN)
        with pytest.raises(ConflictError, match="last admin"):
            database.write_now(members.remove, org_id, alice.id)
        with pytest.raises(ConflictError, match="last admin"):
            database.write_now(members.set_role, org_id, alice.id, Role.MEMBER)
        with pytest.raises(ConflictError, match="last admin"):
            join(database, org_id, alice, Role.MEMBER)
        bob = database.write_now(users.put, provider="github", subject="8", login="bob")
        join(database, org_id, bob, Role.ADMIN)
        database.write_now(members.set_role, org_id, alice.id, Role.MEMBER)
        database.write_now(api_keys.create, org_id, name="k", role=Role.ADMIN)
        database.write_now(members.remove, org_id, bob.id)
        assert [member.user for member in database.read_now(members.find_all, org_id)] == [alice]

    def test_an_admin_whom_github_no_longer_vouches_for_is_no_admin(
        self, database: Database, org_id: str, alice: User
    ) -> None:
        join(database, org_id, alice, Role.ADMIN)
        bob = database.write_now(users.put, provider="github", subject="8", login="bob")
        join(database, org_id, bob, Role.ADMIN)
        database.write_now(members.confirm, bob.id, {org_id: False})
        with pytest.raises(ConflictError):
            database.write_now(members.remove, org_id, alice.id)

    async def test_a_removal_is_told_with_the_users_id(self, database: Database, org_id: str, alice: User) -> None:
        join(database, org_id, alice)
        heard = told(database)
        await database.write(members.remove, org_id, alice.id)
        [change] = heard
        assert (change.kind, change.id, change.org_id, change.deleted) == ("member", alice.id, org_id, True)
        with pytest.raises(NotFoundError):
            database.write_now(members.remove, org_id, alice.id)

    def test_lists_go_on_after_the_last_users_id(self, database: Database, org_id: str) -> None:
        for number in range(5):
            user = database.write_now(users.put, provider="github", subject=str(number), login=f"u{number}")
            join(database, org_id, user)
        seen: list[str] = []
        after = ""
        while page := database.read_now(members.find_all, org_id, limit=2, after=after):
            seen += [member.user.login for member in page]
            after = page[-1].user.id
        assert sorted(seen) == ["u0", "u1", "u2", "u3", "u4"]

    def test_a_member_is_required_by_name(self, database: Database, org_id: str, alice: User) -> None:
        join(database, org_id, alice)
        assert database.read_now(members.require, org_id, "alice").user == alice
        with pytest.raises(NotFoundError, match="'bob'"):
            database.read_now(members.require, org_id, "bob")

    def test_nobody_joins_an_org_that_is_not_there(self, database: Database, alice: User) -> None:
        with pytest.raises(NotFoundError):
            join(database, "0" * 32, alice)


class TestLogins:
    def test_a_login_is_found_by_its_secret_until_it_runs_out(
        self, database: Database, alice: User, clock: Clock
    ) -> None:
        login, secret = database.write_now(logins.create, alice.id, seconds=60)
        assert len(secret) == 43
        assert database.read_now(logins.find, secret) == login
        assert database.read_now(logins.get, login.id) == login
        assert database.read_now(logins.find, secret[:-1]) is None
        clock.now += 60
        assert database.read_now(logins.find, secret) is None
        assert database.read_now(logins.get, login.id) is None

    def test_a_login_shows_active_places_only(self, database: Database, org_id: str, alice: User) -> None:
        member = join(database, org_id, alice)
        login, _ = database.write_now(logins.create, alice.id, seconds=60)
        assert login.members == (member,)
        database.write_now(members.confirm, alice.id, {org_id: False})
        again = database.read_now(logins.get, login.id)
        assert again is not None
        assert again.members == ()

    async def test_every_end_of_a_login_is_told(self, database: Database, alice: User, clock: Clock) -> None:
        made = [database.write_now(logins.create, alice.id, seconds=60)[0].id for _ in range(4)]
        heard = told(database)
        await database.write(logins.remove, made[0])
        await database.write(logins.remove, made[0])
        assert await database.write(logins.remove_all, alice.id) == 3
        late, _ = database.write_now(logins.create, alice.id, seconds=60)
        clock.now += 61
        assert await database.write(logins.sweep) == 1
        assert [(change.kind, change.org_id, change.deleted) for change in heard] == [("login", "", True)] * 5
        assert {change.id for change in heard} == {*made, late.id}

    def test_use_is_written_down_and_forgotten_logins_do_not_matter(self, database: Database, alice: User) -> None:
        login, _ = database.write_now(logins.create, alice.id, seconds=60)
        database.write_now(logins.record_used, [login.id, "gone"])
        database.write_now(logins.record_used, [])


class TestLoginCodes:
    @pytest.fixture
    def login_id(self, database: Database, alice: User) -> str:
        return database.write_now(logins.create, alice.id, seconds=3600)[0].id

    def code(self, database: Database, login_id: str) -> str:
        return database.write_now(
            login_codes.create, login_id, host=HOST, return_to=URL, nonce_hash=nonce_hash("nonce")
        )

    def test_a_code_works_once(self, database: Database, login_id: str) -> None:
        code = self.code(database, login_id)
        found = database.write_now(login_codes.redeem, code, host=HOST, nonce="nonce")
        assert found is not None
        assert (found.login.id, found.return_to) == (login_id, URL)
        assert database.write_now(login_codes.redeem, code, host=HOST, nonce="nonce") is None

    @pytest.mark.parametrize(
        ("host", "nonce"),
        [("api--shop.preview.test", "nonce"), (HOST, "other"), (HOST, ""), (HOST, "né"), (HOST, None)],
    )
    def test_a_code_that_was_presented_wrongly_is_used_up(
        self, database: Database, login_id: str, host: str, nonce: str | None
    ) -> None:
        code = self.code(database, login_id)
        assert database.write_now(login_codes.redeem, code, host=host, nonce=nonce) is None
        assert database.write_now(login_codes.redeem, code, host=HOST, nonce="nonce") is None

    def test_a_code_dies_after_a_minute(self, database: Database, login_id: str, clock: Clock) -> None:
        code = self.code(database, login_id)
        clock.now += login_codes.CODE_SECONDS
        assert database.write_now(login_codes.redeem, code, host=HOST, nonce="nonce") is None

    def test_a_code_dies_with_its_login(self, database: Database, login_id: str) -> None:
        code = self.code(database, login_id)
        database.write_now(logins.remove, login_id)
        assert database.write_now(login_codes.redeem, code, host=HOST, nonce="nonce") is None


class TestLoginLinks:
    def test_a_link_is_shown_as_often_as_wanted_and_works_once(self, database: Database, alice: User) -> None:
        secret = database.write_now(login_links.create, alice.id)
        assert secret.startswith("sds_")
        assert database.read_now(login_links.peek, secret) == alice
        assert database.read_now(login_links.peek, secret) == alice
        assert database.write_now(login_links.redeem, secret) == alice
        assert database.write_now(login_links.redeem, secret) is None
        assert database.read_now(login_links.peek, secret) is None

    def test_a_link_dies_after_its_time(self, database: Database, alice: User, clock: Clock) -> None:
        secret = database.write_now(login_links.create, alice.id, seconds=30)
        clock.now += 30
        assert database.read_now(login_links.peek, secret) is None
        assert database.write_now(login_links.redeem, secret) is None

    @pytest.mark.parametrize("secret", ["", "sds_", "nonsense", "sds_" + "é" * 36])
    def test_what_is_no_link_signs_nobody_in(self, database: Database, secret: str) -> None:
        assert database.read_now(login_links.peek, secret) is None
        assert database.write_now(login_links.redeem, secret) is None
