"""Sweeps: checked when made, handed out once, taken back, ended (SWP-1…SWP-14)."""

from __future__ import annotations

import math
import threading
from collections import Counter

import pytest

from lineal.core.records import PageRequest, RunKey, RunPatch, RunSpec, RunState
from lineal.core.trials import (
    AgentKey,
    SweepQuery,
    SweepRecord,
    SweepState,
    TrialProgress,
    TrialRecord,
    TrialState,
)
from lineal.errors import Conflict, Gone, Invalid, NotFound, RunNotFoundError
from lineal.service import deletion, restoring, runs
from lineal.service.instance import Instance
from lineal.service.sweep import sweeps, trials
from tests.conftest import MovableClock
from tests.service.sweep.conftest import GRID, OWNER, RANDOM, again, ask, done, join, make, run_of


def test_a_grid_hands_out_each_point_once_and_then_ends(instance: Instance) -> None:
    sweep = make(instance, GRID)
    agent = join(instance, sweep)
    seen = []
    while (answer := ask(instance, sweep, agent)).trial is not None:
        seen.append((answer.trial.parameters["a"], answer.trial.parameters["b"]))
        done(instance, answer, sweep, agent)
    assert seen == [(1, 0), (1, 1), (1, 2), (2, 0), (2, 1), (2, 2)]
    assert again(instance, sweep).state is SweepState.FINISHED
    assert "finished" in answer.reason or "done" in answer.reason


