"""API keys."""

from typing import Annotated

from fastapi import Depends

from relay.auth import Action, Membership, Role
from relay.control.access import CallerOf, ServicesOf, membership_for
from relay.control.models.common import optional_timestamp, timestamp
from relay.control.models.orgs import ApiKeyAnswer, ApiKeyList, ApiKeyRequest, NewApiKeyAnswer
from relay.control.paging import PagingOf
from relay.control.parameters import Id
from relay.control.routing import answers, make_router
from relay.errors import NotFoundError
from relay.store import ApiKey, api_keys

router = make_router("API keys")
Reader = Annotated[Membership, Depends(membership_for(Action.READ_API_KEYS))]
Writer = Annotated[Membership, Depends(membership_for(Action.WRITE_API_KEYS))]
PATH = "/orgs/{org}/api-keys"


@router.get(PATH, responses=answers())
async def list_api_keys(services: ServicesOf, member: Reader, paging: PagingOf) -> ApiKeyList:
    """The API keys of the org, oldest first, without their secrets."""
    page = await paging.read(services.database, api_keys.find_all, member.org_id, id_of=lambda key: key.id)
    return ApiKeyList(items=[_answer(key) for key in page.items], next_cursor=page.next_cursor)


@router.post(PATH, status_code=201, responses=answers())
async def create_api_key(
    *, services: ServicesOf, caller: CallerOf, member: Writer, body: ApiKeyRequest
) -> NewApiKeyAnswer:
    """Makes an API key. The secret is shown this once."""
    record, secret = await services.database.write(
        api_keys.create, member.org_id, name=body.name, role=Role(body.role), actor=caller.actor
    )
    return NewApiKeyAnswer(**_answer(record).model_dump(), key=secret)


@router.get(PATH + "/{id}", responses=answers(404))
async def get_api_key(
    services: ServicesOf,
    member: Reader,
    id: Id,  # noqa: A002 - as in the path
) -> ApiKeyAnswer:
    """One API key."""
    found = await services.database.read(api_keys.get, member.org_id, id)
    if found is None:
        raise NotFoundError(f"there is no API key with the id {id!r}")
    return _answer(found)


@router.delete(PATH + "/{id}", status_code=204, responses=answers(404, 409))
async def delete_api_key(
    *,
    services: ServicesOf,
    caller: CallerOf,
    member: Writer,
    id: Id,  # noqa: A002 - as in the path
) -> None:
    """Revokes an API key at once. The last admin key of an org cannot be revoked."""
    await services.database.write(api_keys.remove, member.org_id, id, actor=caller.actor)


def _answer(key: ApiKey) -> ApiKeyAnswer:
    return ApiKeyAnswer(
        id=key.id,
        name=key.name,
        role=key.role.value,
        last_four=key.last_four,
        created_at=timestamp(key.created_at),
        last_used_at=optional_timestamp(key.last_used_at),
    )
