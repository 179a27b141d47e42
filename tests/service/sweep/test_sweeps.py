"""Sweeps: checked when made, handed out once, taken back, ended (SWP-1…SWP-14)."""

from __future__ import annotations

import math
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from lineal.core.access import Actor, Role
from lineal.core.importance import RESULTS_LEAST
from lineal.core.names import ArtifactPath
from lineal.core.records import PageRequest, RunKey, RunPatch, RunSpec, RunState, VersionRecord
from lineal.core.trials import (
    AgentKey,
    Answer,
    SweepRecord,
    SweepSpec,
    SweepState,
    TrialProgress,
    TrialRecord,
    TrialState,
)
from lineal.db.schema import trials as trials_table
from lineal.errors import Conflict, Gone, Invalid, NotFound, RunNotFoundError
from lineal.service import artifacts, catalog, deletion, restoring, runs
from lineal.service.instance import Instance
from lineal.service.sweep import sweeps, trials
from lineal.service.sweep.importance import importance
from tests.conftest import MovableClock
from tests.gc.conftest import databases, postgres, sqlite, url  # noqa: F401 - fixtures
from tests.gc.databases import open_on
from tests.service.drafts import draft, log, send

OWNER = Actor("ana", Role.OWNER)
GRID = {"method": "grid", "parameters": {"a": {"values": [1, 2]}, "b": {"min": 0, "max": 2}}}
RANDOM = {
    "method": "random",
    "metric": {"name": "loss"},
    "parameters": {"lr": {"min": 0.0, "max": 1.0}, "net": {"parameters": {"k": {"value": 3}}}},
}


@pytest.fixture
def instance(url: str, tmp_path: Path, clock: MovableClock) -> Iterator[Instance]:  # noqa: F811
    opened = open_on(url, tmp_path / "home", clock)
    yield opened
    opened.close()


def make(instance: Instance, document: dict[str, Any], **more: Any) -> SweepRecord:
    return sweeps.create(instance, OWNER, SweepSpec("ana", "p", document, **more))


def join(instance: Instance, sweep: SweepRecord, name: str = "one") -> AgentKey:
    return trials.join(instance, OWNER, sweep.key, name=name, host="here")


def ask(instance: Instance, sweep: SweepRecord, agent: AgentKey) -> Answer:
    return trials.next_trial(instance, OWNER, sweep.key, agent)


def run_of(instance: Instance, answer: Answer, sweep: SweepRecord, **summary: Any) -> RunKey:
    assert answer.trial is not None
    spec = RunSpec("ana", "p", answer.trial.run_id, resume="allow", sweep_id=sweep.sweep_id)
    started = runs.start(instance, OWNER, spec).run
    if summary:
        runs.update(instance, OWNER, started.key, RunPatch(summary=summary))
    return started.key


def done(
    instance: Instance,
    answer: Answer,
    sweep: SweepRecord,
    agent: AgentKey,
    state: TrialState = TrialState.FINISHED,
    **summary: Any,
) -> None:
    assert answer.trial is not None
    key = run_of(instance, answer, sweep, **summary)
    runs.finish(instance, OWNER, key, 0, 1.0)
    trials.finish(instance, OWNER, answer.trial.key, agent, state)


def again(instance: Instance, sweep: SweepRecord) -> SweepRecord:
    return sweeps.sweep(instance, OWNER, "ana", "p", sweep.sweep_id)


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


def test_parameters_put_into_the_queue_come_first(instance: Instance) -> None:
    sweep = make(instance, RANDOM)
    agent = join(instance, sweep)
    with pytest.raises(Invalid, match="`lr`"):
        trials.enqueue(instance, OWNER, sweep.key, {"rl": 1})
    with pytest.raises(Invalid, match="no parameter `epoch`"):
        trials.enqueue(instance, OWNER, sweep.key, {"lr": 0.25, "epoch": 3})
    trials.enqueue(instance, OWNER, sweep.key, {"lr": 0.25})
    answer = ask(instance, sweep, agent)
    assert answer.trial is not None
    assert answer.trial.parameters == {"lr": 0.25, "net": {"k": 3}}


NUMBERS = {"method": "grid", "parameters": {"a": {"values": [1, 2, 3]}}}


