"""What is said of workspaces, and where their endpoints lead."""

from dataclasses import dataclass, replace

import pytest

from relay.kubernetes import CAPABILITY_WORKSPACES
from relay.store import Clone, Endpoint, Fork, Image, InCluster, Workspace, WorkspaceSpec
from relay.store.clones import clone_address, wanted_forks
from relay.store.readiness import CLONES_CAPABILITY, readiness_of

WEB = Fork(namespace="shop", deployment="web")
OTHER = Fork(namespace="pay", deployment="web")
IMAGES = (Image(name="acme/web", new_tag="2"),)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    online: bool = True
    capabilities: tuple[str, ...] = (CAPABILITY_WORKSPACES,)


def workspace(*targets: str, forks: tuple[Fork, ...] = (), images: tuple[Image, ...] = ()) -> Workspace:
    endpoints = tuple(Endpoint(name=f"e{number}", target=target) for number, target in enumerate(targets))
    return Workspace(
        id="w",
        org_id="o",
        cluster_id="c",
        name="pr-1",
        routing_key="k",
        spec=WorkspaceSpec(cluster="c1", endpoints=endpoints, forks=forks, images=images),
        origin="api",
        revision=3,
        created_at=0.0,
        updated_at=0.0,
        expires_at=None,
    )


def said(
    found: Workspace, *clones: Clone, revision: int = 3, reason: str = "Ready", waiting: bool = False
) -> Workspace:
    state = InCluster(
        revision=revision, ready=reason == "Ready", waiting=waiting, reason=reason, message="m", clones=clones
    )
    return replace(found, in_cluster=state)


def clone(fork: Fork, service: str = "pr-1-web") -> Clone:
    return Clone(fork=fork, service=service)


def test_the_capability_is_the_one_that_agents_announce() -> None:
    assert CLONES_CAPABILITY == CAPABILITY_WORKSPACES


@pytest.mark.parametrize(
    ("found", "cluster", "ready", "waiting", "reason"),
    [
        (workspace("http://web"), Cluster(online=False), False, True, "ClusterOffline"),
        (workspace("http://web"), Cluster(), True, False, "Ready"),
        (workspace("http://web"), Cluster(capabilities=()), True, False, "Ready"),
        (workspace(images=IMAGES), Cluster(capabilities=()), True, False, "Ready"),
        (workspace(forks=(WEB,)), Cluster(capabilities=()), False, False, "PreviewsOff"),
        (workspace("fork://deployment/web:80"), Cluster(capabilities=()), False, False, "PreviewsOff"),
        (workspace(images=IMAGES), Cluster(), False, True, "Pending"),
        (said(workspace(images=IMAGES), revision=2), Cluster(), False, True, "Pending"),
        (said(workspace(images=IMAGES)), Cluster(), True, False, "Ready"),
        (said(workspace(images=IMAGES), reason="Starting", waiting=True), Cluster(), False, True, "Starting"),
        (said(workspace(images=IMAGES), reason="ErrImagePull"), Cluster(), False, False, "ErrImagePull"),
        (said(workspace("fork://deployment/web:80")), Cluster(), False, False, "ForkNotFound"),
        (said(workspace("fork://deployment/web:80"), clone(WEB)), Cluster(), True, False, "Ready"),
        (said(workspace("fork://deployment/web:80"), clone(WEB, "")), Cluster(), False, False, "ForkNotFound"),
        (
            said(workspace("fork://deployment/web:80"), clone(WEB), clone(OTHER)),
            Cluster(),
            False,
            False,
            "ForkNotFound",
        ),
        (said(workspace("fork://deployment/pay/web:80"), clone(WEB), clone(OTHER)), Cluster(), True, False, "Ready"),
    ],
)
def test_the_reason_says_what_is_missing(
    found: Workspace, cluster: Cluster, *, ready: bool, waiting: bool, reason: str
) -> None:
    readiness = readiness_of(found, cluster)
    assert (readiness.ready, readiness.waiting, readiness.reason) == (ready, waiting, reason)
    assert readiness.message


def test_an_endpoint_leads_to_the_service_of_its_clone() -> None:
    found = said(workspace(), clone(WEB), revision=2)
    assert clone_address(found, "fork://deployment/web:8080") == ("pr-1-web.shop.svc", 8080)
    assert clone_address(found, "fork://deployment/api:8080") == ("", 8080)
    assert clone_address(workspace(), "fork://deployment/web:8080") == ("", 8080)


def test_a_fork_that_is_listed_tells_the_namespace() -> None:
    found = said(workspace(forks=(OTHER,)), clone(WEB, "a"), clone(OTHER, "b"))
    assert clone_address(found, "fork://deployment/web:80") == ("b.pay.svc", 80)
    assert clone_address(said(workspace(), clone(WEB, "a"), clone(OTHER, "b")), "fork://deployment/web:80")[0] == ""


def test_an_endpoint_with_a_namespace_is_a_fork_without_being_listed() -> None:
    spec = workspace("fork://deployment/shop/web:80", "fork://deployment/api:80", forks=(OTHER,)).spec
    assert wanted_forks(spec) == (OTHER, WEB)
