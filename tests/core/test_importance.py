"""Which parameters explain the difference between results."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lineal.core.importance import RESULTS_LEAST, shares


def drawn(count: int, seed: int = 0) -> list[dict[str, float]]:
    chance = random.Random(seed)
    return [
        {"depth": chance.randrange(3), "trees": chance.randrange(5, 41), "lr": chance.random()}
        for _ in range(count)
    ]


@pytest.mark.parametrize("count", [12, 20, 40, 100])
@pytest.mark.parametrize("seed", range(5))
def test_a_choice_that_decides_alone_has_most_of_the_share(count, seed):
    points = drawn(count, seed)
    found = shares(points, [(0.918, 0.945, 0.96)[int(point["depth"])] for point in points])
    assert next(iter(found)) == "depth"
    assert found["depth"] > 0.6


def test_one_choice_of_many_that_is_unlike_its_neighbours_is_seen():
    points = [{"model": number % 12, "seed": number % 7} for number in range(84)]
    found = shares(points, [point["model"] % 2 + 0.05 * point["seed"] for point in points])
    assert found["model"] > 0.7


def test_a_best_value_in_the_middle_is_seen():
    points = drawn(60)
    found = shares(points, [-((point["lr"] - 0.5) ** 2) for point in points])
    assert found["lr"] > 0.8


def test_one_result_that_exploded_hides_nothing():
    points = drawn(30)
    results = [point["lr"] for point in points]
    results[3] = 1e300
    assert next(iter(shares(points, results))) == "lr"


def test_what_is_different_in_every_trial_explains_nothing_by_that():
    points = [{"seed": float(number), "a": float(number % 2)} for number in range(5)]
    assert shares(points, [0.0, 1.0, 0.1, 1.1, 0.2]) == {"a": 1.0, "seed": 0.0}


@pytest.mark.parametrize("results", [[], [1.0], [2.0] * 9])
def test_results_that_do_not_differ_leave_nothing_to_explain(results):
    assert not any(shares(drawn(len(results)), results).values())


@given(
    st.lists(
        st.tuples(st.floats(-1e9, 1e9), st.integers(0, 3), st.floats(allow_nan=False)),
        min_size=RESULTS_LEAST,
        max_size=40,
    )
)
def test_shares_add_up_and_come_largest_first(trials):
    found = shares([{"x": x, "c": c} for x, c, _ in trials], [result for _, _, result in trials])
    values = list(found.values())
    assert math.isclose(sum(values), 1) or values == [0, 0]
    assert values == sorted(values, reverse=True)
    assert all(0 <= value <= 1 for value in values)
