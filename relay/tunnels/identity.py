"""Whom a cluster token stands for."""

from collections.abc import Awaitable, Callable
from typing import Protocol


class AgentIdentity(Protocol):
    """The cluster of an agent that has logged in, and the token it used."""

    @property
    def cluster_id(self) -> str:
        """Id of the cluster."""

    @property
    def cluster_name(self) -> str:
        """Its name, for logs."""

    @property
    def org_id(self) -> str:
        """Id of the org that owns it."""

    @property
    def token_id(self) -> str:
        """Id of the token."""


Authenticate = Callable[[str], Awaitable[AgentIdentity]]
"""Gives the identity for a cluster token. Raises UnauthenticatedError, or StoreUnavailableError."""
