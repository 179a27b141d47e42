"""Which moves of an alias somebody asked for; the others went or came back with their version."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    op.add_column(
        "alias_moves",
        sa.Column("asked_for", sa.Boolean(), server_default=sa.text("true"), nullable=False),
    )
    # Until now only the moment told: that of a deletion, a restoration or the end of a link.
    op.execute(
        """
        UPDATE alias_moves SET asked_for = false
        WHERE moved_at IN (SELECT deleted_at FROM deletions)
        OR moved_at IN (SELECT restored_at FROM deletions WHERE restored_at IS NOT NULL)
        OR (collection_id, moved_at) IN (
            SELECT collection_id, removed_at FROM memberships WHERE removed_at IS NOT NULL
        )
        """
    )
    # When a part of an act was restored, `latest` went to a lower number than it was lost from.
    op.execute(
        """
        UPDATE alias_moves SET asked_for = false
        WHERE alias = 'latest' AND before_number IS NULL AND EXISTS (
            SELECT 1 FROM alias_moves AS lost
            WHERE lost.id = (
                SELECT max(earlier.id) FROM alias_moves AS earlier
                WHERE earlier.collection_id = alias_moves.collection_id
                AND earlier.alias = alias_moves.alias AND earlier.id < alias_moves.id
            )
            AND NOT lost.asked_for AND lost.after_number IS NULL
            AND lost.before_number > alias_moves.after_number
        )
        """
    )
