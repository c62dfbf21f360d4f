"""Workspaces."""

from typing import Annotated

from fastapi import Depends, Response

from relay.auth import Action, Membership
from relay.control.access import CallerOf, ServicesOf, membership_for
from relay.control.conditions import Conditions, ConditionsOf
from relay.control.models.workspaces import WorkspaceAnswer, WorkspaceList, WorkspaceRequest
from relay.control.paging import PagingOf
from relay.control.parameters import WorkspaceName
from relay.control.routing import Answers, answers, make_router
from relay.control.specs import answer_of, record_of
from relay.store import Actor, Workspace, WorkspaceSpec, workspaces
from relay.store.rows import Transaction

router = make_router("workspaces")
Reader = Annotated[Membership, Depends(membership_for(Action.READ_WORKSPACES))]
Writer = Annotated[Membership, Depends(membership_for(Action.WRITE_WORKSPACES))]
CREATED: Answers = {201: {"model": WorkspaceAnswer, "description": "The workspace is new."}}


PATH = "/orgs/{org}/workspaces"


@router.get(PATH, responses=answers())
async def list_workspaces(services: ServicesOf, member: Reader, paging: PagingOf) -> WorkspaceList:
    """The workspaces of the org, oldest first."""
    page = await paging.read(services.database, workspaces.find_all, member.org_id, id_of=lambda found: found.id)
    items = [answer_of(services, member.org, workspace) for workspace in page.items]
    return WorkspaceList(items=items, next_cursor=page.next_cursor)


@router.put(PATH + "/{name}", responses=answers(412) | CREATED)
async def put_workspace(
    *,
    services: ServicesOf,
    caller: CallerOf,
    member: Writer,
    name: WorkspaceName,
    conditions: ConditionsOf,
    body: WorkspaceRequest,
    response: Response,
) -> WorkspaceAnswer:
    """Makes the workspace, or brings it to `spec`. The routing key and the URLs stay over updates."""
    record, created = await services.database.write(
        _put, member.org_id, name, spec=record_of(body.spec), conditions=conditions, actor=caller.actor
    )
    response.status_code = 201 if created else 200
    response.headers["etag"] = etag_of(record)
    return answer_of(services, member.org, record)


@router.get(PATH + "/{name}", responses=answers(404))
async def get_workspace(
    *, services: ServicesOf, member: Reader, name: WorkspaceName, response: Response
) -> WorkspaceAnswer:
    """One workspace. Its ETag stands for the specification: `status` changes without it."""
    found = await services.database.read(workspaces.require, member.org_id, name)
    response.headers["etag"] = etag_of(found)
    return answer_of(services, member.org, found)


@router.delete(PATH + "/{name}", status_code=204, responses=answers(404, 412))
async def delete_workspace(
    *, services: ServicesOf, caller: CallerOf, member: Writer, name: WorkspaceName, conditions: ConditionsOf
) -> None:
    """Deletes a workspace; its previews are gone at once."""
    await services.database.write(_remove, member.org_id, name, conditions=conditions, actor=caller.actor)


def etag_of(workspace: Workspace) -> str:
    """The strong entity tag of a workspace's specification; a workspace made anew has another one."""
    return f'"{workspace.id}-{workspace.revision}"'


def _put(
    tx: Transaction, org_id: str, name: str, *, spec: WorkspaceSpec, conditions: Conditions, actor: Actor
) -> tuple[Workspace, bool]:
    _check(tx, org_id, name, conditions)
    return workspaces.put(tx, org_id, name, spec, actor=actor)


def _remove(tx: Transaction, org_id: str, name: str, *, conditions: Conditions, actor: Actor) -> None:
    _check(tx, org_id, name, conditions)
    workspaces.remove(tx, org_id, name, actor=actor)


def _check(tx: Transaction, org_id: str, name: str, conditions: Conditions) -> None:
    found = workspaces.get(tx, org_id, name)
    conditions.require(None if found is None else etag_of(found))
