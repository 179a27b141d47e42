"""What a sweep may choose, as its document says it: constants and distributions (SWP-2, SWP-3)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from lineal.core import distributions
from lineal.core.distributions import Distribution
from lineal.core.mistakes import Mistakes, near
from lineal.core.numbers import is_finite, is_whole

Path = tuple[str, ...]
"""Keys from the outermost parameter inwards."""

_KEYS = (
    "value", "values", "probabilities", "min", "max", "distribution", "mu", "sigma", "q",
    "parameters",
)  # fmt: skip


def read(
    document: Mapping[str, Any], mistakes: Mistakes
) -> tuple[dict[Path, Any], dict[Path, Distribution]]:
    """Return the constants of a document, and what is to be chosen, each by its path (SWP-3)."""
    constants: dict[Path, Any] = {}
    searched: dict[Path, Distribution] = {}
    given = document.get("parameters")
    if not isinstance(given, Mapping) or not given:
        mistakes.add("parameters", "must be a mapping of names to what may be chosen")
        return constants, searched
    for path, spec in _leaves((), given, mistakes):
        place = _place(path)
        if "value" in spec or spec.get("distribution") == "constant":
            if _is_constant(place, spec, mistakes):
                constants[path] = spec["value"]
            continue
        distribution = _distribution(place, spec, mistakes)
        if distribution is not None:
            searched[path] = distribution
    return constants, searched


def _place(path: Path) -> str:
    return ".".join(("parameters", *path))


def _leaves(
    above: Path, given: Mapping[Any, Any], mistakes: Mistakes
) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    """Yield each parameter with its path, nested ones too."""
    for key, spec in given.items():
        path = (*above, str(key))
        place = _place(path)
        if not isinstance(spec, Mapping):
            example = (
                f"{{value: {spec!r}}}" if not isinstance(spec, list) else f"{{values: {spec}}}"
            )
            mistakes.add(place, f"must be a mapping, such as {example}")
            continue
        mistakes.unknown(place, spec, _KEYS)
        if "parameters" not in spec:
            yield path, spec
            continue
        others = sorted(str(other) for other in spec if other != "parameters")
        if others:
            mistakes.add(place, f"has `parameters`, so it cannot have {', '.join(others)} as well")
        if isinstance(spec["parameters"], Mapping) and spec["parameters"]:
            yield from _leaves(path, spec["parameters"], mistakes)
        else:
            mistakes.add(f"{place}.parameters", "must be a mapping with at least one parameter")


def _is_constant(place: str, spec: Mapping[str, Any], mistakes: Mistakes) -> bool:
    others = sorted(set(spec) - {"value", "distribution"})
    if "value" not in spec:
        mistakes.add(f"{place}.value", "is missing; a constant needs one")
    elif others:
        mistakes.add(place, f"has a `value`, so it cannot have {', '.join(others)} as well")
    elif spec.get("distribution", "constant") != "constant":
        mistakes.add(f"{place}.distribution", "can only be constant beside `value`")
    else:
        return True
    return False


def _distribution(place: str, spec: Mapping[str, Any], mistakes: Mistakes) -> Distribution | None:
    name = spec.get("distribution")
    name = distributions.ALSO.get(name, name) if isinstance(name, str) else name
    if name is not None and name not in distributions.NAMES:
        mistakes.add(
            f"{place}.distribution", f"cannot be {name!r}{near(name, distributions.NAMES)}"
        )
        return None
    if name is None:
        name = _inferred(spec)
    if name is None:
        mistakes.add(place, "needs `value`, `values`, `min` and `max`, or a `distribution`")
        return None
    if name == "categorical":
        return _categorical(place, spec, mistakes)
    return _numeric(place, str(name), spec, mistakes)


def _inferred(spec: Mapping[str, Any]) -> str | None:
    if "values" in spec:
        return "categorical"
    if "min" in spec or "max" in spec:
        both = (spec.get("min"), spec.get("max"))
        if "q" in spec:
            return "q_uniform"
        return "int_uniform" if all(is_whole(each) for each in both) else "uniform"
    if "mu" in spec or "sigma" in spec:
        return "q_normal" if "q" in spec else "normal"
    return None


def _categorical(place: str, spec: Mapping[str, Any], mistakes: Mistakes) -> Distribution | None:
    values = spec.get("values")
    if not isinstance(values, (list, tuple)) or not values:
        mistakes.add(f"{place}.values", "must be a list with at least one value")
        return None
    _refuse(place, spec, {"values", "probabilities", "distribution"}, "values", mistakes)
    weights = spec.get("probabilities")
    if weights is None:
        return distributions.categorical(values)
    if (
        not isinstance(weights, (list, tuple))
        or len(weights) != len(values)
        or not all(is_finite(weight) and weight >= 0 for weight in weights)
        or abs(sum(weights) - 1) > 1e-6
    ):
        mistakes.add(
            f"{place}.probabilities", "must be as many numbers as there are values, adding up to 1"
        )
        return None
    return distributions.categorical(values, weights)


def _numeric(
    place: str, name: str, spec: Mapping[str, Any], mistakes: Mistakes
) -> Distribution | None:
    is_bounded = name in distributions.BOUNDED
    own = {"min", "max"} if is_bounded else {"mu", "sigma"}
    q = _quantum(place, name, spec, mistakes)
    _refuse(place, spec, own | {"distribution", "q"}, name, mistakes)
    if is_bounded:
        return _bounded(place, name, spec, q, mistakes)
    return _normal(place, name, spec, q, mistakes)


def _normal(
    place: str, name: str, spec: Mapping[str, Any], q: float | None, mistakes: Mistakes
) -> Distribution | None:
    mu, sigma = spec.get("mu", 0.0), spec.get("sigma", 1.0)
    if not is_finite(mu):
        mistakes.add(f"{place}.mu", f"must be a number, not {mu!r}")
    if not is_finite(sigma) or sigma <= 0:
        mistakes.add(f"{place}.sigma", f"must be a number above 0, not {sigma!r}")
    if not (is_finite(mu) and is_finite(sigma) and sigma > 0):
        return None
    return distributions.normal(name, float(mu), float(sigma), q)


def _bounded(
    place: str, name: str, spec: Mapping[str, Any], q: float | None, mistakes: Mistakes
) -> Distribution | None:
    low, high = spec.get("min"), spec.get("max")
    whole = name == "int_uniform"
    kind = "a whole number" if whole else "a number"
    for key, bound in (("min", low), ("max", high)):
        if bound is None:
            mistakes.add(f"{place}.{key}", f"is missing; {name} needs it")
        elif not is_finite(bound) or (whole and not float(bound).is_integer()):
            mistakes.add(f"{place}.{key}", f"must be {kind}, not {bound!r}")
        elif name in distributions.POSITIVE and bound <= 0:
            mistakes.add(f"{place}.{key}", f"must be above 0 for {name}, not {bound!r}")
        else:
            continue
        return None
    assert low is not None
    assert high is not None
    if low > high:
        mistakes.add(f"{place}.min", f"is {low!r}, which is more than `max`, {high!r}")
        return None
    try:
        found = distributions.bounded(name, low, high, q)
    except OverflowError:
        mistakes.add(place, f"has bounds that are too large for {name}: they are exponents of e")
        return None
    if "log" in name and not found.space.low:
        mistakes.add(place, f"has bounds that are too small for {name}: they are exponents of e")
        return None
    return found


def _quantum(place: str, name: str, spec: Mapping[str, Any], mistakes: Mistakes) -> float | None:
    if name not in distributions.QUANTISED:
        if "q" in spec:
            mistakes.add(f"{place}.q", f"has no meaning for {name}; use q_{name}")
        return None
    q = spec.get("q", 1)
    if not is_finite(q) or q <= 0:
        mistakes.add(f"{place}.q", f"must be a number above 0, not {q!r}")
        return 1.0
    return float(q)


def _refuse(
    place: str, spec: Mapping[str, Any], allowed: set[str], what: str, mistakes: Mistakes
) -> None:
    for key in sorted(set(spec) & set(_KEYS) - allowed):
        mistakes.add(f"{place}.{key}", f"has no meaning beside {what}")


def check_names(given: Any, mistakes: Mistakes, above: Path = ()) -> None:
    """Note names such as `off`, which YAML takes for something else; as JSON it would not show."""
    for key, spec in given.items() if isinstance(given, Mapping) else ():
        path = (*above, str(key))
        if key is None or isinstance(key, bool):
            word = "null" if key is None else str(key).lower()
            mistakes.add(_place(path), f"has a name that YAML takes for {word}; put it in quotes")
        elif isinstance(spec, Mapping):
            check_names(spec.get("parameters"), mistakes, path)


def check_grid(searched: Mapping[Path, Distribution], mistakes: Mistakes) -> None:
    """Note what a grid cannot try one by one."""
    for path, distribution in searched.items():
        place = _place(path)
        if distribution.values() is None:
            mistakes.add(
                place,
                f"is {distribution.name}, whose values a grid cannot count; give `values`, whole "
                "`min` and `max`, or q_uniform",
            )
        elif distribution.weights:
            mistakes.add(f"{place}.probabilities", "have no meaning in a grid")


def check_values(
    constants: Mapping[Path, Any],
    searched: Mapping[Path, Distribution],
    mistakes: Mistakes,
    *,
    is_grid: bool,
) -> None:
    """Note what would only fail when a value is drawn, or never be recognised again."""
    for path, value in constants.items():
        if _has_nan(value):
            mistakes.add(f"{_place(path)}.value", "cannot hold NaN, which equals nothing; use null")
    for path, distribution in searched.items():
        place = _place(path)
        if _has_nan(distribution.choices):
            mistakes.add(f"{place}.values", "cannot hold NaN, which equals nothing; use null")
        if not distribution.choices:
            _check_range(place, distribution, mistakes, is_grid=is_grid)


def _check_range(
    place: str, distribution: Distribution, mistakes: Mistakes, *, is_grid: bool
) -> None:
    low, high = distribution.space.low, distribution.space.high
    try:
        # what is drawn lies between these two
        distribution.value(low)
        distribution.value(high)
        is_too_wide = math.isinf(high - low)
    except OverflowError:
        is_too_wide = True
    if is_too_wide:
        mistakes.add(place, f"has values that are too large for {distribution.name}")
    elif not distribution.has_multiples:
        mistakes.add(f"{place}.q", f"is {distribution.q:g}, of which no multiple is in the range")
    elif is_grid:
        try:
            len(distribution.values() or ())
        except OverflowError:
            mistakes.add(place, "has more values than a grid can count")


def _has_nan(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(_has_nan(each) for each in value.values())
    if isinstance(value, (list, tuple)):
        return any(_has_nan(each) for each in value)
    return isinstance(value, float) and math.isnan(value)
