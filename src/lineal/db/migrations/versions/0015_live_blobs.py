"""Which blobs are live is told by when they were condemned, not by their state.

The state changes once more for each blob, when it is stored, and with it went its place in the
index of digests: to mark 10,000 as stored took half again as long.
"""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    op.execute(
        "UPDATE blobs SET condemned_at = 0 WHERE state = 'condemned' AND condemned_at IS NULL"
    )
    op.drop_index("uq_blobs_digest_live", "blobs")
    is_live = sa.text("condemned_at IS NULL")
    op.create_index(
        "uq_blobs_digest_live",
        "blobs",
        ["digest"],
        unique=True,
        sqlite_where=is_live,
        postgresql_where=is_live,
    )
