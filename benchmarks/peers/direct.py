"""No relay at all: the visitor talks plain HTTP to the target."""

from dataclasses import replace
from typing import ClassVar

from benchmarks.peers.base import LivePeer, Peer
from benchmarks.processes import Ground
from benchmarks.target import Target
from benchmarks.visit import Visit


class Direct(Peer):
    """The floor that every path adds to."""

    name: ClassVar[str] = "no relay"

    def start(self, ground: Ground, target: Target) -> LivePeer:
        """Nothing to start; the target takes the core that a relay would have."""
        base = f"http://127.0.0.1:{target.port}"
        return LivePeer(
            name=self.name,
            visits={
                "small": Visit(url=f"{base}/small"),
                "bulk": Visit(url=f"{base}/bulk"),
                "endless": Visit(url=f"{base}/endless"),
                "upload": Visit(url=f"http://127.0.0.1:{target.sink_port}/upload"),
            },
            roles={},
            placement=replace(ground.placement, target=ground.placement.front),
        )
