"""A link that drops every packet without a word: noticed at both ends, and back when it passes packets again."""

import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.deployment import Deployment, wait_tunnel
from tests.support.processes import Running, run
from tests.support.site import preview
from tests.system.conftest import Record

pytestmark = pytest.mark.system

TUNNEL_NAME = "tunnel.relay.test"
NETWORK = "10.213.77"
NOWHERE = "02:00:00:00:00:99"  # an Ethernet address that neither end has: frames to it are dropped by whoever gets them


@dataclass(frozen=True, slots=True)
class Link:
    """A pair of virtual Ethernet devices; the far end is in a network namespace of its own."""

    namespace: str
    near: str
    far: str

    def cut(self) -> None:
        """Drops all packets both ways; neither end is told."""
        _ip("neigh", "replace", f"{NETWORK}.2", "lladdr", NOWHERE, "dev", self.near, "nud", "permanent")
        _ip("-n", self.namespace, "neigh", "replace", f"{NETWORK}.1", "lladdr", NOWHERE, "dev", self.far,
            "nud", "permanent")  # fmt: skip

    def mend(self) -> None:
        """Passes packets again."""
        _ip("neigh", "del", f"{NETWORK}.2", "dev", self.near)
        _ip("-n", self.namespace, "neigh", "del", f"{NETWORK}.1", "dev", self.far)


def _ip(*arguments: str) -> None:
    done = run("ip", *arguments)
    if done.returncode:
        raise OSError(f"ip {' '.join(arguments)}: {done.stderr.strip()}")


@pytest.fixture
def link() -> Iterator[Link]:
    number = os.getpid()
    link = Link(f"relaytest{number}", f"rt{number}a", f"rt{number}b")
    hosts = Path("/etc/netns") / link.namespace / "hosts"
    if os.geteuid() != 0:
        pytest.skip("a network namespace needs root")
    try:
        _ip("netns", "add", link.namespace)
    except OSError as error:
        pytest.skip(f"network namespaces are not possible here: {error}")
    try:
        _ip("link", "add", link.near, "type", "veth", "peer", "name", link.far, "netns", link.namespace)
        _ip("addr", "add", f"{NETWORK}.1/24", "dev", link.near)
        _ip("link", "set", link.near, "up")
        _ip("-n", link.namespace, "addr", "add", f"{NETWORK}.2/24", "dev", link.far)
        _ip("-n", link.namespace, "link", "set", link.far, "up")
        _ip("-n", link.namespace, "link", "set", "lo", "up")
        hosts.parent.mkdir(parents=True)
        hosts.write_text(f"{NETWORK}.1 {TUNNEL_NAME}\n")  # `ip netns exec` puts it in the place of /etc/hosts
        yield link
    finally:
        _ip("netns", "del", link.namespace)
        hosts.unlink(missing_ok=True)
        if hosts.parent.exists():
            hosts.parent.rmdir()


def inside(link: Link, module: str, *arguments: str) -> Running:
    """`python -m module` at the far end."""
    return Running(["ip", "netns", "exec", link.namespace, sys.executable, "-m", module, *arguments], name=module)


def far_agent(link: Link, relay: Deployment, token: str) -> Running:
    return inside(link, "client", *relay.agent_arguments(relay.token_file(relay.cluster, token)))


@pytest.mark.parametrize(
    "keepalive_seconds", [pytest.param(1, id="1s"), pytest.param(15, id="default", marks=pytest.mark.soak)]
)
def test_a_link_that_drops_everything_is_noticed_at_both_ends(
    link: Link, tmp_path: Path, keepalive_seconds: int, record_property: Record
) -> None:
    environment = {"SIGNADOT_RELAY__LIMITS__KEEPALIVE_SECONDS": str(keepalive_seconds)}
    host = preview("web", "far")
    with (
        Deployment(tmp_path, listen="0.0.0.0", names={"tunnel": TUNNEL_NAME}, domains=("localhost", "test")) as relay,
        inside(link, "relay.demo.sample") as sample,
    ):
        relay.timeout_seconds = 4 * keepalive_seconds + 30
        relay.init()
        process = relay.start_relay(environment=environment)
        token, _ = relay.add_cluster(relay.cluster)
        with far_agent(link, relay, token) as agent:
            wait_tunnel(agent)
            relay.apply("far", web=int(sample.wait_for_line(r"^([0-9]+)$")[1]))
            assert relay.ask(host, "/headers").status == 200

            marks = agent.mark(), process.mark()
            link.cut()
            started = time.monotonic()
            answer = relay.ask(host, "/headers")  # never a hang: the tunnel is given up under it
            assert answer.status in {502, 503}
            seconds = time.monotonic() - started
            agent.wait_for_line(r'"event": "will log in again"', after=marks[0], seconds=relay.timeout_seconds)
            process.wait_for_line(r'"event": "tunnel down"', after=marks[1])
            record_property("noticed_seconds", round(seconds, 1))
            assert relay.ask(host, "/headers").status == 503

            mark = agent.mark()
            link.mend()
            record_property("back_seconds", round(wait_tunnel(agent, after=mark), 1))
            assert relay.ask(host, "/headers").status == 200
