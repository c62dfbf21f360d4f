"""Peers: ways from a visitor to a target. Each is a small class with `start`."""

from benchmarks.peers.base import LivePeer, Peer
from benchmarks.peers.direct import Direct
from benchmarks.peers.frp import Frp, FrpHttps, FrpTcp
from benchmarks.peers.nginx import Nginx
from benchmarks.peers.piko import Piko
from benchmarks.peers.raw import Bore, Chisel, Rathole
from benchmarks.peers.relay import Relay
from benchmarks.peers.tunnel import Tunnel

YARDSTICK = "nginx"
"""The peer that the others' figures are divided by."""
PEERS: tuple[type[Relay | Nginx | Direct], ...] = (Relay, Nginx, Direct)
"""Always there."""
TUNNELS: dict[str, type[Tunnel]] = {
    tunnel.name: tunnel for tunnel in (Frp, FrpHttps, FrpTcp, Piko, Chisel, Rathole, Bore)
}
"""Need their programs."""

__all__ = ["PEERS", "TUNNELS", "YARDSTICK", "Direct", "LivePeer", "Nginx", "Peer", "Relay", "Tunnel"]
