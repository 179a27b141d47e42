"""Sweeps: made, changed, and handed out trial by trial to any number of agents (SWP-1…SWP-14).

A trial is leased. The agent that has it says every few seconds that it goes on; when it falls
silent the trial is handed out again. docs/design/005-sweeps.md.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row

from lineal.core import access, hyperband, names
from lineal.core import sweeps as rules
from lineal.core.access import Action, Actor
from lineal.core.records import Page, PageRequest, RunState
from lineal.core.sweeps import ENDED, Plan, SweepState, TrialState
from lineal.core.trials import (
    AgentKey,
    AgentRecord,
    Answer,
    Beat,
    SweepKey,
    SweepRecord,
    SweepSpec,
    TrialKey,
    TrialProgress,
    TrialRecord,
)
from lineal.db import projects as projects_db
from lineal.db import runs as runs_db
from lineal.db import sweeps as sweeps_db
from lineal.errors import Conflict, Invalid, NotFound, RunNotFoundError
from lineal.service import best_version
from lineal.service.instance import Instance
from lineal.service.search import Point, Search, name_of, point_of

_ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789"
_OVER = (SweepState.STOPPED, SweepState.CANCELLED, SweepState.FINISHED)
_MAY_BECOME = {
    SweepState.PAUSED: (SweepState.PENDING, SweepState.RUNNING),
    SweepState.RUNNING: (SweepState.PAUSED, SweepState.STOPPED),
    SweepState.STOPPED: (SweepState.PENDING, SweepState.RUNNING, SweepState.PAUSED),
    SweepState.CANCELLED: (
        SweepState.PENDING, SweepState.RUNNING, SweepState.PAUSED, SweepState.STOPPED,
    ),
}  # fmt: skip
"""What a person may make of a sweep, and from which states."""

# --- sweeps -------------------------------------------------------------------------------------


def create(instance: Instance, actor: Actor, spec: SweepSpec) -> SweepRecord:
    """Make a sweep; makes the project if there is none.

    Raises Invalid naming every mistake in the document, RunNotFoundError for a prior run that is
    not there, Unavailable if the search's library is missing.
    """
    what = f"{spec.entity}/{spec.project}"
    access.require(actor, Action.WRITE, f"project {what}")
    names.entity_name(spec.entity)
    names.project_name(spec.project)
    plan = rules.plan(spec.document)
    if plan.searched and plan.method != "grid":
        Search(plan)  # so that what is missing is said now, not to the first agent
    now = instance.clock.now()
    sweep_id = _new_id()
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
            _add_prior(connection, instance, spec, key, plan, run_id, sweep_id)
        return _record(connection, key)


def sweep(
    instance: Instance, actor: Actor, entity: str, project: str, sweep_id: str
) -> SweepRecord:
    """Return a sweep. Raises NotFound, naming near misses."""
    what = f"sweep {entity}/{project}/{sweep_id}"
    access.require(actor, Action.READ, what)
    with instance.database.reading() as connection:
        row = sweeps_db.find(connection, entity, project, sweep_id)
        if row is None:
            project_id = projects_db.require(connection, entity, project, actor.name)
            known = sweeps_db.ids(connection, project_id, projects_db.NEAR_MISSES_MOST)
            near = (
                projects_db.near_misses(sweep_id, known, others="Sweeps there")
                if known
                else "; the project has no sweeps yet"
            )
            raise NotFound(f"No {what} (you are {actor.name}){near}")
        return sweeps_db.record(connection, row)


def sweeps(
    instance: Instance, actor: Actor, entity: str, project: str, page: PageRequest
) -> Page[SweepRecord]:
    """List the sweeps of a project, the newest first. Raises NotFound."""
    access.require(actor, Action.READ, f"project {entity}/{project}")
    with instance.database.reading() as connection:
        project_id = projects_db.require(connection, entity, project, actor.name)
        return sweeps_db.page(connection, project_id, page)


def trials(
    instance: Instance, actor: Actor, sweep: SweepKey, page: PageRequest
) -> Page[TrialRecord]:
    """List the trials of a sweep, the newest first, runs that were there before at the end."""
    access.require(actor, Action.READ, f"sweep {sweep}")
    with instance.database.reading() as connection:
        return sweeps_db.trial_page(connection, sweep, page)


def agents(instance: Instance, actor: Actor, sweep: SweepKey) -> list[AgentRecord]:
    """Return the agents that worked for a sweep, the oldest first."""
    access.require(actor, Action.READ, f"sweep {sweep}")
    alive_since = instance.clock.now() - instance.trial_lease
    with instance.database.reading() as connection:
        return sweeps_db.agents(connection, sweep, alive_since)


def set_state(instance: Instance, actor: Actor, sweep: SweepKey, state: SweepState) -> SweepRecord:
    """Pause, resume (`running`), stop or cancel a sweep; what it is already changes nothing.

    Raises Conflict for what a sweep in its state cannot become, Invalid for states that only
    follow from its trials.
    """
    access.require(actor, Action.WRITE, f"sweep {sweep}")
    if state not in _MAY_BECOME:
        raise Invalid(f"A sweep cannot be made `{state}`; pause, resume, stop or cancel it")
    with instance.database.writing() as connection:
        row = _locked(connection, sweep)
        if row.state != state and row.state not in _MAY_BECOME[state]:
            raise Conflict(f"Sweep {row.sweep_id} is {row.state}, so it cannot become {state}")
        if row.state != state:
            _change(connection, sweep, {"state": str(state)}, instance.clock.now())
        return _record(connection, sweep)


def update(
    instance: Instance, actor: Actor, sweep: SweepKey, document: Mapping[str, Any]
) -> SweepRecord:
    """Give a sweep another document while no trial was handed out (SWP-8).

    Raises Invalid naming every mistake in it, Conflict once there are trials: their results would
    belong to another search.
    """
    access.require(actor, Action.WRITE, f"sweep {sweep}")
    plan = rules.plan(document)
    if plan.searched and plan.method != "grid":
        Search(plan)  # as when it is made
    with instance.database.writing() as connection:
        row = _locked(connection, sweep)
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
        _change(connection, sweep, values, instance.clock.now())
        return _record(connection, sweep)


def enqueue(
    instance: Instance, actor: Actor, sweep: SweepKey, parameters: Mapping[str, Any]
) -> TrialRecord:
    """Have these parameters tried before any that the search chooses (API-12).

    Constants are added; Invalid names a parameter that the sweep has and these lack. What is a
    point of the sweep's grid is not handed out again when its turn comes. Raises Conflict for a
    sweep that is over: nobody would try them.
    """
    access.require(actor, Action.WRITE, f"sweep {sweep}")
    with instance.database.writing() as connection:
        row = _locked(connection, sweep)
        if row.state in _OVER:
            raise Conflict(_cannot_take(row))
        plan = rules.plan(row.document)
        values = dict(plan.constants)
        for path in plan.searched:
            try:
                values[path] = rules.at(parameters, path)
            except KeyError as error:
                raise Invalid(
                    f"Sweep {row.sweep_id} needs the parameter `{'.'.join(path)}`, too"
                ) from error
        point = point_of(plan, parameters)
        trial = _add_trial(
            connection,
            row,
            {"point": point or {}, "parameters": rules.nested(values)},
            instance.clock.now(),
            state=TrialState.QUEUED,
            grid_number=_grid_number(row, plan, parameters),
        )
        return sweeps_db.trial_record(trial)


def _cannot_take(row: Row[Any]) -> str:
    """Say what to do about a sweep that is over, for those who want one more trial of it."""
    if row.state in _MAY_BECOME[SweepState.RUNNING]:
        then = "go on with it first: `sweep.resume()` or `lineal sweep resume`"
    else:
        then = "make a new one that begins with its runs: `sweep(…, prior_runs=…)`"
    return f"Sweep {row.sweep_id} is {row.state} and tries nothing more; {then}"


# --- agents -------------------------------------------------------------------------------------


def join(instance: Instance, actor: Actor, sweep: SweepKey, *, name: str, host: str) -> AgentKey:
    """Note an agent that is about to ask for trials. Raises NotFound."""
    access.require(actor, Action.WRITE, f"sweep {sweep}")
    now = instance.clock.now()
    with instance.database.writing() as connection:
        _locked(connection, sweep)
        return sweeps_db.add_agent(
            connection,
            {
                "sweep_id": sweep,
                "name": name,
                "host": host,
                "created_at": now,
                "heartbeat_at": now,
            },
        )


def leave(instance: Instance, actor: Actor, agent: AgentKey) -> None:
    """Note that an agent asks for nothing more."""
    access.require(actor, Action.WRITE, f"agent {agent}")
    now = instance.clock.now()
    with instance.database.writing() as connection:
        sweeps_db.change_agent(connection, agent, {"heartbeat_at": now, "ended_at": now})


def next_trial(instance: Instance, actor: Actor, sweep: SweepKey, agent: AgentKey) -> Answer:
    """Hand out a trial: one that came back, else the next point of the grid or of the search.

    No point of a grid is handed out twice, whoever asks at once. Raises NotFound.
    """
    access.require(actor, Action.WRITE, f"sweep {sweep}")
    with instance.database.writing() as connection:
        row = _locked(connection, sweep)
        plan = rules.plan(row.document)
        answer = _without_search(connection, instance, row, plan, agent)
        if answer is not None:
            return answer
    search = _search_of(instance, sweep, plan)
    number, point = search.ask()
    with instance.database.writing() as connection:
        row = _locked(connection, sweep)
        if rules.plan(row.document) != plan:
            return Answer(None, waits=True, reason="the sweep was changed")
        answer = _refusal(connection, instance, row, plan, agent)
        if answer is None:
            answer = _new(connection, instance, row, plan, agent, point)
            assert answer.trial is not None
            search.took(number, answer.trial.key)
            return answer
    search.forget(number)
    return answer


def beat(instance: Instance, actor: Actor, trial: TrialKey, agent: AgentKey) -> Beat:
    """Renew a trial's lease; says whether the trial is to go on, and why not.

    It ends when its sweep is cancelled, its run was stopped, another agent took it over, or
    others do better (SWP-5).
    """
    access.require(actor, Action.WRITE, f"trial {trial}")
    now = instance.clock.now()
    with instance.database.writing(is_durable=False) as connection:
        found = _trial(connection, trial)
        if found.state != TrialState.RUNNING or found.agent_id != agent:
            return Beat(False, TrialState.CANCELLED, "another agent has it now")
        sweeps_db.renew(connection, trial, {"lease_until": now + instance.trial_lease})
        sweeps_db.change_agent(connection, agent, {"heartbeat_at": now})
        return _judged(connection, found)


def report(
    instance: Instance, actor: Actor, trial: TrialKey, run_id: str, progress: TrialProgress
) -> Beat:
    """Say how far a trial's run is; answers as `beat` does, without renewing the lease.

    run_id: the program of a lost agent may go on for a while; nobody listens to its run.
    """
    access.require(actor, Action.WRITE, f"trial {trial}")
    with instance.database.writing(is_durable=False) as connection:
        before = _trial(connection, trial)
        if before.run_id != run_id or before.state != TrialState.RUNNING:
            return Beat(False, TrialState.CANCELLED, "another agent has it now")
        told = {**progress._asdict(), "at": {str(at): best for at, best in progress.at.items()}}
        if before.progress and "stop" in before.progress:
            told["stop"] = before.progress["stop"]
        sweeps_db.renew(connection, trial, {"progress": told})
        return _judged(connection, _trial(connection, trial))


def propose(instance: Instance, actor: Actor, sweep: SweepKey) -> dict[str, Any] | None:
    """Return the parameters that would come next, handing out nothing (SWP-11); None: no more."""
    access.require(actor, Action.READ, f"sweep {sweep}")
    with instance.database.reading() as connection:
        row = sweeps_db.by_key(connection, sweep)
    if row is None:
        raise NotFound(f"There is no sweep with the key {sweep}")
    plan = rules.plan(row.document)
    if _is_used_up(row, plan):
        return None
    if plan.method == "grid" or not plan.searched:
        chosen = rules.grid_point(plan, row.next_point) if plan.method == "grid" else {}
    else:
        search = _search_of(instance, sweep, plan)
        number, point = search.ask()
        search.forget(number)
        chosen = {path: plan.searched[path].value(point[name_of(path)]) for path in plan.searched}
    return rules.nested({**chosen, **plan.constants})


def finish(
    instance: Instance, actor: Actor, trial: TrialKey, agent: AgentKey, state: TrialState
) -> TrialRecord:
    """End a trial; its value is what its run's summary says.

    A run that was preempted comes back into the queue (RUN-20). What a lost agent says of a trial
    that was taken from it changes nothing, whether another one has it by now or nobody yet.
    """
    access.require(actor, Action.WRITE, f"trial {trial}")
    if state not in ENDED:
        raise Invalid(f"A trial cannot end as `{state}`")
    with instance.database.writing() as connection:
        found = _trial(connection, trial)
        row = _locked(connection, found.sweep_id)
        found = _trial(connection, trial)  # as it is now that nobody else changes it
        if found.agent_id == agent and found.state == TrialState.RUNNING:
            plan = rules.plan(row.document)
            _end(connection, instance, row, plan, found, state)
            _conclude(connection, instance, row, plan, actor)
        return sweeps_db.trial_record(_trial(connection, trial))


def trial_of_run(
    instance: Instance, actor: Actor, entity: str, project: str, sweep_id: str, run_id: str
) -> TrialRecord:
    """Return the trial that a run is to carry out. Raises NotFound."""
    what = f"trial of run {run_id} in sweep {entity}/{project}/{sweep_id}"
    access.require(actor, Action.READ, what)
    with instance.database.reading() as connection:
        found = sweeps_db.trial_of_run(connection, entity, project, sweep_id, run_id)
    if found is None:
        raise NotFound(
            f"No {what} (you are {actor.name}); only an agent starts the runs of a sweep"
        )
    return sweeps_db.trial_record(found)


# --- handing out --------------------------------------------------------------------------------


def _without_search(
    connection: Connection, instance: Instance, row: Row[Any], plan: Plan, agent: AgentKey
) -> Answer | None:
    """Answer where no search is needed; None where one must choose the point."""
    answer = _refusal(connection, instance, row, plan, agent)
    if answer is not None:
        return answer
    if plan.method == "grid" or not plan.searched:
        point: Point = {}
        if plan.method == "grid":
            chosen = rules.grid_point(plan, row.next_point)
            found = {path: plan.searched[path].point(value) for path, value in chosen.items()}
            point = {name_of(path): at for path, at in found.items() if at is not None}
        return _new(connection, instance, row, plan, agent, point)
    return None


def _refusal(
    connection: Connection, instance: Instance, row: Row[Any], plan: Plan, agent: AgentKey
) -> Answer | None:
    """Hand out a trial that came back, or say why there is none; None: a new one may be made."""
    now = instance.clock.now()
    _take_back(connection, row, now)
    if row.state == SweepState.PAUSED:
        return Answer(None, waits=True, reason="the sweep is paused")
    if row.state in _OVER:
        return Answer(None, reason=f"the sweep is {row.state}")
    waiting = sweeps_db.in_state(connection, SweepKey(row.id), TrialState.QUEUED, limit=1)
    if waiting:
        return _claimed(connection, instance, row, waiting[0], agent)
    if not _is_used_up(row, plan):
        return None
    if sweeps_db.in_state(connection, SweepKey(row.id), TrialState.RUNNING, limit=1):
        return Answer(None, waits=True, reason="the last trials are running elsewhere")
    _change(connection, SweepKey(row.id), {"state": str(SweepState.FINISHED)}, now)
    return Answer(None, reason="all trials are done")


def _take_back(connection: Connection, row: Row[Any], now: datetime) -> None:
    """Put trials whose agent fell silent back into the queue, with a new run each."""
    for trial in sweeps_db.late(connection, SweepKey(row.id), now):
        sweeps_db.change_trial(
            connection,
            SweepKey(row.id),
            TrialKey(trial.id),
            {
                "state": str(TrialState.QUEUED),
                "run_id": _new_id(),
                "is_resumed": False,
                "progress": None,
            },
        )


def _claimed(
    connection: Connection, instance: Instance, row: Row[Any], trial: Row[Any], agent: AgentKey
) -> Answer:
    now = instance.clock.now()
    sweeps_db.change_trial(
        connection,
        SweepKey(row.id),
        TrialKey(trial.id),
        {
            "state": str(TrialState.RUNNING),
            "agent_id": agent,
            "attempt": trial.attempt + 1,
            "lease_until": now + instance.trial_lease,
        },
    )
    _change(connection, SweepKey(row.id), {"state": str(SweepState.RUNNING)}, now)
    claimed = sweeps_db.trial_record(_trial(connection, TrialKey(trial.id)))
    return Answer(claimed, is_resumed=trial.is_resumed)


def _new(
    connection: Connection,
    instance: Instance,
    row: Row[Any],
    plan: Plan,
    agent: AgentKey,
    point: Point,
) -> Answer:
    values = {path: plan.searched[path].value(point[name_of(path)]) for path in plan.searched}
    trial = _add_trial(
        connection,
        row,
        {
            "point": point,
            "parameters": rules.nested({**values, **plan.constants}),
            "agent_id": agent,
            "attempt": 1,
            "lease_until": instance.clock.now() + instance.trial_lease,
        },
        instance.clock.now(),
        state=TrialState.RUNNING,
        grid_number=row.next_point if plan.method == "grid" else None,
    )
    return Answer(sweeps_db.trial_record(trial))


def _add_trial(
    connection: Connection,
    row: Row[Any],
    values: Mapping[str, Any],
    now: datetime,
    *,
    state: TrialState,
    grid_number: int | None,
) -> Row[Any]:
    changed: dict[str, Any] = {"next_number": row.next_number + 1}
    if grid_number is not None:
        changed |= _without_point(row, grid_number)
    if state is TrialState.RUNNING:
        changed["state"] = str(SweepState.RUNNING)
    _change(connection, SweepKey(row.id), changed, now)
    fixed = {
        "number": row.next_number,
        "state": str(state),
        "run_id": _new_id(),
        "created_at": now,
    }
    key = sweeps_db.add_trial(connection, SweepKey(row.id), fixed | dict(values))
    return _trial(connection, key)


def _is_used_up(row: Row[Any], plan: Plan) -> bool:
    """Say whether no new trial may be made: the grid has no point left, or the cap is reached."""
    if plan.run_cap is not None and row.next_number >= plan.run_cap:
        return True
    return plan.point_count is not None and row.next_point >= plan.point_count


def _grid_number(row: Row[Any], plan: Plan, parameters: Mapping[str, Any]) -> int | None:
    """Return the number of the grid's point that parameters are, None if they are none of them."""
    if plan.method != "grid":
        return None
    if not _is_used_up(row, plan):
        following = rules.nested(rules.grid_point(plan, row.next_point))
        if point_of(plan, following) == point_of(plan, parameters):
            return int(row.next_point)  # and not an earlier one, if a value is there twice
    return rules.grid_number(plan, parameters)


