"""Which tunnels live, which one a stream gets, and how they end."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace

import pytest
import trio
import trio.testing

from relay.errors import TunnelClosedError
from relay.mux import CloseCode, KubernetesCluster
from relay.tunnels import Registry
from tests.transport.pair import HELLO, Pair, tunnel_pair


@dataclass(frozen=True)
class Identity:
    cluster_id: str = "cluster-1"
    cluster_name: str = "c1"
    org_id: str = "org-1"
    token_id: str = "token-1"


@dataclass
class Site:
    """A registry and tunnels to put into it; `now` is its clock and `draw` its dice."""

    stack: AsyncExitStack
    now: float = 1000.0
    draws: list[float] = field(default_factory=list)
    registry: Registry = field(init=False)

    def __post_init__(self) -> None:
        self.registry = Registry(clock=lambda: self.now, random_number=lambda: self.draws.pop(0))

    async def tunnel(
        self, instance: str = "agent-1", *, version: str = "0.1", kubernetes: str | None = None, **identity: str
    ) -> Pair:
        """`kubernetes`: the version, where the agent has access."""
        hello = replace(HELLO, instance_id=instance, agent_version=version)
        if kubernetes is not None:
            cluster = KubernetesCluster(namespace="signadot", version=kubernetes)
            hello = replace(hello, capabilities=("kubernetes", f"of-{instance}"), kubernetes=cluster)
        pair = await self.stack.enter_async_context(tunnel_pair(hello=hello))
        self.registry.add(pair.relay, Identity(**identity))
        return pair


@asynccontextmanager
async def new_site() -> AsyncIterator[Site]:
    async with AsyncExitStack() as stack:
        yield Site(stack)


async def test_of_two_tunnels_drawn_the_one_with_fewer_streams_is_picked() -> None:
    async with new_site() as site:
        busy, idle, other = [await site.tunnel(f"agent-{number}") for number in range(3)]
        await busy.stream()
        await busy.stream()
        await other.stream()
        # A draw takes one of three, then one of the two others counted from there.
        site.draws = [0.0, 0.0, 0.0, 0.6, 0.4, 0.0]
        assert [site.registry.pick("cluster-1") for _ in range(3)] == [idle.relay, other.relay, idle.relay]


async def test_a_cluster_without_a_tunnel_that_takes_streams_has_none_to_pick() -> None:
    async with new_site() as site:
        assert site.registry.pick("cluster-1") is None
        pair = await site.tunnel()
        assert site.registry.pick("cluster-1") is pair.relay
        assert site.registry.pick("cluster-2") is None
        pair.agent.goaway(CloseCode.SHUTDOWN, "stopping")
        await pair.relay.goaway_arrived()
        assert site.registry.pick("cluster-1") is None


async def test_an_agent_that_is_about_to_stop_gets_streams_only_while_there_is_no_other() -> None:
    async with new_site() as site:
        leaving = await site.tunnel("agent-1")
        leaving.agent.goaway(CloseCode.DRAIN, "stopping soon")
        await leaving.relay.goaway_arrived()
        assert site.registry.pick("cluster-1") is leaving.relay
        staying = await site.tunnel("agent-2")
        for _ in range(3):
            await staying.stream()
        assert site.registry.pick("cluster-1") is staying.relay
        staying.agent.goaway(CloseCode.DRAIN, "stopping soon")
        await staying.relay.goaway_arrived()
        site.draws = [0.0, 0.0]
        assert site.registry.pick("cluster-1") is leaving.relay


async def test_no_stream_is_refused_while_one_of_two_agents_stops_in_order() -> None:
    async with new_site() as site:
        leaving, staying = await site.tunnel("agent-1"), await site.tunnel("agent-2")
        leaving.agent.goaway(CloseCode.DRAIN, "stopping soon")
        await leaving.relay.goaway_arrived()
        for step in range(20):
            if step == 10:
                leaving.agent.goaway(CloseCode.SHUTDOWN, "no more streams")
            tunnel = site.registry.pick("cluster-1")
            assert tunnel is staying.relay
            tunnel.open("tcp", "web", 80)
            await trio.testing.wait_all_tasks_blocked()
        assert len(staying.incoming) == 20


async def test_the_same_agent_process_replaces_its_tunnel_and_the_old_streams_finish() -> None:
    async with new_site() as site:
        old = await site.tunnel()
        ours, theirs = await old.stream()
        new = await site.tunnel()
        other = await site.tunnel("agent-2")
        goaway = await old.agent.goaway_arrived()
        assert goaway is not None
        assert goaway.code == CloseCode.REPLACED
        assert site.registry.status("cluster-1").tunnels == 2
        site.draws = [0.0, 0.0, 0.6, 0.0]
        assert {site.registry.pick("cluster-1") for _ in range(2)} <= {new.relay, other.relay}
        await ours.send_all(b"goes on")
        assert await theirs.receive_some() == b"goes on"
        assert not await is_drained(old)
        ours.reset(0)
        assert await is_drained(old)
        site.registry.remove(old.relay)
        assert site.registry.status("cluster-1").tunnels == 2


async def is_drained(pair: Pair) -> bool:
    await trio.testing.wait_all_tasks_blocked()
    with trio.move_on_after(1) as scope:
        await pair.relay.drained()
    return not scope.cancelled_caught


async def test_the_status_says_since_when_and_with_which_agents() -> None:
    async with new_site() as site:
        registry = site.registry
        assert registry.status("cluster-1").since is None
        first = await site.tunnel("agent-1", version="0.2")
        site.now = 1010.0
        second = await site.tunnel("agent-2", version="0.1")
        status = registry.status("cluster-1")
        assert (status.online, status.tunnels, status.since) == (True, 2, 1000.0)
        assert status.agent_versions == ("0.1", "0.2")
        assert (len(registry), registry.online_clusters, set(registry)) == (2, 1, {first.relay, second.relay})
        registry.remove(first.relay)
        assert registry.status("cluster-1").since == 1000.0
        site.now = 1020.0
        registry.remove(second.relay)
        registry.remove(second.relay)
        status = registry.status("cluster-1")
        assert (status.online, status.tunnels, status.since) == (False, 0, 1020.0)
        assert (len(registry), registry.online_clusters) == (0, 0)


async def test_the_registry_counts_streams_and_knows_whose_a_tunnel_is() -> None:
    async with new_site() as site:
        pair = await site.tunnel(cluster_id="cluster-7")
        await pair.stream()
        assert site.registry.open_streams == 1
        identity = site.registry.identity(pair.relay)
        assert identity is not None
        assert identity.cluster_id == "cluster-7"
        site.registry.remove(pair.relay)
        assert site.registry.identity(pair.relay) is None


async def test_deleting_a_cluster_ends_its_tunnels_at_once_and_no_others() -> None:
    async with new_site() as site:
        gone = [await site.tunnel(f"agent-{number}") for number in range(2)]
        kept = await site.tunnel("agent-9", cluster_id="cluster-2")
        ours, _ = await gone[0].stream()
        assert site.registry.close_by_cluster("cluster-1") == 2
        with pytest.raises(TunnelClosedError, match="deleted"):
            await ours.receive_some()
        for pair in gone:
            end = await pair.agent.closed()
            assert (end.code, end.reason) == (CloseCode.UNAUTHENTICATED, "the cluster was deleted")
        assert not site.registry.status("cluster-1").online
        assert site.registry.pick("cluster-2") is kept.relay


async def test_a_revoked_token_ends_its_own_tunnels_only() -> None:
    async with new_site() as site:
        gone = await site.tunnel("agent-1", token_id="token-1")
        kept = await site.tunnel("agent-2", token_id="token-2")
        assert site.registry.close_by_token("token-1") == 1
        assert site.registry.is_revoked("token-1")
        assert not site.registry.is_revoked("token-2")
        assert (await gone.agent.closed()).code == CloseCode.UNAUTHENTICATED
        assert site.registry.pick("cluster-1") is kept.relay


async def test_draining_without_streams_takes_no_time(autojump_clock: trio.testing.MockClock) -> None:
    async with new_site() as site:
        pair = await site.tunnel()
        began = trio.current_time()
        await site.registry.drain(retry_window_seconds=5, deadline_seconds=30)
        assert trio.current_time() - began < 1
        goaway = await pair.agent.goaway_arrived()
        assert goaway is not None
        assert (goaway.code, goaway.retry_after_seconds) == (CloseCode.SHUTDOWN, 5)
        assert site.registry.pick("cluster-1") is None


async def test_draining_waits_for_the_streams_and_ends_as_the_last_one_does(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with new_site() as site:
        pair = await site.tunnel()
        ours, theirs = await pair.stream()
        began = trio.current_time()

        async def finish_later() -> None:
            await trio.sleep(10)
            await theirs.send_all(b"answer")
            await theirs.send_eof()
            assert b"".join([data async for data in ours]) == b"answer"
            await ours.aclose()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(finish_later)
            await site.registry.drain(retry_window_seconds=5, deadline_seconds=30)
        assert 10 <= trio.current_time() - began < 11


async def test_draining_gives_up_at_the_deadline(autojump_clock: trio.testing.MockClock) -> None:
    async with new_site() as site:
        pair = await site.tunnel()
        ours, _ = await pair.stream()
        began = trio.current_time()
        await site.registry.drain(retry_window_seconds=5, deadline_seconds=30)
        assert 29 <= trio.current_time() - began <= 31
        with pytest.raises(trio.BrokenResourceError):
            await ours.receive_some()
        await pair.agent.closed()


async def test_the_status_says_what_the_agents_can_do_and_which_kubernetes_they_see() -> None:
    async with new_site() as site:
        assert site.registry.status("cluster-1").kubernetes_namespace == ""
        await site.tunnel("agent-1")
        status = site.registry.status("cluster-1")
        assert (status.capabilities, status.kubernetes_versions, status.kubernetes_namespace) == ((), (), "")
        await site.tunnel("agent-2", kubernetes="v1.33.1")
        await site.tunnel("agent-3", kubernetes="v1.32.5")
        await site.tunnel("agent-4", kubernetes="")
        status = site.registry.status("cluster-1")
        assert status.capabilities == ("kubernetes", "of-agent-2", "of-agent-3", "of-agent-4")
        assert status.kubernetes_versions == ("v1.32.5", "v1.33.1")
        assert status.kubernetes_namespace == "signadot"


async def test_a_stream_that_needs_a_capability_goes_to_an_agent_that_has_it() -> None:
    async with new_site() as site:
        assert site.registry.pick_capable("cluster-1", "kubernetes") is None
        await site.tunnel("agent-1")
        assert site.registry.pick_capable("cluster-1", "kubernetes") is None
        able = await site.tunnel("agent-2", kubernetes="v1.33.1")
        assert site.registry.pick_capable("cluster-1", "kubernetes") is able.relay
        leaving = await site.tunnel("agent-3", kubernetes="v1.33.1")
        leaving.agent.goaway(CloseCode.DRAIN, "stopping")
        await trio.testing.wait_all_tasks_blocked()
        assert [site.registry.pick_capable("cluster-1", "kubernetes") for _ in range(5)] == [able.relay] * 5