def handed_out(instance: Instance, sweep: SweepRecord) -> list[Any]:
    agent = join(instance, sweep)
    seen = []
    while (answer := ask(instance, sweep, agent)).trial is not None:
        seen.append(answer.trial.parameters["a"])
        done(instance, answer, sweep, agent)
    assert again(instance, sweep).state is SweepState.FINISHED
    return seen


def test_parameters_of_ones_own_take_no_point_of_a_grid(instance: Instance) -> None:
    sweep = make(instance, NUMBERS)
    trials.enqueue(instance, OWNER, sweep.key, {"a": 9})
    assert handed_out(instance, sweep) == [9, 1, 2, 3]
    capped = make(instance, NUMBERS | {"run_cap": 2})
    trials.enqueue(instance, OWNER, capped.key, {"a": 9})
    assert handed_out(instance, capped) == [9, 1]


def test_parameters_put_into_the_queue_may_name_constants_and_lie_in_groups(
    instance: Instance,
) -> None:
    net = {"parameters": {"k": {"value": 3}, "width": {"values": [{"a": 1}, {"a": 2}]}}}
    sweep = make(instance, {"method": "random", "parameters": {"net": net}})
    point = {"net": {"k": 3, "width": {"a": 2}}}
    assert trials.enqueue(instance, OWNER, sweep.key, point).parameters == point
    with pytest.raises(Invalid, match=r"no parameter `net\.with`; did you mean `net\.width`"):
        trials.enqueue(instance, OWNER, sweep.key, {"net": {"with": 2, "width": {"a": 2}}})


def test_a_point_of_a_grid_that_was_put_into_the_queue_comes_only_once(instance: Instance) -> None:
    sweep = make(instance, NUMBERS)
    for number in (3, 2):
        trials.enqueue(instance, OWNER, sweep.key, {"a": number})
    assert trials.propose(instance, OWNER, sweep.key) == {"a": 1}
    assert handed_out(instance, sweep) == [3, 2, 1]
    assert trials.propose(instance, OWNER, sweep.key) is None


def test_a_grid_can_be_put_into_the_queue_point_by_point(instance: Instance) -> None:
    sweep = make(instance, {"method": "grid", "parameters": {"a": {"values": [1, 1, True, 2]}}})
    while (proposed := trials.propose(instance, OWNER, sweep.key)) is not None:
        trials.enqueue(instance, OWNER, sweep.key, proposed)
    assert handed_out(instance, sweep) == [1, 1, True, 2]


def test_a_sweep_that_is_over_takes_no_parameters(instance: Instance) -> None:
    sweep = make(instance, RANDOM)
    sweeps.set_state(instance, OWNER, sweep.key, SweepState.STOPPED)
    with pytest.raises(Conflict, match=r"is stopped and tries nothing more.*lineal sweep resume"):
        trials.enqueue(instance, OWNER, sweep.key, {"lr": 0.25})
    sweeps.set_state(instance, OWNER, sweep.key, SweepState.CANCELLED)
    with pytest.raises(Conflict, match=r"is cancelled and tries nothing more.*prior_runs"):
        trials.enqueue(instance, OWNER, sweep.key, {"lr": 0.25})


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


def test_the_alias_follows_the_best_version_whatever_the_order(
    instance: Instance, tmp_path: Path
) -> None:
    document = RANDOM | {"metric": {"name": "acc", "goal": "maximize"}, "best_alias": True}
    sweep = make(instance, document)
    agent = join(instance, sweep)
    expected = []
    best = -1.0
    for number, acc in enumerate((0.3, 0.9, 0.5, 0.95, 0.1)):
        answer = ask(instance, sweep, agent)
        key = run_of(instance, answer, sweep)
        files = {"model": b"%d" % number}
        spec, segments = draft(files, collection=f"m{number % 2}", type="model", project="p")
        begun = artifacts.begin(instance, OWNER, spec._replace(run=key), segments)
        send(instance, OWNER, begun.draft, files, tmp_path)
        version = artifacts.commit(instance, OWNER, begun.draft).version
        assert version is not None
        done(instance, answer, sweep, agent, acc=acc)
        if acc > best:
            best, expected = acc, [version.id]
        aliased = [
            found.id
            for name in ("m0", "m1")
            for found in _versions(instance, name)
            if "best" in found.aliases
        ]
        assert aliased == expected


