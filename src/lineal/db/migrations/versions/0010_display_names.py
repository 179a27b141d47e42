"""Display names of collections: free text for people, beside the name that paths use."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.add_column("collections", sa.Column("display_name", sa.Text(), nullable=True))