def _without_point(row: Row[Any], number: int) -> dict[str, Any]:
    """Return what changes in a sweep whose grid's point with this number has become a trial."""
    if number < row.next_point:
        return {}
    following, ahead = row.next_point, {*(row.points_ahead or ()), number}
    while following in ahead:
        ahead.remove(following)
        following += 1
    return {"next_point": following, "points_ahead": sorted(ahead) or None}


def _search_of(instance: Instance, sweep: SweepKey, plan: Plan) -> Search:
    """Return this process's study of a sweep, knowing all that happened until now."""
    search = instance.searches.get(sweep)
    if search is None or search.plan != plan:  # `update` may have come from another process
        search = instance.searches[sweep] = Search(plan)
    with instance.database.reading() as connection:
        search.learn(sweeps_db.changed(connection, sweep, search.revision))
    return search


def _judged(connection: Connection, trial: Row[Any]) -> Beat:
    """Say whether a trial may go on; that it must not is noted, for when it ends."""
    row = sweeps_db.by_key(connection, trial.sweep_id)
    assert row is not None
    if row.state == SweepState.CANCELLED:
        return Beat(False, TrialState.CANCELLED, "the sweep was cancelled")
    run = runs_db.find(connection, row.entity, row.project, trial.run_id)
    if run is not None and run.state == RunState.KILLED:
        return Beat(False, TrialState.CANCELLED, "its run was stopped")
    plan = rules.plan(row.document)
    if plan.stops is not None and _does_badly(connection, plan.stops, trial):
        noted = {**trial.progress, "stop": str(TrialState.STOPPED)}
        sweeps_db.renew(connection, TrialKey(trial.id), {"progress": noted})
        return Beat(False, TrialState.STOPPED, "others do better")
    return Beat(True, TrialState.RUNNING)


