"""A grid's points are counted apart from a sweep's trials."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0005"

JSON = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")


def upgrade() -> None:
    op.add_column(
        "sweeps",
        sa.Column("next_point", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
    )
    op.add_column("sweeps", sa.Column("points_ahead", JSON, nullable=True))
    # until now a trial's number was its point's: none is handed out twice
    op.execute("UPDATE sweeps SET next_point = next_number")
