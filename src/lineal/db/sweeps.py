"""Sweeps: found, locked, changed, listed; their trials are in `db/trials.py`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

from sqlalchemy import Connection, Select, bindparam, insert, select, update

from lineal.core.records import EdgeKind, Page, PageRequest
from lineal.core.trials import SweepKey, SweepQuery, SweepRecord, SweepState, TrialState
from lineal.db import projects as projects_db
from lineal.db import trials as trials_db
from lineal.db.conditions import LIVE_VERSION, SOURCE_MEMBERSHIP
from lineal.db.fields import FieldSpec, document_field, moment_field, text_field
from lineal.db.filters import compile_filter
from lineal.db.orders import fetch_page, parse_order
from lineal.db.prepared import Prepared
from lineal.db.schema import (
    aliases,
    collections,
    edges,
    entities,
    memberships,
    projects,
    runs,
    sweeps,
    trials,
    versions,
)
from lineal.db.versions import Membership
from lineal.errors import NotFound

if TYPE_CHECKING:
    from lineal.db.rows import BestTrialRow, NamedSweepRow, SweepRow

_FIELDS: Mapping[str, FieldSpec] = {
    "config": document_field(sweeps.c.document),
    "created_at": moment_field(sweeps.c.created_at),
    "createdAt": moment_field(sweeps.c.created_at),
    "updated_at": moment_field(sweeps.c.updated_at),
    "updatedAt": moment_field(sweeps.c.updated_at),
    "description": text_field(sweeps.c.description),
    "name": text_field(sweeps.c.name),
    "state": text_field(sweeps.c.state),
    "sweep_id": text_field(sweeps.c.sweep_id),
    "user": text_field(sweeps.c.created_by),
    "username": text_field(sweeps.c.created_by),
}
"""What filters and orders of sweeps may name."""

# Statements of the path that every trial takes.
_LOCKED = Prepared(
    select(sweeps, projects.c.deleted_at.label("project_deleted_at"))
    .join(projects, projects.c.id == sweeps.c.project_id)
    .where(sweeps.c.id == bindparam("sweep"))
    .with_for_update(of=sweeps)
)
_CHANGE_SWEEP = Prepared(update(sweeps).where(sweeps.c.id == bindparam("sweep")))


# --- sweeps -------------------------------------------------------------------------------------


def add(connection: Connection, values: Mapping[str, Any]) -> SweepKey:
    return SweepKey(connection.execute(insert(sweeps).returning(sweeps.c.id), values).scalar_one())


def find(connection: Connection, entity: str, project: str, sweep_id: str) -> NamedSweepRow | None:
    query = _rows().where(
        entities.c.name == entity, projects.c.name == project, sweeps.c.sweep_id == sweep_id
    )
    return cast("NamedSweepRow | None", connection.execute(query).one_or_none())


def by_key(connection: Connection, key: SweepKey) -> NamedSweepRow:
    """Return a sweep's row with its project and entity; raises NotFound."""
    row = connection.execute(_rows().where(sweeps.c.id == key)).one_or_none()
    if row is None:
        raise NotFound(f"There is no sweep {key}")
    return cast("NamedSweepRow", row)


def lock(connection: Connection, key: SweepKey) -> SweepRow:
    """Return a sweep's row that nobody else changes until the transaction ends; raises NotFound."""
    row = _LOCKED.row(connection, sweep=key)
    if row is None:
        raise NotFound(f"There is no sweep {key}")
    return cast("SweepRow", row)


def lock_live(connection: Connection, key: SweepKey) -> SweepRow:
    """Do what `lock` does; raises Gone for a sweep whose project was deleted."""
    row = lock(connection, key)
    if row.project_deleted_at is not None:
        named = by_key(connection, key)
        projects_db.require(connection, named.entity, named.project, named.created_by)
    return row


def ids(connection: Connection, project_id: int, limit: int) -> Sequence[str]:
    """Return ids of a project's sweeps, newest first; for near misses."""
    query = select(sweeps.c.sweep_id).where(sweeps.c.project_id == project_id)
    return connection.scalars(query.order_by(sweeps.c.id.desc()).limit(limit)).all()