def test_the_alias_stays_where_the_sweep_did_not_put_it(instance: Instance, tmp_path: Path) -> None:
    def logged(project: str, name: str, run: int, *aliases: str) -> VersionRecord:
        return log(
            instance, OWNER, tmp_path, {"model": name.encode()},
            project=project, collection=name, type="model", run=run, aliases=aliases,
        )  # fmt: skip

    for project in ("p", "other"):
        spec = RunSpec("ana", project, "baseline", config={"lr": 0.5, "net": {"k": 3}})
        key = runs.start(instance, OWNER, spec).run.key
        logged(project, f"{project}-model", key, "best")
        runs.finish(instance, OWNER, key, 0, 1.0)
    document = RANDOM | {"best_alias": True}
    sweep = make(instance, document, prior_runs=("baseline",))
    agent = join(instance, sweep)
    worse, better = ask(instance, sweep, agent), ask(instance, sweep, agent)
    version = logged("p", "worse", run_of(instance, worse, sweep))
    portfolio = ArtifactPath("ana", "registry", "models", "latest")
    catalog.link_version(instance, OWNER, version.id, portfolio, ["best"])
    done(instance, worse, sweep, agent, loss=0.9)
    assert "best" in _versions(instance, "worse")[0].aliases
    logged("p", "better", run_of(instance, better, sweep))
    done(instance, better, sweep, agent, loss=0.1)
    best = {
        f"{project}/{name}"
        for project, name in (
            ("p", "p-model"), ("other", "other-model"), ("p", "worse"), ("p", "better"),
            ("registry", "models"),
        )
        if "best" in _versions(instance, name, project)[0].aliases
    }  # fmt: skip
    assert best == {"other/other-model", "registry/models", "p/better"}


def _versions(instance: Instance, name: str, project: str = "p") -> list[Any]:
    from lineal.core.records import VersionQuery

    try:
        page = catalog.versions(instance, OWNER, VersionQuery("ana", project, name), PageRequest())
    except NotFound:
        return []
    return list(page.items)


def test_an_unknown_sweep_is_named_with_what_is_near(instance: Instance) -> None:
    sweep = make(instance, RANDOM)
    with pytest.raises(NotFound, match=sweep.sweep_id):
        sweeps.sweep(instance, OWNER, "ana", "p", sweep.sweep_id[:-1] + "_")


def test_a_search_knows_what_other_processes_did(instance: Instance) -> None:
    sweep = make(instance, RANDOM | {"method": "bayes"})
    agent = join(instance, sweep)
    for _ in range(3):
        answer = ask(instance, sweep, agent)
        assert answer.trial is not None
        instance.searches.clear()  # as if another process asked next
        done(instance, answer, sweep, agent, loss=answer.trial.parameters["lr"])
    ask(instance, sweep, agent)
    (search,) = instance.searches.values()
    values = [each.value for each in search._study.get_trials() if each.value is not None]
    with instance.database.reading() as connection:
        rows = connection.execute(trials_table.select()).all()
    assert sorted(values) == sorted(row.value for row in rows if row.value is not None)


def test_a_search_goes_on_after_a_point_that_is_no_number(instance: Instance) -> None:
    sweep = make(instance, RANDOM | {"method": "bayes"})
    agent = join(instance, sweep)
    done(instance, ask(instance, sweep, agent), sweep, agent, loss=0.5)
    with instance.database.writing() as connection:
        (point,) = connection.execute(select(trials_table.c.point)).scalars()
        lost = dict.fromkeys(point, math.nan)
        connection.execute(trials_table.update().values(point=lost))
    instance.searches.clear()
    assert ask(instance, sweep, agent).trial is not None


def test_the_parameter_that_decides_matters_most(instance: Instance) -> None:
    searched = {"lr": {"min": 0.0, "max": 1.0}, "net": {"parameters": {"k": {"min": 0, "max": 11}}}}
    sweep = make(instance, RANDOM | {"parameters": searched})
    agent = join(instance, sweep)
    for number in range(12):
        assert (importance(instance, OWNER, sweep.key) == {}) == (number < RESULTS_LEAST)
        chosen = {"lr": number / 12, "net": {"k": number * 5 % 12}}
        trials.enqueue(instance, OWNER, sweep.key, chosen)
        done(instance, ask(instance, sweep, agent), sweep, agent, loss=number / 12)
    found = importance(instance, OWNER, sweep.key)
    assert list(found) == ["lr", "net.k"]
    assert sum(found.values()) == pytest.approx(1)
