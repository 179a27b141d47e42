"""The trials of a sweep, handed out one by one to any number of agents (SWP-4…SWP-13).

A trial is leased. The agent that has it says every few seconds that it goes on; when it falls
silent the trial is handed out again. docs/design/005-sweeps.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection

from lineal.core import access
from lineal.core import sweeps as rules
from lineal.core.access import Action, Actor
from lineal.core.mistakes import near
from lineal.core.records import Page, PageRequest
from lineal.core.sweeps import Plan
from lineal.core.trials import (
    ENDED,
    MAY_BECOME,
    OVER,
    AgentKey,
    AgentRecord,
    Answer,
    Beat,
    SweepKey,
    SweepState,
    TrialKey,
    TrialProgress,
    TrialRecord,
    TrialState,
)
from lineal.db import agents as agents_db
from lineal.db import sweeps as sweeps_db
from lineal.db import trials as trials_db
from lineal.errors import Conflict, Invalid, NotFound
from lineal.service.instance import Instance
from lineal.service.sweep import handout, outcome
from lineal.service.sweep.locked import LockedSweep
from lineal.service.sweep.search import Search, name_of, point_of

if TYPE_CHECKING:
    from lineal.db.rows import SweepRow


def trials(
    instance: Instance, actor: Actor, sweep: SweepKey, page: PageRequest
) -> Page[TrialRecord]:
    """List the trials of a sweep, the newest first, runs that were there before at the end."""
    access.require(actor, Action.READ, f"sweep {sweep}")
    with instance.database.reading() as connection:
        return trials_db.page(connection, sweep, page)


def agents(instance: Instance, actor: Actor, sweep: SweepKey) -> list[AgentRecord]:
    """Return the agents that worked for a sweep, the oldest first."""
    access.require(actor, Action.READ, f"sweep {sweep}")
    alive_since = instance.clock.now() - instance.trial_lease
    with instance.database.reading() as connection:
        return agents_db.records(connection, sweep, alive_since)


def trial_of_run(
    instance: Instance, actor: Actor, entity: str, project: str, sweep_id: str, run_id: str
) -> TrialRecord:
    """Return the trial that a run is to carry out. Raises NotFound."""
    what = f"trial of run {run_id} in sweep {entity}/{project}/{sweep_id}"
    access.require(actor, Action.READ, what)
    with instance.database.reading() as connection:
        found = trials_db.of_run(connection, entity, project, sweep_id, run_id)
    if found is None:
        raise NotFound(
            f"No {what} (you are {actor.name}); only an agent starts the runs of a sweep"
        )
    return trials_db.record(found)


def enqueue(
    instance: Instance, actor: Actor, sweep: SweepKey, parameters: Mapping[str, Any]
) -> TrialRecord:
    """Have these parameters tried before any that the search chooses (API-12).

    Constants are added; Invalid names a parameter that the sweep has and these lack, or that only
    these have. What is a point of the sweep's grid is not handed out again when its turn comes.
    Raises Conflict for a sweep that is over: nobody would try them; Gone for one that was deleted.
    """
    access.require(actor, Action.WRITE, f"sweep {sweep}")
    with instance.database.writing() as connection:
        locked = LockedSweep.of(instance, connection, sweeps_db.lock_live(connection, sweep))
        row, plan = locked.row, locked.plan
        if row.state in OVER:
            raise Conflict(_cannot_take(row))
        values = dict(plan.constants)
        _require_known(row, [*plan.constants, *plan.searched], parameters)
        for path in plan.searched:
            try:
                values[path] = rules.at(parameters, path)
            except KeyError as error:
                raise Invalid(
                    f"Sweep {row.sweep_id} needs the parameter `{'.'.join(path)}`, too"
                ) from error
        point = point_of(plan, parameters)
        trial = handout.add_trial(
            locked,
            {"point": point or {}, "parameters": rules.nested(values)},
            state=TrialState.QUEUED,
            grid_number=handout.grid_number(locked, parameters),
        )
        return trials_db.record(trial)


def _require_known(
    row: SweepRow,
    known: list[tuple[str, ...]],
    given: Mapping[str, Any],
    above: tuple[str, ...] = (),
) -> None:
    for key, value in given.items():
        path = (*above, key)
        if path in known:
            continue
        if isinstance(value, Mapping) and any(each[: len(path)] == path for each in known):
            _require_known(row, known, value, path)
        else:
            hint = near(".".join(path), [".".join(each) for each in known])
            raise Invalid(f"Sweep {row.sweep_id} has no parameter `{'.'.join(path)}`{hint}")


def propose(instance: Instance, actor: Actor, sweep: SweepKey) -> dict[str, Any] | None:
    """Return the parameters that would come next, handing out nothing (SWP-11); None: no more."""
    access.require(actor, Action.READ, f"sweep {sweep}")
    with instance.database.reading() as connection:
        row = sweeps_db.by_key(connection, sweep)
    plan = rules.plan(row.document)
    if handout.is_used_up(row, plan):
        return None
    if plan.method == "grid" or not plan.searched:
        chosen = rules.grid_point(plan, row.next_point) if plan.method == "grid" else {}
    else:
        search = _search_of(instance, sweep, plan)
        number, point = search.ask()
        search.forget(number)
        chosen = {path: plan.searched[path].value(point[name_of(path)]) for path in plan.searched}
    return rules.nested({**chosen, **plan.constants})


def join(instance: Instance, actor: Actor, sweep: SweepKey, *, name: str, host: str) -> AgentKey:
    """Note an agent that is about to ask for trials. Raises NotFound, Gone."""
    access.require(actor, Action.WRITE, f"sweep {sweep}")
    now = instance.clock.now()
    with instance.database.writing() as connection:
        sweeps_db.lock_live(connection, sweep)
        return agents_db.add(
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
        agents_db.change(connection, agent, {"heartbeat_at": now, "ended_at": now})


def next_trial(instance: Instance, actor: Actor, sweep: SweepKey, agent: AgentKey) -> Answer:
    """Hand out a trial: one that came back, else the next point of the grid or of the search.

    No point of a grid is handed out twice, whoever asks at once. Raises NotFound, Gone for a sweep
    of a deleted project.
    """
    access.require(actor, Action.WRITE, f"sweep {sweep}")
    with instance.database.writing() as connection:
        locked = _locked(instance, connection, actor, sweep)
        answer = handout.without_search(locked, agent)
        if answer is not None:
            return answer
    plan = locked.plan
    search = _search_of(instance, sweep, plan)
    number, point = search.ask()
    with instance.database.writing() as connection:
        locked = _locked(instance, connection, actor, sweep)
        if locked.plan != plan:
            return Answer(None, waits=True, reason="the sweep was changed")
        answer = handout.from_queue(locked, agent)
        if answer is None:
            answer = handout.new_trial(locked, agent, point)
            assert answer.trial is not None
            search.took(number, answer.trial.key)
            return answer
    search.forget(number)
    return answer


def _locked(
    instance: Instance, connection: Connection, actor: Actor, sweep: SweepKey
) -> LockedSweep:
    """Lock a sweep of which a trial is wanted, once those of silent agents were taken back."""
    locked = LockedSweep.of(instance, connection, sweeps_db.lock_live(connection, sweep))
    if not outcome.take_back(locked, actor):
        return locked
    return locked._replace(row=sweeps_db.lock_live(connection, sweep))


def beat(instance: Instance, actor: Actor, trial: TrialKey, agent: AgentKey) -> Beat:
    """Renew a trial's lease; says whether the trial is to go on, and why not.

    It ends when its sweep is cancelled, its project was deleted, its run was stopped, another agent
    took it over, or others do better (SWP-5).
    """
    access.require(actor, Action.WRITE, f"trial {trial}")
    now = instance.clock.now()
    with instance.database.writing(is_durable=False) as connection:
        found = trials_db.lock(connection, trial)
        if found.state != TrialState.RUNNING or found.agent_id != agent:
            return Beat(False, TrialState.CANCELLED, "another agent has it now")
        trials_db.renew(connection, trial, {"lease_until": now + instance.trial_lease})
        agents_db.change(connection, agent, {"heartbeat_at": now})
        return outcome.judged(connection, found)


def report(
    instance: Instance, actor: Actor, trial: TrialKey, run_id: str, progress: TrialProgress
) -> Beat:
    """Say how far a trial's run is; answers as `beat` does, without renewing the lease.

    run_id: the program of a lost agent may go on for a while; nobody listens to its run.
    """
    access.require(actor, Action.WRITE, f"trial {trial}")
    with instance.database.writing(is_durable=False) as connection:
        before = trials_db.lock(connection, trial)
        if before.run_id != run_id or before.state != TrialState.RUNNING:
            return Beat(False, TrialState.CANCELLED, "another agent has it now")
        told = {**progress._asdict(), "at": {str(at): best for at, best in progress.at.items()}}
        if before.progress and "stop" in before.progress:
            told["stop"] = before.progress["stop"]
        trials_db.renew(connection, trial, {"progress": told})
        return outcome.judged(connection, trials_db.by_key(connection, trial))


def finish(
    instance: Instance, actor: Actor, trial: TrialKey, agent: AgentKey, state: TrialState
) -> TrialRecord:
    """End a trial; its value is what its run's summary says.

    state: `queued` of a trial that its agent leaves before its end; it is tried again, by a new
    run. A run that was preempted comes back into the queue (RUN-20). What a lost agent says of a
    trial that was taken from it changes nothing, whether another one has it by now or nobody yet.
    """
    access.require(actor, Action.WRITE, f"trial {trial}")
    if state not in (*ENDED, TrialState.QUEUED):
        raise Invalid(f"A trial cannot end as `{state}`")
    with instance.database.writing() as connection:
        found = trials_db.by_key(connection, trial)
        locked = LockedSweep.of(instance, connection, sweeps_db.lock(connection, found.sweep_id))
        found = trials_db.by_key(connection, trial)  # as it is now that nobody else changes it
        if found.agent_id == agent and found.state == TrialState.RUNNING:
            outcome.end(locked, found, state)
            outcome.conclude(locked, actor)
        return trials_db.record(trials_db.by_key(connection, trial))


def _search_of(instance: Instance, sweep: SweepKey, plan: Plan) -> Search:
    """Return this process's study of a sweep, knowing all that happened until now."""
    search = instance.searches.get(sweep)
    if search is None or search.plan != plan:  # `update` may have come from another process
        search = instance.searches[sweep] = Search(plan)
    with instance.database.reading() as connection:
        search.learn(trials_db.changed(connection, sweep, search.revision))
    return search


def _cannot_take(row: SweepRow) -> str:
    """Say what to do about a sweep that is over, for those who want one more trial of it."""
    if row.state in MAY_BECOME[SweepState.RUNNING]:
        then = "go on with it first: `sweep.resume()` or `lineal sweep resume`"
    else:
        then = "make a new one that begins with its runs: `sweep(…, prior_runs=…)`"
    return f"Sweep {row.sweep_id} is {row.state} and tries nothing more; {then}"
