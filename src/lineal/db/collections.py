"""Collections: everything that shares one name, its type, its aliases."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

from sqlalchemy import (
    Connection,
    Integer,
    Row,
    Select,
    bindparam,
    case,
    exists,
    func,
    select,
    update,
)
from sqlalchemy import insert as plain_insert

from lineal.core.names import LATEST, is_generated
from lineal.core.records import CollectionId, CollectionKind, CollectionRecord
from lineal.db import redirects
from lineal.db.conditions import LIVE_MEMBERSHIP
from lineal.db.engine import batches, insert, on_sqlite
from lineal.db.prepared import Prepared
from lineal.db.schema import (
    aliases,
    collection_tags,
    collections,
    entities,
    memberships,
    projects,
    runs,
    versions,
)

if TYPE_CHECKING:
    from lineal.db.rows import CollectionRow, LogTargetRow

SHOWN = collections.c.deleted_at.is_(None)

# Statements of the path that every logged version takes.
_FIND = Prepared(
    select(collections).where(
        collections.c.project_id == bindparam("project"), collections.c.name == bindparam("called")
    )
)
_FIND_BY_NAMES = Prepared(
    select(
        collections,
        exists()
        .where(runs.c.id == bindparam("run"), runs.c.deleted_at.is_(None))
        .label("is_run_live"),
    )
    .join(projects, projects.c.id == collections.c.project_id)
    .join(entities, entities.c.id == projects.c.entity_id)
    .where(
        entities.c.name == bindparam("entity"),
        projects.c.name == bindparam("project"),
        projects.c.deleted_at.is_(None),
        collections.c.name == bindparam("called"),
    )
)
_LOCK = (
    select(collections.c.id).where(collections.c.id == bindparam("collection")).with_for_update()
)
_NEXT_NUMBER = Prepared(
    update(collections)
    .where(collections.c.id == bindparam("collection"))
    .values(
        next_number=collections.c.next_number + 1,
        updated_at=bindparam("now"),
        deleted_at=None,
        deleted_by=None,
    )
    .returning(collections.c.next_number)
)
_REACH_NUMBER = (
    update(collections)
    .where(collections.c.id == bindparam("collection"))
    .values(
        next_number=case(
            (collections.c.next_number > bindparam("taken"), collections.c.next_number),
            else_=bindparam("taken", type_=Integer) + 1,
        ),
        updated_at=bindparam("now"),
        deleted_at=None,
        deleted_by=None,
    )
)


def ensure(
    connection: Connection,
    project_id: int,
    name: str,
    type: str,
    kind: str,
    now: datetime,
    *,
    display_name: str | None = None,
) -> CollectionRow:
    """Return the row of a collection, made if there is none; one that is there may differ.

    Nobody sees it before it gets its first version or link.
    """
    known = named(connection, project_id, name)
    if known is not None:
        return known
    created = connection.execute(
        insert(connection, collections)
        .values(
            project_id=project_id,
            name=name,
            type=type,
            kind=kind,
            display_name=display_name,
            created_at=now,
            updated_at=now,
            deleted_at=now,
        )
        .on_conflict_do_nothing()
    ).rowcount
    if created:
        _count_on(connection, project_id, name)
    made = named(connection, project_id, name)
    assert made is not None
    return made


def _count_on(connection: Connection, project_id: int, name: str) -> None:
    """Let a new collection number on from one that had its name before (RUN-38).

    Else `name:v0`, which led to that one until now, would become something else.
    """
    moved = redirects.target(connection, redirects.COLLECTION, project_id, name)
    if moved is not None:
        number = select(collections.c.next_number).where(collections.c.id == moved)
        connection.execute(
            update(collections)
            .where(collections.c.project_id == project_id, collections.c.name == name)
            .values(next_number=number.scalar_subquery())
        )


def find_by_names(
    connection: Connection, entity: str, project: str, name: str, run: int | None
) -> LogTargetRow | None:
    """Return the row of a collection of a live project, by the name that it has now.

    With `is_run_live`: whether there is this run and it is not deleted.
    """
    row = _FIND_BY_NAMES.row(connection, entity=entity, project=project, called=name, run=run)
    return cast("LogTargetRow | None", row)


def named(connection: Connection, project_id: int, name: str) -> CollectionRow | None:
    """Return the row of the collection that has this name now, one that is only begun, too."""
    return cast("CollectionRow | None", _FIND.row(connection, project=project_id, called=name))


def find(connection: Connection, project_id: int, name: str) -> CollectionRow | None:
    """Return the row of a collection; of a moved or renamed one also by its old name (RUN-38)."""
    row = named(connection, project_id, name)
    if row is not None and not is_only_begun(row):
        return row
    moved = redirects.target(connection, redirects.COLLECTION, project_id, name)
    return None if moved is None else by_id(connection, moved)


def is_only_begun(row: CollectionRow) -> bool:
    """Tell whether somebody began to log to it, and nothing came of that yet."""
    return row.deleted_at is not None and row.deleted_by is None


def by_id(connection: Connection, collection_id: int) -> CollectionRow | None:
    """Return the row of a collection, hidden ones too."""
    query = select(collections).where(collections.c.id == collection_id)
    return cast("CollectionRow | None", connection.execute(query).one_or_none())


def lock(connection: Connection, collection_id: int) -> None:
    """Let nobody else number or alias here until the transaction ends (SQLite: already so)."""
    if not on_sqlite(connection):
        connection.execute(_LOCK, {"collection": collection_id}).all()  # none if there is none


def lock_all(connection: Connection, collection_ids: Iterable[int]) -> None:
    """Do what `lock` does for several, by id: so that two who do so never wait for each other."""
    if on_sqlite(connection):
        return
    for batch in batches(sorted(collection_ids)):
        query = select(collections.c.id).where(collections.c.id.in_(batch))
        connection.execute(query.order_by(collections.c.id).with_for_update()).all()


def next_number(
    connection: Connection, collection_id: int, now: datetime, *, wanted: int | None = None
) -> int:
    """Take the next version number; it is never given again. A deleted collection is back.

    wanted: take this one instead, if the collection has never given it; the caller locks.
    """
    if wanted is not None and _is_free(connection, collection_id, wanted):
        reached = {"collection": collection_id, "taken": wanted, "now": now}
        connection.execute(_REACH_NUMBER, reached)
        return wanted
    return int(_NEXT_NUMBER.value(connection, collection=collection_id, now=now)) - 1


def _is_free(connection: Connection, collection_id: int, number: int) -> bool:
    """Say whether no version here had this number, nor one of a collection that had the name."""
    row = by_id(connection, collection_id)
    assert row is not None
    if number >= row.next_number:
        return True
    moved = redirects.target(connection, redirects.COLLECTION, row.project_id, row.name)
    given = select(memberships.c.id).where(
        memberships.c.collection_id == collection_id, memberships.c.number == number
    )
    return moved is None and connection.execute(given).one_or_none() is None


def names(connection: Connection, project_id: int, limit: int) -> Sequence[str]:
    """Return names of collections of a project, newest first; for near misses.

    Those that Lineal made itself come last: nobody types them.
    """
    query = select(collections.c.name, collections.c.type)
    query = query.where(collections.c.project_id == project_id, SHOWN)
    rows = connection.execute(query.order_by(collections.c.id.desc()).limit(limit)).all()
    return [name for name, _ in sorted(rows, key=lambda row: is_generated(*row))]


def types(connection: Connection, project_id: int) -> list[str]:
    query = select(collections.c.type).where(collections.c.project_id == project_id, SHOWN)
    return list(connection.execute(query.distinct().order_by(collections.c.type)).scalars())


def full_name(connection: Connection, collection_id: int) -> tuple[str, str, str]:
    """Return (entity, project, name)."""
    query = (
        select(entities.c.name, projects.c.name, collections.c.name)
        .join(projects, projects.c.entity_id == entities.c.id)
        .join(collections, collections.c.project_id == projects.c.id)
        .where(collections.c.id == collection_id)
    )
    entity, project, name = connection.execute(query).one()
    return entity, project, name


def change(connection: Connection, collection_id: int, values: Mapping[str, Any]) -> None:
    connection.execute(
        update(collections).where(collections.c.id == collection_id).values(**values)
    )


def hide(connection: Connection, collection_id: int, *, actor: str, now: datetime) -> None:
    """Leave an empty collection out of lists until something is logged, linked or restored."""
    change(connection, collection_id, {"deleted_at": now, "deleted_by": actor})


def show(connection: Connection, collection_ids: Sequence[int]) -> int:
    """Undo `hide`; returns how many of them were hidden."""
    hidden = collections.c.id.in_(collection_ids) & collections.c.deleted_at.is_not(None)
    statement = update(collections).where(hidden).values(deleted_at=None, deleted_by=None)
    return connection.execute(statement).rowcount


def set_tags(connection: Connection, collection_id: int, tags: Sequence[str]) -> None:
    connection.execute(
        collection_tags.delete().where(collection_tags.c.collection_id == collection_id)
    )
    if tags:
        connection.execute(
            plain_insert(collection_tags),
            [{"collection_id": collection_id, "tag": tag} for tag in tags],
        )


def listing() -> Select[Any]:
    """Return the select behind lists of collections; `records` reads its rows."""
    return (
        select(collections, entities.c.name.label("entity"), projects.c.name.label("project"))
        .join(projects, projects.c.id == collections.c.project_id)
        .join(entities, entities.c.id == projects.c.entity_id)
    )


def record(connection: Connection, collection_id: int) -> CollectionRecord:
    """Return a collection that there is, hidden ones too."""
    row = connection.execute(listing().where(collections.c.id == collection_id)).one()
    return records(connection, [row])[0]


def records(connection: Connection, rows: Sequence[Row[Any]]) -> list[CollectionRecord]:
    """Turn rows of `listing` into records, with four queries for any number of them."""
    ids = [row.id for row in rows]
    totals = _totals(connection, ids)
    tags = _grouped(
        connection,
        select(collection_tags.c.collection_id, collection_tags.c.tag)
        .where(collection_tags.c.collection_id.in_(ids))
        .order_by(collection_tags.c.tag),
    )
    names = _grouped(
        connection,
        select(aliases.c.collection_id, aliases.c.alias)
        .where(aliases.c.collection_id.in_(ids))
        .order_by(aliases.c.alias),
    )
    latest = _latest(connection, ids)
    found = []
    for row in rows:
        count, newest, size_bytes = totals.get(row.id, (0, None, 0))
        number = latest.get(row.id, newest)
        found.append(
            CollectionRecord(
                id=CollectionId(row.id),
                entity=row.entity,
                project=row.project,
                name=row.name,
                type=row.type,
                kind=CollectionKind(row.kind),
                description=row.description,
                tags=tuple(tags.get(row.id, ())),
                aliases=tuple(names.get(row.id, ())),
                version_count=count,
                latest=None if number is None else f"v{number}",
                size_bytes=size_bytes,
                created_at=row.created_at,
                updated_at=row.updated_at,
                ttl_seconds=row.ttl_seconds,
                display_name=row.display_name,
            )
        )
    return found


def _totals(connection: Connection, ids: Sequence[int]) -> dict[int, tuple[int, int | None, int]]:
    query = (
        select(
            memberships.c.collection_id,
            func.count(),
            func.max(memberships.c.number),
            func.coalesce(func.sum(versions.c.size_bytes), 0),
        )
        .join(versions, versions.c.id == memberships.c.version_id)
        .where(memberships.c.collection_id.in_(ids), LIVE_MEMBERSHIP)
        .group_by(memberships.c.collection_id)
    )
    return {id: (count, newest, int(size)) for id, count, newest, size in connection.execute(query)}


def _latest(connection: Connection, ids: Sequence[int]) -> dict[int, int]:
    """Return the number that the alias `latest` is on, of the collections where it is set."""
    query = (
        select(aliases.c.collection_id, memberships.c.number)
        .join(memberships, memberships.c.id == aliases.c.membership_id)
        .where(aliases.c.collection_id.in_(ids), aliases.c.alias == LATEST)
    )
    return {row.collection_id: row.number for row in connection.execute(query)}


def _grouped(connection: Connection, query: Select[Any]) -> dict[int, list[str]]:
    groups: dict[int, list[str]] = {}
    for id, value in connection.execute(query):
        groups.setdefault(id, []).append(value)
    return groups
