"""Who belongs to an org is what GitHub says now."""

from dataclasses import replace
from functools import partial

import pytest
import trio

from relay.errors import GithubUnavailableError
from relay.store import GithubIdentity, Org, User, installations, members, orgs, users
from tests.github.stage import ACCOUNT, REPOSITORY, Stage


def identity_of(stage: Stage, login: str) -> GithubIdentity:
    return GithubIdentity(id=stage.fake.state.account(login).id, login=login)


async def sign_in(stage: Stage, login: str) -> User:
    user = await stage.memberships.sign_in(identity_of(stage, login))
    assert user is not None
    return user


async def link_beta(stage: Stage) -> Org:
    """A second org, beta, linked to beta-inc, of which dev-three is a member."""
    stage.fake.add_org("beta-inc", members=["dev-three"])
    stage.fake.install("beta-inc", deliver=False)
    org = await stage.database.write(orgs.create, "beta")
    await stage.database.write(orgs.link_github_account, org.id, "beta-inc")
    return org


async def is_active(stage: Stage, user: User) -> bool | None:
    member = await stage.database.read(members.get, stage.org.id, user.id)
    return None if member is None else member.active


async def test_signing_in_makes_members_of_those_who_are_and_nobody_else(stage: Stage) -> None:
    assert await is_active(stage, await sign_in(stage, "dev-one")) is True
    assert await stage.memberships.sign_in(identity_of(stage, "dev-three")) is None
    assert await stage.database.read(users.find_by_github_id, identity_of(stage, "dev-three").id) is None


async def test_whoever_leaves_at_github_has_left_here_and_may_come_back(stage: Stage) -> None:
    user = await sign_in(stage, "dev-one")
    stage.fake.remove_member(ACCOUNT, "dev-one")
    assert await stage.memberships.refresh(user.id) == {stage.org.id: False}
    assert await is_active(stage, user) is False
    stage.fake.add_member(ACCOUNT, "dev-one")
    assert await stage.memberships.refresh(user.id) == {stage.org.id: True}
    assert await is_active(stage, user) is True


async def test_refreshing_gives_nobody_a_place(stage: Stage) -> None:
    subject = str(identity_of(stage, "dev-three").id)
    user = await stage.database.write(users.put, provider="github", subject=subject, login="dev-three")
    stage.fake.add_member(ACCOUNT, "dev-three")
    assert await stage.memberships.refresh(user.id) == {}
    assert await is_active(stage, user) is None


async def test_a_user_who_takes_another_name_is_still_the_same_and_the_old_name_is_nobody(stage: Stage) -> None:
    user = await sign_in(stage, "dev-one")
    stage.fake.rename_user("dev-one", "dev-uno")
    stage.fake.add_user("dev-one")
    assert await stage.memberships.refresh(user.id) == {stage.org.id: True}
    found = await stage.database.read(users.get, user.id)
    assert found is not None
    assert found.login == "dev-uno"
    assert await stage.memberships.sign_in(identity_of(stage, "dev-one")) is None


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


async def test_one_orgs_trouble_is_no_other_orgs(stage: Stage) -> None:
    await link_beta(stage)
    user = await sign_in(stage, "dev-one")
    stage.fake.clear_calls()
    stage.fake.troubles.secondary_limit(retry_after=3600, path=r"/orgs/beta-inc/.*members", times=None)
    assert await stage.memberships.refresh(user.id) == {stage.org.id: True}
    assert stage.fake.calls(path=r".*beta-inc.*") == [], "an org of which they are no member is not asked"
    assert await is_active(stage, await sign_in(stage, "dev-two")) is True, "one yes is enough"
    with pytest.raises(GithubUnavailableError):
        await stage.memberships.sign_in(identity_of(stage, "dev-three"))


@pytest.mark.parametrize("status", [403, 451])
async def test_answers_that_came_are_written_down_also_where_another_org_gave_none(stage: Stage, status: int) -> None:
    beta = await link_beta(stage)
    stage.fake.add_member("beta-inc", "dev-one")
    user = await sign_in(stage, "dev-one")
    stage.fake.remove_member(ACCOUNT, "dev-one")
    refused = b'{"message": "Resource not accessible by integration"}'
    stage.fake.troubles.answer(status, refused, path=r"/orgs/beta-inc/(public_)?members", times=None)
    with pytest.raises(GithubUnavailableError):
        await stage.memberships.refresh(user.id)
    assert await is_active(stage, user) is False
    member = await stage.database.read(members.get, beta.id, user.id)
    assert member is not None
    assert member.active, "no answer is not a no"


async def test_a_stranger_who_signs_in_again_and_again_costs_github_one_question_a_minute(stage: Stage) -> None:
    stranger = identity_of(stage, "dev-three")
    assert await stage.memberships.sign_in(stranger) is None
    stage.fake.clear_calls()
    for _ in range(10):
        assert await stage.memberships.sign_in(stranger) is None
    assert stage.fake.calls() == []
    stage.fake.add_member(ACCOUNT, "dev-three")
    stage.advance(61)
    assert await is_active(stage, await sign_in(stage, "dev-three")) is True


async def test_whoever_takes_the_name_that_an_org_gave_up_gets_nothing(stage: Stage) -> None:
    user = await sign_in(stage, "dev-one")
    old = stage.fake.state.account(ACCOUNT)
    stage.fake.state.accounts[old.id] = replace(old, login="acme-renamed")
    stage.fake.add_user("mallory")
    stage.fake.add_org(ACCOUNT, members=["mallory"], number=987654)
    stage.fake.add_repository(REPOSITORY)
    installed = stage.fake.install(ACCOUNT, deliver=False)
    assert await stage.memberships.sign_in(identity_of(stage, "mallory")) is None
    await stage.deliver(installed)
    await stage.do(partial(stage.fake.open_pull_request, REPOSITORY, number=1))
    await stage.work()
    await stage.service.installing.bring_all_up_to_date()
    assert await stage.names() == []
    assert await stage.database.read(installations.find_by_org, stage.org.id) is None
    assert await is_active(stage, user) is False


async def test_linking_anew_makes_another_account_count(stage: Stage) -> None:
    await stage.service.installing.bring_all_up_to_date()
    known = await stage.database.read(orgs.get, stage.org.id)
    assert known is not None
    assert known.github_account_id == stage.fake.state.account(ACCOUNT).id
    await stage.database.write(orgs.link_github_account, stage.org.id, ACCOUNT)
    await stage.database.write(orgs.link_github_account, stage.org.id, "beta-inc", account_id=7)
    again = await stage.database.read(orgs.get, stage.org.id)
    assert again is not None
    assert (again.github_account, again.github_account_id) == ("beta-inc", 7)


async def test_who_waits_for_a_token_shares_the_answer_of_whoever_asked(stage: Stage) -> None:
    number = stage.fake.installation(ACCOUNT).id
    failed: list[str] = []

    async def ask() -> None:
        try:
            await stage.client.user(1, installation_id=number)
        except GithubUnavailableError as error:
            failed.append(str(error))

    stage.fake.troubles.error(502, path=r"/access_tokens", times=None)
    async with trio.open_nursery() as nursery:
        for _ in range(6):
            nursery.start_soon(ask)
    assert len(failed) == 6
    assert len(stage.fake.calls(path=r".*/access_tokens")) == 1
    stage.fake.troubles.clear()
    async with trio.open_nursery() as nursery:
        for _ in range(6):
            nursery.start_soon(ask)
    assert len(failed) == 6
    assert len(stage.fake.calls(path=r".*/access_tokens")) == 2
