"""Events: who changed what."""

from typing import Annotated

from fastapi import Depends

from relay.auth import Action, Membership
from relay.control.access import ServicesOf, membership_for
from relay.control.models.common import timestamp
from relay.control.models.orgs import ActorAnswer, EventAnswer, EventList, ObjectAnswer
from relay.control.paging import PagingOf
from relay.control.routing import answers, make_router
from relay.store import Event, events

router = make_router("events")
Reader = Annotated[Membership, Depends(membership_for(Action.READ_EVENTS))]


@router.get("/orgs/{org}/events", responses=answers())
async def list_events(services: ServicesOf, member: Reader, paging: PagingOf) -> EventList:
    """The changes, newest first, each with who made it."""
    page = await paging.read_backwards(services.database, events.find_all, member.org_id, id_of=lambda event: event.id)
    return EventList(items=[_answer(event) for event in page.items], next_cursor=page.next_cursor)


def _answer(event: Event) -> EventAnswer:
    return EventAnswer(
        id=event.id,
        at=timestamp(event.at),
        action=event.action,
        object=ObjectAnswer(kind=event.object_kind, id=event.object_id, name=event.object_name),
        credential=ActorAnswer(
            kind=event.actor.kind, id=event.actor.id, last_four=event.actor.last_four, name=event.actor.name
        ),
    )
