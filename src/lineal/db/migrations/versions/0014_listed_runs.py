"""The index of a project's runs holds on SQLite what they are filtered and ordered by."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    if op.get_bind().dialect.name != "sqlite":
        return
    op.drop_index("ix_runs_project_id_created_at", "runs")
    op.create_index(
        "ix_runs_project_id_created_at",
        "runs",
        [
            "project_id",
            "created_at",
            "id",
            "deleted_at",
            "state",
            "heartbeat_at",
            "runtime_seconds",
            "run_id",
            "name",
            "group_name",
            "job_type",
            "created_by",
            "host",
        ],
        sqlite_where=sa.text("deleted_at IS NULL"),
    )
