"""The tables. Columns made by `_sealed` hold sealed values only; `relay.store.rows` seals and unseals them."""

from sqlalchemy import (
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


def _blind(name: str = "name_index") -> Column[bytes]:
    return Column(name, LargeBinary(32), nullable=False)


def _time(name: str, *, nullable: bool = False) -> Column[float]:
    return Column(name, Double, nullable=nullable)  # seconds since the epoch, UTC


orgs = Table("orgs", metadata, _id(), _sealed("name"), _blind(), _time("created_at"), UniqueConstraint("name_index"))

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
    _sealed("spec"),  # JSON: description, labels, routing headers, ttl
    _sealed("repository", nullable=True),
    _sealed("organisation", nullable=True),  # the owner part of the repository
    _sealed("branch", nullable=True),
    _sealed("head_commit", nullable=True),
    _sealed("pull_request", nullable=True),
    _time("created_at"),
    _time("updated_at"),
    UniqueConstraint("org_id", "name_index"),
    UniqueConstraint("routing_key"),
    Index(None, "org_id", "id"),
    Index(None, "cluster_id"),
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
    Column("action", String(16), nullable=False),
    Column("object_kind", String(32), nullable=False),
    Column("object_id", String(ID_CHARACTERS), nullable=False),
    _sealed("object_name"),
    Index(None, "org_id", "id"),
)
