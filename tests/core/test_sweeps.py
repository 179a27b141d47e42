"""A sweep's document: understood, or refused with every mistake named; distributions; brackets."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lineal.core import hyperband, sweeps
from lineal.core.distributions import Scale
from lineal.core.hyperband import Hyperband
from lineal.core.sweeps import Metric
from lineal.errors import Invalid


def parameter(**spec: Any) -> Any:
    plan = sweeps.plan({"method": "random", "parameters": {"p": spec}})
    return plan.searched[("p",)]


RANGES: list[tuple[dict[str, Any], float, float]] = [
    ({"min": 1, "max": 4}, 1, 4),
    ({"min": 0.5, "max": 4.0}, 0.5, 4.0),
    ({"distribution": "uniform", "min": -1, "max": 1}, -1, 1),
    ({"distribution": "q_uniform", "min": 0, "max": 11, "q": 4}, 0, 8),
    ({"distribution": "log_uniform", "min": -2, "max": 3}, math.exp(-2), math.exp(3)),
    ({"distribution": "log_uniform_values", "min": 1e-5, "max": 0.1}, 1e-5, 0.1),
    ({"distribution": "q_log_uniform", "min": 0, "max": 3, "q": 2}, 2, 20),
    ({"distribution": "q_log_uniform_values", "min": 1, "max": 100, "q": 5}, 5, 100),
    ({"distribution": "inv_log_uniform", "min": 0, "max": 2}, math.exp(-2), 1),
    ({"distribution": "inv_log_uniform_values", "min": 0.01, "max": 10}, 0.01, 10),
]


def test_a_name_that_yaml_takes_for_a_truth_value_is_refused():
    with pytest.raises(Invalid, match=r"`parameters\.False` has a name that YAML takes"):
        sweeps.plan({"method": "random", "parameters": {False: {"values": [1, 2]}}})


@pytest.mark.parametrize(("spec", "low", "high"), RANGES, ids=lambda value: str(value)[:40])
def test_values_fill_their_range_and_do_not_leave_it(
    spec: dict[str, Any], low: float, high: float
) -> None:
    distribution = parameter(**spec)
    space = distribution.space
    values = []
    for step in range(201):
        share = step / 200
        if space.scale is Scale.LOG:
            at = math.exp(math.log(space.low) * (1 - share) + math.log(space.high) * share)
        else:
            at = space.low + (space.high - space.low) * share
        values.append(distribution.value(round(at) if space.scale is Scale.WHOLE else at))
    assert min(values) == pytest.approx(low)
    assert max(values) == pytest.approx(high)
    if "q" in spec:
        assert all(value % spec["q"] == 0 for value in values)
    if spec.get("min") == 1 and "distribution" not in spec:
        assert all(isinstance(value, int) for value in values)


@pytest.mark.parametrize("name", ["normal", "log_normal", "q_normal", "q_log_normal"])
def test_normal_distributions_have_their_quantiles(name: str) -> None:
    distribution = parameter(distribution=name, mu=2, sigma=0.5)
    middle, above = distribution.value(0.5), distribution.value(0.8413447460685429)
    expected = [2.0, 2.5] if "log" not in name else [math.exp(2), math.exp(2.5)]
    if name.startswith("q_"):
        expected = [round(value) for value in expected]
    assert [middle, above] == pytest.approx(expected)


def test_probabilities_are_shares_of_the_quantile() -> None:
    distribution = parameter(values=["a", "b", "c"], probabilities=[0.1, 0.6, 0.3])
    drawn = [distribution.value((step + 0.5) / 1000) for step in range(1000)]
    assert [drawn.count(value) for value in "abc"] == [100, 600, 300]


SPECS = st.sampled_from([spec for spec, _, _ in RANGES] + [{"values": [1, "x", None, True]}])


@given(SPECS, st.floats(0, 1))
def test_a_value_leads_back_to_a_point_with_that_value(spec: dict[str, Any], share: float) -> None:
    distribution = parameter(**spec)
    space = distribution.space
    at: float = space.low + (space.high - space.low) * share
    if space.scale in (Scale.CHOICE, Scale.WHOLE):
        at = round(at)
    value = distribution.value(at)
    back = distribution.point(value)
    assert back is not None
    assert distribution.value(back) == value
    assert type(distribution.value(back)) is type(value)


@pytest.mark.parametrize("spec", [spec for spec, _, _ in RANGES], ids=lambda spec: str(spec)[:40])
@pytest.mark.parametrize(
    "value", [math.nan, math.inf, 10**400, True, "1", None], ids=lambda value: str(value)[:9]
)
def test_what_is_no_finite_number_is_no_point_of_a_range(spec: dict[str, Any], value: Any) -> None:
    assert parameter(**spec).point(value) is None


def test_a_grid_counts_through_all_points() -> None:
    plan = sweeps.plan(
        {
            "method": "grid",
            "parameters": {
                "a": {"values": ["x", "y"]},
                "b": {"parameters": {"c": {"min": 1, "max": 3}, "d": {"value": 9}}},
                "q": {"distribution": "q_uniform", "min": 0.0, "max": 0.3, "q": 0.1},
            },
        }
    )
    points = [sweeps.grid_point(plan, number) for number in range(plan.point_count or 0)]
    assert len(points) == len({tuple(point.items()) for point in points}) == 2 * 3 * 4
    assert sweeps.nested({**plan.constants, **points[-1]}) == {
        "a": "y",
        "b": {"c": 3, "d": 9},
        "q": 0.3,
    }

    configs = [sweeps.nested(point) for point in points]
    assert [sweeps.grid_number(plan, config) for config in configs] == list(range(2 * 3 * 4))
    for other in ({"a": "z"}, {"b": {"c": 4}}, {"b": {"c": 1.5}}, {"b": {}}, {"q": 0.25}):
        assert sweeps.grid_number(plan, configs[0] | other) is None


GOOD = {"method": "random", "metric": {"name": "loss"}, "parameters": {"a": {"value": 1}}}
MISTAKES: list[tuple[dict[str, Any], list[str]]] = [
    ({"methd": "grid"}, ["`methd` is not known; did you mean `method`?"]),
    ({"method": "bayse"}, ["`method` cannot be 'bayse'; did you mean `bayes`?"]),
    ({"parameters": {}}, ["`parameters` must be a mapping"]),
    ({"parameters": {"a": 3}}, ["`parameters.a` must be a mapping, such as {value: 3}"]),
    ({"parameters": {"a": [1]}}, ["such as {values: [1]}"]),
    ({"parameters": {"a": {}}}, ["`parameters.a` needs `value`"]),
    ({"parameters": {"a": {"vals": [1]}}}, ["`parameters.a.vals` is not known", "`values`"]),
    ({"parameters": {"a": {"min": 1}}}, ["`parameters.a.max` is missing"]),
    ({"parameters": {"a": {"min": 2, "max": 1}}}, ["`parameters.a.min` is 2, which is more"]),
    ({"parameters": {"a": {"min": "0", "max": 1}}}, ["`parameters.a.min` must be a number"]),
    ({"parameters": {"a": {"min": 0, "max": 10**400}}}, ["`parameters.a.max` must be a whole"]),
    ({"metric": {"name": "a", "target": 10**400}}, ["`metric.target` must be a number"]),
    ({"parameters": {"a": {"values": []}}}, ["at least one value"]),
    (
        {"parameters": {"a": {"values": [1, 2], "probabilities": [0.5, 0.6]}}},
        ["`parameters.a.probabilities` must be as many numbers"],
    ),
    ({"parameters": {"a": {"value": 1, "values": [1]}}}, ["it cannot have values as well"]),
    (
        {"parameters": {"a": {"distribution": "log_uniform_vals", "min": 1, "max": 2}}},
        ["did you mean `log_uniform_values`?"],
    ),
    (
        {"parameters": {"a": {"distribution": "log_uniform_values", "min": 0, "max": 2}}},
        ["`parameters.a.min` must be above 0"],
    ),
    (
        {"parameters": {"a": {"distribution": "log_uniform", "min": 0, "max": 9999}}},
        ["too large for log_uniform"],
    ),
    ({"parameters": {"a": {"min": 0, "max": 1, "mu": 3}}}, ["`parameters.a.mu` has no meaning"]),
    (
        {"parameters": {"a": {"distribution": "uniform", "min": 0, "max": 1, "q": 1}}},
        ["use q_uniform"],
    ),
    ({"parameters": {"a": {"distribution": "normal", "sigma": 0}}}, ["`parameters.a.sigma`"]),
    (
        {"parameters": {"o": {"parameters": {"lr": {"min": 1.0}}}}},
        ["`parameters.o.parameters.lr.max` is missing"],
    ),
    (
        {"method": "grid", "parameters": {"a": {"min": 0.0, "max": 1.0}}},
        ["`parameters.a` is uniform, whose values a grid cannot count"],
    ),
    ({"parameters": {"a": {"value": {"b": [math.nan]}}}}, ["`parameters.a.value` cannot hold NaN"]),
    ({"parameters": {"a": {"values": [1, math.nan]}}}, ["`parameters.a.values` cannot hold NaN"]),
    (
        {"parameters": {"a": {"distribution": "log_uniform", "min": -1000, "max": -900}}},
        ["too small for log_uniform"],
    ),
    ({"parameters": {"a": {"min": -1e308, "max": 1e308}}}, ["too large for uniform"]),
    (
        {"parameters": {"a": {"distribution": "log_normal", "mu": 1000}}},
        ["`parameters.a` has values that are too large for log_normal"],
    ),
    (
        {"parameters": {"a": {"distribution": "q_uniform", "min": 0.2, "max": 0.7, "q": 5}}},
        ["`parameters.a.q` is 5, of which no multiple is in the range"],
    ),
    (
        {"method": "grid", "parameters": {"a": {"min": 0, "max": 10**40}}},
        ["more values than a grid can count"],
    ),
    ({"method": "bayes", "metric": None}, ["`metric` is missing"]),
    ({"metric": {"name": "x", "goal": "max"}}, ["`metric.goal` cannot be 'max'", "maximize"]),
    ({"metric": {"nme": "x"}}, ["`metric.nme` is not known", "`metric.name` must say"]),
    ({"run_cap": 0}, ["`run_cap` must be a whole number"]),
    ({"early_terminate": {"type": "median"}}, ["use hyperband", "needs either `min_iter`"]),
    ({"early_terminate": {"type": "hyperband", "max_iter": 9}}, ["`max_iter` and `s`"]),
    ({"command": "python train.py"}, ["`command` must be a list"]),
    ({"command": ["x", "${lrr}"]}, ["`command` names ${lrr}, which is not known"]),
    ({"command": ["${argss}"]}, ["did you mean `args`"]),
    ({"command": ["--all=${args}"]}, ["must have ${args} as an element by itself"]),
    ({"command": ["${program}"]}, ["names ${program}, but the sweep has no `program`"]),
    ({"controller": {"type": "remote"}}, ["`controller` must be {type: local}"]),
    ({"best_alias": 3}, ["`best_alias` must be an alias"]),
    ({"best_alias": "v3"}, ["`best_alias` cannot be used: Alias 'v3' is reserved"]),
    ({"best_alias": "a/b"}, ["`best_alias` cannot be used: Alias 'a/b' may not contain"]),
]


@pytest.mark.parametrize(("change", "said"), MISTAKES, ids=lambda value: str(value)[:50])
def test_a_mistake_is_named_with_its_place(change: dict[str, Any], said: list[str]) -> None:
    document = {key: value for key, value in (GOOD | change).items() if value is not None}
    if "methd" in change:
        del document["method"]
    with pytest.raises(Invalid) as error:
        sweeps.plan(document, is_new=True)
    for part in said:
        place = part.replace("parameters.o.parameters.lr", "parameters.o.lr")
        assert part in error.value.message or place in error.value.message


@pytest.mark.parametrize(
    "change",
    [
        {"method": "bayes"},
        {"early_terminate": {"type": "hyperband", "min_iter": 3}},
        {"best_alias": True},
    ],
    ids=str,
)
def test_an_empty_metric_is_a_missing_one(change: dict[str, Any]) -> None:
    with pytest.raises(Invalid, match="metric"):
        sweeps.plan(GOOD | {"metric": None} | change)


def test_a_sweep_that_is_there_may_have_a_command_that_no_agent_can_start() -> None:
    assert sweeps.plan(GOOD | {"command": ["${lrr}"]}).method == GOOD["method"]


def test_all_mistakes_are_named_at_once() -> None:
    with pytest.raises(Invalid, match="These 3 things are wrong"):
        sweeps.plan({"method": "x", "run_cap": -1, "parameters": {"a": 1}})


@pytest.mark.parametrize(
    ("summary", "value"),
    [
        ({"loss": 1}, 1.0),
        ({"loss": float("nan")}, None),
        ({"loss": None}, None),
        ({}, None),
        ({"loss": {"min": 0.5, "max": 2}}, 0.5),
        ({"loss.min": 0.5, "loss.max": 2, "loss.last": 1}, 0.5),
        ({"loss.max": 2, "loss.last": 1}, 1.0),
        ({"loss.last": 2, "loss.mean": 1}, 2.0),
        ({"loss.max": 2, "loss.mean": 1}, 1.0),
        ({"loss.max": 2, "loss.first": 1}, None),
        ({"loss": "high"}, None),
        ({"loss": True}, None),
    ],
)
def test_a_result_is_a_number_or_missing(summary: dict[str, Any], value: float | None) -> None:
    assert sweeps.result(summary, Metric("loss")) == value


def test_a_result_may_lie_deeper() -> None:
    assert sweeps.result({"val": {"acc": 0.5}}, Metric("val.acc")) == 0.5
    assert sweeps.result({"val.acc": 0.7}, Metric("val.acc")) == 0.7


def test_brackets_from_below_and_from_above() -> None:
    assert hyperband.brackets(Hyperband(min_iter=3, eta=3))[:4] == (3, 9, 27, 81)
    assert hyperband.brackets(Hyperband(max_iter=27, s=2, eta=3)) == (3, 9)
    assert hyperband.brackets(Hyperband(max_iter=2, s=3, eta=3)) == ()


def test_only_the_best_share_goes_on() -> None:
    values = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]
    assert hyperband.threshold(values, 3) == 0.2
    assert hyperband.threshold([0.5, 0.6], 3) == math.inf


def test_strict_does_not_forgive_who_caught_up() -> None:
    others = [0.1, 0.2, 0.9]
    for strict, stops in ((False, False), (True, True)):
        rules = Hyperband(min_iter=2, eta=3, strict=strict)
        assert hyperband.should_stop(rules, 4, {2: 0.9}, 0.05, others) is stops
    assert not hyperband.should_stop(Hyperband(min_iter=2), 1, {}, 5.0, others)
