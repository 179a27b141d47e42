"""Agents carry out trials: functions, ended early, preempted, failing."""

from __future__ import annotations

import sys
import threading
import time

import numpy
import pytest
from tests.client.sweeping import RANDOM, make, trials

import lineal
from lineal.client import session
from lineal.core.trials import TrialState
from lineal.errors import Gone, Invalid, NotFound, TrialsFailed, UsageError


def test_a_function_gets_the_parameters_and_cannot_change_them(capsys) -> None:
    seen = []

    def train() -> None:
        with lineal.init(project="elsewhere", config={"x": 5, "mine": 1, "net": {"k": 9}}) as run:
            run.config.x = 7
            seen.append((run.project, run.config.x, run.config["net"], run.config.mine))
            assert run.sweep_url == lineal.Api().sweep(path).url
            run.log({"loss": run.config.x})

    path = make(RANDOM)
    lineal.agent(path, train)
    assert len(seen) == 3
    assert all(project == "p" and 0 <= x <= 1 for project, x, _, _ in seen)
    assert {str(net) for _, _, net, _ in seen} == {"{'k': 3}"}
    assert "was set by the sweep" in capsys.readouterr().err
    sweep = lineal.Api().sweep(path)
    assert sweep.state == "finished"
    assert sorted(run.config["x"] for run in sweep.runs) == sorted(x for _, x, _, _ in seen)
    assert sweep.best_run().summary["loss"] == min(x for _, x, _, _ in seen)
    assert all(run.sweep.id == sweep.id and run.state == "finished" for run in sweep.runs)


@pytest.mark.parametrize("goal", ["minimize", "maximize"])
def test_the_best_run_may_be_asked_for_by_the_bare_name_of_a_metric(goal: str) -> None:
    def train() -> None:
        with lineal.init() as run:
            run.log({"loss": run.config.x, "cost": -run.config.x})

    path = make(RANDOM | {"metric": {"name": "loss", "goal": goal}})
    lineal.agent(path, train)
    sweep = lineal.Api().sweep(path)
    tried = sorted(run.config["x"] for run in sweep.runs)
    best = {"minimize": tried[0], "maximize": tried[-1]}[goal]
    assert (sweep.best_loss, sweep.method) == (best, "random")
    found = {
        order: sweep.best_run(order=order).config["x"]
        for order in ("loss", "+loss", "-loss", "cost", "-cost", "+summary_metrics.loss")
    }
    assert found == {
        "loss": best,
        "+loss": tried[0],
        "-loss": tried[-1],
        "cost": tried[-1],
        "-cost": tried[0],
        "+summary_metrics.loss": tried[0],
    }
    with pytest.raises(Invalid, match="Nothing here is called `nothing`"):
        sweep.best_run(order="nothing")


def test_a_metric_that_the_run_defines_has_a_result() -> None:
    def train() -> None:
        with lineal.init() as run:
            run.define_metric("loss", summary="min")
            for loss in (3, 1, 2):
                run.log({"loss": loss + run.config.x})

    path = make(
        RANDOM | {"metric": {"name": "loss", "target": 1.5}, "parameters": {"x": {"value": 0}}}
    )
    lineal.agent(path, train)
    assert [(trial.state, trial.value) for trial in trials(path)] == [(TrialState.FINISHED, 1.0)]


def test_a_trial_without_a_number_for_the_metric_is_said_once(capsys) -> None:
    def train() -> None:
        with lineal.init() as run:
            run.define_metric("loss", summary="none")
            run.log({"loss": 1.0, "val": {"loss": 2}})

    lineal.agent(make(RANDOM), train)
    said = capsys.readouterr().err
    assert (
        said.count("has no result: its run's summary has val.loss, and no number called `loss`")
        == 1
    )
    lineal.agent(make(RANDOM | {"metric": {"name": "val.loss"}}), train)
    lineal.agent(make({"method": "grid", "parameters": {"x": {"values": [1]}}}), train)
    assert "no result" not in capsys.readouterr().err


