"""Workspaces."""

from typing import Annotated

from fastapi import Depends, Response

from relay.auth import Action, Membership
from relay.control.access import CallerOf, ServicesOf, membership_for
from relay.control.models.workspaces import WorkspaceAnswer, WorkspaceList, WorkspaceRequest
from relay.control.routing import Answers, answers, make_router
from relay.control.specs import answer_of, record_of
from relay.store import workspaces

router = make_router("workspaces")
Reader = Annotated[Membership, Depends(membership_for(Action.READ_WORKSPACES))]
Writer = Annotated[Membership, Depends(membership_for(Action.WRITE_WORKSPACES))]
CREATED: Answers = {201: {"model": WorkspaceAnswer, "description": "The workspace is new."}}


@router.get("/orgs/{org}/workspaces", responses=answers())
async def list_workspaces(services: ServicesOf, member: Reader) -> WorkspaceList:
    """The workspaces of the org."""
    found = await services.database.read(workspaces.find_all, member.org_id, limit=1000)
    return WorkspaceList(items=[answer_of(services, member.org, workspace) for workspace in found])


@router.put("/orgs/{org}/workspaces/{name}", responses=answers() | CREATED)
async def put_workspace(
    *, services: ServicesOf, caller: CallerOf, member: Writer, name: str, body: WorkspaceRequest, response: Response
) -> WorkspaceAnswer:
    """Makes the workspace, or brings it to `spec`. The routing key and the URLs stay over updates."""
    record, created = await services.database.write(
        workspaces.put, member.org_id, name, record_of(body.spec), actor=caller.actor
    )
    response.status_code = 201 if created else 200
    return answer_of(services, member.org, record)


@router.get("/orgs/{org}/workspaces/{name}", responses=answers(404))
async def get_workspace(services: ServicesOf, member: Reader, name: str) -> WorkspaceAnswer:
    """One workspace."""
    found = await services.database.read(workspaces.require, member.org_id, name)
    return answer_of(services, member.org, found)


@router.delete("/orgs/{org}/workspaces/{name}", status_code=204, responses=answers(404))
async def delete_workspace(*, services: ServicesOf, caller: CallerOf, member: Writer, name: str) -> None:
    """Deletes a workspace; its previews are gone at once."""
    await services.database.write(workspaces.remove, member.org_id, name, actor=caller.actor)
