"""Tombstones: versions, runs and projects hidden by one deletion; `restoring` undoes it.

Everything is set-based: one statement per step, however many versions a deletion hides
(docs/design/003-deletion.md). Whoever writes takes locks in one order: project, run, collections,
versions, and several of a kind by id, so that no two wait for each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    Table,
    exists,
    func,
    insert,
    or_,
    select,
    update,
)

from lineal.core.records import PageRequest
from lineal.db import aliases as aliases_db
from lineal.db import collections as collections_db
from lineal.db import full_names
from lineal.db.conditions import LIVE_VERSION
from lineal.db.engine import batches, listed, on_sqlite
from lineal.db.fields import moment_field
from lineal.db.lineage import FIRST_LOGGED
from lineal.db.orders import fetch_page, parse_order
from lineal.db.protection import is_linked, is_protected
from lineal.db.schema import (
    collections,
    deletions,
    edges,
    entities,
    memberships,
    projects,
    runs,
    versions,
)

if TYPE_CHECKING:
    from lineal.db.rows import DeletionRow

USER, EXPIRED, RETENTION, PURGE = "user", "expired", "retention", "purge"
"""Why something was deleted."""


LOOKED_AT_ONCE = 5_000

# --- what goes with its collection, project or run ----------------------------------------------


def versions_of_collection(connection: Connection, collection_id: int) -> list[int]:
    """Return the live versions that were logged to a collection."""
    query = select(versions.c.id).where(versions.c.collection_id == collection_id, LIVE_VERSION)
    return list(connection.execute(query).scalars())


def versions_of_project(connection: Connection, project_id: int) -> list[int]:
    """Return the live versions that were logged to collections of a project."""
    query = (
        select(versions.c.id)
        .join(collections, collections.c.id == versions.c.collection_id)
        .where(collections.c.project_id == project_id, LIVE_VERSION)
    )
    return list(connection.execute(query).scalars())


def versions_of_run(connection: Connection, run: int) -> list[int]:
    """Return the live versions that this run was the first to log, whoever logged them again.

    Source: DEL-4.
    """
    touched = select(edges.c.version_id).where(edges.c.run_id == run)
    first = FIRST_LOGGED.where(edges.c.version_id.in_(touched)).group_by(edges.c.version_id)
    query = (
        select(edges.c.version_id)
        .join(versions, versions.c.id == edges.c.version_id)
        .where(edges.c.id.in_(first), edges.c.run_id == run, LIVE_VERSION)
    )
    return list(connection.scalars(query.order_by(edges.c.id)))


# --- hiding -------------------------------------------------------------------------------------


def record(connection: Connection, *, what: str, reason: str, actor: str, now: datetime) -> int:
    """Begin a deletion; returns its id, to which all that it hides will point."""
    id = connection.execute(
        insert(deletions)
        .values(what=what, reason=reason, deleted_by=actor, deleted_at=now)
        .returning(deletions.c.id)
    ).scalar_one()
    return int(id)


def hide_versions(
    connection: Connection,
    version_ids: Sequence[int],
    *,
    what: str,
    reason: str,
    actor: str,
    now: datetime,
) -> int:
    """Turn versions into tombstones by one deletion; returns its id.

    Those that are linked or have a protected alias by now, or are deleted already, are left
    alone. Their aliases go, with a line in the history each; where `latest` goes, it falls back
    to the highest live version (ALI-4).
    """
    deletion_id = record(connection, what=what, reason=reason, actor=actor, now=now)
    hide(connection, deletion_id, version_ids, actor=actor, now=now)
    return deletion_id


def hide(
    connection: Connection,
    deletion_id: int,
    version_ids: Iterable[int],
    *,
    actor: str,
    now: datetime,
    force: bool = False,
) -> int:
    """Add versions to a deletion; returns how many it hid.

    force: linked and protected ones, too.
    """
    ids = sorted(version_ids)
    _lock(connection, ids)
    kept = set() if force else _kept(connection, ids)
    hidden = 0
    for batch in batches(id for id in ids if id not in kept):
        which = versions.c.id.in_(batch)
        hidden += _hide(connection, versions, which, deletion_id, actor=actor, now=now)
    lost = aliases_db.take_from_deleted(connection, deletion_id, actor=actor, now=now)
    aliases_db.settle_latest(connection, lost, actor=actor, now=now)
    return hidden


def _kept(connection: Connection, version_ids: Sequence[int]) -> set[int]:
    """Return those that are linked or protected.

    One condition per statement and many versions in each: PostgreSQL plans both together, or in
    an UPDATE, as loops over all aliases.
    """
    kept: set[int] = set()
    for batch in batches(version_ids, LOOKED_AT_ONCE):
        for keeps in (is_linked(), is_protected()):
            query = select(versions.c.id).where(versions.c.id.in_(batch), keeps)
            kept.update(connection.execute(query).scalars())
    return kept


def hide_run(
    connection: Connection, deletion_id: int, run: int, *, actor: str, now: datetime
) -> None:
    _hide(connection, runs, runs.c.id == run, deletion_id, actor=actor, now=now)


def hide_project(
    connection: Connection, deletion_id: int, project_id: int, *, actor: str, now: datetime
) -> None:
    """Hide a project with its runs; versions are for `hide`."""
    for table, column in ((projects, projects.c.id), (runs, runs.c.project_id)):
        _hide(connection, table, column == project_id, deletion_id, actor=actor, now=now)


def _hide(
    connection: Connection,
    table: Table,
    which: ColumnElement[bool],
    deletion_id: int,
    *,
    actor: str,
    now: datetime,
) -> int:
    statement = update(table).where(which, table.c.deleted_at.is_(None))
    values = {"deleted_at": now, "deleted_by": actor, "deletion_id": deletion_id}
    return connection.execute(statement.values(**values)).rowcount


def _lock(connection: Connection, version_ids: Sequence[int]) -> None:
    """Let nobody number, alias or link these until the transaction ends (SQLite: already so).

    A link needs a share of the version's row for its foreign key, so it waits for the lock; the
    update that follows is a statement of its own and sees a link that was committed before it.
    """
    if on_sqlite(connection):
        return
    found: set[int] = set()
    for batch in batches(version_ids):
        query = select(memberships.c.collection_id).where(memberships.c.version_id.in_(batch))
        found.update(connection.execute(query.distinct()).scalars())
    collections_db.lock_all(connection, found)
    for batch in batches(version_ids):
        query = select(versions.c.id).where(versions.c.id.in_(batch)).order_by(versions.c.id)
        connection.execute(query.with_for_update()).all()


# --- reading ------------------------------------------------------------------------------------


def lock(connection: Connection, deletion_id: int) -> DeletionRow | None:
    """Return a deletion, and let nobody else undo it until the transaction ends."""
    own = select(deletions.c.id).where(deletions.c.id == deletion_id)
    connection.execute(own.with_for_update()).all()
    row = connection.execute(_listing().where(deletions.c.id == deletion_id)).one_or_none()
    return cast("DeletionRow | None", row)


def is_undone(connection: Connection, deletion_id: int) -> bool:
    """Say whether a deletion was undone, and let nobody do so until the transaction ends."""
    own = select(deletions.c.restored_at).where(deletions.c.id == deletion_id)
    return connection.execute(own.with_for_update()).scalar_one() is not None


def page(
    connection: Connection, request: PageRequest
) -> tuple[Sequence[DeletionRow], str | None, int | None]:
    """List all deletions, the newest first; returns rows, cursor and total."""
    fields = {"deleted_at": moment_field(deletions.c.deleted_at)}
    order = parse_order("-deleted_at", fields, deletions.c.id)
    rows, cursor, total = fetch_page(connection, _listing(), order, request)
    return cast("Sequence[DeletionRow]", rows), cursor, total


def hidden_versions(
    connection: Connection, deletion_ids: Sequence[int], limit: int
) -> dict[int, list[int]]:
    """Return the first versions that each deletion hid and that are still hidden."""
    found: dict[int, list[int]] = {id: [] for id in deletion_ids}
    own = versions.c.deletion_id
    number = func.row_number().over(partition_by=own, order_by=versions.c.id).label("number")
    hidden = (
        select(versions.c.id, own, number)
        .where(own.in_(listed(connection, deletion_ids)))
        .subquery()
    )
    first = select(hidden.c.deletion_id, hidden.c.id).where(hidden.c.number <= limit)
    for deletion_id, id in connection.execute(first.order_by(hidden.c.id)):
        found[deletion_id].append(id)
    return found


def newest_of_collection(connection: Connection, collection_id: int) -> int | None:
    """Return the last deletion that hid versions of a collection and can still be undone."""
    query = select(func.max(versions.c.deletion_id)).where(
        versions.c.collection_id == collection_id,
        versions.c.deleted_at.is_not(None),
        versions.c.released_at.is_(None),
    )
    return connection.execute(query).scalar()


def released_of_collection(
    connection: Connection, collection_id: int, deletion_id: int | None
) -> int:
    """Return how many versions of a collection a deletion hid whose content is gone since.

    deletion_id: None for the last that hid any there.
    """
    of_collection = versions.c.collection_id == collection_id
    last = select(func.max(versions.c.deletion_id)).where(of_collection).scalar_subquery()
    query = select(func.count()).where(
        of_collection,
        versions.c.deletion_id == (last if deletion_id is None else deletion_id),
        versions.c.released_at.is_not(None),
    )
    return connection.execute(query).scalar_one()


def reason_of(connection: Connection, version_id: int) -> str | None:
    """Return why a version was deleted: `USER`, `EXPIRED` …; None if it is live."""
    query = (
        select(deletions.c.reason)
        .join(versions, versions.c.deletion_id == deletions.c.id)
        .where(versions.c.id == version_id)
    )
    return connection.execute(query).scalar()


def hidden_project_of(connection: Connection, deletion_id: int) -> str | None:
    """Return the full name of a deleted project that holds what another deletion hid, if any."""
    holds = or_(
        exists().where(
            versions.c.deletion_id == deletion_id,
            collections.c.id == versions.c.collection_id,
            collections.c.project_id == projects.c.id,
        ),
        exists().where(runs.c.deletion_id == deletion_id, runs.c.project_id == projects.c.id),
    )
    query = (
        select(full_names.PROJECT)
        .join(entities, entities.c.id == projects.c.entity_id)
        .where(
            projects.c.deleted_at.is_not(None),
            or_(projects.c.deletion_id.is_(None), projects.c.deletion_id != deletion_id),
            holds,
        )
    )
    return connection.execute(query.limit(1)).scalar()


def _listing() -> Select[Any]:
    """Select deletions, and how much each still hides."""

    def count(table: Table, *conditions: ColumnElement[bool]) -> ColumnElement[int]:
        hidden = select(func.count()).where(table.c.deletion_id == deletions.c.id, *conditions)
        return hidden.correlate(deletions).scalar_subquery()

    released = [count(table, table.c.released_at.is_not(None)) for table in (versions, runs)]
    return select(
        deletions,
        count(versions).label("version_count"),
        count(runs).label("run_count"),
        count(projects).label("project_count"),
        (released[0] + released[1]).label("released_count"),
    )
