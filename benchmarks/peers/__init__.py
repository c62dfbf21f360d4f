"""Peers: ways from a visitor to a target. Each is a small class with `start`."""

from benchmarks.peers.base import LivePeer, Peer
from benchmarks.peers.direct import Direct
from benchmarks.peers.nginx import Nginx
from benchmarks.peers.relay import Relay

YARDSTICK = "nginx"
"""The peer that the others' figures are divided by."""
PEERS: tuple[type[Peer], ...] = (Relay, Nginx, Direct)

__all__ = ["PEERS", "YARDSTICK", "Direct", "LivePeer", "Nginx", "Peer", "Relay"]
