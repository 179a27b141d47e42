"""Whether a trial may go on, and what follows from its end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Connection

from lineal.core import hyperband
from lineal.core import sweeps as rules
from lineal.core.access import Actor
from lineal.core.records import RunState
from lineal.core.trials import OVER, Beat, SweepState, TrialKey, TrialState
from lineal.db import runs as runs_db
from lineal.db import sweeps as sweeps_db
from lineal.db import trials as trials_db
from lineal.service.sweep import best_version
from lineal.service.sweep.handout import is_preempted, is_used_up, put_back
from lineal.service.sweep.locked import LockedSweep

if TYPE_CHECKING:
    from lineal.db.rows import RunRow, TrialRow


def judged(connection: Connection, trial: TrialRow) -> Beat:
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
        noted = {**(trial.progress or {}), "stop": str(TrialState.STOPPED)}
        trials_db.renew(connection, TrialKey(trial.id), {"progress": noted})
        return Beat(False, TrialState.STOPPED, "others do better")
    return Beat(True, TrialState.RUNNING)


def take_back(sweep: LockedSweep, actor: Actor) -> bool:
    """Queue the trials whose agent fell silent again; returns whether there were any.

    One whose run finished is done: its agent was killed before it could say so.
    """
    late = trials_db.late(sweep.connection, sweep.key, sweep.now())
    for trial in late:
        run = _run_of(sweep, trial)
        is_done = run is not None and run.deleted_at is None and run.state == RunState.FINISHED
        state = TrialState.FINISHED if is_done else TrialState.QUEUED
        end(sweep, trial, state)
    if late:
        conclude(sweep, actor)
    return bool(late)


def end(sweep: LockedSweep, trial: TrialRow, state: TrialState) -> None:
    """Note how a trial ended; one that was left, or whose run was preempted, is queued again.

    So is one that failed when its project had been deleted with its run: both may be restored.
    """
    connection, plan = sweep.connection, sweep.plan
    run = _run_of(sweep, trial)
    was_deleted = state is TrialState.FAILED and sweep.row.project_deleted_at is not None
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
        "ended_at": sweep.now(),
        "lease_until": None,
    }
    trials_db.change(connection, sweep.key, TrialKey(trial.id), changed)
    if rules.is_reached(plan.metric, value) and sweep.row.state not in OVER:
        finished = {"state": str(SweepState.FINISHED)}
        sweeps_db.change(connection, sweep.key, finished, sweep.now())


def _run_of(sweep: LockedSweep, trial: TrialRow) -> RunRow | None:
    named = sweeps_db.by_key(sweep.connection, sweep.key)
    return runs_db.find(sweep.connection, named.entity, named.project, trial.run_id)


def conclude(sweep: LockedSweep, actor: Actor) -> None:
    """Move the alias of the best version, and end a sweep that has nothing left to do."""
    connection, plan, key = sweep.connection, sweep.plan, sweep.key
    if plan.best_alias is not None and plan.metric is not None:
        best = trials_db.best(connection, key, plan.metric.sign)
        if best is not None:
            best_version.put_alias(sweep, best.run_id, actor)
    present = sweeps_db.lock(connection, key)
    if present.state != SweepState.RUNNING or not is_used_up(present, plan):
        return
    left = (TrialState.RUNNING, TrialState.QUEUED)
    if not any(trials_db.in_state(connection, key, state, limit=1) for state in left):
        sweeps_db.change(connection, key, {"state": str(SweepState.FINISHED)}, sweep.now())


def _does_badly(connection: Connection, stops: hyperband.Hyperband, trial: TrialRow) -> bool:
    progress = trial.progress
    if not progress:
        return False
    bracket = hyperband.reached(stops, progress["logged"])
    if bracket is None:
        return False
    others = trials_db.best_at(connection, trial.sweep_id, bracket)
    own = {int(at): best for at, best in progress["at"].items()}
    return hyperband.should_stop(stops, progress["logged"], own, progress["best"], others)
