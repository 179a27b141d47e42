"""Which versions a version took entries over from."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "derivations",
        sa.Column("version_id", ID, nullable=False),
        sa.Column("source_id", ID, nullable=False),
        sa.ForeignKeyConstraint(
            ["version_id"], ["versions.id"], name=op.f("fk_derivations_version_id")
        ),
        sa.ForeignKeyConstraint(
            ["source_id"], ["versions.id"], name=op.f("fk_derivations_source_id")
        ),
        sa.PrimaryKeyConstraint("version_id", "source_id", name=op.f("pk_derivations")),
    )
    op.create_index("ix_derivations_source_id", "derivations", ["source_id"])
    op.execute(
        "INSERT INTO derivations (version_id, source_id) "
        "SELECT id, base_version_id FROM versions WHERE base_version_id IS NOT NULL"
    )
