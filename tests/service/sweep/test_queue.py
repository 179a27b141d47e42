"""The queue of a sweep: parameters that users put before those it would choose."""

from __future__ import annotations

from typing import Any

import pytest

from lineal.core.trials import SweepRecord, SweepState
from lineal.errors import Conflict, Invalid
from lineal.service.instance import Instance
from lineal.service.sweep import sweeps, trials
from tests.service.sweep.conftest import OWNER, RANDOM, again, ask, done, join, make


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
