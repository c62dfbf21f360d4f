"""Logins, GitHub, sealing keys, notices of changes; expiry, origin and revision of workspaces."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Brings the schema to this revision."""
    _extend_tables()
    _create_changes()
    _create_deliveries()
    _create_sealing_keys()
    _create_users()
    _create_commit_statuses()
    _create_github_installations()
    _create_login_links()
    _create_logins()
    _create_memberships()
    _create_workspace_templates()
    _create_login_codes()


def _extend_tables() -> None:
    # Plain ALTER TABLE only: where SQLite has to copy a table, dropping the old one would delete what refers to it.
    op.add_column("events", sa.Column("actor_name", sa.LargeBinary(), nullable=True))
    op.add_column("orgs", sa.Column("github_account", sa.LargeBinary(), nullable=True))
    op.add_column("orgs", sa.Column("github_account_index", sa.LargeBinary(length=32), nullable=True))
    op.add_column("orgs", sa.Column("github_account_id", sa.BigInteger(), nullable=True))
    op.create_index("ix_orgs_github_account_index", "orgs", ["github_account_index"], unique=True)
    op.add_column("workspaces", sa.Column("origin", sa.String(length=16), nullable=False, server_default="api"))
    op.add_column("workspaces", sa.Column("revision", sa.Integer(), nullable=False, server_default="1"))
    op.add_column("workspaces", sa.Column("expires_at", sa.Double(), nullable=True))
    op.create_index("ix_workspaces_expires_at", "workspaces", ["expires_at"])


def _create_changes() -> None:
    op.create_table(
        "changes",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("object_id", sa.String(length=32), nullable=False),
        sa.Column("org_id", sa.String(length=32), nullable=False),
        sa.Column("name", sa.LargeBinary(), nullable=False),
        sa.Column("deleted", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_changes"),
    )


def _create_deliveries() -> None:
    op.create_table(
        "deliveries",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("guid", sa.String(length=64), nullable=False),
        sa.Column("event", sa.String(length=32), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=True),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("received_at", sa.Double(), nullable=False),
        sa.Column("due_at", sa.Double(), nullable=False),
        sa.Column("claimed_until", sa.Double(), nullable=True),
        sa.Column("problem", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_deliveries"),
        sa.UniqueConstraint("guid", name="uq_deliveries_guid"),
    )
    op.create_index("ix_deliveries_received_at", "deliveries", ["received_at"])
    op.create_index("ix_deliveries_state_due_at", "deliveries", ["state", "due_at"])


def _create_sealing_keys() -> None:
    op.create_table(
        "sealing_keys",
        sa.Column("id", sa.String(length=8), nullable=False),
        sa.Column("wrapped", sa.LargeBinary(), nullable=False),
        sa.Column("master_id", sa.String(length=8), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_sealing_keys"),
    )


def _create_users() -> None:
    op.create_table(
        "users",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("provider", sa.String(length=16), nullable=False),
        sa.Column("subject", sa.LargeBinary(), nullable=False),
        sa.Column("subject_index", sa.LargeBinary(length=32), nullable=False),
        sa.Column("login", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("last_login_at", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_users"),
        sa.UniqueConstraint("subject_index", name="uq_users_subject_index"),
    )


def _create_commit_statuses() -> None:
    op.create_table(
        "commit_statuses",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("org_id", sa.String(length=32), nullable=False),
        sa.Column("place", sa.LargeBinary(), nullable=False),
        sa.Column("place_index", sa.LargeBinary(length=32), nullable=False),
        sa.Column("workspace_id", sa.String(length=32), nullable=True),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("details", sa.LargeBinary(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("sent_version", sa.Integer(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("due_at", sa.Double(), nullable=True),
        sa.Column("claimed_until", sa.Double(), nullable=True),
        sa.Column("problem", sa.LargeBinary(), nullable=True),
        sa.Column("updated_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["org_id"], ["orgs.id"], name="fk_commit_statuses_org_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_commit_statuses"),
        sa.UniqueConstraint("org_id", "place_index", name="uq_commit_statuses_org_id_place_index"),
    )
    op.create_index("ix_commit_statuses_due_at", "commit_statuses", ["due_at"])
    op.create_index("ix_commit_statuses_workspace_id", "commit_statuses", ["workspace_id"])


def _create_github_installations() -> None:
    op.create_table(
        "github_installations",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("org_id", sa.String(length=32), nullable=False),
        sa.Column("installation_id", sa.BigInteger(), nullable=False),
        sa.Column("suspended", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["org_id"], ["orgs.id"], name="fk_github_installations_org_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_github_installations"),
        sa.UniqueConstraint("installation_id", name="uq_github_installations_installation_id"),
        sa.UniqueConstraint("org_id", name="uq_github_installations_org_id"),
    )


def _create_login_links() -> None:
    op.create_table(
        "login_links",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("user_id", sa.String(length=32), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("expires_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_login_links_user_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_login_links"),
        sa.UniqueConstraint("token_hash", name="uq_login_links_token_hash"),
    )
    op.create_index("ix_login_links_expires_at", "login_links", ["expires_at"])
    op.create_index("ix_login_links_user_id", "login_links", ["user_id"])


def _create_logins() -> None:
    op.create_table(
        "logins",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("user_id", sa.String(length=32), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("expires_at", sa.Double(), nullable=False),
        sa.Column("last_used_at", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_logins_user_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_logins"),
        sa.UniqueConstraint("token_hash", name="uq_logins_token_hash"),
    )
    op.create_index("ix_logins_expires_at", "logins", ["expires_at"])
    op.create_index("ix_logins_user_id", "logins", ["user_id"])


def _create_memberships() -> None:
    op.create_table(
        "memberships",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("org_id", sa.String(length=32), nullable=False),
        sa.Column("user_id", sa.String(length=32), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("source", sa.String(length=16), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("checked_at", sa.Double(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["org_id"], ["orgs.id"], name="fk_memberships_org_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_memberships_user_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_memberships"),
        sa.UniqueConstraint("org_id", "user_id", name="uq_memberships_org_id_user_id"),
    )
    op.create_index("ix_memberships_user_id", "memberships", ["user_id"])


def _create_workspace_templates() -> None:
    op.create_table(
        "workspace_templates",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("org_id", sa.String(length=32), nullable=False),
        sa.Column("repository", sa.LargeBinary(), nullable=False),
        sa.Column("repository_index", sa.LargeBinary(length=32), nullable=False),
        sa.Column("template", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("updated_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["org_id"], ["orgs.id"], name="fk_workspace_templates_org_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_workspace_templates"),
        sa.UniqueConstraint("org_id", "repository_index", name="uq_workspace_templates_org_id_repository_index"),
    )
    op.create_index("ix_workspace_templates_org_id_id", "workspace_templates", ["org_id", "id"])


def _create_login_codes() -> None:
    op.create_table(
        "login_codes",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("login_id", sa.String(length=32), nullable=False),
        sa.Column("code_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("nonce_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("details", sa.LargeBinary(), nullable=False),
        sa.Column("expires_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["login_id"], ["logins.id"], name="fk_login_codes_login_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_login_codes"),
        sa.UniqueConstraint("code_hash", name="uq_login_codes_code_hash"),
    )
    op.create_index("ix_login_codes_expires_at", "login_codes", ["expires_at"])
    op.create_index("ix_login_codes_login_id", "login_codes", ["login_id"])
