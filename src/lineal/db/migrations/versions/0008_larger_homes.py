"""Indexes for what is looked up among many runs and drafts."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    is_live = sa.text("deleted_at IS NULL")
    op.drop_index("ix_runs_project_id_created_at", "runs")
    op.create_index(
        "ix_runs_project_id_created_at",
        "runs",
        ["project_id", "created_at", "id"],
        sqlite_where=is_live,
        postgresql_where=is_live,
    )
    op.create_index("ix_runs_deletion_id", "runs", ["deletion_id"])
    op.create_index("ix_drafts_version_id", "drafts", ["version_id"])
