"""Counts and sums over the whole instance."""

from __future__ import annotations

from sqlalchemy import Connection, func, select

from lineal.db.blobs import STORED, has_state
from lineal.db.drafts import OPEN
from lineal.db.schema import blobs, collections, drafts, projects, runs, versions


def counts(connection: Connection) -> dict[str, int]:
    """Count what is live, kind by kind."""
    queries = {
        "projects": select(func.count()).select_from(projects),
        "runs": select(func.count()).where(runs.c.deleted_at.is_(None)),
        "collections": select(func.count()).select_from(collections),
        "versions": select(func.count()).where(versions.c.deleted_at.is_(None)),
        "blobs": select(func.count()).where(has_state(STORED)),
        "drafts": select(func.count()).where(drafts.c.state == OPEN),
    }
    return {name: connection.execute(query).scalar_one() for name, query in queries.items()}


def stored_bytes(connection: Connection) -> tuple[int, int]:
    """Return (bytes of stored blobs, sum of the sizes of live versions)."""
    blob_bytes = connection.execute(
        select(func.coalesce(func.sum(blobs.c.size_bytes), 0)).where(has_state(STORED))
    ).scalar_one()
    versions_bytes = connection.execute(
        select(func.coalesce(func.sum(versions.c.size_bytes), 0)).where(
            versions.c.deleted_at.is_(None)
        )
    ).scalar_one()
    return int(blob_bytes), int(versions_bytes)
