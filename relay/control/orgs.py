"""Who am I."""

from relay.control.access import CallerOf
from relay.control.models.orgs import Credential, OrgAnswer, OrgList
from relay.control.routing import answers, make_router

router = make_router("orgs")


@router.get("/orgs", responses=answers())
async def list_orgs(caller: CallerOf) -> OrgList:
    """The orgs that the credential belongs to, and the credential itself."""
    items = [OrgAnswer(name=membership.org, role=membership.role.value) for membership in caller.principal.memberships]
    return OrgList(items=items, credential=Credential(kind=caller.principal.kind.value, last_four=caller.last_four))
