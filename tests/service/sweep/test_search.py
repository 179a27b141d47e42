"""What a search knows, and which parameter it finds to matter."""

from __future__ import annotations

import math

import pytest
from sqlalchemy import select

from lineal.core.importance import RESULTS_LEAST
from lineal.db.schema import trials as trials_table
from lineal.service.instance import Instance
from lineal.service.sweep import trials
from lineal.service.sweep.importance import importance
from tests.service.sweep.conftest import OWNER, RANDOM, ask, done, join, make


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
