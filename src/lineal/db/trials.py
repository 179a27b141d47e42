"""Trials of sweeps: found, claimed, changed.

Whoever changes a trial has locked its sweep (`sweeps.lock`), so nothing here races with itself. For
its lease and its progress, which no search looks at (`renew`), it is enough to lock the trial
(`lock`): agents and runs say every few seconds how it goes, and need not wait for each other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Row,
    bindparam,
    func,
    insert,
    select,
    update,
)

from lineal.core.records import Page, PageRequest
from lineal.core.trials import ENDED, SweepKey, TrialKey, TrialRecord, TrialState
from lineal.db.engine import listed
from lineal.db.fields import document_field, find_operand, number_field
from lineal.db.orders import fetch_page, parse_order
from lineal.db.prepared import NO_LIMIT, Prepared
from lineal.db.schema import entities, projects, runs, sweeps, trials
from lineal.errors import NotFound

if TYPE_CHECKING:
    from lineal.db.rows import BestTrialRow, TrialRow

# Statements of the path that every trial takes.
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


def _next_revision(connection: Connection, sweep: SweepKey) -> int:
    return int(_NEXT_REVISION.value(connection, sweep=sweep))


def add(connection: Connection, sweep: SweepKey, values: Mapping[str, Any]) -> TrialKey:
    revision = _next_revision(connection, sweep)
    return TrialKey(_ADD_TRIAL.value(connection, sweep_id=sweep, revision=revision, **values))


def change(
    connection: Connection, sweep: SweepKey, trial: TrialKey, values: Mapping[str, Any]
) -> None:
    revision = _next_revision(connection, sweep)
    _CHANGE_TRIAL.run(connection, trial=trial, revision=revision, **values)


def renew(connection: Connection, trial: TrialKey, values: Mapping[str, Any]) -> None:
    """Change the lease or the progress of a locked trial."""
    _CHANGE_TRIAL.run(connection, trial=trial, **values)


def by_key(connection: Connection, key: TrialKey) -> TrialRow:
    """Return a trial's row; raises NotFound."""
    return _required(_TRIAL.row(connection, trial=key), key)


def lock(connection: Connection, key: TrialKey) -> TrialRow:
    """Return a trial's row that nobody else changes until the transaction ends; raises NotFound."""
    return _required(_TRIAL_LOCKED.row(connection, trial=key), key)


def _required(row: Row[*tuple[Any, ...]] | None, key: TrialKey) -> TrialRow:
    if row is None:
        raise NotFound(f"There is no trial {key}")
    return cast("TrialRow", row)


def of_run(
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


def page(connection: Connection, sweep: SweepKey, request: PageRequest) -> Page[TrialRecord]:
    """List the trials of a sweep, the newest first; prior runs last."""
    order = parse_order("-number", {"number": number_field(trials.c.number)}, trials.c.id)
    query = select(trials).where(trials.c.sweep_id == sweep)
    rows, cursor, total = fetch_page(connection, query, order, request)
    found = cast("Sequence[TrialRow]", rows)
    return Page(tuple(record(row) for row in found), cursor, total)


def record(row: TrialRow) -> TrialRecord:
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


def counts(connection: Connection, keys: Sequence[int]) -> dict[int, dict[TrialState, int]]:
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


def best_of_each(connection: Connection, signs: Mapping[int, int]) -> dict[int, BestTrialRow]:
    """Return run_id and value of what `best` finds for each of many sweeps.

    signs: of each sweep, as there. Of one sweep `best` takes half as long.
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


def best(connection: Connection, sweep: SweepKey, sign: int) -> TrialRow | None:
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


def best_at(connection: Connection, sweep: SweepKey, bracket: int) -> Sequence[float]:
    """Return the best value that each trial had at a bracket; of those that got there."""
    value = find_operand(f"progress.at.{bracket}", _PROGRESS).number
    assert value is not None
    query = select(value).where(trials.c.sweep_id == sweep, value.is_not(None))
    return connection.execute(query).scalars().all()


_PROGRESS = {"progress": document_field(trials.c.progress)}
