"""Sweeps as the SDK has them: made, steered by a controller, asked for their best artifact."""

from __future__ import annotations

import math
import os

import numpy
import pytest
from tests.client.sweeping import RANDOM, make, trials

import lineal
from lineal.errors import Invalid


def test_a_choice_that_no_agent_could_be_given_is_refused_with_its_place() -> None:
    document = {"method": "grid", "parameters": {"act": {"values": ["relu", len]}}}
    with pytest.raises(Invalid, match=r"`parameters\.act\.values\.1` is a builtins\.builtin_func"):
        lineal.sweep(document, project="p")
    path = make(RANDOM)
    with pytest.raises(Invalid, match=r"`parameters\.x` is a builtins\.builtin_func"):
        lineal.Api().sweep(path).enqueue_run({"x": len})
    point = {"x": numpy.float32(0.5), "net": {"k": 3}}
    lineal.controller(path).schedule(point)
    assert lineal.Api().sweep(path).enqueue_run(config=point).parameters["x"] == 0.5


def test_nan_as_a_parameter_of_a_run_informs_no_search() -> None:
    with lineal.init(project="p", id="before", config={"x": math.nan}) as run:
        run.log({"loss": 1})
    document = {
        "method": "bayes",
        "metric": {"name": "loss"},
        "parameters": {"x": {"distribution": "normal"}},
        "run_cap": 2,
    }
    path = f"p/{lineal.sweep(document, project='p', prior_runs=['before'])}"
    lineal.Api().sweep(path).enqueue_run({"x": math.nan})
    lineal.agent(path, lambda: lineal.init().log({"loss": 1}))
    tried = [trial for trial in trials(path) if not trial.is_prior]
    assert [trial.state for trial in tried] == ["finished", "finished"]


def test_the_controller_schedules_and_sees() -> None:
    path = make(RANDOM)
    controller = lineal.controller(path)
    proposed = controller.search()
    assert proposed is not None
    assert proposed["net"] == {"k": 3}
    controller.schedule({"x": 0.125})
    lineal.agent(path, lambda: lineal.init().log({"loss": 1}))
    assert controller.done()
    assert trials(path)[0].parameters["x"] == 0.125
    controller.print_status()


def test_the_best_artifact_is_looked_for_from_the_newest_on(statements: list[str]) -> None:
    def train() -> None:
        with lineal.init() as run:
            run.log({"loss": 1})
            for number in range(150):
                artifact = lineal.Artifact("sample", "dataset")
                artifact.add_bytes(str(number).encode(), "a.txt")
                run.log_artifact(artifact)
            model = lineal.Artifact("model", "model")
            model.add_bytes(b"weights", "model.txt")
            run.log_artifact(model)

    path = make(RANDOM)
    lineal.agent(path, train, count=1)
    statements.clear()
    assert lineal.Api().sweep(path).best_artifact().name == "model:v0"
    assert sum(each.startswith("SELECT edges.version_id") for each in statements) == 1


def test_best_artifact_and_alias_follow_the_sweep() -> None:
    losses = iter([0.5, 0.2, 0.9])

    def train() -> None:
        with lineal.init() as run:
            loss = next(losses)
            run.log({"loss": loss})
            model = lineal.Artifact(run.sweep_id, "model")
            model.add_bytes(str(loss).encode(), "model.txt")
            run.log_artifact(model)

    path = make(RANDOM | {"best_alias": "best"})
    lineal.agent(path, train)
    sweep = lineal.Api().sweep(path)
    best = sweep.best_artifact()
    assert (best.version, best.aliases, best.sweep_id) == ("v1", ["best"], sweep.id)
    assert sweep.order == "+summary_metrics.loss"
    assert sweep.best_artifact("dataset") is None
    assert sweep.expected_run_count == 3
    assert [each.id for each in lineal.Api().project("p").sweeps()] == [sweep.id]
    found = lineal.Api().project("p").sweeps(filters={"state": "finished"}, order="+name")
    assert [each.id for each in found] == [sweep.id]
    assert len(lineal.Api().project("p").sweeps(filters={"state": "paused"})) == 0
    assert os.path.basename(sweep.url) == sweep.id


def test_the_state_of_a_sweep_equals_wandbs_word_for_it() -> None:
    sweep = lineal.Api().sweep(make(RANDOM))
    assert [sweep.state, repr(sweep.state)] == ["pending", "'pending'"]
    assert sweep.best_loss is None
    assert [sweep.state == word for word in ("PENDING", "Pending", "RUNNING", 5)] == [
        *(True, False, False, False)
    ]
    assert [sweep.state != word for word in ("PENDING", "RUNNING")] == [False, True]
    assert sweep.state in ("RUNNING", "PENDING")
    sweep.cancel()
    assert [sweep.state == word for word in ("cancelled", "CANCELED")] == [True, True]
