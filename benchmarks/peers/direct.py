"""No relay at all: the visitor talks plain HTTP to the target."""

from dataclasses import replace

from benchmarks.peers.base import LivePeer, Peer
from benchmarks.processes import LOOPBACK, Ground
from benchmarks.target import Target
from benchmarks.visit import visits


class Direct(Peer):
    """The floor that every path adds to."""

    name = "no relay"

    def start(self, ground: Ground, target: Target) -> LivePeer:
        """Nothing to start; the target takes the core that a relay would have."""
        port, sink_port = ground.far(target.port), ground.far(target.sink_port)
        found = visits(
            f"http://{LOOPBACK}:{port}",
            sink=f"http://{LOOPBACK}:{sink_port}",
            echo=f"http://{LOOPBACK}:{target.echo_port}",
        )
        return LivePeer(
            name=self.name,
            visits=found,
            raw=found,
            roles={},
            note="plain HTTP, no path between",
            placement=replace(ground.placement, target=ground.placement.front),
            takes_link=True,
        )