def test_a_trial_does_not_log_into_a_run_that_was_active_before(capsys) -> None:
    def train() -> None:
        with lineal.init(reinit=reinit) as run:
            run.log({"loss": run.config.x})

    path = make(RANDOM | {"run_cap": 2})
    before = lineal.init(project="p", id="before")
    reinit: str | None = None
    lineal.agent(path, train, count=1)
    assert "Run ana/p/before is active, so trial 0 of sweep" in capsys.readouterr().err
    reinit = "create_new"
    lineal.agent(path, train)
    before.finish()
    assert [trial.state for trial in trials(path)] == ["failed", "finished"]
    assert dict(lineal.Api().run("p/before").summary) == {}


def test_agents_in_threads_carry_out_trials_of_their_own() -> None:
    together = threading.Barrier(2)

    def train() -> None:
        together.wait(10)
        with lineal.init(reinit="create_new") as run:
            together.wait(10)
            run.log({"loss": run.config.x})

    document = {"method": "grid", "metric": {"name": "loss"}}
    path = make(document | {"parameters": {"x": {"values": [1, 2, 3, 4]}}})
    agents_of_it = [
        threading.Thread(target=lineal.agent, args=(path, train), kwargs={"count": 2})
        for _ in range(2)
    ]
    for each in agents_of_it:
        each.start()
    for each in agents_of_it:
        each.join(60)
    assert [(trial.state, trial.value) for trial in trials(path)] == [
        (TrialState.FINISHED, value) for value in (1, 2, 3, 4)
    ]


def test_a_run_that_the_function_leaves_open_is_finished() -> None:
    def train() -> None:
        lineal.init().log({"loss": 1})

    path = make(RANDOM | {"run_cap": 1})
    lineal.agent(path, train)
    assert lineal.Api().sweep(path).runs[0].state == "finished"
    assert session.active_run() is None


def test_the_id_of_a_sweep_is_enough_in_the_process_that_made_it_and_in_others() -> None:
    sweep_id = lineal.sweep(RANDOM | {"run_cap": 2}, entity="team", project="my-first-sweep")
    lineal.agent(sweep_id, lambda: None, count=1)
    assert lineal.controller(sweep_id).sweep_id == sweep_id
    assert lineal.Api().sweep(sweep_id).path == ["team", "my-first-sweep", sweep_id]
    session.close()
    session._process.sweeps.clear()  # as in another process
    lineal.Api({"entity": "team"}).create_project("other")
    lineal.agent(sweep_id, lambda: None, entity="team")
    assert len(trials(f"team/my-first-sweep/{sweep_id}")) == 2
    with pytest.raises(NotFound, match=f"No project of ana has a sweep {sweep_id} .you are ana"):
        lineal.agent(sweep_id, lambda: None)
    with pytest.raises(NotFound, match="No sweep team/other/"):
        lineal.agent(sweep_id, lambda: None, entity="team", project="other")


def test_a_sweep_is_made_in_silence_where_that_is_set(monkeypatch, capsys) -> None:
    monkeypatch.setenv("LINEAL_SILENT", "true")
    make(RANDOM)
    assert capsys.readouterr().err == ""


def test_count_bounds_one_agent() -> None:
    path = make(RANDOM)
    lineal.agent(path, lambda: None, count=2)
    assert [trial.number for trial in trials(path)] == [0, 1]
    assert lineal.Api().sweep(path).state == "running"


@pytest.mark.parametrize("count", [0, -1])
def test_a_count_below_one_is_refused(count) -> None:
    with pytest.raises(Invalid, match="leave it out"):
        lineal.agent(make(RANDOM), lambda: None, count=count)


def test_a_failing_trial_does_not_end_the_sweep(capsys) -> None:
    calls = []

    def train() -> None:
        calls.append(1)
        with lineal.init() as run:
            run.log({"loss": 1})
            if len(calls) == 1:
                raise RuntimeError("of this trial only")

    path = make(RANDOM)
    lineal.agent(path, train)
    assert [trial.state for trial in trials(path)] == ["failed", "finished", "finished"]
    assert "of this trial only" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("code", "state", "exit_code"),
    [(None, "finished", 0), (0, "finished", 0), (3, "failed", 3), ("no data", "failed", 1)],
)
def test_an_exit_of_the_function_ends_its_trial_and_not_the_agent(
    code: object, state: str, exit_code: int, capsys
) -> None:
    def train() -> None:
        lineal.init().log({"loss": 1})
        sys.exit(code)

    path = make(RANDOM | {"run_cap": 2})
    lineal.agent(path, train)
    assert [trial.state for trial in trials(path)] == [state, state]
    runs = lineal.Api().sweep(path).runs
    assert [(run.state, run.exit_code) for run in runs] == [(state, exit_code)] * 2
    assert ("no data" in capsys.readouterr().err) == (code == "no data")


