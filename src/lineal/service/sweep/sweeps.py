"""Sweeps: made, listed, changed, paused, stopped (SWP-1…SWP-14); see `trials`, too."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection

from lineal.core import access, names
from lineal.core import sweeps as rules
from lineal.core.access import Action, Actor
from lineal.core.ids import new_id
from lineal.core.records import Page, PageRequest, RunState
from lineal.core.sweeps import Plan
from lineal.core.trials import (
    MAY_BECOME,
    SweepKey,
    SweepQuery,
    SweepRecord,
    SweepSpec,
    SweepState,
    TrialState,
)
from lineal.db import projects as projects_db
from lineal.db import runs as runs_db
from lineal.db import sweeps as sweeps_db
from lineal.db import trials as trials_db
from lineal.errors import Conflict, Invalid, SweepNotFound
from lineal.nearest import NEAR_MISSES_MOST, near_misses
from lineal.service import finding_runs
from lineal.service.instance import Instance
from lineal.service.sweep.search import Search, point_of

if TYPE_CHECKING:
    from lineal.db.rows import RunRow


def create(instance: Instance, actor: Actor, spec: SweepSpec) -> SweepRecord:
    """Make a sweep; makes the project if there is none.

    Raises Invalid naming every mistake in the document, RunNotFoundError or Gone for a prior run
    that is not there, Unavailable if the search's library is missing.
    """
    what = f"{spec.entity}/{spec.project}"
    access.require(actor, Action.WRITE, f"project {what}")
    names.entity_name(spec.entity)
    names.project_name(spec.project)
    plan = rules.plan(spec.document, is_new=True)
    if plan.searched and plan.method != "grid":
        Search(plan)  # so that what is missing is said now, not to the first agent
    now = instance.clock.now()
    sweep_id = new_id()
    with instance.database.writing() as connection:
        project_id = projects_db.ensure(connection, spec.entity, spec.project, now)
        key = sweeps_db.add(
            connection,
            {
                "project_id": project_id,
                "sweep_id": sweep_id,
                "name": spec.document.get("name") or sweep_id,
                "description": spec.document.get("description"),
                "state": str(SweepState.PENDING),
                "document": dict(spec.document),
                "created_by": actor.name,
                "created_at": now,
                "updated_at": now,
            },
        )
        for run_id in spec.prior_runs:
            run = finding_runs.require_named(connection, actor, spec.entity, spec.project, run_id)
            _add_prior(connection, instance, key, plan, run, sweep_id)
        return sweeps_db.record(connection, sweeps_db.by_key(connection, key))


def sweep(
    instance: Instance, actor: Actor, entity: str, project: str, sweep_id: str
) -> SweepRecord:
    """Return a sweep. Raises SweepNotFound, naming near misses, or Gone with its project."""
    what = f"sweep {entity}/{project}/{sweep_id}"
    access.require(actor, Action.READ, what)
    with instance.database.reading() as connection:
        project_id = projects_db.require(connection, entity, project, actor.name)
        row = sweeps_db.find(connection, entity, project, sweep_id)
        if row is None:
            known = sweeps_db.ids(connection, project_id, NEAR_MISSES_MOST)
            near = (
                near_misses(sweep_id, known, others="Sweeps there")
                if known
                else "; the project has no sweeps yet"
            )
            raise SweepNotFound(f"No {what} (you are {actor.name}){near}")
        return sweeps_db.record(connection, row)


def sweeps(
    instance: Instance, actor: Actor, query: SweepQuery, page: PageRequest
) -> Page[SweepRecord]:
    """List sweeps of a project, the newest first unless an order is given.

    Raises ProjectNotFound, Invalid for a wrong filter or order.
    """
    access.require(actor, Action.READ, f"project {query.entity}/{query.project}")
    with instance.database.reading() as connection:
        project_id = projects_db.require(connection, query.entity, query.project, actor.name)
        return sweeps_db.page(connection, project_id, query, page)


def set_state(instance: Instance, actor: Actor, sweep: SweepKey, state: SweepState) -> SweepRecord:
    """Pause, resume (`running`), stop or cancel a sweep; the state that it has changes nothing.

    Cancelling it stops the runs that go on (SWP-8); they are `killed`.
    Raises Conflict for what a sweep in its state cannot become, Invalid for states that only
    follow from its trials.
    """
    access.require(actor, Action.WRITE, f"sweep {sweep}")
    if state not in MAY_BECOME:
        raise Invalid(f"A sweep cannot be made `{state}`; pause, resume, stop or cancel it")
    with instance.database.writing() as connection:
        row = sweeps_db.lock_live(connection, sweep)
        if row.state != state and row.state not in MAY_BECOME[state]:
            then = (
                "; make a new one that begins with its runs: `sweep(…, prior_runs=…)`, or "
                "`lineal sweep FILE --prior-run RUN`"
            )
            raise Conflict(
                f"Sweep {row.sweep_id} is {row.state}, so it cannot become {state}"
                f"{then if state is SweepState.RUNNING else ''}"
            )
        if row.state != state:
            sweeps_db.change(connection, sweep, {"state": str(state)}, instance.clock.now())
            if state is SweepState.CANCELLED:
                _stop_runs(connection, sweep, instance.clock.now())
        return sweeps_db.record(connection, sweeps_db.by_key(connection, sweep))


def _stop_runs(connection: Connection, sweep: SweepKey, now: datetime) -> None:
    row = sweeps_db.by_key(connection, sweep)
    for trial in trials_db.in_state(connection, sweep, TrialState.RUNNING):
        run = runs_db.find(connection, row.entity, row.project, trial.run_id, lock=True)
        if run is not None and run.state in (RunState.RUNNING, RunState.PREEMPTING):
            stopped = {"state": str(RunState.KILLED), "finished_at": now}
            runs_db.change(connection, run.id, stopped)


def update(
    instance: Instance, actor: Actor, sweep: SweepKey, document: Mapping[str, Any]
) -> SweepRecord:
    """Give a sweep another document while no trial was handed out (SWP-8).

    Raises Invalid naming every mistake in it, Conflict once there are trials: their results would
    belong to another search.
    """
    access.require(actor, Action.WRITE, f"sweep {sweep}")
    plan = rules.plan(document, is_new=True)
    if plan.searched and plan.method != "grid":
        Search(plan)  # as when it is made
    with instance.database.writing() as connection:
        row = sweeps_db.lock_live(connection, sweep)
        if row.next_number:
            raise Conflict(
                f"Sweep {row.sweep_id} has trials already, whose results belong to its present "
                "document; make another sweep of the new one"
            )
        values = {
            "document": dict(document),
            "name": document.get("name") or row.name,
            "description": document.get("description") or row.description,
        }
        sweeps_db.change(connection, sweep, values, instance.clock.now())
        return sweeps_db.record(connection, sweeps_db.by_key(connection, sweep))


def _add_prior(
    connection: Connection,
    instance: Instance,
    key: SweepKey,
    plan: Plan,
    run: RunRow,
    sweep_id: str,
) -> None:
    """Let a run that was there before inform the search; it keeps a sweep that it has."""
    point = point_of(plan, run.config)
    value = rules.result(run.summary, plan.metric) if plan.metric is not None else None
    now = instance.clock.now()
    trials_db.add(
        connection,
        key,
        {
            "number": trials_db.lowest_prior_number(connection, key) - 1,
            "point": point or {},
            "parameters": dict(run.config),
            "state": str(TrialState.FINISHED if point is not None else TrialState.FAILED),
            "run_id": run.run_id,
            "value": value,
            "created_at": now,
            "ended_at": now,
        },
    )
    if run.sweep_id is None:
        runs_db.change(connection, run.id, {"sweep_id": sweep_id})
