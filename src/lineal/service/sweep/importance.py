"""Which parameters of a sweep matter."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from lineal.core import access
from lineal.core import importance as rules
from lineal.core import sweeps as documents
from lineal.core.access import Action, Actor
from lineal.core.sweeps import Plan
from lineal.core.trials import SweepKey
from lineal.db import sweeps as sweeps_db
from lineal.db import trials as trials_db
from lineal.service.instance import Instance
from lineal.service.sweep.search import COUNTS, name_of, point_of


def importance(instance: Instance, actor: Actor, sweep: SweepKey) -> dict[str, float]:
    """Return how much of the difference between trials each parameter explains, largest first.

    The shares add up to 1; parameters in groups are named with dots. Empty with too few results,
    and where no parameter explains any of it. Raises NotFound.
    """
    access.require(actor, Action.READ, f"sweep {sweep}")
    with instance.database.reading() as connection:
        plan = documents.plan(sweeps_db.by_key(connection, sweep).document)
        trials = trials_db.changed(connection, sweep, -1)
    if plan.metric is None:
        return {}
    done = [
        (trial.parameters, trial.value)
        for trial in trials
        if trial.state in COUNTS and trial.value is not None
    ]
    return _shares(plan, done)


def _shares(plan: Plan, trials: Iterable[tuple[Mapping[str, Any], float]]) -> dict[str, float]:
    found = [(point_of(plan, parameters), value) for parameters, value in trials]
    points = [(point, value) for point, value in found if point and math.isfinite(value)]
    if len(points) < rules.RESULTS_LEAST:
        return {}
    shares = rules.shares([point for point, _ in points], [value for _, value in points])
    if not any(shares.values()):
        return {}
    names = {name_of(path): ".".join(path) for path in plan.searched}
    return {names[name]: share for name, share in shares.items()}
