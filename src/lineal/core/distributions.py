"""What a sweep may choose from: one distribution per parameter (SWP-4).

A search works on a `Space` that every sampler understands: a range of numbers, whole numbers, or
the numbers of choices. `value` turns such a point into what the run gets – quantised, looked up,
drawn through the quantile of a normal distribution – and `point` turns a value back, so that
earlier runs can inform a search.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from enum import StrEnum
from itertools import accumulate
from statistics import NormalDist
from typing import Any, NamedTuple

from lineal.core.numbers import is_finite

TAIL = 1e-9
"""A quantile of exactly 0 or 1 would be an infinite value."""


class Scale(StrEnum):
    CHOICE = "choice"
    """Numbers of choices, 0 to high, in no order."""
    WHOLE = "whole"
    LINEAR = "linear"
    LOG = "log"
    """Uniform in the logarithm."""


class Space(NamedTuple):
    """What a sampler sees of a parameter; both ends included."""

    scale: Scale
    low: float
    high: float


class Distribution(NamedTuple):
    """One parameter that is searched."""

    name: str
    """As W&B calls it, such as `q_log_uniform_values`."""
    space: Space
    choices: tuple[Any, ...] = ()
    weights: tuple[float, ...] = ()
    """Probabilities of the choices; then the space is a quantile."""
    q: float | None = None
    """Values are whole multiples of this."""
    mu: float = 0.0
    sigma: float = 1.0

    def value(self, point: float) -> Any:
        """Return what a run gets for a point of the space."""
        if self.choices:
            return self.choices[self._choice(point)]
        if self.space.scale is Scale.WHOLE:
            return int(point)
        number = float(point)
        if self.name in NORMAL:
            number = NormalDist(self.mu, self.sigma).inv_cdf(number)
            if "log" in self.name:
                number = math.exp(number)
            return number if self.q is None else _multiple(round(number / self.q), self.q)
        if self.q is not None:
            return self._multiple(number)
        return min(max(number, self.space.low), self.space.high)

    def point(self, value: Any) -> float | None:
        """Return a point whose value this is, None if it has none."""
        if self.choices:
            return self._point_of_choice(value)
        if not is_finite(value):
            return None
        number = float(value)
        if self.name in NORMAL:
            if "log" in self.name:
                if number <= 0:
                    return None
                number = math.log(number)
            quantile = NormalDist(self.mu, self.sigma).cdf(number)
            return min(max(quantile, self.space.low), self.space.high)
        if self.space.scale is Scale.WHOLE and not number.is_integer():
            return None
        return number if self.space.low <= number <= self.space.high else None

    def values(self) -> Sequence[Any] | None:
        """Return all values there are, in order, None if they cannot be counted."""
        if self.choices:
            return self.choices
        if self.space.scale is Scale.WHOLE:
            return range(int(self.space.low), int(self.space.high) + 1)
        if self.q is not None and self.name == "q_uniform":
            return _Multiples(self.q, *self._multiples(self.q))
        return None

    @property
    def has_multiples(self) -> bool:
        """Say whether any multiple of `q` lies within the range; True without either."""
        if self.q is None or self.name in NORMAL:
            return True
        first, last = self._multiples(self.q)
        return first <= last

    def place(self, value: Any) -> int | None:
        """Return where among `values` a value is, counted from 0; None if it is none of them."""
        if self.choices:
            return next((i for i, each in enumerate(self.choices) if _same(each, value)), None)
        point, values = self.point(value), self.values()
        if point is None or not values:
            return None
        first = values[0]  # the others follow at the same distance: they are counted, not looked at
        number = round((point - first) / (self.q or 1))
        return number if 0 <= number < len(values) and values[number] == value else None

    def _choice(self, point: float) -> int:
        if not self.weights:
            return int(point)
        total = list(accumulate(self.weights))
        return min(bisect_left(total, point * total[-1]), len(self.choices) - 1)

    def _point_of_choice(self, value: Any) -> float | None:
        number = self.place(value)
        if number is None or not self.weights:
            return number
        total = list(accumulate(self.weights))
        return (total[number] - self.weights[number] / 2) / total[-1]

    def _multiple(self, number: float) -> float | int:
        """Return the nearest multiple that lies within the range, if one does."""
        assert self.q is not None
        first, last = self._multiples(self.q)
        nearest = round(number / self.q)
        if first <= last:
            nearest = min(max(nearest, first), last)
        return _multiple(nearest, self.q)

    def _multiples(self, q: float) -> tuple[int, int]:
        """Return the first and the last multiple within the range, in units of q."""
        return math.ceil(self.space.low / q - 1e-9), math.floor(self.space.high / q + 1e-9)


class _Multiples(Sequence[Any]):
    """The multiples of a number; counted, not listed."""

    def __init__(self, q: float, first: int, last: int) -> None:
        self._q, self._numbers = q, range(first, last + 1)

    def __len__(self) -> int:
        return len(self._numbers)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        return _multiple(self._numbers[index], self._q)


NORMAL = frozenset({"normal", "q_normal", "log_normal", "q_log_normal"})
_RANGES: Mapping[str, tuple[Scale, str]] = {
    "uniform": (Scale.LINEAR, "values"),
    "q_uniform": (Scale.LINEAR, "values"),
    "log_uniform": (Scale.LOG, "exponents"),
    "q_log_uniform": (Scale.LOG, "exponents"),
    "log_uniform_values": (Scale.LOG, "values"),
    "q_log_uniform_values": (Scale.LOG, "values"),
    "inv_log_uniform": (Scale.LOG, "inverse exponents"),
    "inv_log_uniform_values": (Scale.LOG, "values"),
}
"""How `min` and `max` are meant: as values, or as exponents of e, of the value or of 1/value."""
NAMES = ("constant", "categorical", "int_uniform", *_RANGES, *sorted(NORMAL))
ALSO = {"categorical_w_probabilities": "categorical"}
BOUNDED = frozenset({"int_uniform", *_RANGES})
QUANTISED = frozenset(name for name in NAMES if name.startswith("q_"))
POSITIVE = frozenset({"log_uniform_values", "q_log_uniform_values", "inv_log_uniform_values"})
"""Names of those whose bounds must be above zero."""


def categorical(values: Sequence[Any], weights: Sequence[float] = ()) -> Distribution:
    quantile, numbers = Space(Scale.LINEAR, 0.0, 1.0), Space(Scale.CHOICE, 0, len(values) - 1)
    space = quantile if weights else numbers
    return Distribution("categorical", space, tuple(values), tuple(weights))


def bounded(name: str, low: float, high: float, q: float | None = None) -> Distribution:
    """Make a distribution between two bounds, as its name says they are meant."""
    if name == "int_uniform":
        return Distribution(name, Space(Scale.WHOLE, int(low), int(high)))
    scale, meant = _RANGES[name]
    if meant == "exponents":
        low, high = math.exp(low), math.exp(high)
    elif meant == "inverse exponents":
        low, high = math.exp(-high), math.exp(-low)
    return Distribution(name, Space(scale, float(low), float(high)), q=q)


def normal(name: str, mu: float, sigma: float, q: float | None = None) -> Distribution:
    space = Space(Scale.LINEAR, TAIL, 1 - TAIL)
    return Distribution(name, space, q=q, mu=mu, sigma=sigma)


def _multiple(count: int, q: float) -> float | int:
    """Return count × q without the rounding of binary fractions: 3 × 0.1 is 0.3."""
    return count * int(q) if float(q).is_integer() else float(f"{count * q:.12g}")


def _same(one: Any, other: Any) -> bool:
    """Compare two values; 1 and 1.0 are the same, 1 and True are not."""
    if isinstance(one, bool) != isinstance(other, bool):
        return False
    return bool(one == other)
