"""Whose bytes are whose: sums over all stored blobs, by project, collection or version.

A *unit* is a row of the report. Uses of a blob are reduced to (blob, unit, is live), each once;
then a blob is its unit's own if no other unit needs it, and shared otherwise. All blobs that lie in
the same segments and runs have the same uses, so of each such *group* one blob is looked at: what
a million files take to add up hardly grows with the versions that have them.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import (
    CTE,
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    Select,
    Text,
    and_,
    case,
    cast,
    func,
    literal,
    or_,
    select,
    union,
    union_all,
)

from lineal.db import full_names
from lineal.db.blobs import STORED, has_state
from lineal.db.conditions import LIVE_VERSION
from lineal.db.drafts import is_under_way
from lineal.db.schema import (
    blobs,
    collections,
    drafts,
    entities,
    manifest_segments,
    projects,
    run_files,
    runs,
    segment_blobs,
    versions,
)

LIVE, PENDING, DRAFT = 0, 1, 2
"""What a use is; the least of a blob's uses is what the blob is."""
RUN_FILES, ELSEWHERE = 0, -1
"""Units that are no row of a table: files of a project's runs, and what was not asked for."""

OWN, SHARED, WAITING, DRAFTS, ORPHANED, OTHERS = range(6)
"""What a stored blob counts as in the totals; each counts once."""


class Scope:
    """What was asked for, as expressions that say to which unit a version or run belongs."""

    def __init__(
        self,
        *,
        entity: int | None = None,
        project: int | None = None,
        collection: int | None = None,
    ) -> None:
        self.of_version: ColumnElement[int]
        self.of_run: ColumnElement[int]
        if collection is not None:
            self.names = _version_names(collection)
            self.of_version = _unit(versions.c.collection_id == collection, versions.c.id)
            self.of_run = literal(ELSEWHERE)
        elif project is not None:
            self.names = _collection_names(project)
            self.of_version = _unit(collections.c.project_id == project, collections.c.id)
            self.of_run = _unit(runs.c.project_id == project, literal(RUN_FILES))
        else:
            is_asked = projects.c.entity_id == entity if entity is not None else literal(True)
            self.names = _project_names().where(is_asked)
            self.of_version = _unit(is_asked, projects.c.id)
            self.of_run = _unit(is_asked, projects.c.id)


def _unit(condition: ColumnElement[bool], unit: ColumnElement[int]) -> ColumnElement[int]:
    return case((condition, unit), else_=ELSEWHERE)


# --- sums ---------------------------------------------------------------------------------------


class Sums(NamedTuple):
    """Where the bytes of all stored blobs are."""

    rows: list[tuple[int, int, int, int]]
    """(unit, own, shared, pending) in bytes; units that need no stored blob are left out."""
    totals: dict[int, tuple[int, int]]
    """(blobs, bytes) of what stored blobs count as; together they are all of them."""


def sums(connection: Connection, scope: Scope, *, cutoff: datetime, now: datetime) -> Sums:
    """Add up rows and totals in one query: to find the uses of all blobs takes longest."""
    groups = _groups()
    uses = _uses(groups, scope, cutoff, now)
    per_blob = _per_blob(uses)
    by_unit = _rows(groups, uses, per_blob).add_columns(literal(True))
    query = union_all(by_unit, _totals(groups, per_blob).add_columns(literal(False)))
    found = Sums([], {})
    for key, first, second, third, is_row in connection.execute(query):
        if is_row:
            found.rows.append((key, first, second, third))
        else:
            found.totals[key] = (first, second)
    return found


def _groups() -> CTE:
    """Select (blob_id, blob_count, size_bytes) of groups of stored blobs; blob_id: one of each."""
    in_segments = _joined(segment_blobs.c.segment_id, segment_blobs.c.blob_id == blobs.c.id)
    in_runs = _joined(run_files.c.run_id, run_files.c.blob_id == blobs.c.id)
    stored = (
        select(blobs.c.id, blobs.c.size_bytes, (in_segments + " " + in_runs).label("places"))
        .where(has_state(STORED))
        .subquery("stored")
    )
    return (
        select(
            func.min(stored.c.id).label("blob_id"),
            func.count().label("blob_count"),
            func.sum(stored.c.size_bytes).label("size_bytes"),
        )
        .group_by(stored.c.places)
        .cte("groups")
    )


def _joined(place: Column[int], belongs: ColumnElement[bool]) -> ColumnElement[str]:
    """Return the places of a blob as one text.

    Their order is not asked for: in another one, groups would only be split. Both databases read
    them in the order of an index.
    """
    listed = select(func.aggregate_strings(cast(place, Text), ",")).where(belongs)
    return func.coalesce(listed.correlate(blobs).scalar_subquery(), "")


