"""Which parameters of a sweep matter."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from lineal.core import access
from lineal.core import sweeps as rules
from lineal.core.access import Action, Actor
from lineal.core.sweeps import Plan
from lineal.core.trials import SweepKey
from lineal.db import sweeps as sweeps_db
from lineal.errors import Unavailable
from lineal.service.instance import Instance
from lineal.service.sweep.search import COUNTS, Search, name_of, point_of

RESULTS_LEAST = 4


def importance(instance: Instance, actor: Actor, sweep: SweepKey) -> dict[str, float]:
    """Return how much of the difference between trials each parameter explains, largest first.

    By Optuna's PED-ANOVA. The shares add up to 1; parameters in groups are named with dots. Empty
    with too few results, or without Optuna. Raises NotFound.
    """
    access.require(actor, Action.READ, f"sweep {sweep}")
    with instance.database.reading() as connection:
        plan = rules.plan(sweeps_db.by_key(connection, sweep).document)
        trials = sweeps_db.changed(connection, sweep, -1)
    done = [trial for trial in trials if trial.state in COUNTS and trial.value is not None]
    if plan.metric is None or len(done) < RESULTS_LEAST or not plan.searched:
        return {}
    try:
        return _shares(plan, [(trial.parameters, trial.value) for trial in done])
    except (Unavailable, ValueError, RuntimeError):
        return {}


def _shares(plan: Plan, results: Iterable[tuple[Mapping[str, Any], float]]) -> dict[str, float]:
    search = Search(plan)
    for parameters, value in results:
        point = point_of(plan, parameters)
        if point is not None and math.isfinite(value):
            search.add_result(point, value)
    found = search.importances()
    names = {name_of(path): ".".join(path) for path in plan.searched}
    total = sum(found.values()) or 1.0
    ordered = sorted(found.items(), key=lambda pair: -pair[1])
    return {names[name]: share / total for name, share in ordered}
