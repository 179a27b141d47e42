"""When versions expire: the TTL of each level, and what holds a version (TTL-6…TTL-12)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Row,
    Select,
    case,
    func,
    select,
    type_coerce,
    update,
)

from lineal.core.records import Page, PageRequest
from lineal.core.retention import NEVER_SECONDS, UNLINK_GRACE, Expiring, Level
from lineal.db import versions as versions_db
from lineal.db.column_types import Moment
from lineal.db.conditions import LIVE_VERSION
from lineal.db.engine import batches
from lineal.db.fields import moment_field
from lineal.db.orders import fetch_page, parse_order
from lineal.db.protection import is_linked, is_protected, may_go
from lineal.db.schema import collections, entities, memberships, projects, versions

_SECOND = 1_000_000
"""In the unit that moments are stored in."""
TABLES = {
    Level.VERSION: versions,
    Level.COLLECTION: collections,
    Level.PROJECT: projects,
    Level.ENTITY: entities,
}
"""Where the TTL of each level is, the nearest first (TTL-8)."""


def expired_versions(connection: Connection, now: datetime, limit: int) -> list[int]:
    """Return live versions whose time is over: at most `limit` of them, by id.

    Suspended while linked or under a protected alias, and for a grace period after the last link
    was removed (TTL-6, TTL-8, TTL-11, TTL-12).
    """
    query = (
        _with_levels(select(versions.c.id).select_from(versions))
        .where(LIVE_VERSION, _ttl() > 0, _expiry() <= now, may_go())
        .order_by(versions.c.id)
        .limit(limit)
    )
    return list(connection.execute(query).scalars())


def expiring(
    connection: Connection,
    before: datetime,
    scope: ColumnElement[bool],
    request: PageRequest,
) -> Page[Expiring]:
    """List what will expire before a moment unless something changes, the soonest first.

    The records have no metadata. scope: a condition on `collections`.
    """
    fields = {"expires": moment_field(_expiry())}
    order = parse_order("+expires", fields, memberships.c.id)
    # Of the key alone, as for lists: each of these is sorted for each page.
    query = _with_levels(
        select(memberships.c.id, _expiry().label("expires"))
        .select_from(memberships)
        .join(versions, versions.c.id == memberships.c.version_id)
    ).where(
        memberships.c.collection_id == versions.c.collection_id,
        scope,
        LIVE_VERSION,
        _ttl() > 0,
        _expiry() <= before,
        may_go(),
    )
    rows, cursor, total = fetch_page(connection, query, order, request)
    found = versions_db.by_memberships(connection, [row.id for row in rows], with_metadata=False)
    return Page(tuple(Expiring(found[row.id], row.expires) for row in rows), cursor, total)


def ttl_of(connection: Connection, version_id: int) -> Row[Any] | None:
    """Return what decides when a version expires: the TTL of each level, and what holds it.

    Columns: version, collection, project, entity (seconds or NULL), expires (a moment or NULL),
    is_linked, is_protected.
    """
    levels = [table.c.ttl_seconds.label(str(level)) for level, table in TABLES.items()]
    query = _with_levels(
        select(
            *levels,
            _expiry().label("expires"),
            is_linked().label("is_linked"),
            is_protected().label("is_protected"),
        ).select_from(versions)
    )
    return connection.execute(query.where(versions.c.id == version_id)).one_or_none()


def exempt_expired(connection: Connection, version_ids: Sequence[int], now: datetime) -> int:
    """Let those of the versions never expire whose time is over already; returns how many."""
    exempted = 0
    for batch in batches(version_ids):
        over = _with_levels(select(versions.c.id).select_from(versions)).where(
            versions.c.id.in_(batch), _ttl() > 0, _expiry() <= now
        )
        ids = connection.execute(over).scalars().all()
        if ids:
            statement = update(versions).where(versions.c.id.in_(ids))
            connection.execute(statement.values(ttl_seconds=NEVER_SECONDS))
        exempted += len(ids)
    return exempted


def set_ttl(connection: Connection, level: Level, id: int, seconds: int | None) -> None:
    table = TABLES[level]
    connection.execute(update(table).where(table.c.id == id).values(ttl_seconds=seconds))


def entity_ttl(connection: Connection, entity_id: int) -> int | None:
    query = select(entities.c.ttl_seconds).where(entities.c.id == entity_id)
    return connection.execute(query).scalar()


def _with_levels(query: Select[Any]) -> Select[Any]:
    return (
        query.join(collections, collections.c.id == versions.c.collection_id)
        .join(projects, projects.c.id == collections.c.project_id)
        .join(entities, entities.c.id == projects.c.entity_id)
    )


def _ttl() -> ColumnElement[int]:
    return func.coalesce(*(table.c.ttl_seconds for table in TABLES.values()))


def _expiry() -> ColumnElement[datetime]:
    """When a version expires, NULL if never; later than its TTL says if it was unlinked lately."""
    ttl = case((_ttl() > 0, _ttl()))
    by_age = type_coerce(versions.c.created_at, BigInteger) + ttl * _SECOND
    link = memberships.alias("former_link")
    place, home = collections.alias("former_collection"), projects.alias("former_project")
    ended = type_coerce(func.coalesce(link.c.removed_at, home.c.deleted_at), BigInteger)
    by_grace = (
        select(func.max(ended) + UNLINK_GRACE // timedelta(microseconds=1))
        .where(
            link.c.version_id == versions.c.id,
            link.c.collection_id != versions.c.collection_id,
            place.c.id == link.c.collection_id,
            home.c.id == place.c.project_id,
        )
        .correlate_except(link, place, home)
        .scalar_subquery()
    )
    moment = case((ttl.is_(None), None), (by_grace > by_age, by_grace), else_=by_age)
    return type_coerce(moment, Moment)
