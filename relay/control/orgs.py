"""Who am I, and the org itself."""

from typing import Annotated

from fastapi import Depends

from relay.auth import Action, Membership
from relay.control.access import CallerOf, ServicesOf, membership_for
from relay.control.models.common import timestamp
from relay.control.models.orgs import Credential, OrgAnswer, OrgDetails, OrgList
from relay.control.routing import answers, make_router
from relay.errors import NotFoundError
from relay.store import orgs

router = make_router("orgs")
Reader = Annotated[Membership, Depends(membership_for(Action.READ_ORG))]


@router.get("/orgs", responses=answers())
async def list_orgs(caller: CallerOf) -> OrgList:
    """The orgs that the credential belongs to, and the credential itself."""
    items = [OrgAnswer(name=membership.org, role=membership.role.value) for membership in caller.principal.memberships]
    return OrgList(items=items, credential=Credential(kind=caller.principal.kind.value, last_four=caller.last_four))


@router.get("/orgs/{org}", responses=answers(404))
async def get_org(services: ServicesOf, member: Reader) -> OrgDetails:
    """One org."""
    found = await services.database.read(orgs.get, member.org_id)
    if found is None:
        raise NotFoundError(f"there is no org named {member.org!r} any more")
    return OrgDetails(name=found.name, created_at=timestamp(found.created_at), github_account=found.github_account)
