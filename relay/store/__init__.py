"""The only code that talks to the database: engines, keys, queries per resource, records, cached look-ups.

`await database.read(workspaces.get, org_id, name)`; see docs/store.md.
"""

from relay.store import (
    api_keys,
    cluster_tokens,
    clusters,
    events,
    keys,
    login_codes,
    login_links,
    logins,
    members,
    orgs,
    users,
    workspaces,
)
from relay.store.database import Database
from relay.store.login_lookups import LoginLookups
from relay.store.lookups import Lookups
from relay.store.migrate import upgrade
from relay.store.records import (
    SYSTEM,
    Actor,
    AgentIdentity,
    ApiKey,
    Change,
    Cluster,
    ClusterToken,
    Endpoint,
    Event,
    GithubIdentity,
    GithubSource,
    HandOver,
    Image,
    Login,
    Member,
    Org,
    Ttl,
    User,
    Workspace,
    WorkspaceSpec,
)
from relay.store.rotation import rotate
from relay.store.status import Status, find_status

__all__ = [
    "SYSTEM",
    "Actor",
    "AgentIdentity",
    "ApiKey",
    "Change",
    "Cluster",
    "ClusterToken",
    "Database",
    "Endpoint",
    "Event",
    "GithubIdentity",
    "GithubSource",
    "HandOver",
    "Image",
    "Login",
    "LoginLookups",
    "Lookups",
    "Member",
    "Org",
    "Status",
    "Ttl",
    "User",
    "Workspace",
    "WorkspaceSpec",
    "api_keys",
    "cluster_tokens",
    "clusters",
    "events",
    "find_status",
    "keys",
    "login_codes",
    "login_links",
    "logins",
    "members",
    "orgs",
    "rotate",
    "upgrade",
    "users",
    "workspaces",
]