def test_ctrl_c_in_the_function_ends_the_agent() -> None:
    def train() -> None:
        lineal.init().log({"loss": 1})
        raise KeyboardInterrupt

    path = make(RANDOM)
    with pytest.raises(KeyboardInterrupt):
        lineal.agent(path, train)
    assert [trial.state for trial in trials(path)] == [TrialState.QUEUED]
    assert [run.exit_code for run in lineal.Api().sweep(path).runs] == [255]


def test_the_trial_that_ctrl_c_interrupted_is_tried_again_by_the_next_agent() -> None:
    interrupted = [2]
    tried = []

    def train() -> None:
        with lineal.init() as run:
            tried.append(run.config.n)
            if interrupted == [run.config.n]:
                interrupted.clear()
                raise KeyboardInterrupt
            run.log({"loss": run.config.n})

    path = make({"method": "grid", "parameters": {"n": {"values": [1, 2]}}})
    with pytest.raises(KeyboardInterrupt):
        lineal.agent(path, train)
    assert lineal.Api().sweep(path).state == "running"
    lineal.agent(path, train)
    assert tried == [1, 2, 2]
    sweep = lineal.Api().sweep(path)
    assert sweep.state == "finished"
    assert sorted(run.state for run in sweep.runs) == ["failed", "finished", "finished"]


def test_an_agent_gives_up_when_all_fail(monkeypatch) -> None:
    def train() -> None:
        raise RuntimeError

    path = make(RANDOM | {"run_cap": 9})
    with pytest.raises(TrialsFailed, match="3 trials failed"):
        lineal.agent(path, train)
    monkeypatch.setenv("WANDB_AGENT_DISABLE_FLAPPING", "true")
    lineal.agent(path, train)
    assert len(trials(path)) == 9


def test_an_agent_gives_up_when_so_many_in_a_row_fail(monkeypatch) -> None:
    monkeypatch.setenv("WANDB_AGENT_DISABLE_FLAPPING", "true")
    fails = iter([True, False, True, True, True])

    def train() -> None:
        with lineal.init() as run:
            run.log({"loss": 1})
            if next(fails):
                raise RuntimeError

    path = make(RANDOM | {"run_cap": 9})
    with pytest.raises(TrialsFailed, match="2 trials in a row failed"):
        lineal.agent(path, train, max_consecutive_failed_runs=2)
    assert [trial.state for trial in trials(path)] == ["failed", "finished", "failed", "failed"]
    for none in (0, -1):
        with pytest.raises(Invalid, match="is no number of trials"):
            lineal.agent(path, train, max_consecutive_failed_runs=none)
    with pytest.raises(TypeError, match=r"max_consecutive_failed_runs=1\.5"):
        lineal.agent(path, train, max_consecutive_failed_runs=1.5)  # type: ignore[arg-type]  # the test


def test_hyperband_ends_a_function_at_its_next_log() -> None:
    steps = []

    def train() -> None:
        with lineal.init() as run:
            for step in range(10):
                steps.append((run.id, step))
                run.log({"loss": len({each for each, _ in steps})})

    path = make(RANDOM | {"run_cap": 4, "early_terminate": {"type": "hyperband", "min_iter": 2}})
    lineal.agent(path, train)
    ended = {trial.number: trial.state for trial in trials(path)}
    assert ended == {0: "finished", 1: "finished", 2: "stopped", 3: "stopped"}
    third = trials(path)[2].run_id
    assert [step for run, step in steps if run == third] == [0, 1]
    assert lineal.Api().run(f"p/{third}").state == "finished"


