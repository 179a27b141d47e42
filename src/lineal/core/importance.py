"""How much of the difference between results each parameter explains."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from statistics import fmean

RESULTS_LEAST = 8
"""With fewer, chance explains more than any parameter does."""

GROUPS_MOST = 5
PER_GROUP = 4
"""Results in each of the ranges that a parameter with many values is cut into."""


def shares(points: Sequence[Mapping[str, float]], results: Sequence[float]) -> dict[str, float]:
    """Return the share of each parameter, largest first; they add up to 1, or are all 0.

    points: the same names in each; choices by their numbers. Only the order of results counts, so
    that one trial that exploded does not hide what the others tell. Each parameter is looked at by
    itself: what only two together explain belongs to neither.
    """
    ranks = _ranks(results)
    names = points[0] if points else {}
    found = {name: _explained(_groups([at[name] for at in points]), ranks) for name in names}
    total = sum(found.values()) or 1.0
    return dict(sorted(((n, each / total) for n, each in found.items()), key=lambda at: -at[1]))


def _ranks(values: Sequence[float]) -> list[float]:
    """Return the place of each value; equal ones share the middle of theirs."""
    ordered = sorted(values)
    last = {value: place for place, value in enumerate(ordered)}
    first = {value: place for place, value in reversed(list(enumerate(ordered)))}
    return [(first[value] + last[value]) / 2 for value in values]


def _groups(values: Sequence[float]) -> list[float]:
    """Return one mark for all values that count as equal: few, or often the same, as they are.

    Others by ranges.
    """
    if len(set(values)) <= max(GROUPS_MOST, len(values) // PER_GROUP):
        return list(values)
    count = max(2, min(GROUPS_MOST, len(values) // PER_GROUP))
    ordered = sorted(values)
    bounds = [ordered[len(values) * part // count] for part in range(1, count)]
    return [bisect_right(bounds, value) for value in values]


def _explained(groups: Sequence[float], ranks: Sequence[float]) -> float:
    """Return the part of the variance of ranks that lies between groups, 0…1.

    It is epsilon squared: what as many groups would explain by chance is taken off (T. Kelley, An
    unbiased correlation ratio measure, 1935).
    """
    members: dict[float, list[float]] = {}
    for group, rank in zip(groups, ranks, strict=True):
        members.setdefault(group, []).append(rank)
    free = len(ranks) - len(members)
    whole = _squares(ranks) / (len(ranks) - 1) if len(ranks) > 1 else 0.0
    if free <= 0 or not whole:
        return 0.0
    within = sum(map(_squares, members.values())) / free
    return max(0.0, 1 - within / whole)


def _squares(values: Sequence[float]) -> float:
    mean = fmean(values)
    return sum((value - mean) ** 2 for value in values)
