"""Who may do what: principals, roles, and the one table that joins them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType

from relay.errors import ForbiddenError


class Role(Enum):
    """What a principal is in an org."""

    ADMIN = "admin"
    MEMBER = "member"


class Action(Enum):
    """What can be asked for; the value ends the sentence "may not …"."""

    READ_ORG = "read the org"
    READ_CLUSTERS = "read clusters"
    WRITE_CLUSTERS = "add, change or delete clusters"
    READ_CLUSTER_TOKENS = "list cluster tokens"
    WRITE_CLUSTER_TOKENS = "create or revoke cluster tokens"
    READ_WORKSPACES = "read workspaces"
    WRITE_WORKSPACES = "apply or delete workspaces"
    READ_API_KEYS = "list API keys"
    WRITE_API_KEYS = "create or revoke API keys"
    READ_MEMBERS = "list members"
    WRITE_MEMBERS = "change or remove members"
    READ_TEMPLATES = "read templates"
    WRITE_TEMPLATES = "apply or delete templates"
    READ_EVENTS = "read the events"
    VISIT_PREVIEWS = "visit previews"
    CONNECT = "open raw TCP connections into a cluster"


_BOTH = frozenset(Role)
_ADMIN = frozenset({Role.ADMIN})

POLICY: Mapping[Action, frozenset[Role]] = MappingProxyType(
    {
        Action.READ_ORG: _BOTH,
        Action.READ_CLUSTERS: _BOTH,
        Action.WRITE_CLUSTERS: _ADMIN,
        Action.READ_CLUSTER_TOKENS: _BOTH,
        Action.WRITE_CLUSTER_TOKENS: _ADMIN,
        Action.READ_WORKSPACES: _BOTH,
        Action.WRITE_WORKSPACES: _BOTH,
        Action.READ_API_KEYS: _BOTH,
        Action.WRITE_API_KEYS: _ADMIN,
        Action.READ_MEMBERS: _BOTH,
        Action.WRITE_MEMBERS: _ADMIN,
        Action.READ_TEMPLATES: _BOTH,
        Action.WRITE_TEMPLATES: _ADMIN,
        Action.READ_EVENTS: _BOTH,
        Action.VISIT_PREVIEWS: _BOTH,
        Action.CONNECT: _BOTH,
    }
)
"""The roles that may do each action: an admin everything, a member workspaces and reading the rest."""


class PrincipalKind(Enum):
    """How a principal proved who it is."""

    API_KEY = "api_key"
    LOGIN = "login"


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """A principal's place in one org."""

    org_id: str
    org: str
    """The org's name."""
    role: Role


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Whom a credential stands for."""

    kind: PrincipalKind
    credential_id: str
    """Id of the credential's record; what the audit events name."""
    name: str = field(default="", repr=False)
    """What people call a user; empty for a program."""
    memberships: tuple[Membership, ...]
    """The orgs it belongs to, each once."""

    def membership(self, org: str) -> Membership | None:
        """The membership in the org of that name; None when there is none."""
        return next((membership for membership in self.memberships if membership.org == org), None)


def permits(role: Role, action: Action) -> bool:
    """Whether a role may do an action."""
    return role in POLICY[action]


def require(principal: Principal, org: str, action: Action) -> Membership:
    """The membership by which `principal` may do `action` in the org of that name.

    Raises ForbiddenError, in the same words whether the org exists or not, when the principal does not belong to it.
    """
    membership = principal.membership(org)
    if membership is None:
        raise ForbiddenError(f"this credential does not belong to the org {org!r}")
    if not permits(membership.role, action):
        raise ForbiddenError(f"a {membership.role.value} of the org {org!r} may not {action.value}")
    return membership
