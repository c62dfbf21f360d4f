"""What clusters say of workspaces."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Brings the schema to this revision."""
    op.add_column("workspaces", sa.Column("in_cluster", sa.LargeBinary(), nullable=True))
