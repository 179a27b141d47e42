"""Sweeps and trials: found, claimed, changed.

Whoever changes a trial has locked its sweep (`lock`), so nothing here races with itself. For its
lease and its progress, which no search looks at (`renew`), it is enough to lock the trial
(`lock_trial`): agents and runs say every few seconds how it goes, and need not wait for each other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar, cast

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Select,
    bindparam,
    func,
    insert,
    select,
    update,
)

from lineal.core.records import EdgeKind, Page, PageRequest
from lineal.core.trials import (
    ENDED,
    SweepKey,
    SweepQuery,
    SweepRecord,
    SweepState,
    TrialKey,
    TrialRecord,
    TrialState,
)
from lineal.db import projects as projects_db
from lineal.db.conditions import LIVE_VERSION, SOURCE_MEMBERSHIP
from lineal.db.engine import listed
from lineal.db.fields import (
    FieldSpec,
    document_field,
    find_operand,
    moment_field,
    number_field,
    text_field,
)
from lineal.db.filters import compile_filter
from lineal.db.orders import fetch_page, parse_order
from lineal.db.prepared import NO_LIMIT, Prepared
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
    from lineal.db.rows import BestTrialRow, NamedSweepRow, SweepRow, TrialRow

T = TypeVar("T")
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
_NEXT_REVISION = Prepared(
    update(sweeps)
    .where(sweeps.c.id == bindparam("sweep"))
    .values(revision=sweeps.c.revision + 1)
    .returning(sweeps.c.revision)
)
_one_trial = select(trials).where(trials.c.id == bindparam("trial"))
_TRIAL = Prepared(_one_trial)
_TRIAL_LOCKED = Prepared(_one_trial.with_for_update())
_CHANGE_TRIAL = Prepared(update(trials).where(trials.c.id == bindparam("trial")))
_CHANGE_SWEEP = Prepared(update(sweeps).where(sweeps.c.id == bindparam("sweep")))
_ADD_TRIAL = Prepared(insert(trials).returning(trials.c.id))
_in_state = (
    select(trials)
    .where(trials.c.sweep_id == bindparam("sweep"), trials.c.state == bindparam("wanted"))
    .order_by(trials.c.number)
)
_IN_STATE = Prepared(_in_state.limit(bindparam("most", type_=BigInteger)))
_LATE = Prepared(_in_state.where(trials.c.lease_until < bindparam("now")))
_CHANGED = Prepared(
    select(trials)
    .where(trials.c.sweep_id == bindparam("sweep"), trials.c.revision > bindparam("after"))
    .order_by(trials.c.revision)
)


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
    return _required(cast("NamedSweepRow | None", row), f"sweep {key}")


def lock(connection: Connection, key: SweepKey) -> SweepRow:
    """Return a sweep's row that nobody else changes until the transaction ends; raises NotFound."""
    row = _LOCKED.row(connection, sweep=key)
    return _required(cast("SweepRow | None", row), f"sweep {key}")


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
    best = best_trial(connection, SweepKey(row.id), _sign(row.document))
    return _record(row, _counts(connection, [row.id])[row.id], best)


def records(connection: Connection, rows: Sequence[NamedSweepRow]) -> list[SweepRecord]:
    """Turn many rows into records, with three queries for any number of them."""
    counts = _counts(connection, [row.id for row in rows])
    best = _best_trials(connection, {row.id: _sign(row.document) for row in rows})
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


def _required(row: T | None, what: str) -> T:
    if row is None:
        raise NotFound(f"There is no {what}")
    return row


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


# --- trials -------------------------------------------------------------------------------------


def next_revision(connection: Connection, sweep: SweepKey) -> int:
    return int(_NEXT_REVISION.value(connection, sweep=sweep))


def add_trial(connection: Connection, sweep: SweepKey, values: Mapping[str, Any]) -> TrialKey:
    revision = next_revision(connection, sweep)
    return TrialKey(_ADD_TRIAL.value(connection, sweep_id=sweep, revision=revision, **values))


def change_trial(
    connection: Connection, sweep: SweepKey, trial: TrialKey, values: Mapping[str, Any]
) -> None:
    revision = next_revision(connection, sweep)
    _CHANGE_TRIAL.run(connection, trial=trial, revision=revision, **values)


def renew(connection: Connection, trial: TrialKey, values: Mapping[str, Any]) -> None:
    """Change the lease or the progress of a locked trial."""
    _CHANGE_TRIAL.run(connection, trial=trial, **values)


def trial(connection: Connection, key: TrialKey) -> TrialRow:
    """Return a trial's row; raises NotFound."""
    return _required(cast("TrialRow | None", _TRIAL.row(connection, trial=key)), f"trial {key}")


def lock_trial(connection: Connection, key: TrialKey) -> TrialRow:
    """Return a trial's row that nobody else changes until the transaction ends; raises NotFound."""
    row = _TRIAL_LOCKED.row(connection, trial=key)
    return _required(cast("TrialRow | None", row), f"trial {key}")


def trial_of_run(
    connection: Connection, entity: str, project: str, sweep_id: str, run_id: str
) -> TrialRow | None:
    """Return the newest trial of a sweep that has, or had, a run."""
    query = (
        select(trials)
        .join(sweeps, sweeps.c.id == trials.c.sweep_id)
        .join(projects, projects.c.id == sweeps.c.project_id)
        .join(entities, entities.c.id == projects.c.entity_id)
        .where(
            entities.c.name == entity,
            projects.c.name == project,
            sweeps.c.sweep_id == sweep_id,
            trials.c.run_id == run_id,
        )
    )
    newest = query.order_by(trials.c.id.desc()).limit(1)
    return cast("TrialRow | None", connection.execute(newest).one_or_none())


