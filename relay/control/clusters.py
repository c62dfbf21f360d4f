"""Clusters."""

from typing import Annotated

from fastapi import Depends, Response

from relay.auth import Action, Membership
from relay.control.access import CallerOf, ServicesOf, membership_for
from relay.control.models.clusters import ClusterAnswer, ClusterList, ClusterRequest, ClusterStatusAnswer
from relay.control.models.common import optional_timestamp, timestamp
from relay.control.paging import PagingOf
from relay.control.parameters import ClusterName
from relay.control.routing import Answers, answers, make_router
from relay.control.services import Services
from relay.store import Cluster, clusters

router = make_router("clusters")
Reader = Annotated[Membership, Depends(membership_for(Action.READ_CLUSTERS))]
Writer = Annotated[Membership, Depends(membership_for(Action.WRITE_CLUSTERS))]
CREATED: Answers = {201: {"model": ClusterAnswer, "description": "The cluster is new."}}


@router.get("/orgs/{org}/clusters", responses=answers())
async def list_clusters(services: ServicesOf, member: Reader, paging: PagingOf) -> ClusterList:
    """The clusters of the org, oldest first, and whether their agents are connected."""
    page = await paging.read(services.database, clusters.find_all, member.org_id, id_of=lambda cluster: cluster.id)
    return ClusterList(items=[_answer(services, cluster) for cluster in page.items], next_cursor=page.next_cursor)


@router.put("/orgs/{org}/clusters/{cluster}", responses=answers() | CREATED)
async def put_cluster(
    *,
    services: ServicesOf,
    caller: CallerOf,
    member: Writer,
    cluster: ClusterName,
    response: Response,
    body: ClusterRequest | None = None,  # noqa: ARG001 - checked, and empty so far
) -> ClusterAnswer:
    """Registers a cluster; for one that exists nothing changes."""
    record, created = await services.database.write(clusters.put, member.org_id, cluster, actor=caller.actor)
    response.status_code = 201 if created else 200
    return _answer(services, record)


@router.get("/orgs/{org}/clusters/{cluster}", responses=answers(404))
async def get_cluster(services: ServicesOf, member: Reader, cluster: ClusterName) -> ClusterAnswer:
    """One cluster."""
    return _answer(services, await services.database.read(clusters.require, member.org_id, cluster))


@router.delete("/orgs/{org}/clusters/{cluster}", status_code=204, responses=answers(404, 409))
async def delete_cluster(*, services: ServicesOf, caller: CallerOf, member: Writer, cluster: ClusterName) -> None:
    """Removes a cluster without workspaces; its tokens are revoked and its agents disconnected."""
    await services.database.write(clusters.remove, member.org_id, cluster, actor=caller.actor)


def _answer(services: Services, cluster: Cluster) -> ClusterAnswer:
    status = services.cluster_status(cluster.id)
    return ClusterAnswer(
        name=cluster.name,
        created_at=timestamp(cluster.created_at),
        last_seen_at=optional_timestamp(cluster.last_seen_at),
        status=ClusterStatusAnswer(
            online=status.online,
            tunnels=status.tunnels,
            since=optional_timestamp(status.since),
            agent_versions=sorted(status.agent_versions),
            kubernetes_versions=sorted(status.kubernetes_versions),
            capabilities=sorted(status.capabilities),
        ),
    )