def test_what_is_no_single_number_is_no_result_for_hyperband() -> None:
    losses = [
        numpy.array([1.0, 2.0]),
        lineal.Table(columns=["a"], data=[[1]]),
        "unknown",
        numpy.array([3.0]),
        numpy.float32(2.5),
    ]

    def train() -> None:
        with lineal.init() as run:
            for loss in losses:
                run.log({"loss": loss})

    path = make(RANDOM | {"run_cap": 1, "early_terminate": {"type": "hyperband", "min_iter": 2}})
    lineal.agent(path, train)
    (trial,) = trials(path)
    assert (trial.state, trial.value) == ("finished", 2.5)


def test_a_cancelled_sweep_ends_the_function() -> None:
    path = make(RANDOM)

    def train() -> None:
        with lineal.init() as run:
            lineal.Api().sweep(path).cancel()
            while True:
                run.log({"loss": 1})
                time.sleep(0.05)

    lineal.agent(path, train)
    assert [trial.state for trial in trials(path)] == ["cancelled"]
    assert [run.state for run in lineal.Api().sweep(path).runs] == ["killed"]


def test_an_agent_ends_when_its_project_is_deleted() -> None:
    def train() -> None:
        with lineal.init() as run:
            project.delete()
            while True:
                run.log({"loss": 1})
                time.sleep(0.05)

    path = make(RANDOM)
    project = lineal.Api().project("p")
    with pytest.raises(Gone, match="lineal project restore ana/p"):
        lineal.agent(path, train)
    project.restore()
    assert [(trial.number, trial.state) for trial in trials(path)] == [(0, "queued")]


def test_a_stopped_run_ends_the_function() -> None:
    ids = []

    def train() -> None:
        with lineal.init() as run:
            ids.append(run.id)
            lineal.Api().run(f"p/{run.id}").stop()
            for _ in range(1000):
                run.log({"loss": 1})
                time.sleep(0.05)

    path = make(RANDOM)
    lineal.agent(path, train, count=1)
    assert lineal.Api().run(f"p/{ids[0]}").state == "killed"
    assert trials(path)[0].state == "cancelled"


def test_a_preempted_run_goes_on_in_the_next_agent() -> None:
    seen = []

    def train() -> None:
        with lineal.init() as run:
            seen.append((run.id, run.resumed, run.config.x))
            run.log({"loss": 1})
            if len(seen) == 1:
                run.mark_preempting()
                raise SystemExit(1)

    path = make(RANDOM | {"run_cap": 1})
    with pytest.raises(SystemExit):
        lineal.agent(path, train)
    lineal.agent(path, train)
    (first, was_resumed, x), (second, is_resumed, again) = seen
    assert (first, x, was_resumed, is_resumed) == (second, again, False, True)
    assert [trial.state for trial in trials(path)] == ["finished"]


def test_what_an_agent_cannot_do_is_said(monkeypatch) -> None:
    path = make(RANDOM)
    with pytest.raises(TypeError, match=r"agent.count='2'.: how many trials is a whole number"):
        lineal.agent(path, lambda: None, count="2")  # type: ignore[arg-type]  # the test
    with pytest.raises(TypeError, match="prior_runs must be a text or a list"):
        lineal.sweep(RANDOM, prior_runs=5)  # type: ignore[arg-type]  # the test
    with pytest.raises(Invalid, match=r"A sweep is a dict .*, not 5"):
        lineal.controller(5)  # type: ignore[arg-type]  # the test
    with pytest.raises(Invalid, match=r"parameters are a dict .*, not 'x'"):
        lineal.Api().sweep(path).enqueue_run("x")  # type: ignore[arg-type]  # the test
    with pytest.raises(Invalid, match="has no `program`"):
        lineal.agent(path)
    with pytest.raises(NotFound):
        lineal.agent("p/nothing", lambda: None)
    with pytest.raises(Invalid, match=r"as \[\[entity/\]project/\]sweep_id"):
        lineal.agent("a/b/c/d", lambda: None)
    monkeypatch.setenv("LINEAL_MODE", "offline")
    with pytest.raises(UsageError, match="mode is offline"):
        lineal.agent(path, lambda: None)
