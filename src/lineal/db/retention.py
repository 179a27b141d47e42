"""Which versions may go by a policy, or by a selection made once; `ttl` says which by their age.

A `Selection` is one SELECT: window functions number the versions of each collection, the other
conditions look at each version. What is linked or has a protected alias is never selected.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    Subquery,
    and_,
    case,
    exists,
    func,
    intersect,
    not_,
    select,
    update,
)

from lineal.core.limits import LONGEST_TTL
from lineal.core.names import LATEST
from lineal.core.records import EdgeKind
from lineal.core.retention import KeepBest, Level, Selection, selection_from_json
from lineal.db import ttl
from lineal.db.conditions import LIVE_VERSION, SOURCE_MEMBERSHIP
from lineal.db.engine import batches, listed
from lineal.db.fields import FieldSpec, document_field, find_operand
from lineal.db.lineage import FIRST_LOGGED
from lineal.db.protection import is_linked, is_protected
from lineal.db.schema import (
    aliases,
    collections,
    edges,
    memberships,
    projects,
    runs,
    version_tags,
    versions,
)

_RANK_MOST = 2**62
"""More versions than there can be; the databases take no larger number."""

# --- policies -----------------------------------------------------------------------------------


def policy_victims(connection: Connection, now: datetime, limit: int) -> list[int]:
    """Return live versions that retention policies let go: at most `limit` of them.

    A collection's policy takes the place of its project's.
    """
    victims: list[int] = []
    for selection, scope in policies(connection):
        if len(victims) >= limit:
            break
        query = selected(selection, scope, now, by_policy=True).limit(limit - len(victims))
        victims += connection.execute(query).scalars()
    return victims


def to_expire(connection: Connection, now: datetime, limit: int) -> list[int]:
    """Return what a sweep would hide, by id: policies count only what the TTL has left.

    limit: of those past their time, and of those that each policy lets go.
    """
    found = ttl.expired_versions(connection, now, limit)
    is_left = versions.c.id.not_in(listed(connection, found))
    for selection, scope in policies(connection):
        query = selected(selection, and_(scope, is_left), now, by_policy=True)
        found += connection.execute(query.limit(limit)).scalars()
    return sorted(set(found))


def keep_let_go(connection: Connection, version_ids: Sequence[int], now: datetime) -> int:
    """Keep those of the versions from now on that the policy of their collection lets go.

    Returns how many.
    """
    own = set(version_ids)
    touched: set[int] = set()
    for batch in batches(own):
        query = select(versions.c.collection_id).where(versions.c.id.in_(batch))
        touched.update(connection.execute(query).scalars())
    count = 0
    for id in sorted(touched):
        document, _ = policy_of(connection, Level.COLLECTION, id)
        if document is not None:
            query = selected(selection_from_json(document), within(collection_id=id), now)
            kept = own.intersection(connection.execute(query).scalars())
            for batch in batches(sorted(kept)):
                statement = update(versions).where(versions.c.id.in_(batch))
                connection.execute(statement.values(kept_at=now))
            count += len(kept)
    return count


def policies(connection: Connection) -> Iterator[tuple[Selection, ColumnElement[bool]]]:
    """Yield every policy in force, with the condition on `collections` it applies to."""
    own = select(collections.c.id, collections.c.retention).where(
        collections.c.retention.is_not(None)
    )
    for id, document in connection.execute(own.order_by(collections.c.id)).all():
        yield selection_from_json(document), collections.c.id == id
    of_projects = select(projects.c.id, projects.c.retention).where(
        projects.c.retention.is_not(None), projects.c.deleted_at.is_(None)
    )
    for id, document in connection.execute(of_projects.order_by(projects.c.id)).all():
        inherits = and_(collections.c.project_id == id, collections.c.retention.is_(None))
        yield selection_from_json(document), inherits


def policy_of(
    connection: Connection, level: Level, id: int
) -> tuple[Mapping[str, Any] | None, Level]:
    """Return the policy that applies to a collection or project, and the level it is set on."""
    if level is Level.COLLECTION:
        query = (
            select(collections.c.retention, projects.c.retention)
            .join(projects, projects.c.id == collections.c.project_id)
            .where(collections.c.id == id)
        )
        own, inherited = connection.execute(query).one()
        if own is not None:
            return own, Level.COLLECTION
        return inherited, Level.NONE if inherited is None else Level.PROJECT
    found = connection.execute(select(projects.c.retention).where(projects.c.id == id)).scalar()
    return found, Level.NONE if found is None else Level.PROJECT


def set_policy(
    connection: Connection, level: Level, id: int, document: Mapping[str, Any] | None
) -> None:
    table = ttl.TABLES[level]
    connection.execute(update(table).where(table.c.id == id).values(retention=document))


def within(
    *, entity_id: int | None = None, project_id: int | None = None, collection_id: int | None = None
) -> ColumnElement[bool]:
    """Return the condition on `collections` that means one of these, the narrowest given."""
    if collection_id is not None:
        return collections.c.id == collection_id
    if project_id is not None:
        return collections.c.project_id == project_id
    owned = select(projects.c.id).where(projects.c.entity_id == entity_id)
    return collections.c.project_id.in_(owned)


# --- selections ---------------------------------------------------------------------------------


def selected(
    selection: Selection, scope: ColumnElement[bool], now: datetime, *, by_policy: bool = False
) -> Select[Any]:
    """Return the SELECT of the ids of versions that may go, in the order of their ids.

    scope: a condition on `collections`; by_policy: leave out what is kept from policies.
    The last and the best are counted among all live versions of each collection, so what other
    conditions spare takes a place, too.

    Each condition is a SELECT of its own and all are intersected: a planner that knows little of
    the tables (PostgreSQL before its first ANALYZE) makes loops in loops of them otherwise.
    """
    scope = _of_type(selection, scope)
    live = (
        select(versions.c.id)
        .select_from(versions)
        .join(collections, collections.c.id == versions.c.collection_id)
        .where(LIVE_VERSION, scope)
    )
    parts = [live.where(each) for each in _conditions(selection, now)]
    if by_policy:
        parts.append(live.where(versions.c.kept_at.is_(None)))
    ranked = _ranked(selection, scope)
    if selection.keep_last is not None:
        kept = min(selection.keep_last, _RANK_MOST)
        parts.append(select(ranked.c.id).where(ranked.c.from_last > kept))
    if selection.keep_best is not None:
        kept = min(selection.keep_best.count, _RANK_MOST)
        parts.append(select(ranked.c.id).where(ranked.c.from_best > kept))
    chosen = intersect(*parts).subquery("chosen_ids")
    return select(chosen.c.id).order_by(chosen.c.id)


def selected_ids(connection: Connection, query: Select[Any]) -> list[int]:
    return list(connection.execute(query).scalars())


def _of_type(selection: Selection, scope: ColumnElement[bool]) -> ColumnElement[bool]:
    return scope if selection.type is None else and_(scope, collections.c.type == selection.type)


def _conditions(selection: Selection, now: datetime) -> list[ColumnElement[bool]]:
    conditions = [not_(is_linked()), not_(is_protected())]
    if selection.older_than_seconds is not None:
        age_seconds = min(selection.older_than_seconds, LONGEST_TTL.total_seconds())
        oldest = now - timedelta(seconds=age_seconds)
        conditions.append(versions.c.created_at <= oldest)
    if selection.untagged:
        conditions.append(not_(exists().where(version_tags.c.version_id == versions.c.id)))
    if selection.unaliased:
        conditions.append(not_(_has_alias()))
    if selection.unused:
        used = exists().where(edges.c.version_id == versions.c.id, edges.c.kind == EdgeKind.USED)
        conditions.append(not_(used))
    return conditions


def _has_alias() -> ColumnElement[bool]:
    """`latest` does not count: every collection has one."""
    return exists().where(
        memberships.c.version_id == versions.c.id,
        aliases.c.membership_id == memberships.c.id,
        aliases.c.alias != LATEST,
    )


def _ranked(selection: Selection, scope: ColumnElement[bool]) -> Subquery:
    newest_first = memberships.c.number.desc()
    by_collection = versions.c.collection_id
    columns: list[Any] = [versions.c.id]
    if selection.keep_last is not None:
        rank = func.row_number().over(partition_by=by_collection, order_by=newest_first)
        columns.append(rank.label("from_last"))
    best = selection.keep_best
    if best is not None:
        value = _value(best)
        is_missing = case((value.is_(None), 1), else_=0)
        worst_last = value.desc() if best.goal == "maximize" else value.asc()
        columns.append(is_missing.label("is_unrated"))
        order = [is_missing, worst_last, newest_first]
        rank = func.row_number().over(partition_by=by_collection, order_by=order)
        columns.append(rank.label("from_best"))
    query = (
        select(*columns)
        .select_from(versions)
        .join(memberships, SOURCE_MEMBERSHIP)
        .join(collections, collections.c.id == versions.c.collection_id)
        .where(LIVE_VERSION, scope)
    )
    if best is not None and best.key.startswith("summary."):
        producer = edges.alias("producer")
        first = FIRST_LOGGED.where(edges.c.version_id == versions.c.id).correlate(versions)
        query = query.outerjoin(producer, producer.c.id == first.scalar_subquery())
        query = query.outerjoin(runs, runs.c.id == producer.c.run_id)
    return query.subquery("ranked")


def is_rated(connection: Connection, selection: Selection, scope: ColumnElement[bool]) -> bool:
    """Say whether a live version has the number that `keep_best` goes by; true if there is none."""
    if selection.keep_best is None:
        return True
    ranked = _ranked(selection, _of_type(selection, scope))
    return connection.execute(select(func.min(ranked.c.is_unrated))).scalar() != 1


def _value(best: KeepBest) -> ColumnElement[float]:
    fields: dict[str, FieldSpec] = {
        "metadata": document_field(versions.c.metadata),
        "summary": document_field(runs.c.summary),
    }
    number = find_operand(best.key, fields).number
    assert number is not None
    return number
