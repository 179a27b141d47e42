"""Collections that were deleted: left out of lists until there is something in them again."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.add_column("collections", sa.Column("deleted_at", sa.BigInteger(), nullable=True))
    op.add_column("collections", sa.Column("deleted_by", sa.Text(), nullable=True))
