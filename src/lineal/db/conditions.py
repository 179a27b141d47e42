"""Conditions on versions and memberships that many statements share."""

from __future__ import annotations

from sqlalchemy import and_

from lineal.db.schema import memberships, versions

LIVE_VERSION = versions.c.deleted_at.is_(None)
LIVE_MEMBERSHIP = and_(LIVE_VERSION, memberships.c.removed_at.is_(None))
"""The version is not deleted, nor was it unlinked from this collection."""
SOURCE_MEMBERSHIP = and_(
    memberships.c.version_id == versions.c.id,
    memberships.c.collection_id == versions.c.collection_id,
)
"""Joins a version to its membership in the collection that it was logged to."""
