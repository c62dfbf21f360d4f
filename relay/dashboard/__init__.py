"""Pages for people: signing in, and what there is to see."""

from relay.dashboard.application import make_app
from relay.dashboard.services import (
    ClusterStatus,
    Github,
    IdentityProvider,
    Memberships,
    PreviewUrl,
    Sealer,
    Services,
)

__all__ = [
    "ClusterStatus",
    "Github",
    "IdentityProvider",
    "Memberships",
    "PreviewUrl",
    "Sealer",
    "Services",
    "make_app",
]