def test_sixteen_agents_at_once_get_each_point_of_a_grid_once(instance: Instance) -> None:
    document = {"method": "grid", "parameters": {"n": {"min": 0, "max": 63}}}
    sweep = make(instance, document)
    got: list[int] = []

    def work(name: str) -> None:
        agent = join(instance, sweep, name)
        while (answer := ask(instance, sweep, agent)).trial is not None:
            got.append(answer.trial.parameters["n"])
            trials.finish(instance, OWNER, answer.trial.key, agent, TrialState.FINISHED)

    threads = [threading.Thread(target=work, args=(str(n),)) for n in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Counter(got) == Counter(range(64))


def test_agents_that_search_at_once_get_numbers_without_gap_or_repeat(instance: Instance) -> None:
    sweep = make(instance, RANDOM | {"run_cap": 24})
    agents = [join(instance, sweep, str(n)) for n in range(6)]

    def work(agent: AgentKey) -> None:
        while (answer := ask(instance, sweep, agent)).trial is not None:
            done(instance, answer, sweep, agent, loss=answer.trial.parameters["lr"])

    threads = [threading.Thread(target=work, args=(agent,)) for agent in agents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    page = trials.trials(instance, OWNER, sweep.key, PageRequest(size=100))
    assert sorted(trial.number for trial in page.items) == list(range(24))
    assert again(instance, sweep).trial_counts == {TrialState.FINISHED: 24}


def test_a_silent_agents_trial_comes_back_with_the_same_parameters(
    instance: Instance, clock: MovableClock
) -> None:
    sweep = make(instance, RANDOM | {"run_cap": 1})
    lost, other = join(instance, sweep, "lost"), join(instance, sweep, "other")
    first = ask(instance, sweep, lost).trial
    assert first is not None
    assert ask(instance, sweep, other).waits
    clock.move(seconds=30)
    assert trials.beat(instance, OWNER, first.key, lost).goes_on
    clock.move(seconds=59)
    assert ask(instance, sweep, other).waits
    clock.move(seconds=2)
    second = ask(instance, sweep, other).trial
    assert second is not None
    assert (second.number, second.parameters, second.attempt) == (0, first.parameters, 2)
    assert second.run_id != first.run_id
    assert not trials.beat(instance, OWNER, first.key, lost).goes_on
    late = trials.finish(instance, OWNER, first.key, lost, TrialState.FAILED)
    assert late.state is TrialState.RUNNING


def test_no_point_is_lost_when_its_silent_agent_wakes_before_anybody_takes_it(
    instance: Instance, clock: MovableClock
) -> None:
    sweep = make(instance, {"method": "grid", "parameters": {"a": {"values": [1, 2]}}})
    lost, other = join(instance, sweep, "lost"), join(instance, sweep, "other")
    given = [ask(instance, sweep, lost).trial, ask(instance, sweep, lost).trial]
    clock.move(seconds=61)
    sweeps.set_state(instance, OWNER, sweep.key, SweepState.PAUSED)
    assert ask(instance, sweep, other).waits
    for trial in given:
        assert trial is not None
        beat = trials.beat(instance, OWNER, trial.key, lost)
        assert not beat.goes_on
        ended = trials.finish(instance, OWNER, trial.key, lost, beat.state)
        assert ended.state is TrialState.QUEUED
    sweeps.set_state(instance, OWNER, sweep.key, SweepState.RUNNING)
    again = [ask(instance, sweep, other).trial, ask(instance, sweep, other).trial]
    assert [trial.parameters for trial in again if trial] == [{"a": 1}, {"a": 2}]


@pytest.mark.parametrize("code", [0, 1])
def test_a_trial_whose_run_finished_is_done_though_its_agent_could_not_say_so(
    instance: Instance, clock: MovableClock, code: int
) -> None:
    sweep = make(instance, RANDOM | {"run_cap": 1})
    lost, other = join(instance, sweep, "lost"), join(instance, sweep, "other")
    answer = ask(instance, sweep, lost)
    assert answer.trial is not None
    runs.finish(instance, OWNER, run_of(instance, answer, sweep, loss=0.5), code, 1.0)
    clock.move(seconds=61)
    following = ask(instance, sweep, other)
    if code:  # whether it was the program's fault, nobody knows
        assert following.trial is not None
        assert following.trial.run_id != answer.trial.run_id
        return
    assert following.trial is None
    assert again(instance, sweep).state is SweepState.FINISHED
    [trial] = trials.trials(instance, OWNER, sweep.key, PageRequest()).items
    assert (trial.state, trial.value, trial.attempt) == (TrialState.FINISHED, 0.5, 1)


def preempted(
    instance: Instance, sweep: SweepRecord, agent: AgentKey
) -> tuple[TrialRecord, RunKey]:
    """Begin a trial whose run then says that its machine is about to go."""
    answer = ask(instance, sweep, agent)
    assert answer.trial is not None
    key = run_of(instance, answer, sweep)
    runs.update(instance, OWNER, key, RunPatch(state=RunState.PREEMPTING))
    return answer.trial, key


def test_a_preempted_run_goes_on_before_anything_new(instance: Instance) -> None:
    sweep = make(instance, RANDOM)
    agent = join(instance, sweep)
    trial, key = preempted(instance, sweep, agent)
    runs.finish(instance, OWNER, key, 1, 1.0)
    trials.finish(instance, OWNER, trial.key, agent, TrialState.FAILED)
    back = ask(instance, sweep, agent)
    assert back.trial is not None
    assert (back.trial.run_id, back.trial.number, back.is_resumed) == (trial.run_id, 0, True)


@pytest.mark.parametrize("ends", [True, False])
def test_a_preempted_run_goes_on_where_its_agent_went_with_it(
    instance: Instance, clock: MovableClock, ends: bool
) -> None:
    sweep = make(instance, RANDOM)
    trial, key = preempted(instance, sweep, join(instance, sweep))
    if ends:
        runs.finish(instance, OWNER, key, 1, 1.0)
    clock.move(days=1)
    back = ask(instance, sweep, join(instance, sweep))
    assert back.trial is not None
    assert (back.trial.run_id, back.trial.number, back.is_resumed) == (trial.run_id, 0, True)


def test_a_preempted_run_that_was_deleted_does_not_go_on(
    instance: Instance, clock: MovableClock
) -> None:
    sweep = make(instance, RANDOM)
    trial, key = preempted(instance, sweep, join(instance, sweep))
    deletion.delete_run(instance, OWNER, key)
    clock.move(days=1)
    back = ask(instance, sweep, join(instance, sweep))
    assert back.trial is not None
    assert (back.trial.number, back.is_resumed) == (0, False)
    assert back.trial.run_id != trial.run_id


def test_pause_stop_and_cancel_reach_agents(instance: Instance) -> None:
    sweep = make(instance, RANDOM)
    agent = join(instance, sweep)
    trial = ask(instance, sweep, agent).trial
    assert trial is not None
    sweeps.set_state(instance, OWNER, sweep.key, SweepState.PAUSED)
    paused = ask(instance, sweep, agent)
    assert (paused.trial, paused.waits) == (None, True)
    assert trials.beat(instance, OWNER, trial.key, agent).goes_on
    sweeps.set_state(instance, OWNER, sweep.key, SweepState.RUNNING)
    assert ask(instance, sweep, agent).trial is not None
    sweeps.set_state(instance, OWNER, sweep.key, SweepState.STOPPED)
    stopped = ask(instance, sweep, agent)
    assert (stopped.trial, stopped.waits) == (None, False)
    assert trials.beat(instance, OWNER, trial.key, agent).goes_on
    sweeps.set_state(instance, OWNER, sweep.key, SweepState.CANCELLED)
    assert not trials.beat(instance, OWNER, trial.key, agent).goes_on
    with pytest.raises(Conflict, match="cancelled"):
        sweeps.set_state(instance, OWNER, sweep.key, SweepState.RUNNING)


@pytest.mark.parametrize("code", [0, 1])
def test_the_runs_that_go_on_when_a_sweep_is_cancelled_are_killed(
    instance: Instance, code: int
) -> None:
    sweep = make(instance, RANDOM)
    agent = join(instance, sweep)
    over, going_on = ask(instance, sweep, agent), ask(instance, sweep, agent)
    done(instance, over, sweep, agent, loss=0.5)
    key = run_of(instance, going_on, sweep)
    sweeps.set_state(instance, OWNER, sweep.key, SweepState.CANCELLED)
    runs.finish(instance, OWNER, key, code, 1.0)
    states = [
        runs.run(instance, OWNER, "ana", "p", answer.trial.run_id).state
        for answer in (over, going_on)
        if answer.trial is not None
    ]
    assert states == [RunState.FINISHED, RunState.KILLED]


def test_the_target_ends_the_sweep(instance: Instance) -> None:
    document = RANDOM | {"metric": {"name": "acc", "goal": "maximize", "target": 0.9}}
    sweep = make(instance, document)
    agent = join(instance, sweep)
    done(instance, ask(instance, sweep, agent), sweep, agent, acc=0.5)
    assert again(instance, sweep).state is SweepState.RUNNING
    done(instance, ask(instance, sweep, agent), sweep, agent, acc=0.95)
    assert again(instance, sweep).state is SweepState.FINISHED


def test_the_best_is_by_goal_and_nan_is_no_result(instance: Instance) -> None:
    document = RANDOM | {"metric": {"name": "acc", "goal": "maximize"}}
    sweep = make(instance, document)
    agent = join(instance, sweep)
    for value in (0.2, float("nan"), 0.8, None, 0.5):
        done(instance, ask(instance, sweep, agent), sweep, agent, acc=value)
    record = again(instance, sweep)
    assert record.best_value == 0.8


def test_prior_runs_count_for_the_search_but_not_for_the_cap(instance: Instance) -> None:
    for name, lr, loss in (("old", 0.5, 0.1), ("odd", 7.0, 0.0)):
        spec = RunSpec("ana", "p", name, config={"lr": lr, "net": {"k": 3}})
        key = runs.start(instance, OWNER, spec).run.key
        runs.update(instance, OWNER, key, RunPatch(summary={"loss": loss}))
        runs.finish(instance, OWNER, key, 0, 1.0)
    sweep = make(instance, RANDOM | {"run_cap": 1}, prior_runs=("old", "odd"))
    agent = join(instance, sweep)
    done(instance, ask(instance, sweep, agent), sweep, agent, loss=0.5)
    assert ask(instance, sweep, agent).trial is None
    assert runs.run(instance, OWNER, "ana", "p", "old").sweep_id == sweep.sweep_id
    with pytest.raises(RunNotFoundError, match="nowhere"):
        make(instance, RANDOM, prior_runs=("nowhere",))


def test_a_sweep_is_gone_with_its_project_and_loses_no_point(instance: Instance) -> None:
    sweep = make(instance, GRID)
    agents = [join(instance, sweep, name) for name in ("one", "two", "three")]
    first, second, third = (ask(instance, sweep, agent).trial for agent in agents)
    assert first is not None
    assert second is not None
    assert third is not None
    deletion.delete_project(instance, OWNER, "ana", "p")
    for asked in (
        lambda: ask(instance, sweep, agents[0]),
        lambda: join(instance, sweep, "late"),
        lambda: sweeps.set_state(instance, OWNER, sweep.key, SweepState.STOPPED),
        lambda: sweeps.update(instance, OWNER, sweep.key, GRID),
        lambda: trials.enqueue(instance, OWNER, sweep.key, {"a": 1, "b": 0}),
        lambda: again(instance, sweep),
    ):
        with pytest.raises(Gone, match="lineal project restore ana/p"):
            asked()
    told = trials.beat(instance, OWNER, first.key, agents[0])
    assert (told.goes_on, told.state) == (False, TrialState.QUEUED)
    assert told.reason == "the project was deleted"
    trials.finish(instance, OWNER, first.key, agents[0], told.state)
    trials.finish(instance, OWNER, second.key, agents[1], TrialState.FAILED)  # before it was told
    trials.finish(instance, OWNER, third.key, agents[2], TrialState.FINISHED)
    restoring.restore_project(instance, OWNER, "ana", "p")
    left = [ask(instance, sweep, agents[0]).trial for _ in range(5)]
    assert sorted(trial.number for trial in left if trial is not None) == [0, 1, 3, 4, 5]


def test_hyperband_stops_who_is_worse_than_a_third(instance: Instance) -> None:
    document = RANDOM | {"early_terminate": {"type": "hyperband", "min_iter": 2, "eta": 3}}
    sweep = make(instance, document)
    agent = join(instance, sweep)
    given = [ask(instance, sweep, agent).trial for _ in range(3)]
    for trial, best in zip(given, (0.1, 0.2, 0.3), strict=True):
        assert trial is not None
        trials.report(instance, OWNER, trial.key, trial.run_id, TrialProgress(2, best, {2: best}))
    goes_on = [trials.beat(instance, OWNER, trial.key, agent).goes_on for trial in given if trial]
    assert goes_on == [True, False, False]
    stopped = given[1]
    assert stopped is not None
    trials.report(instance, OWNER, stopped.key, stopped.run_id, TrialProgress(3, 0.05, {2: 0.2}))
    assert trials.beat(instance, OWNER, stopped.key, agent).goes_on  # it has caught up


def test_what_is_asked_for_a_list_does_not_grow_with_the_sweeps(
    instance: Instance, statements: list[str]
) -> None:
    best = {}
    for number in range(6):
        metric = {"name": "loss", "goal": ("minimize", "maximize")[number % 2]}
        sweep = make(instance, RANDOM | {"metric": metric})
        agent = join(instance, sweep)
        for loss in (0.5, 0.1, 0.9):
            done(instance, ask(instance, sweep, agent), sweep, agent, loss=loss)
        ask(instance, sweep, agent)
        best[sweep.sweep_id] = (0.1, 0.9)[number % 2]

    def listed(size: int) -> list[SweepRecord]:
        statements.clear()
        query = SweepQuery("ana", "p", order="+created_at")
        return list(sweeps.sweeps(instance, OWNER, query, PageRequest(size=size)).items)

    assert len(listed(2)) == 2
    asked = len(statements)
    found = listed(6)
    assert len(statements) == asked
    assert {sweep.sweep_id: sweep.best_value for sweep in found} == best
    counts = {TrialState.FINISHED: 3, TrialState.RUNNING: 1}
    assert all(sweep.trial_counts == counts for sweep in found)
    assert found == [again(instance, sweep) for sweep in found]


def test_trials_are_compared_by_one_number_each(instance: Instance, statements: list[str]) -> None:
    document = RANDOM | {"early_terminate": {"type": "hyperband", "min_iter": 2, "eta": 3}}
    sweep = make(instance, document)
    agent = join(instance, sweep)
    given = [ask(instance, sweep, agent).trial for _ in range(4)]
    for trial, best in zip(given, (math.inf, 1, 2, -math.inf), strict=True):
        assert trial is not None
        told = TrialProgress(2, best, {2: best})
        trials.report(instance, OWNER, trial.key, trial.run_id, told)
    statements.clear()
    goes_on = [trials.beat(instance, OWNER, trial.key, agent).goes_on for trial in given if trial]
    assert goes_on == [False, True, False, True]
    assert not [each for each in statements if each.startswith("SELECT trials.progress")]


def test_an_unknown_sweep_is_named_with_what_is_near(instance: Instance) -> None:
    sweep = make(instance, RANDOM)
    with pytest.raises(NotFound, match=sweep.sweep_id):
        sweeps.sweep(instance, OWNER, "ana", "p", sweep.sweep_id[:-1] + "_")


def named(instance: Instance, filters: dict[str, object], order: str | None = None) -> list[str]:
    query = SweepQuery("ana", "p", filters, order)
    return [each.name for each in sweeps.sweeps(instance, OWNER, query, PageRequest()).items]


def test_sweeps_are_filtered_and_ordered(instance: Instance) -> None:
    first = make(instance, GRID | {"name": "b", "description": "all of them"})
    make(instance, RANDOM | {"name": "c"})
    make(instance, RANDOM | {"name": "a"})
    sweeps.set_state(instance, OWNER, first.key, SweepState.STOPPED)
    assert named(instance, {}) == ["a", "c", "b"]
    assert named(instance, {}, "+name") == ["a", "b", "c"]
    assert named(instance, {}, "-config.method") == ["a", "c", "b"]
    assert named(instance, {"state": "stopped"}) == ["b"]
    assert named(instance, {"sweep_id": first.sweep_id, "user": "ana"}) == ["b"]
    assert named(instance, {"config.method": "random", "name": {"$ne": "a"}}) == ["c"]
    assert named(instance, {"description": {"$regex": "^all"}}) == ["b"]
    assert named(instance, {"created_at": {"$lt": "2020-01-01"}}) == []
    for wrong in ({"status": "stopped"}, {"config": 1}):
        with pytest.raises(Invalid, match=r"did you mean `state`|name a key of it"):
            named(instance, wrong)
