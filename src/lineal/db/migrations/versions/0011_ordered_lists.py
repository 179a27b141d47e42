"""Indexes that hold the runs of a sweep, and what a run used and logged, in their order."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    of_a_sweep = sa.text("sweep_id IS NOT NULL AND deleted_at IS NULL")
    op.drop_index("ix_runs_project_id_sweep_id", "runs")
    op.create_index(
        "ix_runs_project_id_sweep_id",
        "runs",
        ["project_id", "sweep_id", "created_at", "id"],
        sqlite_where=of_a_sweep,
        postgresql_where=of_a_sweep,
    )
    op.create_index("ix_edges_run_id_kind", "edges", ["run_id", "kind"])
