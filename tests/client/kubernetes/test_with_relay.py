"""Relay, agent and a cluster together: the relay's client over a real tunnel to an API server with RBAC."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trio

from client.agent import Agent
from client.kubernetes import access
from client.kubernetes.settings import KubernetesFlags
from client.settings import Flags, load_settings
from client.token import WatchedToken
from relay.cluster_access import ClusterAccess
from relay.control.kubernetes import ClusterApi
from relay.errors import ClusterOfflineError
from relay.kubernetes import (
    DEPLOYMENTS,
    ENDPOINT_SLICES,
    PODS,
    REPLICA_SETS,
    SERVICES,
    WORKSPACES,
    ConflictError,
    ForbiddenError,
    GoneError,
    LogOptions,
    NotFoundError,
    UnavailableError,
    Where,
)
from relay.transport import Tunnel
from tests.client.relay import HOST
from tests.client.test_agent import until
from tests.client.test_with_relay import Relay
from tests.support.fake_kubernetes import FakeKubernetes

READ = ["get", "list", "watch"]
RULES: list[dict[str, Any]] = [
    {"apiGroups": [""], "resources": ["pods", "services"], "verbs": READ},
    {"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get"]},
    {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": READ},
    {"apiGroups": ["apps"], "resources": ["deployments", "replicasets"], "verbs": READ},
    {
        "apiGroups": ["signadot.com"],
        "resources": ["workspaces"],
        "verbs": [*READ, "create", "update", "patch", "delete"],
    },
]
DEFINITION: dict[str, Any] = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "workspaces.signadot.com"},
    "spec": {
        "group": "signadot.com",
        "scope": "Namespaced",
        "names": {"plural": "workspaces", "singular": "workspace", "kind": "Workspace", "listKind": "WorkspaceList"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "subresources": {"status": {}},
                "schema": {
                    "openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                },
            }
        ],
    },
}


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[FakeKubernetes]:
    folder = tmp_path / "cluster"
    folder.mkdir()
    with FakeKubernetes(folder) as cluster:
        cluster.create(DEFINITION)
        token = cluster.service_account("signadot", "agent", rules=RULES)
        cluster.write_service_account_files(folder / "account", "signadot", token)
        yield cluster


class Site:
    """A relay process and an agent in a cluster."""

    def __init__(self, relay: Relay, cluster: FakeKubernetes) -> None:
        self.relay = relay
        self.cluster = cluster
        self.account = cluster.folder / "account"
        self.access = ClusterAccess(relay.registry)

    @property
    def api(self) -> ClusterApi:
        return self.access.api("c1")

    def start_agent(self, nursery: trio.Nursery, flags: KubernetesFlags | None = None) -> Agent:
        token_file = self.relay.folder / "token"
        token_file.write_text("sdt_a")
        settings = load_settings(
            Flags(
                relay=f"{HOST}:{self.relay.port}",
                token_file=str(token_file),
                ca_file=str(self.relay.folder / "ca.pem"),
                kubernetes=flags or self.flags(),
            ),
            {},
        )
        agent = Agent(settings, WatchedToken(token_file))
        nursery.start_soon(agent.run)
        return agent

    def flags(self, **more: Any) -> KubernetesFlags:
        return KubernetesFlags(
            api=self.cluster.url,
            token_file=str(self.account / "token"),
            ca_file=str(self.account / "ca.crt"),
            namespace="signadot",
            **{"pod_logs": True, "previews": True} | more,
        )

    async def online(self) -> Tunnel:
        return await self.relay.tunnel()


@pytest.fixture
async def site(nursery: trio.Nursery, tmp_path: Path, cluster: FakeKubernetes) -> Site:
    folder = tmp_path / "relay"
    folder.mkdir()
    relay = Relay(folder)
    await nursery.start(relay.run)
    return Site(relay, cluster)


async def test_without_an_agent_the_cluster_is_offline(site: Site) -> None:
    with pytest.raises(ClusterOfflineError, match="no agent"):
        await site.api.version()
    with pytest.raises(ClusterOfflineError):
        _ = site.api.namespace


async def test_an_agent_outside_of_a_cluster_has_no_capability(nursery: trio.Nursery, site: Site) -> None:
    site.start_agent(nursery, KubernetesFlags(mode="off"))
    tunnel = await site.online()
    assert tunnel.hello is not None
    assert (tunnel.hello.capabilities, tunnel.hello.kubernetes) == ((), None)
    with pytest.raises(UnavailableError, match="no access to Kubernetes"):
        await site.api.version()
    assert site.cluster.calls() == []


async def test_the_relay_learns_version_and_capabilities_at_the_first_login(nursery: trio.Nursery, site: Site) -> None:
    agent = site.start_agent(nursery)
    tunnel = await site.online()
    assert tunnel.hello is not None
    assert tunnel.hello.capabilities == ("kubernetes", "pod-logs", "workspaces")
    status = site.relay.registry.status("c1")
    version = await site.api.version()
    assert status.kubernetes_versions == (version,)
    assert site.api.namespace == "signadot"
    assert f"kubernetes {version}" in agent.status.lines()


async def test_a_cluster_that_is_upgraded_is_reported_by_a_new_login(
    nursery: trio.Nursery, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access, "FIRST_SECONDS", 0.2)
    monkeypatch.setattr(access, "RETRY_SECONDS", 0.05)
    with site.cluster.down():
        agent = site.start_agent(nursery)
        await site.online()
        assert site.relay.registry.status("c1").kubernetes_versions == ()
        assert any("cannot reach the API server" in line for line in agent.status.lines())
    # As soon as it answers, the agent says so by logging in anew; visitors were served all the time.
    await until(lambda: site.relay.registry.status("c1").kubernetes_versions != (), seconds=30)
    assert agent.status.is_ready


async def test_all_that_the_table_has_is_read(nursery: trio.Nursery, site: Site) -> None:
    site.cluster.add_deployment("web", replicas=2)
    site.start_agent(nursery)
    await site.online()
    found = {}
    for resource in (PODS, SERVICES, ENDPOINT_SLICES, DEPLOYMENTS, REPLICA_SETS):
        listed = await site.api.list(resource, Where(namespace="default"), page_items=1)
        found[resource.plural] = len(listed.items)
        name = listed.items[0]["metadata"]["name"]
        assert (await site.api.get(resource, "default", name))["metadata"]["name"] == name
    assert found["pods"] == 2
    assert all(count >= 1 for count in found.values())
    (pod,) = (await site.api.list(PODS, Where(fields=f"metadata.name={await first_pod(site)}"))).items
    with pytest.raises(NotFoundError, match="not found"):
        await site.api.get(PODS, "default", "nobody")
    assert pod["metadata"]["name"] == await first_pod(site)


async def first_pod(site: Site) -> str:
    names = sorted(item["metadata"]["name"] for item in (await site.api.list(PODS)).items)
    return str(names[0])


async def test_a_log_is_followed_until_the_visitor_leaves(nursery: trio.Nursery, site: Site) -> None:
    site.cluster.add_deployment("web", replicas=1)
    site.start_agent(nursery)
    await site.online()
    pod = await first_pod(site)
    site.cluster.log(pod, "first")
    async with site.api.pod_log("default", pod, LogOptions(follow=True)) as log:
        assert b"first" in await anext(log)
        site.cluster.log(pod, "second")
        assert b"second" in await anext(log)
        (call,) = site.cluster.calls(path="/log")
        assert call.open
    await until(lambda: not call.open, seconds=30)


async def test_workspaces_are_created_watched_and_deleted(nursery: trio.Nursery, site: Site) -> None:
    site.start_agent(nursery)
    await site.online()
    api, namespace = site.api, site.api.namespace
    where = Where(namespace=namespace)
    listed = await api.list(WORKSPACES, where)
    document = {
        "apiVersion": "signadot.com/v1",
        "kind": "Workspace",
        "metadata": {"name": "pr-42"},
        "spec": {"routingKey": "k1"},
    }
    async with api.watch(WORKSPACES, where, resource_version=listed.resource_version) as events:
        made = await api.create(WORKSPACES, namespace, document)
        assert (await anext(events)).type == "ADDED"
        with pytest.raises(ConflictError, match="already exists") as caught:
            await api.create(WORKSPACES, namespace, document)
        assert caught.value.reason == "AlreadyExists"
        await api.patch(WORKSPACES.path(namespace, "pr-42"), {"spec": {"routingKey": "k2"}})
        with pytest.raises(ConflictError) as caught:
            await api.replace(WORKSPACES, namespace, made)
        assert caught.value.reason == "Conflict"
        changed = await anext(events)
        assert (changed.type, changed.object["spec"]["routingKey"]) == ("MODIFIED", "k2")
        await api.delete(WORKSPACES, namespace, "pr-42", uid=made["metadata"]["uid"])
        assert (await anext(events)).type == "DELETED"
    with pytest.raises(NotFoundError):
        await api.delete(WORKSPACES, namespace, "pr-42")


async def test_workspaces_go_to_agents_that_let_them_through(nursery: trio.Nursery, site: Site) -> None:
    for previews in (False, True):
        site.start_agent(nursery, site.flags(previews=previews))
    await until(lambda: site.access.has_previews("c1") and site.relay.registry.status("c1").tunnels == 2)
    assert list(site.access.with_previews()) == ["c1"]
    api, where = site.access.workspaces_api("c1"), Where(namespace="signadot")
    for _ in range(20):
        await api.list(WORKSPACES, where)


async def test_a_history_that_is_forgotten_is_gone(nursery: trio.Nursery, site: Site) -> None:
    site.cluster.add_deployment("web", replicas=1)
    site.start_agent(nursery)
    await site.online()
    listed = await site.api.list(PODS)
    site.cluster.add_deployment("api", replicas=1)
    site.cluster.forget_history()
    with pytest.raises(GoneError):
        async with site.api.watch(PODS, resource_version=listed.resource_version) as events:
            await anext(events)


async def test_a_rotated_token_is_used_from_the_next_request_on(nursery: trio.Nursery, site: Site) -> None:
    site.start_agent(nursery)
    await site.online()
    await site.api.list(PODS)
    token = site.cluster.rotate_token("signadot", "agent")
    site.cluster.write_service_account_files(site.account, "signadot", token)
    before = len(site.cluster.calls())
    await site.api.list(PODS)
    assert [call.status for call in site.cluster.calls()[before:]] == [200]


async def test_rbac_stands_behind_the_table(nursery: trio.Nursery, site: Site) -> None:
    token = site.cluster.service_account("signadot", "poor", rules=RULES[:1])
    site.cluster.write_service_account_files(site.account, "signadot", token)
    site.start_agent(nursery)
    await site.online()
    await site.api.list(PODS)
    with pytest.raises(ForbiddenError, match=r"is forbidden: User .* cannot list") as caught:
        await site.api.list(DEPLOYMENTS)
    assert "agent does not let through" not in str(caught.value)


async def test_what_the_agent_withholds_says_how_to_get_it(nursery: trio.Nursery, site: Site) -> None:
    site.start_agent(nursery, site.flags(pod_logs=False, previews=False, allow_namespaces=["default"]))
    await site.online()
    with pytest.raises(ForbiddenError, match=r"podLogs\.enabled"):
        async with site.api.pod_log("default", "web", LogOptions()) as log:
            await anext(log)
    with pytest.raises(ForbiddenError, match="other namespaces only"):
        await site.api.list(PODS, Where(namespace="kube-system"))
    assert site.cluster.calls(path="/pods") == []
