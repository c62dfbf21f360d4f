"""Members: the places of people in an org."""

from typing import Annotated

from fastapi import Depends

from relay.auth import Action, Membership, Role
from relay.control.access import CallerOf, ServicesOf, membership_for
from relay.control.models.common import timestamp
from relay.control.models.members import MemberAnswer, MemberList, MemberRequest
from relay.control.paging import PagingOf
from relay.control.parameters import Login
from relay.control.routing import answers, make_router
from relay.store import Actor, Member, members
from relay.store.rows import Transaction

router = make_router("members")
Reader = Annotated[Membership, Depends(membership_for(Action.READ_MEMBERS))]
Writer = Annotated[Membership, Depends(membership_for(Action.WRITE_MEMBERS))]
PATH = "/orgs/{org}/members"


@router.get(PATH, responses=answers())
async def list_members(services: ServicesOf, member: Reader, paging: PagingOf) -> MemberList:
    """The members of the org, those among them who no longer belong to it."""
    page = await paging.read(services.database, members.find_all, member.org_id, id_of=lambda found: found.user.id)
    return MemberList(items=[_answer(found) for found in page.items], next_cursor=page.next_cursor)


@router.get(PATH + "/{login}", responses=answers(404))
async def get_member(services: ServicesOf, member: Reader, login: Login) -> MemberAnswer:
    """One member."""
    return _answer(await services.database.read(members.require, member.org_id, login))


@router.put(PATH + "/{login}", responses=answers(404, 409))
async def put_member(
    *, services: ServicesOf, caller: CallerOf, member: Writer, login: Login, body: MemberRequest
) -> MemberAnswer:
    """Changes a member's role, at once. Nobody becomes a member by it: people do by signing in."""
    return _answer(
        await services.database.write(_set_role, member.org_id, login, role=Role(body.role), actor=caller.actor)
    )


@router.delete(PATH + "/{login}", status_code=204, responses=answers(404, 409))
async def delete_member(*, services: ServicesOf, caller: CallerOf, member: Writer, login: Login) -> None:
    """Ends a member's place in the org, at once. Whoever GitHub vouches for gets it back by signing in."""
    await services.database.write(_remove, member.org_id, login, actor=caller.actor)


def _set_role(tx: Transaction, org_id: str, login: str, *, role: Role, actor: Actor) -> Member:
    found = members.require(tx, org_id, login)
    return members.set_role(tx, org_id, found.user.id, role, actor=actor)


def _remove(tx: Transaction, org_id: str, login: str, *, actor: Actor) -> None:
    members.remove(tx, org_id, members.require(tx, org_id, login).user.id, actor=actor)


def _answer(member: Member) -> MemberAnswer:
    return MemberAnswer(
        login=member.user.login,
        role=member.role.value,
        provider=member.source,
        active=member.active,
        checked_at=timestamp(member.checked_at),
    )
