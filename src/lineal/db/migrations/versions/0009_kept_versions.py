"""Versions that were restored although a policy lets them go, and that it leaves alone since."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.add_column("versions", sa.Column("kept_at", sa.BigInteger(), nullable=True))
