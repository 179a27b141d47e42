"""Counts and sums over the whole instance."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, func, select

from lineal.db.blobs import STORED, has_state
from lineal.db.collections import SHOWN
from lineal.db.conditions import LIVE_VERSION
from lineal.db.drafts import is_under_way
from lineal.db.schema import blobs, collections, projects, runs, versions


def counts(connection: Connection, now: datetime) -> dict[str, int]:
    """Count what is live, kind by kind."""
    is_live_project = projects.c.deleted_at.is_(None)
    queries = {
        "projects": select(func.count()).where(is_live_project),
        "runs": select(func.count()).where(runs.c.deleted_at.is_(None)),
        "collections": select(func.count())
        .select_from(collections.join(projects))
        .where(SHOWN, is_live_project),
        "versions": select(func.count()).where(LIVE_VERSION),
        "blobs": select(func.count()).where(has_state(STORED)),
        "drafts": select(func.count()).where(is_under_way(now)),
    }
    return {name: connection.execute(query).scalar_one() for name, query in queries.items()}


def stored_bytes(connection: Connection) -> tuple[int, int]:
    """Return (bytes of stored blobs, sum of the sizes of live versions)."""
    blob_bytes = connection.execute(
        select(func.coalesce(func.sum(blobs.c.size_bytes), 0)).where(has_state(STORED))
    ).scalar_one()
    versions_bytes = connection.execute(
        select(func.coalesce(func.sum(versions.c.size_bytes), 0)).where(LIVE_VERSION)
    ).scalar_one()
    return int(blob_bytes), int(versions_bytes)
