"""Templates of repositories as a resource of the API."""

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import Depends, Response

from relay.auth import Action, Membership
from relay.control.access import CallerOf, ServicesOf, membership_for
from relay.control.models.common import timestamp
from relay.control.models.templates import TemplateAnswer, TemplateList, TemplateRequest
from relay.control.paging import PagingOf
from relay.control.parameters import Owner, Repo
from relay.control.routing import Answers, answers, make_router
from relay.control.templates import check_template
from relay.errors import InvalidError
from relay.store import templates

router = make_router("templates")
Reader = Annotated[Membership, Depends(membership_for(Action.READ_TEMPLATES))]
Writer = Annotated[Membership, Depends(membership_for(Action.WRITE_TEMPLATES))]
CREATED: Answers = {201: {"model": TemplateAnswer, "description": "The template is new."}}
LIST = "/orgs/{org}/templates"
PATH = LIST + "/{owner}/{repo}"


@router.get(LIST, responses=answers())
async def list_templates(services: ServicesOf, member: Reader, paging: PagingOf) -> TemplateList:
    """The templates of the org, oldest first."""
    page = await paging.read(services.database, templates.find_all, member.org_id, id_of=lambda found: found.id)
    return TemplateList(items=[_answer(found) for found in page.items], next_cursor=page.next_cursor)


@router.put(PATH, responses=answers() | CREATED)
async def put_template(
    *,
    services: ServicesOf,
    caller: CallerOf,
    member: Writer,
    owner: Owner,
    repo: Repo,
    body: TemplateRequest,
    response: Response,
) -> TemplateAnswer:
    """Makes or replaces the template from which the workspaces of the repository's pull requests are made."""
    _check(body.spec)
    found, created = await services.database.write(
        templates.put, member.org_id, f"{owner}/{repo}", body.spec, actor=caller.actor
    )
    response.status_code = 201 if created else 200
    return _answer(found)


@router.get(PATH, responses=answers(404))
async def get_template(services: ServicesOf, member: Reader, owner: Owner, repo: Repo) -> TemplateAnswer:
    """The template of a repository."""
    return _answer(await services.database.read(templates.require, member.org_id, f"{owner}/{repo}"))


@router.delete(PATH, status_code=204, responses=answers(404))
async def delete_template(*, services: ServicesOf, caller: CallerOf, member: Writer, owner: Owner, repo: Repo) -> None:
    """Deletes a template; the workspaces made from it stay."""
    await services.database.write(templates.remove, member.org_id, f"{owner}/{repo}", actor=caller.actor)


def _check(spec: Mapping[str, Any]) -> None:
    if "github" in spec:
        raise InvalidError("spec.github: comes from each pull request; leave it out")
    try:
        check_template(spec)
    except InvalidError as error:
        raise InvalidError("spec." + str(error).removeprefix("template: ")) from error


def _answer(template: templates.Template) -> TemplateAnswer:
    return TemplateAnswer(
        repository=template.repository,
        spec=dict(template.document),
        created_at=timestamp(template.created_at),
        updated_at=timestamp(template.updated_at),
    )
