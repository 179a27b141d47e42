"""Stopping trials early (SWP-5): who is clearly worse than the others at the same point.

A bracket is a number of iterations, that is, of logged values of the metric. At each bracket the
best 1/eta of all trials that got there may go on; the others are stopped.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

MOST_BRACKETS = 64
LONGEST = 10**9


class Hyperband(NamedTuple):
    """min_iter alone, or max_iter and s; `core.sweeps` has checked which."""

    min_iter: int | None = None
    max_iter: int | None = None
    s: int | None = None
    eta: float = 3.0
    strict: bool = False


def brackets(rules: Hyperband) -> tuple[int, ...]:
    """Return the iterations at which trials are compared, ascending.

    From below: min_iter, min_iter·eta, min_iter·eta² …; from above: max_iter/eta, max_iter/eta² …,
    s of them.
    """
    if rules.min_iter is not None:
        found: list[int] = []
        at = float(rules.min_iter)
        while len(found) < MOST_BRACKETS and at <= LONGEST:
            found.append(int(at))
            at *= rules.eta
        return tuple(dict.fromkeys(found))
    assert rules.max_iter is not None
    assert rules.s is not None
    down = (int(rules.max_iter / rules.eta**power) for power in range(1, rules.s + 1))
    return tuple(sorted({at for at in down if at >= 1}))


def reached(rules: Hyperband, count: int) -> int | None:
    """Return the last bracket that a trial with so many iterations has behind it, None if none."""
    behind = [bracket for bracket in brackets(rules) if bracket <= count]
    return behind[-1] if behind else None


def threshold(values: Sequence[float], eta: float) -> float:
    """Return the worst value that may go on, smaller being better.

    Fewer than eta trials say nothing yet: all may go on.
    """
    if len(values) < eta:
        return math.inf
    return sorted(values)[math.ceil(len(values) / eta) - 1]


def should_stop(
    rules: Hyperband,
    count: int,
    best_at: Mapping[int, float],
    best: float,
    others_at: Sequence[float],
) -> bool:
    """Say whether a trial is to stop, smaller being better.

    count: its iterations. best_at: bracket → its best value until then. best: its best until now.
    others_at: the best until its last bracket of every trial that got there, itself included.
    Without `strict` a trial that has caught up since its last bracket may go on.
    """
    bracket = reached(rules, count)
    if bracket is None or bracket not in best_at:
        return False
    own = best_at[bracket] if rules.strict else min(best, best_at[bracket])
    return own > threshold(others_at, rules.eta)