def page(
    connection: Connection, project_id: int, query: SweepQuery, request: PageRequest
) -> Page[SweepRecord]:
    """List sweeps of a project, the newest first unless an order is given."""
    order = parse_order(query.order or "-created_at", _FIELDS, sweeps.c.id)
    wanted = _rows().where(sweeps.c.project_id == project_id)
    if query.filters:
        wanted = wanted.where(compile_filter(query.filters, _FIELDS))
    rows, cursor, total = fetch_page(connection, wanted, order, request)
    found = cast("Sequence[NamedSweepRow]", rows)
    return Page(tuple(records(connection, found)), cursor, total)


def change(connection: Connection, key: SweepKey, values: Mapping[str, Any], now: datetime) -> None:
    _CHANGE_SWEEP.run(connection, sweep=key, **values, updated_at=now)


def record(connection: Connection, row: NamedSweepRow) -> SweepRecord:
    """Turn a row of `find` or `by_key` into a record."""
    best = trials_db.best(connection, SweepKey(row.id), _sign(row.document))
    return _record(row, trials_db.counts(connection, [row.id])[row.id], best)


def records(connection: Connection, rows: Sequence[NamedSweepRow]) -> list[SweepRecord]:
    """Turn many rows into records, with three queries for any number of them."""
    counts = trials_db.counts(connection, [row.id for row in rows])
    best = trials_db.best_of_each(connection, {row.id: _sign(row.document) for row in rows})
    return [_record(row, counts[row.id], best.get(row.id)) for row in rows]


def _record(
    row: NamedSweepRow, counts: dict[TrialState, int], best: BestTrialRow | None
) -> SweepRecord:
    return SweepRecord(
        key=SweepKey(row.id),
        sweep_id=row.sweep_id,
        entity=row.entity,
        project=row.project,
        name=row.name,
        description=row.description,
        state=SweepState(row.state),
        document=row.document,
        user=row.created_by,
        created_at=row.created_at,
        updated_at=row.updated_at,
        trial_counts=counts,
        best_run_id=None if best is None else best.run_id,
        best_value=None if best is None else best.value,
    )


def _sign(document: Mapping[str, Any]) -> int:
    metric = document.get("metric") or {}
    return -1 if metric.get("goal") == "maximize" else 1


def _rows() -> Select[Any]:
    return (
        select(
            sweeps,
            projects.c.name.label("project"),
            projects.c.deleted_at.label("project_deleted_at"),
            entities.c.name.label("entity"),
        )
        .join(projects, projects.c.id == sweeps.c.project_id)
        .join(entities, entities.c.id == projects.c.entity_id)
    )


# --- what trials logged -------------------------------------------------------------------------


def logged_by(
    connection: Connection, project_id: int, run_id: str, type_: str
) -> tuple[int, Membership] | None:
    """Return collection and membership of the newest live version of a type that a run logged."""
    query = (
        select(versions.c.collection_id, memberships.c.id, memberships.c.number)
        .select_from(edges)
        .join(runs, runs.c.id == edges.c.run_id)
        .join(versions, versions.c.id == edges.c.version_id)
        .join(collections, collections.c.id == versions.c.collection_id)
        .join(memberships, SOURCE_MEMBERSHIP)
        .where(
            runs.c.project_id == project_id,
            runs.c.run_id == run_id,
            edges.c.kind == EdgeKind.LOGGED,
            collections.c.type == type_,
            LIVE_VERSION,
        )
        .order_by(edges.c.id.desc())
        .limit(1)
    )
    row = connection.execute(query).one_or_none()
    return None if row is None else (row[0], Membership(row[1], row[2]))


def aliased(connection: Connection, sweep: SweepKey, alias: str) -> list[int]:
    """Return the collections where an alias is on a version that a trial of the sweep logged.

    Not the portfolios that such a version is linked into: their aliases are put there by hand.
    """
    query = (
        select(aliases.c.collection_id)
        .distinct()
        .join(memberships, memberships.c.id == aliases.c.membership_id)
        .join(
            edges,
            (edges.c.version_id == memberships.c.version_id) & (edges.c.kind == EdgeKind.LOGGED),
        )
        .join(versions, SOURCE_MEMBERSHIP)
        .join(runs, runs.c.id == edges.c.run_id)
        .join(trials, trials.c.run_id == runs.c.run_id)  # an id is unique in its project only
        .join(
            sweeps,
            (sweeps.c.id == trials.c.sweep_id) & (sweeps.c.project_id == runs.c.project_id),
        )
        .where(aliases.c.alias == alias, trials.c.sweep_id == sweep)
    )
    return list(connection.execute(query).scalars())
