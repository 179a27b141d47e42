"""Undoing acts of deleting: what they hid is live again, with its aliases (DEL-7)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    Table,
    and_,
    exists,
    func,
    insert,
    not_,
    select,
    update,
)

from lineal.core.names import LATEST
from lineal.db import collections as collections_db
from lineal.db import engine
from lineal.db.blobs import batches
from lineal.db.deletion import fall_back, lock_collections, move
from lineal.db.schema import (
    alias_moves,
    aliases,
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
    """Undo an act: project, runs and versions that are not released come back."""
    returned = {
        table.name: connection.execute(
            update(table)
            .where(table.c.deletion_id == deletion_id, *_unreleased(table))
            .values(**_NOT_DELETED)
        ).rowcount
        for table in (projects, runs)
    }
    of_act = versions.c.deletion_id == deletion_id
    back = _restore_versions(connection, of_act, actor=actor, now=now)
    _close_restored(connection, [deletion_id], now)
    return replace(back, projects=returned["projects"], runs=returned["runs"])


def restore_version(connection: Connection, version_id: int, *, actor: str, now: datetime) -> Back:
    """Bring one version back, of however many its act hid."""
    return _restore_some(connection, versions.c.id == version_id, actor=actor, now=now)


def restore_in_collection(
    connection: Connection, collection_id: int, deletion_id: int, *, actor: str, now: datetime
) -> Back:
    """Bring back what an act hid in one collection."""
    which = and_(versions.c.collection_id == collection_id, versions.c.deletion_id == deletion_id)
    return _restore_some(connection, which, actor=actor, now=now)


def _unreleased(table: Table) -> list[ColumnElement[bool]]:
    return [table.c.released_at.is_(None)] if "released_at" in table.c else []


def _restore_some(
    connection: Connection, which: ColumnElement[bool], *, actor: str, now: datetime
) -> Back:
    acts = select(versions.c.deletion_id).where(which, versions.c.deletion_id.is_not(None))
    ids = list(connection.execute(acts.distinct()).scalars())
    back = _restore_versions(connection, which, actor=actor, now=now)
    _close_restored(connection, ids, now)
    return back


def _restore_versions(
    connection: Connection, which: ColumnElement[bool], *, actor: str, now: datetime
) -> Back:
    """Make tombstones live again that are not released.

    An alias comes back unless somebody set it since.
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
    lock_collections(connection, touched)
    returning = connection.execute(_aliases_to_return(hidden)).all()
    statement = update(versions).where(hidden).values(**_NOT_DELETED).returning(versions.c.id)
    ids = tuple(connection.execute(statement).scalars())
    _return_aliases(connection, returning, actor=actor, now=now)
    shown = 0
    for batch in batches(sorted(touched)):
        shown += collections_db.show(connection, batch)
        fall_back(connection, _lost_latest(connection, batch), actor=actor, now=now)
    return Back(ids, len(returning), collections=shown)


def _aliases_to_return(hidden: ColumnElement[bool]) -> Select[Any]:
    """Select the aliases that deleted versions had, unless somebody set them since.

    A move at the very moment of a deletion or restoration is `latest` falling back, or another
    version's alias coming back, which nobody asked for. Nor did anybody put `latest` from nowhere
    on a lower number: that was the only version left when part of an act was restored.
    """
    since, act = alias_moves.alias("since"), deletions.alias("act")
    fell_back = and_(
        since.c.alias == LATEST,
        since.c.before_number.is_(None),
        since.c.after_number < alias_moves.c.before_number,
    )
    was_set = exists().where(
        since.c.collection_id == alias_moves.c.collection_id,
        since.c.alias == alias_moves.c.alias,
        since.c.id > alias_moves.c.id,
        since.c.after_number.is_not(None),
        not_(fell_back),
        not_(exists().where(act.c.deleted_at == since.c.moved_at)),
        not_(exists().where(act.c.restored_at == since.c.moved_at)),
    )
    now_on = memberships.alias("now_on")
    return (
        select(
            alias_moves.c.collection_id,
            alias_moves.c.alias,
            memberships.c.id.label("membership_id"),
            memberships.c.number,
            now_on.c.number.label("before"),
        )
        .join(
            memberships,
            and_(
                memberships.c.collection_id == alias_moves.c.collection_id,
                memberships.c.number == alias_moves.c.before_number,
            ),
        )
        .join(versions, versions.c.id == memberships.c.version_id)
        .outerjoin(
            aliases,
            and_(
                aliases.c.collection_id == alias_moves.c.collection_id,
                aliases.c.alias == alias_moves.c.alias,
            ),
        )
        .outerjoin(now_on, now_on.c.id == aliases.c.membership_id)
        .where(
            hidden,
            memberships.c.removed_at.is_(None),
            alias_moves.c.moved_at == versions.c.deleted_at,
            alias_moves.c.after_number.is_(None),
            not_(was_set),
        )
        .order_by(alias_moves.c.id)
    )


def _return_aliases(
    connection: Connection, rows: Sequence[Row[Any]], *, actor: str, now: datetime
) -> None:
    if not rows:
        return
    statement = engine.insert(connection, aliases)
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=[aliases.c.collection_id, aliases.c.alias],
            set_={"membership_id": statement.excluded.membership_id},
        ),
        [
            {
                "collection_id": row.collection_id,
                "alias": row.alias,
                "membership_id": row.membership_id,
            }
            for row in rows
        ],
    )
    connection.execute(
        insert(alias_moves),
        [move(row.collection_id, row.alias, row.before, row.number, actor, now) for row in rows],
    )


def _lost_latest(connection: Connection, collection_ids: Sequence[int]) -> list[int]:
    """Return the collections where `latest` went with its version or link: nobody took it off."""
    newest = (
        select(func.max(alias_moves.c.id))
        .where(alias_moves.c.collection_id.in_(collection_ids), alias_moves.c.alias == LATEST)
        .group_by(alias_moves.c.collection_id)
    )
    query = (
        select(alias_moves.c.collection_id)
        .join(
            memberships,
            and_(
                memberships.c.collection_id == alias_moves.c.collection_id,
                memberships.c.number == alias_moves.c.before_number,
            ),
        )
        .join(versions, versions.c.id == memberships.c.version_id)
        .where(
            alias_moves.c.id.in_(newest),
            alias_moves.c.after_number.is_(None),
            alias_moves.c.moved_at.in_((versions.c.deleted_at, memberships.c.removed_at)),
        )
    )
    return list(connection.execute(query).scalars())


def _close_restored(connection: Connection, deletion_ids: Sequence[int], now: datetime) -> None:
    """Mark those acts as undone that hide nothing any more."""
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
