"""Who belongs to an org is what GitHub says now."""

from functools import partial

import pytest

from relay.errors import GithubUnavailableError
from relay.store import GithubIdentity, User, installations, members, orgs, users
from tests.github.stage import ACCOUNT, Stage


async def sign_in(stage: Stage, login: str) -> User:
    account = stage.fake.state.account(login)
    return await stage.memberships.sign_in(GithubIdentity(id=account.id, login=login))


async def is_active(stage: Stage, user: User) -> bool | None:
    member = await stage.database.read(members.get, stage.org.id, user.id)
    return None if member is None else member.active


async def test_signing_in_makes_members_of_those_who_are_and_nobody_else(stage: Stage) -> None:
    assert await is_active(stage, await sign_in(stage, "dev-one")) is True
    assert await is_active(stage, await sign_in(stage, "dev-three")) is None


async def test_whoever_leaves_at_github_has_left_here_and_may_come_back(stage: Stage) -> None:
    user = await sign_in(stage, "dev-one")
    stage.fake.remove_member(ACCOUNT, "dev-one")
    assert await stage.memberships.refresh(user.id) == {stage.org.id: False}
    assert await is_active(stage, user) is False
    stage.fake.add_member(ACCOUNT, "dev-one")
    assert await stage.memberships.refresh(user.id) == {stage.org.id: True}
    assert await is_active(stage, user) is True


async def test_refreshing_gives_nobody_a_place(stage: Stage) -> None:
    user = await sign_in(stage, "dev-three")
    stage.fake.add_member(ACCOUNT, "dev-three")
    assert await stage.memberships.refresh(user.id) == {stage.org.id: True}
    assert await is_active(stage, user) is None


async def test_a_user_who_takes_another_name_is_still_the_same_and_the_old_name_is_nobody(stage: Stage) -> None:
    user = await sign_in(stage, "dev-one")
    stage.fake.rename_user("dev-one", "dev-uno")
    stage.fake.add_user("dev-one")
    assert await stage.memberships.refresh(user.id) == {stage.org.id: True}
    found = await stage.database.read(users.get, user.id)
    assert found is not None
    assert found.login == "dev-uno"
    assert await is_active(stage, await sign_in(stage, "dev-one")) is None


async def test_where_the_app_is_suspended_or_gone_the_answer_is_no(stage: Stage) -> None:
    user = await sign_in(stage, "dev-one")
    stage.fake.suspend(ACCOUNT, deliver=False)
    assert await stage.memberships.refresh(user.id) == {stage.org.id: False}
    stage.fake.unsuspend(ACCOUNT, deliver=False)
    assert await stage.memberships.refresh(user.id) == {stage.org.id: True}
    stage.fake.uninstall(ACCOUNT, deliver=False)
    assert await stage.memberships.refresh(user.id) == {stage.org.id: False}


async def test_while_github_is_away_nothing_is_changed(stage: Stage) -> None:
    user = await sign_in(stage, "dev-one")
    with stage.fake.down(), pytest.raises(GithubUnavailableError):
        await stage.memberships.refresh(user.id)
    assert await is_active(stage, user) is True


async def test_a_personal_account_has_its_owner_as_only_member(stage: Stage) -> None:
    stage.fake.install("dev-three", deliver=False)
    org = await stage.database.write(orgs.create, "solo")
    await stage.database.write(orgs.link_github_account, org.id, "dev-three")
    owner, other = await sign_in(stage, "dev-three"), await sign_in(stage, "dev-one")
    assert await stage.database.read(members.get, org.id, owner.id) is not None
    assert await stage.database.read(members.get, org.id, other.id) is None


async def test_uninstalling_ends_the_places_of_githubs_members_and_installing_is_noticed(stage: Stage) -> None:
    user = await sign_in(stage, "dev-one")
    await stage.do(partial(stage.fake.uninstall, ACCOUNT))
    await stage.work()
    assert await is_active(stage, user) is False
    assert await stage.database.read(installations.find_by_org, stage.org.id) is None
    event = await stage.do(partial(stage.fake.install, ACCOUNT))
    await stage.work()
    found = await stage.database.read(installations.find, event.payload["installation"]["id"])
    assert found is not None
    await stage.do(partial(stage.fake.suspend, ACCOUNT))
    await stage.work()
    found = await stage.database.read(installations.find_by_org, stage.org.id)
    assert found is not None
    assert found.suspended
