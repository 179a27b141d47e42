"""Which blobs were lost: of a version all others are stored, so that nobody need look at them."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    # Until now nothing told a lost blob from one that nobody has sent yet, but that a version needs
    # it. When it was stored is not known any more; any moment will do.
    op.execute(
        """
        UPDATE blobs SET stored_at = 0 WHERE state = 'awaited' AND EXISTS (
            SELECT 1 FROM segment_blobs
            JOIN manifest_segments ON manifest_segments.segment_id = segment_blobs.segment_id
            JOIN versions ON versions.manifest_id = manifest_segments.manifest_id
            WHERE segment_blobs.blob_id = blobs.id
        )
        """
    )
    is_lost = sa.text("state = 'awaited' AND stored_at IS NOT NULL")
    op.create_index(
        "ix_blobs_lost", "blobs", ["id"], sqlite_where=is_lost, postgresql_where=is_lost
    )
