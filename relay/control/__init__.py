"""The REST API."""

from relay.control.application import make_api
from relay.control.services import ClusterStatus, PreviewUrl, Principals, Services

__all__ = ["ClusterStatus", "PreviewUrl", "Principals", "Services", "make_api"]
