"""The clusters' API servers, as far as their agents let the relay through."""

from relay.control.kubernetes.cluster import ClusterApi, OpenStream

__all__ = ["ClusterApi", "OpenStream"]
