"""Whether a trial may go on, and what follows from its end; all inside one transaction."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row

from lineal.core import hyperband
from lineal.core import sweeps as rules
from lineal.core.access import Actor
from lineal.core.records import RunState
from lineal.core.sweeps import Plan
from lineal.core.trials import OVER, Beat, SweepKey, SweepState, TrialKey, TrialState
from lineal.db import runs as runs_db
from lineal.db import sweeps as sweeps_db
from lineal.service.instance import Instance
from lineal.service.sweep import best_version
from lineal.service.sweep.handout import is_preempted, is_used_up, put_back


def judged(connection: Connection, trial: Row[Any]) -> Beat:
    """Say whether a trial may go on; that it must not is noted, for when it ends."""
    row = sweeps_db.by_key(connection, trial.sweep_id)
    if row.state == SweepState.CANCELLED:
        return Beat(False, TrialState.CANCELLED, "the sweep was cancelled")
    if row.project_deleted_at is not None:
        return Beat(False, TrialState.QUEUED, "the project was deleted")
    run = runs_db.find(connection, row.entity, row.project, trial.run_id)
    if run is not None and run.state == RunState.KILLED:
        return Beat(False, TrialState.CANCELLED, "its run was stopped")
    plan = rules.plan(row.document)
    if plan.stops is not None and _does_badly(connection, plan.stops, trial):
        noted = {**trial.progress, "stop": str(TrialState.STOPPED)}
        sweeps_db.renew(connection, TrialKey(trial.id), {"progress": noted})
        return Beat(False, TrialState.STOPPED, "others do better")
    return Beat(True, TrialState.RUNNING)


def take_back(
    connection: Connection, instance: Instance, row: Row[Any], plan: Plan, actor: Actor
) -> bool:
    """Queue the trials whose agent fell silent again; returns whether there were any.

    One whose run finished is done: its agent was killed before it could say so.
    """
    late = sweeps_db.late(connection, SweepKey(row.id), instance.clock.now())
    for trial in late:
        sweep = sweeps_db.by_key(connection, SweepKey(row.id))
        run = runs_db.find(connection, sweep.entity, sweep.project, trial.run_id)
        is_done = run is not None and run.deleted_at is None and run.state == RunState.FINISHED
        state = TrialState.FINISHED if is_done else TrialState.QUEUED
        end(connection, instance, row, plan, trial, state)
    if late:
        conclude(connection, instance, row, plan, actor)
    return bool(late)


def end(
    connection: Connection,
    instance: Instance,
    row: Row[Any],
    plan: Plan,
    trial: Row[Any],
    state: TrialState,
) -> None:
    """Note how a trial ended; one that was left, or whose run was preempted, is queued again.

    So is one that failed when its project had been deleted with its run: both may be restored.
    """
    whole = sweeps_db.by_key(connection, SweepKey(row.id))
    run = runs_db.find(connection, whole.entity, whole.project, trial.run_id)
    was_deleted = state is TrialState.FAILED and whole.project_deleted_at is not None
    if state is TrialState.QUEUED or is_preempted(run) or was_deleted:
        put_back(connection, trial, run)
        return
    if trial.progress and "stop" in trial.progress and state is not TrialState.CANCELLED:
        state = TrialState.STOPPED  # however its program took that
    value = None
    if run is not None and plan.metric is not None:
        value = rules.result(run.summary, plan.metric)
    changed = {
        "state": str(state),
        "value": value,
        "ended_at": instance.clock.now(),
        "lease_until": None,
    }
    sweeps_db.change_trial(connection, SweepKey(row.id), TrialKey(trial.id), changed)
    if rules.is_reached(plan.metric, value) and row.state not in OVER:
        finished = {"state": str(SweepState.FINISHED)}
        sweeps_db.change(connection, SweepKey(row.id), finished, instance.clock.now())


def conclude(
    connection: Connection, instance: Instance, row: Row[Any], plan: Plan, actor: Actor
) -> None:
    """Move the alias of the best version, and end a sweep that has nothing left to do."""
    now = instance.clock.now()
    key = SweepKey(row.id)
    if plan.best_alias is not None and plan.metric is not None:
        best = sweeps_db.best_trial(connection, key, plan.metric.sign)
        if best is not None:
            best_version.put_alias(connection, row, best.run_id, plan, actor, now)
    present = sweeps_db.lock(connection, key)
    if present.state != SweepState.RUNNING or not is_used_up(present, plan):
        return
    left = (TrialState.RUNNING, TrialState.QUEUED)
    if not any(sweeps_db.in_state(connection, key, state, limit=1) for state in left):
        sweeps_db.change(connection, key, {"state": str(SweepState.FINISHED)}, now)


def _does_badly(connection: Connection, stops: hyperband.Hyperband, trial: Row[Any]) -> bool:
    progress = trial.progress
    if not progress:
        return False
    bracket = hyperband.reached(stops, progress["logged"])
    if bracket is None:
        return False
    others = sweeps_db.best_at(connection, trial.sweep_id, bracket)
    own = {int(at): best for at, best in progress["at"].items()}
    return hyperband.should_stop(stops, progress["logged"], own, progress["best"], others)
