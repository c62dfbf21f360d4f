"""The tables. Columns made by `_sealed` hold sealed values only; `relay.store.rows` seals and unseals them."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    UniqueConstraint,
)

ID_CHARACTERS = 32
"""Ids are 128 bits in hexadecimal, the time in front; see `relay.store.ids`."""

# Named constraints, so that migrations can speak of them on every engine.
metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _id() -> Column[str]:
    return Column("id", String(ID_CHARACTERS), primary_key=True)


def _parent(name: str, target: str, *, cascade: bool = True) -> Column[str]:
    key = ForeignKey(f"{target}.id", ondelete="CASCADE" if cascade else "RESTRICT")
    return Column(name, String(ID_CHARACTERS), key, nullable=False)


def _sealed(name: str, *, nullable: bool = False) -> Column[bytes]:
    return Column(name, LargeBinary, nullable=nullable, info={"sealed": True})


def _blind(name: str = "name_index", *, of: str = "name", nullable: bool = False) -> Column[bytes]:
    # `of` names the sealed column that the hash is made from: a new key makes it anew.
    return Column(name, LargeBinary(32), nullable=nullable, info={"blind_of": of})


def _time(name: str, *, nullable: bool = False) -> Column[float]:
    return Column(name, Double, nullable=nullable)  # seconds since the epoch, UTC


sealing_keys = Table(
    "sealing_keys",
    metadata,
    Column("id", String(8), primary_key=True),
    Column("wrapped", LargeBinary, nullable=False),  # the key, encrypted under the master key
    Column("master_id", String(8), nullable=False),
    Column("state", String(16), nullable=False),  # active, retiring, retired
    _time("created_at"),
)

orgs = Table(
    "orgs",
    metadata,
    _id(),
    _sealed("name"),
    _blind(),
    _sealed("github_account", nullable=True),
    _blind("github_account_index", of="github_account", nullable=True),
    Column("github_account_id", BigInteger, nullable=True),  # stays when the account takes another name
    _time("created_at"),
    UniqueConstraint("name_index"),
    Index(None, "github_account_index", unique=True),
)

api_keys = Table(
    "api_keys",
    metadata,
    _id(),
    _parent("org_id", "orgs"),
    Column("role", String(16), nullable=False),
    _sealed("details"),  # JSON: name, last four characters, who made it
    Column("token_hash", LargeBinary(32), nullable=False),
    Column("pepper_version", String(16), nullable=False),
    _time("created_at"),
    _time("last_used_at", nullable=True),
    UniqueConstraint("token_hash"),
    Index(None, "org_id", "id"),
)

clusters = Table(
    "clusters",
    metadata,
    _id(),
    _parent("org_id", "orgs"),
    _sealed("name"),
    _blind(),
    _time("created_at"),
    _time("last_seen_at", nullable=True),
    UniqueConstraint("org_id", "name_index"),
    Index(None, "org_id", "id"),
)

cluster_tokens = Table(
    "cluster_tokens",
    metadata,
    _id(),
    _parent("org_id", "orgs"),
    _parent("cluster_id", "clusters"),
    _sealed("details"),  # JSON: description, last four characters, who made it
    Column("token_hash", LargeBinary(32), nullable=False),
    Column("pepper_version", String(16), nullable=False),
    _time("created_at"),
    _time("last_used_at", nullable=True),
    UniqueConstraint("token_hash"),
    Index(None, "cluster_id", "id"),
    Index(None, "org_id"),
)

workspaces = Table(
    "workspaces",
    metadata,
    _id(),
    _parent("org_id", "orgs"),
    _parent("cluster_id", "clusters", cascade=False),
    _sealed("name"),
    _blind(),
    Column("routing_key", String(ID_CHARACTERS), nullable=False),
    _sealed("spec"),  # JSON: description, labels, routing headers, forks, ttl
    _sealed("repository", nullable=True),
    _sealed("organisation", nullable=True),  # the owner part of the repository
    _sealed("branch", nullable=True),
    _sealed("head_commit", nullable=True),
    _sealed("pull_request", nullable=True),
    Column("origin", String(16), nullable=False, server_default="api"),  # api, template
    Column("revision", Integer, nullable=False, server_default="1"),  # grows with each change of the specification
    _sealed("in_cluster", nullable=True),  # JSON: what the agent's controller last said
    _time("created_at"),
    _time("updated_at"),
    _time("expires_at", nullable=True),
    UniqueConstraint("org_id", "name_index"),
    UniqueConstraint("routing_key"),
    Index(None, "org_id", "id"),
    Index(None, "cluster_id"),
    Index(None, "expires_at"),
)

workspace_images = Table(
    "workspace_images",
    metadata,
    _id(),
    _parent("workspace_id", "workspaces"),
    Column("position", Integer, nullable=False),
    _sealed("name"),
    _sealed("new_tag"),
    UniqueConstraint("workspace_id", "position"),
)

workspace_endpoints = Table(
    "workspace_endpoints",
    metadata,
    _id(),
    _parent("workspace_id", "workspaces"),
    Column("position", Integer, nullable=False),
    _sealed("name"),
    _sealed("target"),
    Column("visibility", String(16), nullable=False),
    Column("host_header", String(16), nullable=False),
    Column("preflight", String(16), nullable=False),
    _sealed("extras"),  # JSON: routing headers, allowed origins
    UniqueConstraint("workspace_id", "position"),
)

events = Table(
    "events",
    metadata,
    _id(),
    _parent("org_id", "orgs"),
    _time("at"),
    Column("actor_kind", String(16), nullable=False),
    Column("actor_id", String(64), nullable=False),
    _sealed("actor_last_four"),
    _sealed("actor_name", nullable=True),
    Column("action", String(16), nullable=False),
    Column("object_kind", String(32), nullable=False),
    Column("object_id", String(ID_CHARACTERS), nullable=False),
    _sealed("object_name"),
    Index(None, "org_id", "id"),
)

changes = Table(
    "changes",
    metadata,
    _id(),
    Column("kind", String(32), nullable=False),
    Column("object_id", String(ID_CHARACTERS), nullable=False),
    Column("org_id", String(ID_CHARACTERS), nullable=False),  # empty for what belongs to no org
    _sealed("name"),
    Column("deleted", Boolean, nullable=False),
)
"""What other processes must hear of; kept for an hour. Not the audit events, which are kept."""

users = Table(
    "users",
    metadata,
    _id(),
    Column("provider", String(16), nullable=False),  # github, local
    _sealed("subject"),  # provider|id at the provider
    _blind("subject_index", of="subject"),
    _sealed("login"),  # what people call them; may change at the provider
    _time("created_at"),
    _time("last_login_at", nullable=True),
    UniqueConstraint("subject_index"),
)

memberships = Table(
    "memberships",
    metadata,
    _id(),
    _parent("org_id", "orgs"),
    _parent("user_id", "users"),
    Column("role", String(16), nullable=False),
    Column("source", String(16), nullable=False),  # github, local
    Column("active", Boolean, nullable=False),  # false: GitHub said no; the role is kept for their return
    _time("checked_at"),
    _time("created_at"),
    UniqueConstraint("org_id", "user_id"),
    Index(None, "user_id"),
)

logins = Table(
    "logins",
    metadata,
    _id(),
    _parent("user_id", "users"),
    Column("token_hash", LargeBinary(32), nullable=False),
    _time("created_at"),
    _time("expires_at"),
    _time("last_used_at", nullable=True),
    UniqueConstraint("token_hash"),
    Index(None, "user_id"),
    Index(None, "expires_at"),
)

login_codes = Table(
    "login_codes",
    metadata,
    _id(),
    _parent("login_id", "logins"),
    Column("code_hash", LargeBinary(32), nullable=False),
    Column("nonce_hash", LargeBinary(32), nullable=False),
    _sealed("details"),  # JSON: host, where to return to
    _time("expires_at"),
    UniqueConstraint("code_hash"),
    Index(None, "login_id"),
    Index(None, "expires_at"),
)

login_links = Table(
    "login_links",
    metadata,
    _id(),
    _parent("user_id", "users"),
    Column("token_hash", LargeBinary(32), nullable=False),
    _time("expires_at"),
    UniqueConstraint("token_hash"),
    Index(None, "user_id"),
    Index(None, "expires_at"),
)

github_installations = Table(
    "github_installations",
    metadata,
    _id(),
    _parent("org_id", "orgs"),
    Column("installation_id", BigInteger, nullable=False),
    Column("suspended", Boolean, nullable=False),
    _time("created_at"),
    UniqueConstraint("org_id"),
    UniqueConstraint("installation_id"),
)

workspace_templates = Table(
    "workspace_templates",
    metadata,
    _id(),
    _parent("org_id", "orgs"),
    _sealed("repository"),  # owner/name in lower case
    _blind("repository_index", of="repository"),
    _sealed("template"),  # JSON: the specification with its placeholders
    _time("created_at"),
    _time("updated_at"),
    UniqueConstraint("org_id", "repository_index"),
    Index(None, "org_id", "id"),
)

deliveries = Table(
    "deliveries",
    metadata,
    _id(),
    Column("guid", String(64), nullable=False),
    Column("event", String(32), nullable=False),
    _sealed("payload", nullable=True),  # JSON: what the work needs of the body; gone once the work is done
    Column("state", String(16), nullable=False),  # queued, done, failed
    Column("attempts", Integer, nullable=False),
    _time("received_at"),
    _time("due_at"),
    _time("claimed_until", nullable=True),
    _sealed("problem", nullable=True),
    UniqueConstraint("guid"),
    Index(None, "state", "due_at"),
    Index(None, "received_at"),
)

commit_statuses = Table(
    "commit_statuses",
    metadata,
    _id(),
    _parent("org_id", "orgs"),
    _sealed("place"),  # owner/name|commit|context
    _blind("place_index", of="place"),
    Column("workspace_id", String(ID_CHARACTERS), nullable=True),
    Column("state", String(16), nullable=False),  # pending, success, failure
    _sealed("details"),  # JSON: description, target URL
    Column("version", Integer, nullable=False),  # grows with each change of what is to be said
    Column("sent_version", Integer, nullable=False),  # the last one that GitHub took
    Column("attempts", Integer, nullable=False),
    _time("due_at", nullable=True),  # null: GitHub has the last version
    _time("claimed_until", nullable=True),
    _sealed("problem", nullable=True),
    _time("updated_at"),
    UniqueConstraint("org_id", "place_index"),
    Index(None, "due_at"),
    Index(None, "workspace_id"),
)