def in_state(
    connection: Connection, sweep: SweepKey, state: TrialState, *, limit: int | None = None
) -> Sequence[TrialRow]:
    most = NO_LIMIT if limit is None else limit
    rows = _IN_STATE.rows(connection, sweep=sweep, wanted=str(state), most=most)
    return cast("Sequence[TrialRow]", rows)


def late(connection: Connection, sweep: SweepKey, now: datetime) -> Sequence[TrialRow]:
    """Return running trials whose lease ended."""
    rows = _LATE.rows(connection, sweep=sweep, wanted=str(TrialState.RUNNING), now=now)
    return cast("Sequence[TrialRow]", rows)


def changed(connection: Connection, sweep: SweepKey, after: int) -> Sequence[TrialRow]:
    """Return trials changed after a revision, in the order of their changes."""
    return cast("Sequence[TrialRow]", _CHANGED.rows(connection, sweep=sweep, after=after))


def trial_page(connection: Connection, sweep: SweepKey, request: PageRequest) -> Page[TrialRecord]:
    """List the trials of a sweep, the newest first; prior runs last."""
    order = parse_order("-number", {"number": number_field(trials.c.number)}, trials.c.id)
    query = select(trials).where(trials.c.sweep_id == sweep)
    rows, cursor, total = fetch_page(connection, query, order, request)
    found = cast("Sequence[TrialRow]", rows)
    return Page(tuple(trial_record(row) for row in found), cursor, total)


def trial_record(row: TrialRow) -> TrialRecord:
    return TrialRecord(
        key=TrialKey(row.id),
        number=row.number,
        parameters=row.parameters,
        state=TrialState(row.state),
        run_id=row.run_id,
        attempt=row.attempt,
        value=row.value,
        is_prior=row.number < 0,
        created_at=row.created_at,
        ended_at=row.ended_at,
    )


def _counts(connection: Connection, keys: Sequence[int]) -> dict[int, dict[TrialState, int]]:
    """Count the trials that each sweep has handed out, by state."""
    query = (
        select(trials.c.sweep_id, trials.c.state, func.count())
        .where(trials.c.sweep_id.in_(listed(connection, keys)), trials.c.number >= 0)
        .group_by(trials.c.sweep_id, trials.c.state)
    )
    found: dict[int, dict[TrialState, int]] = {key: {} for key in keys}
    for key, state, count in connection.execute(query):
        found[key][TrialState(state)] = count
    return found


def _best_trials(connection: Connection, signs: Mapping[int, int]) -> dict[int, BestTrialRow]:
    """Return run_id and value of what `best_trial` finds for each of many sweeps.

    signs: of each sweep, as there. Of one sweep `best_trial` takes half as long.
    """
    found: dict[int, BestTrialRow] = {}
    for sign in set(signs.values()):
        keys = [key for key, own in signs.items() if own == sign]
        place = func.row_number().over(
            partition_by=trials.c.sweep_id, order_by=(sign * trials.c.value, trials.c.id)
        )
        ranked = (
            select(trials.c.sweep_id, trials.c.run_id, trials.c.value, place.label("place"))
            .where(trials.c.sweep_id.in_(listed(connection, keys)), *_may_be_best())
            .subquery("ranked")
        )
        rows = connection.execute(select(ranked).where(ranked.c.place == 1))
        found.update((row.sweep_id, cast("BestTrialRow", row)) for row in rows)
    return found


def best_trial(connection: Connection, sweep: SweepKey, sign: int) -> TrialRow | None:
    """Return the ended trial with the best value whose run is not deleted; of equals the first.

    sign: 1 where smaller is better, -1 where larger is.
    """
    query = select(trials).where(trials.c.sweep_id == sweep, *_may_be_best())
    order = (sign * trials.c.value, trials.c.id)
    first = query.order_by(*order).limit(1)
    return cast("TrialRow | None", connection.execute(first).one_or_none())


def _may_be_best() -> list[ColumnElement[bool]]:
    is_gone = (
        select(1)
        .join(sweeps, sweeps.c.project_id == runs.c.project_id)
        .where(
            sweeps.c.id == trials.c.sweep_id,
            runs.c.run_id == trials.c.run_id,
            runs.c.deleted_at.is_not(None),
        )
        .exists()
    )
    has_ended = trials.c.state.in_([str(state) for state in ENDED])
    return [trials.c.value.is_not(None), has_ended, ~is_gone]


def lowest_prior_number(connection: Connection, sweep: SweepKey) -> int:
    """Return the lowest number of a prior run, 0 if there is none."""
    query = select(func.min(trials.c.number)).where(trials.c.sweep_id == sweep)
    return min(connection.execute(query).scalar() or 0, 0)


# --- what trials logged -------------------------------------------------------------------------


def best_at(connection: Connection, sweep: SweepKey, bracket: int) -> Sequence[float]:
    """Return the best value that each trial had at a bracket; of those that got there."""
    best = find_operand(f"progress.at.{bracket}", _PROGRESS).number
    assert best is not None
    query = select(best).where(trials.c.sweep_id == sweep, best.is_not(None))
    return connection.execute(query).scalars().all()


_PROGRESS = {"progress": document_field(trials.c.progress)}


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