def _rows(groups: CTE, uses: CTE, per_blob: CTE) -> Select[Any]:
    """Select (unit, own, shared, pending)."""
    is_live, is_shared = uses.c.kind == LIVE, per_blob.c.live > 1
    is_pending = and_(uses.c.kind == PENDING, per_blob.c.live == 0)
    return (
        select(
            uses.c.unit,
            _bytes(groups, and_(is_live, ~is_shared)),
            _bytes(groups, and_(is_live, is_shared)),
            _bytes(groups, is_pending),
        )
        .join(per_blob, per_blob.c.blob_id == uses.c.blob_id)
        .join(groups, groups.c.blob_id == uses.c.blob_id)
        .where(uses.c.unit != ELSEWHERE)
        .group_by(uses.c.unit)
    )


def _totals(groups: CTE, per_blob: CTE) -> Select[Any]:
    """Select (what it counts as, blobs, bytes, 0)."""
    counts_as = case(
        (per_blob.c.blob_id.is_(None), ORPHANED),
        (per_blob.c.live_here > 0, case((per_blob.c.live == 1, OWN), else_=SHARED)),
        (per_blob.c.live > 0, OTHERS),
        (per_blob.c.pending_here > 0, WAITING),
        (per_blob.c.pending > 0, OTHERS),
        else_=DRAFTS,
    ).label("counts_as")
    return (
        select(
            counts_as,
            cast(func.sum(groups.c.blob_count), BigInteger),
            _bytes(groups, literal(True)),
            literal(0),
        )
        .select_from(groups)
        .outerjoin(per_blob, per_blob.c.blob_id == groups.c.blob_id)
        .group_by(counts_as)
    )


def _bytes(groups: CTE, condition: ColumnElement[bool]) -> ColumnElement[int]:
    return cast(func.sum(case((condition, groups.c.size_bytes), else_=0)), BigInteger)


def _uses(groups: CTE, scope: Scope, cutoff: datetime, now: datetime) -> CTE:
    """Select (blob_id, unit, kind), each once."""
    kind = case((LIVE_VERSION, LIVE), else_=PENDING)
    of_versions = (
        select(manifest_segments.c.segment_id, scope.of_version.label("unit"), kind.label("kind"))
        .select_from(versions)
        .join(manifest_segments, manifest_segments.c.manifest_id == versions.c.manifest_id)
        .join(collections, collections.c.id == versions.c.collection_id)
        .join(projects, projects.c.id == collections.c.project_id)
        .where(or_(LIVE_VERSION, versions.c.deleted_at > cutoff))
    )
    of_drafts = (
        select(manifest_segments.c.segment_id, literal(ELSEWHERE), literal(DRAFT))
        .join(drafts, drafts.c.manifest_id == manifest_segments.c.manifest_id)
        .where(is_under_way(now))
    )
    of_segments = union(of_versions, of_drafts).subquery("of_segments")
    in_segments = (
        select(groups.c.blob_id, of_segments.c.unit, of_segments.c.kind)
        .join(segment_blobs, segment_blobs.c.blob_id == groups.c.blob_id)
        .join(of_segments, of_segments.c.segment_id == segment_blobs.c.segment_id)
    )
    in_runs = (
        select(
            run_files.c.blob_id,
            scope.of_run,
            case((runs.c.deleted_at.is_(None), LIVE), else_=PENDING),
        )
        .join(groups, groups.c.blob_id == run_files.c.blob_id)
        .join(runs, runs.c.id == run_files.c.run_id)
        .join(projects, projects.c.id == runs.c.project_id)
        .where(or_(runs.c.deleted_at.is_(None), runs.c.deleted_at > cutoff))
    )
    return union(in_segments, in_runs).cte("uses")


def _per_blob(uses: CTE) -> CTE:
    def count(*conditions: ColumnElement[bool]) -> ColumnElement[int]:
        return func.sum(case((and_(*conditions), 1), else_=0))

    is_here = uses.c.unit != ELSEWHERE
    return (
        select(
            uses.c.blob_id,
            count(uses.c.kind == LIVE).label("live"),
            count(uses.c.kind == LIVE, is_here).label("live_here"),
            count(uses.c.kind == PENDING).label("pending"),
            count(uses.c.kind == PENDING, is_here).label("pending_here"),
        )
        .group_by(uses.c.blob_id)
        .cte("per_blob")
    )


# --- names of units -----------------------------------------------------------------------------


def names(connection: Connection, scope: Scope) -> dict[int, str]:
    return {row[0]: row[1] for row in connection.execute(scope.names)}


def _project_names() -> Select[Any]:
    return select(projects.c.id, full_names.PROJECT).join(
        entities, entities.c.id == projects.c.entity_id
    )


def _collection_names(project: int) -> Select[Any]:
    of_collections = (
        select(collections.c.id, full_names.COLLECTION)
        .join(projects, projects.c.id == collections.c.project_id)
        .join(entities, entities.c.id == projects.c.entity_id)
        .where(projects.c.id == project)
    )
    of_runs = (
        select(literal(RUN_FILES), full_names.PROJECT + " (run files)")
        .select_from(projects)
        .join(entities, entities.c.id == projects.c.entity_id)
        .where(projects.c.id == project)
    )
    return select(union_all(of_collections, of_runs).subquery("names"))


def _version_names(collection: int) -> Select[Any]:
    return (
        full_names.named_versions()
        .with_only_columns(versions.c.id, full_names.VERSION)
        .where(versions.c.collection_id == collection)
    )
