"""Which trial an agent gets: one that came back, else the next point of the grid or a search."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection

from lineal.core import sweeps as rules
from lineal.core.ids import new_id
from lineal.core.records import RunState
from lineal.core.sweeps import Plan
from lineal.core.trials import OVER, AgentKey, Answer, SweepKey, SweepState, TrialKey, TrialState
from lineal.db import sweeps as sweeps_db
from lineal.db import trials as trials_db
from lineal.service.sweep.locked import LockedSweep
from lineal.service.sweep.search import Point, name_of, point_of

if TYPE_CHECKING:
    from lineal.db.rows import RunRow, SweepRow, TrialRow


def without_search(sweep: LockedSweep, agent: AgentKey) -> Answer | None:
    """Answer where no search is needed; None where one must choose the point."""
    answer = from_queue(sweep, agent)
    if answer is not None:
        return answer
    if sweep.plan.method == "grid":
        return new_trial(sweep, agent, _next_grid_point(sweep))
    if not sweep.plan.searched:
        return new_trial(sweep, agent, {})
    return None


def from_queue(sweep: LockedSweep, agent: AgentKey) -> Answer | None:
    """Hand out a trial that came back, or say why there is none; None: a new one is to be made."""
    connection, row = sweep.connection, sweep.row
    if row.state == SweepState.PAUSED:
        return Answer(None, waits=True, reason="the sweep is paused")
    if row.state in OVER:
        return Answer(None, reason=f"the sweep is {row.state}")
    waiting = trials_db.in_state(connection, sweep.key, TrialState.QUEUED, limit=1)
    if waiting:
        return _claimed(sweep, waiting[0], agent)
    if not is_used_up(row, sweep.plan):
        return None
    if trials_db.in_state(connection, sweep.key, TrialState.RUNNING, limit=1):
        return Answer(None, waits=True, reason="the last trials are running elsewhere")
    finished = {"state": str(SweepState.FINISHED)}
    sweeps_db.change(connection, sweep.key, finished, sweep.now())
    return Answer(None, reason="all trials are done")


def new_trial(sweep: LockedSweep, agent: AgentKey, point: Point) -> Answer:
    """Make a trial of a point and hand it out."""
    plan = sweep.plan
    values = {path: plan.searched[path].value(point[name_of(path)]) for path in plan.searched}
    trial = add_trial(
        sweep,
        {
            "point": point,
            "parameters": rules.nested({**values, **plan.constants}),
            "agent_id": agent,
            "attempt": 1,
            "lease_until": sweep.now() + sweep.instance.trial_lease,
        },
        state=TrialState.RUNNING,
        grid_number=sweep.row.next_point if plan.method == "grid" else None,
    )
    return Answer(trials_db.record(trial))


def add_trial(
    sweep: LockedSweep, values: Mapping[str, Any], *, state: TrialState, grid_number: int | None
) -> TrialRow:
    """Add a trial with the sweep's next number; its point of the grid will not come again."""
    connection, row, now = sweep.connection, sweep.row, sweep.now()
    changed: dict[str, Any] = {"next_number": row.next_number + 1}
    if grid_number is not None:
        changed |= _without_point(row, grid_number)
    if state is TrialState.RUNNING:
        changed["state"] = str(SweepState.RUNNING)
    sweeps_db.change(connection, sweep.key, changed, now)
    fixed = {
        "number": row.next_number,
        "state": str(state),
        "run_id": new_id(),
        "created_at": now,
    }
    key = trials_db.add(connection, sweep.key, fixed | dict(values))
    return trials_db.by_key(connection, key)


def is_used_up(row: SweepRow, plan: Plan) -> bool:
    """Say whether no new trial may be made: the grid has no point left, or the cap is reached."""
    if plan.run_cap is not None and row.next_number >= plan.run_cap:
        return True
    return plan.point_count is not None and row.next_point >= plan.point_count


def grid_number(sweep: LockedSweep, parameters: Mapping[str, Any]) -> int | None:
    """Return the number of the grid's point that parameters are, None if they are none of them."""
    row, plan = sweep.row, sweep.plan
    if plan.method != "grid":
        return None
    if not is_used_up(row, plan):
        following = rules.nested(rules.grid_point(plan, row.next_point))
        if point_of(plan, following) == point_of(plan, parameters):
            return int(row.next_point)  # and not an earlier one, if a value is there twice
    return rules.grid_number(plan, parameters)


def put_back(connection: Connection, trial: TrialRow, run: RunRow | None) -> None:
    """Put a trial back into the queue: to be tried from the start by a new run, or, where its run
    was about to be preempted, to go on in that (RUN-20)."""
    again: dict[str, Any] = {"state": str(TrialState.QUEUED), "lease_until": None}
    if is_preempted(run):
        again["is_resumed"] = True
    else:
        again |= {"run_id": new_id(), "is_resumed": False, "progress": None}
    trials_db.change(connection, SweepKey(trial.sweep_id), TrialKey(trial.id), again)


def is_preempted(run: RunRow | None) -> bool:
    """Say whether a run announced that it would be preempted, and can go on."""
    if run is None or run.deleted_at is not None:
        return False
    return run.state in (RunState.PREEMPTING, RunState.PREEMPTED)


def _claimed(sweep: LockedSweep, trial: TrialRow, agent: AgentKey) -> Answer:
    connection, now = sweep.connection, sweep.now()
    trials_db.change(
        connection,
        sweep.key,
        TrialKey(trial.id),
        {
            "state": str(TrialState.RUNNING),
            "agent_id": agent,
            "attempt": trial.attempt + 1,
            "lease_until": now + sweep.instance.trial_lease,
        },
    )
    sweeps_db.change(connection, sweep.key, {"state": str(SweepState.RUNNING)}, now)
    claimed = trials_db.record(trials_db.by_key(connection, TrialKey(trial.id)))
    return Answer(claimed, is_resumed=trial.is_resumed)


def _next_grid_point(sweep: LockedSweep) -> Point:
    plan = sweep.plan
    chosen = rules.grid_point(plan, sweep.row.next_point)
    found = {path: plan.searched[path].point(value) for path, value in chosen.items()}
    return {name_of(path): at for path, at in found.items() if at is not None}


def _without_point(row: SweepRow, number: int) -> dict[str, Any]:
    """Return what changes in a sweep whose grid's point with this number has become a trial."""
    if number < row.next_point:
        return {}
    following, ahead = row.next_point, {*(row.points_ahead or ()), number}
    while following in ahead:
        ahead.remove(following)
        following += 1
    return {"next_point": following, "points_ahead": sorted(ahead) or None}
