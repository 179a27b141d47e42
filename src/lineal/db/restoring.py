"""Undoing deletions: what they hid is live again, with its aliases (DEL-7)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import (
    ColumnElement,
    Connection,
    Table,
    and_,
    exists,
    not_,
    select,
    update,
)

from lineal.db import aliases as aliases_db
from lineal.db import collections as collections_db
from lineal.db.engine import batches
from lineal.db.schema import (
    deletions,
    memberships,
    projects,
    runs,
    versions,
)

_NOT_DELETED = {"deleted_at": None, "deleted_by": None, "deletion_id": None}


@dataclass(frozen=True, slots=True)
class Back:
    """What was brought back."""

    version_ids: tuple[int, ...] = ()
    aliases: int = 0
    runs: int = 0
    projects: int = 0
    collections: int = 0


def restore(connection: Connection, deletion_id: int, *, actor: str, now: datetime) -> Back:
    """Undo a deletion: project, runs and versions that are not released come back."""
    returned = {
        table.name: connection.execute(
            update(table)
            .where(table.c.deletion_id == deletion_id, *_unreleased(table))
            .values(**_NOT_DELETED)
        ).rowcount
        for table in (projects, runs)
    }
    of_deletion = versions.c.deletion_id == deletion_id
    back = _restore_versions(connection, of_deletion, actor=actor, now=now)
    _close_restored(connection, [deletion_id], now)
    return replace(back, projects=returned["projects"], runs=returned["runs"])


def restore_version(connection: Connection, version_id: int, *, actor: str, now: datetime) -> Back:
    """Bring one version back, of however many its deletion hid."""
    return _restore_some(connection, versions.c.id == version_id, actor=actor, now=now)


def restore_in_collection(
    connection: Connection, collection_id: int, deletion_id: int, *, actor: str, now: datetime
) -> Back:
    """Bring back what a deletion hid in one collection."""
    which = and_(versions.c.collection_id == collection_id, versions.c.deletion_id == deletion_id)
    return _restore_some(connection, which, actor=actor, now=now)


def _unreleased(table: Table) -> list[ColumnElement[bool]]:
    return [table.c.released_at.is_(None)] if "released_at" in table.c else []


def _restore_some(
    connection: Connection, which: ColumnElement[bool], *, actor: str, now: datetime
) -> Back:
    hiding = select(versions.c.deletion_id).where(which, versions.c.deletion_id.is_not(None))
    ids = sorted(connection.execute(hiding.distinct()).scalars())
    for batch in batches(ids):  # before all that they hid, as whoever undoes one as a whole does
        own = select(deletions.c.id).where(deletions.c.id.in_(batch)).order_by(deletions.c.id)
        connection.execute(own.with_for_update()).all()
    back = _restore_versions(connection, which, actor=actor, now=now)
    _close_restored(connection, ids, now)
    return back


def _restore_versions(
    connection: Connection, which: ColumnElement[bool], *, actor: str, now: datetime
) -> Back:
    """Make tombstones live again that are not released.

    An alias comes back unless somebody set it since; `latest` goes where it then belongs.
    """
    hidden = and_(which, versions.c.deleted_at.is_not(None), versions.c.released_at.is_(None))
    touched = set(
        connection.execute(
            select(memberships.c.collection_id)
            .join(versions, versions.c.id == memberships.c.version_id)
            .where(hidden)
            .distinct()
        ).scalars()
    )
    collections_db.lock_all(connection, touched)
    returning = aliases_db.to_return(connection, hidden)
    statement = update(versions).where(hidden).values(**_NOT_DELETED).returning(versions.c.id)
    ids = tuple(connection.execute(statement).scalars())
    aliases_db.give_back(connection, returning, actor=actor, now=now)
    shown, settled = 0, 0
    for batch in batches(sorted(touched)):
        shown += collections_db.show(connection, batch)
        settled += aliases_db.settle_latest(connection, batch, actor=actor, now=now)
    return Back(ids, len(returning) + settled, collections=shown)


def _close_restored(connection: Connection, deletion_ids: Sequence[int], now: datetime) -> None:
    """Mark those deletions as undone that hide nothing any more."""
    for batch in batches(deletion_ids):
        hides = [
            exists().where(table.c.deletion_id == deletions.c.id)
            for table in (versions, runs, projects)
        ]
        connection.execute(
            update(deletions)
            .where(deletions.c.id.in_(batch), *(not_(each) for each in hides))
            .values(restored_at=now)
        )