# --- ending -------------------------------------------------------------------------------------


def _end(
    connection: Connection,
    instance: Instance,
    row: Row[Any],
    plan: Plan,
    trial: Row[Any],
    state: TrialState,
) -> None:
    whole = sweeps_db.by_key(connection, SweepKey(row.id))
    assert whole is not None
    run = runs_db.find(connection, whole.entity, whole.project, trial.run_id)
    if run is not None and run.state in (RunState.PREEMPTING, RunState.PREEMPTED):
        again = {"state": str(TrialState.QUEUED), "is_resumed": True, "lease_until": None}
        sweeps_db.change_trial(connection, SweepKey(row.id), TrialKey(trial.id), again)
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
    if rules.is_reached(plan.metric, value) and row.state not in _OVER:
        finished = {"state": str(SweepState.FINISHED)}
        _change(connection, SweepKey(row.id), finished, instance.clock.now())


def _conclude(
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
    assert present is not None
    if present.state != SweepState.RUNNING or not _is_used_up(present, plan):
        return
    left = (TrialState.RUNNING, TrialState.QUEUED)
    if not any(sweeps_db.in_state(connection, key, state, limit=1) for state in left):
        _change(connection, key, {"state": str(SweepState.FINISHED)}, now)


def _does_badly(connection: Connection, stops: hyperband.Hyperband, trial: Row[Any]) -> bool:
    progress = trial.progress
    if not progress:
        return False
    bracket = hyperband.reached(stops, progress["logged"])
    if bracket is None:
        return False
    others = [
        each.progress["at"][str(bracket)]
        for each in sweeps_db.with_progress(connection, trial.sweep_id)
        if str(bracket) in each.progress["at"]
    ]
    own = {int(at): best for at, best in progress["at"].items()}
    return hyperband.should_stop(stops, progress["logged"], own, progress["best"], others)


# --- rows ---------------------------------------------------------------------------------------


def _add_prior(
    connection: Connection,
    instance: Instance,
    spec: SweepSpec,
    key: SweepKey,
    plan: Plan,
    run_id: str,
    sweep_id: str,
) -> None:
    """Let a run that was there before inform the search; it keeps a sweep that it has."""
    run = runs_db.find(connection, spec.entity, spec.project, run_id)
    if run is None or run.deleted_at is not None:
        raise RunNotFoundError(
            f"There is no run {spec.entity}/{spec.project}/{run_id} to begin the sweep with"
        )
    point = point_of(plan, run.config)
    value = rules.result(run.summary, plan.metric) if plan.metric is not None else None
    now = instance.clock.now()
    sweeps_db.add_trial(
        connection,
        key,
        {
            "number": sweeps_db.last_number(connection, key) - 1,
            "point": point or {},
            "parameters": dict(run.config),
            "state": str(TrialState.FINISHED if point is not None else TrialState.FAILED),
            "run_id": run_id,
            "value": value,
            "created_at": now,
            "ended_at": now,
        },
    )
    if run.sweep_id is None:
        runs_db.change(connection, run.id, {"sweep_id": sweep_id})


def _record(connection: Connection, key: SweepKey) -> SweepRecord:
    row = sweeps_db.by_key(connection, key)
    assert row is not None
    return sweeps_db.record(connection, row)


def _locked(connection: Connection, key: SweepKey) -> Row[Any]:
    row = sweeps_db.lock(connection, key)
    if row is None:
        raise NotFound(f"There is no sweep with the key {key}")
    return row


def _trial(connection: Connection, key: TrialKey) -> Row[Any]:
    row = sweeps_db.trial(connection, key)
    if row is None:
        raise NotFound(f"There is no trial with the key {key}")
    return row


def _change(
    connection: Connection, key: SweepKey, values: Mapping[str, Any], now: datetime
) -> None:
    sweeps_db.change(connection, key, {**values, "updated_at": now})


def _new_id() -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(8))
