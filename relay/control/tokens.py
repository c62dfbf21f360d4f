"""Cluster tokens."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import Depends

from relay.auth import Action, Membership
from relay.control.access import CallerOf, ServicesOf, membership_for
from relay.control.models.clusters import NewTokenAnswer, TokenAnswer, TokenList, TokenRequest
from relay.control.models.common import optional_timestamp, timestamp
from relay.control.paging import PagingOf
from relay.control.parameters import ClusterName, Id
from relay.control.routing import answers, make_router
from relay.store import Actor, ClusterToken, cluster_tokens, clusters
from relay.store.rows import Transaction

router = make_router("cluster tokens")
Reader = Annotated[Membership, Depends(membership_for(Action.READ_CLUSTER_TOKENS))]
Writer = Annotated[Membership, Depends(membership_for(Action.WRITE_CLUSTER_TOKENS))]
PATH = "/orgs/{org}/clusters/{cluster}/tokens"


@router.get(PATH, responses=answers(404))
async def list_tokens(services: ServicesOf, member: Reader, cluster: ClusterName, paging: PagingOf) -> TokenList:
    """The tokens of a cluster, oldest first, without their secrets."""
    page = await paging.read(services.database, _find_all, member.org_id, cluster, id_of=lambda token: token.id)
    return TokenList(items=[_answer(token) for token in page.items], next_cursor=page.next_cursor)


@router.post(PATH, status_code=201, responses=answers(404))
async def create_token(
    *, services: ServicesOf, caller: CallerOf, member: Writer, cluster: ClusterName, body: TokenRequest | None = None
) -> NewTokenAnswer:
    """Makes a token for the cluster's agent. The secret is shown this once."""
    description = "" if body is None else body.description
    record, secret = await services.database.write(
        _create, member.org_id, cluster, description=description, actor=caller.actor
    )
    return NewTokenAnswer(**_answer(record).model_dump(), token=secret)


@router.delete(PATH + "/{id}", status_code=204, responses=answers(404))
async def delete_token(
    *,
    services: ServicesOf,
    caller: CallerOf,
    member: Writer,
    cluster: ClusterName,
    id: Id,  # noqa: A002 - the contract names the path's part so
) -> None:
    """Revokes a token; agents that logged in with it are disconnected at once."""
    await services.database.write(_remove, member.org_id, cluster, token_id=id, actor=caller.actor)


def _find_all(tx: Transaction, org_id: str, cluster: str, *, limit: int, after: str) -> Sequence[ClusterToken]:
    return cluster_tokens.find_all(tx, clusters.require(tx, org_id, cluster), limit=limit, after=after)


def _create(tx: Transaction, org_id: str, cluster: str, *, description: str, actor: Actor) -> tuple[ClusterToken, str]:
    found = clusters.require(tx, org_id, cluster)
    return cluster_tokens.create(tx, found, description=description, actor=actor)


def _remove(tx: Transaction, org_id: str, cluster: str, *, token_id: str, actor: Actor) -> None:
    cluster_tokens.remove(tx, clusters.require(tx, org_id, cluster), token_id, actor=actor)


def _answer(token: ClusterToken) -> TokenAnswer:
    return TokenAnswer(
        id=token.id,
        description=token.description,
        last_four=token.last_four,
        created_at=timestamp(token.created_at),
        last_used_at=optional_timestamp(token.last_used_at),
    )
