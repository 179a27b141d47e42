"""Time to live, retention policies, and deletions that can be undone."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
JSON = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")


def upgrade() -> None:
    op.create_table(
        "deletions",
        sa.Column("id", ID, nullable=False),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("deleted_by", sa.Text(), nullable=False),
        sa.Column("deleted_at", sa.BigInteger(), nullable=False),
        sa.Column("restored_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deletions")),
    )
    op.create_index("ix_deletions_deleted_at", "deletions", ["deleted_at"])
    for table in ("entities", "projects", "collections", "versions"):
        op.add_column(table, sa.Column("ttl_seconds", sa.BigInteger(), nullable=True))
    for table in ("projects", "collections"):
        op.add_column(table, sa.Column("retention", JSON, nullable=True))
    op.add_column("projects", sa.Column("protected_aliases", JSON, nullable=True))
    op.add_column("projects", sa.Column("deleted_at", sa.BigInteger(), nullable=True))
    op.add_column("projects", sa.Column("deleted_by", sa.Text(), nullable=True))
    for table in ("projects", "runs", "versions"):
        op.add_column(table, sa.Column("deletion_id", ID, nullable=True))
    for table in ("runs", "versions"):
        op.add_column(table, sa.Column("released_at", sa.BigInteger(), nullable=True))
    op.create_index("ix_versions_deletion_id", "versions", ["deletion_id"])
    is_condemned = sa.text("state = 'condemned'")
    op.create_index(
        "ix_blobs_condemned",
        "blobs",
        ["digest"],
        sqlite_where=is_condemned,
        postgresql_where=is_condemned,
    )
