"""Accepting agents' tunnels and keeping the registry of those that live."""

from relay.tunnels.acceptor import LoginResult, TunnelAcceptor
from relay.tunnels.identity import AgentIdentity, Authenticate
from relay.tunnels.registry import ClusterStatus, Registry

__all__ = ["AgentIdentity", "Authenticate", "ClusterStatus", "LoginResult", "Registry", "TunnelAcceptor"]
