"""What a sweep is told: its document, checked as a whole, and the points of a grid (SWP-2…SWP-7).

Every mistake in a document is found at once, each with its place in the document.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Any, NamedTuple

from lineal.core import distributions
from lineal.core.distributions import Distribution
from lineal.core.hyperband import Hyperband
from lineal.errors import Invalid

METHODS = ("grid", "random", "bayes")
GOALS = ("minimize", "maximize")
KEYS = (
    "program", "method", "parameters", "metric", "name", "description", "entity", "project",
    "early_terminate", "command", "run_cap", "controller", "best_alias", "best_type",
)  # fmt: skip
_METRIC_KEYS = ("name", "goal", "target")
_STOP_KEYS = ("type", "min_iter", "max_iter", "s", "eta", "strict")
_PARAMETER_KEYS = (
    "value", "values", "probabilities", "min", "max", "distribution", "mu", "sigma", "q",
    "parameters",
)  # fmt: skip
BEST_ALIAS, BEST_TYPE = "best", "model"
MISTAKES_MOST = 20
"""Mistakes named in one message."""


class SweepState(StrEnum):
    """SWP-8."""

    PENDING = "pending"
    RUNNING = "running"
    PAUSED = "paused"
    """Hands out nothing new."""
    STOPPED = "stopped"
    """What runs may finish."""
    CANCELLED = "cancelled"
    """What runs is stopped, too."""
    FINISHED = "finished"


class TrialState(StrEnum):
    RUNNING = "running"
    QUEUED = "queued"
    """Its agent died or its run was preempted: the next agent takes it."""
    FINISHED = "finished"
    FAILED = "failed"
    STOPPED = "stopped"
    """Early, because others do better; its result counts."""
    CANCELLED = "cancelled"


ENDED = (TrialState.FINISHED, TrialState.FAILED, TrialState.STOPPED, TrialState.CANCELLED)

Path = tuple[str, ...]
"""Keys from the outermost parameter inwards."""


class Metric(NamedTuple):
    name: str
    goal: str = "minimize"
    target: float | None = None

    @property
    def sign(self) -> int:
        """1 where smaller is better, -1 where larger is."""
        return 1 if self.goal == "minimize" else -1


class Plan(NamedTuple):
    """A sweep's document, understood."""

    method: str
    constants: Mapping[Path, Any]
    searched: Mapping[Path, Distribution]
    metric: Metric | None = None
    stops: Hyperband | None = None
    run_cap: int | None = None
    best_alias: str | None = None
    best_type: str = BEST_TYPE

    @property
    def point_count(self) -> int | None:
        """Points of the grid; None without one."""
        if self.method != "grid":
            return None
        counts = [len(values) for each in self.searched.values() if (values := each.values())]
        return math.prod(counts)

    @property
    def trial_count(self) -> int | None:
        """Trials in all; None if nothing ends the sweep."""
        limits = [limit for limit in (self.point_count, self.run_cap) if limit is not None]
        return min(limits) if limits else None


def plan(document: Mapping[str, Any]) -> Plan:
    """Read a sweep's document; raises Invalid that names every mistake in it."""
    mistakes = _Mistakes()
    if not isinstance(document, Mapping):
        raise Invalid(f"A sweep is described by a mapping, not a {type(document).__name__}")
    mistakes.unknown("", document, KEYS)
    _check_texts(document, mistakes)
    method = document.get("method")
    if method is None:
        mistakes.add("method", f"is missing; use one of {', '.join(METHODS)}")
    elif method not in METHODS:
        mistakes.add("method", f"cannot be {method!r}{_near(method, METHODS)}")
    metric = _metric(document, mistakes)
    constants, searched = _parameters(document, mistakes)
    if method == "grid":
        _check_grid(searched, mistakes)
    if method == "bayes" and metric is None and "metric" not in document:
        mistakes.add("metric", "is missing; bayes needs to know what to make better")
    stops = _stops(document, metric, mistakes)
    run_cap = document.get("run_cap")
    if run_cap is not None and not _is_whole(run_cap, least=1):
        mistakes.add("run_cap", f"must be a whole number of at least 1, not {run_cap!r}")
    best_alias, best_type = _best(document, metric, mistakes)
    mistakes.raise_any()
    return Plan(str(method), constants, searched, metric, stops, run_cap, best_alias, best_type)


def nested(values: Mapping[Path, Any]) -> dict[str, Any]:
    """Turn values by path into the dictionaries that a run's config gets (SWP-7)."""
    found: dict[str, Any] = {}
    for path, value in values.items():
        place = found
        for key in path[:-1]:
            place = place.setdefault(key, {})
        place[path[-1]] = value
    return found


def at(values: Mapping[str, Any], path: Path) -> Any:
    """Return what a config has at a path; raises KeyError."""
    found: Any = values
    for key in path:
        if not isinstance(found, Mapping) or key not in found:
            raise KeyError(".".join(path))
        found = found[key]
    return found


def grid_point(sweep: Plan, number: int) -> dict[Path, Any]:
    """Return the point of a grid with this number; the last parameter changes fastest."""
    chosen: dict[Path, Any] = {}
    for path, distribution in reversed(list(sweep.searched.items())):
        values = distribution.values()
        assert values is not None
        number, index = divmod(number, len(values))
        chosen[path] = values[index]
    return {path: chosen[path] for path in sweep.searched}


def grid_number(sweep: Plan, parameters: Mapping[str, Any]) -> int | None:
    """Return the number of the grid's point that a config has, None if it is none of them.

    Where a grid has a value twice it is the first of the two.
    """
    number = 0
    for path, distribution in sweep.searched.items():
        values = distribution.values()
        assert values is not None
        try:
            place = distribution.place(at(parameters, path))
        except KeyError:
            return None
        if place is None:
            return None
        number = number * len(values) + place
    return number


def result(summary: Mapping[str, Any], metric: Metric) -> float | None:
    """Return a run's value of the metric; None where it has none, or NaN."""
    found: Any = summary.get(metric.name)
    if found is None:
        try:
            found = at(summary, tuple(metric.name.split(".")))
        except KeyError:
            return None
    if isinstance(found, Mapping):  # define_metric(summary="min") keeps several
        wanted = ("min", "best") if metric.goal == "minimize" else ("max", "best")
        found = next((found[key] for key in (*wanted, "last") if key in found), None)
    if isinstance(found, bool) or not isinstance(found, (int, float)):
        return None
    return None if math.isnan(found) else float(found)


def is_reached(metric: Metric | None, value: float | None) -> bool:
    """Say whether a value ends the sweep (`metric.target`)."""
    if metric is None or metric.target is None or value is None:
        return False
    return value * metric.sign <= metric.target * metric.sign


# --- reading, part by part ----------------------------------------------------------------------


class _Mistakes:
    """What is wrong, and where."""

    def __init__(self) -> None:
        self._found: list[str] = []

    def add(self, place: str, what: str) -> None:
        self._found.append(f"`{place}` {what}")

    def unknown(self, place: str, given: Mapping[Any, Any], known: Sequence[str]) -> None:
        for key in given:
            if key not in known:
                self.add(_below(place, key), f"is not known{_near(key, known)}")

    def raise_any(self) -> None:
        if not self._found:
            return
        shown = self._found[:MISTAKES_MOST]
        left = len(self._found) - len(shown)
        more = [f"and {left} more"] if left else []
        count = len(self._found)
        what = "This is" if count == 1 else f"These {count} things are"
        raise Invalid(f"{what} wrong in the sweep: " + "; ".join([*shown, *more]))


def _below(place: str, key: object) -> str:
    return f"{place}.{key}" if place else str(key)


def _near(given: object, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(str(given), known, n=1, cutoff=0.5)
    return f"; did you mean `{near[0]}`?" if near else f"; known are {', '.join(known)}"


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _is_whole(value: object, *, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _check_texts(document: Mapping[str, Any], mistakes: _Mistakes) -> None:
    for key in ("program", "name", "description", "entity", "project"):
        value = document.get(key)
        if value is not None and not isinstance(value, str):
            mistakes.add(key, f"must be a text, not {value!r}")
    command = document.get("command")
    is_list = isinstance(command, list) and all(isinstance(part, (str, int)) for part in command)
    if command is not None and not (is_list and command):
        mistakes.add("command", "must be a list of texts, such as [python, train.py, '${args}']")
    controller = document.get("controller")
    if controller is not None and (
        not isinstance(controller, Mapping)
        or set(controller) - {"type"}
        or controller.get("type") not in ("local", "cloud")
    ):
        mistakes.add("controller", "must be {type: local}; that is how every sweep works here")


def _metric(document: Mapping[str, Any], mistakes: _Mistakes) -> Metric | None:
    given = document.get("metric")
    if given is None:
        return None
    if not isinstance(given, Mapping):
        mistakes.add("metric", f"must be a mapping such as {{name: loss}}, not {given!r}")
        return None
    mistakes.unknown("metric", given, _METRIC_KEYS)
    name, goal, target = given.get("name"), given.get("goal", "minimize"), given.get("target")
    if not isinstance(name, str) or not name:
        mistakes.add("metric.name", "must say what the runs log, such as `val_loss`")
    if goal not in GOALS:
        mistakes.add("metric.goal", f"cannot be {goal!r}{_near(goal, GOALS)}")
    if target is not None and not _is_number(target):
        mistakes.add("metric.target", f"must be a number, not {target!r}")
    return Metric(str(name), str(goal), target if _is_number(target) else None)


def _best(
    document: Mapping[str, Any], metric: Metric | None, mistakes: _Mistakes
) -> tuple[str | None, str]:
    alias, type_ = document.get("best_alias"), document.get("best_type", BEST_TYPE)
    if alias is True:
        alias = BEST_ALIAS
    if alias in (None, False):
        return None, str(type_)
    if not isinstance(alias, str) or not alias:
        mistakes.add("best_alias", f"must be an alias or true, not {alias!r}")
    if not isinstance(type_, str) or not type_:
        mistakes.add("best_type", f"must be a type of artifacts, not {type_!r}")
    if metric is None and "metric" not in document:
        mistakes.add("best_alias", "needs `metric`, which says what is best")
    return str(alias), str(type_)


def _stops(
    document: Mapping[str, Any], metric: Metric | None, mistakes: _Mistakes
) -> Hyperband | None:
    given = document.get("early_terminate")
    if given is None:
        return None
    place = "early_terminate"
    if not isinstance(given, Mapping):
        mistakes.add(place, "must be a mapping such as {type: hyperband, min_iter: 3}")
        return None
    mistakes.unknown(place, given, _STOP_KEYS)
    if given.get("type") != "hyperband":
        mistakes.add(f"{place}.type", f"cannot be {given.get('type')!r}; use hyperband")
    if metric is None and "metric" not in document:
        mistakes.add(place, "needs `metric`, by which runs are compared")
    for key in ("min_iter", "max_iter", "s"):
        if given.get(key) is not None and not _is_whole(given[key], least=1):
            mistakes.add(
                f"{place}.{key}", f"must be a whole number of at least 1, not {given[key]!r}"
            )
    eta = given.get("eta", 3)
    if not _is_number(eta) or eta <= 1:
        mistakes.add(f"{place}.eta", f"must be a number above 1, not {eta!r}")
        eta = 3
    strict = given.get("strict", False)
    if not isinstance(strict, bool):
        mistakes.add(f"{place}.strict", f"must be true or false, not {strict!r}")
    has_max = given.get("max_iter") is not None
    if (given.get("min_iter") is not None) == has_max or has_max != (given.get("s") is not None):
        mistakes.add(place, "needs either `min_iter`, or `max_iter` and `s`")
    return Hyperband(
        given.get("min_iter"), given.get("max_iter"), given.get("s"), float(eta), bool(strict)
    )


def _parameters(
    document: Mapping[str, Any], mistakes: _Mistakes
) -> tuple[dict[Path, Any], dict[Path, Distribution]]:
    constants: dict[Path, Any] = {}
    searched: dict[Path, Distribution] = {}
    given = document.get("parameters")
    if not isinstance(given, Mapping) or not given:
        mistakes.add("parameters", "must be a mapping of names to what may be chosen")
        return constants, searched
    for path, spec in _leaves((), given, mistakes):
        place = ".".join(("parameters", *path))
        if "value" in spec or spec.get("distribution") == "constant":
            _constant(place, path, spec, constants, mistakes)
            continue
        distribution = _distribution(place, spec, mistakes)
        if distribution is not None:
            searched[path] = distribution
    return constants, searched


def _leaves(
    above: Path, given: Mapping[Any, Any], mistakes: _Mistakes
) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    """Yield each parameter with its path, nested ones too."""
    for key, spec in given.items():
        path = (*above, str(key))
        place = ".".join(("parameters", *path))
        if not isinstance(spec, Mapping):
            example = (
                f"{{value: {spec!r}}}" if not isinstance(spec, list) else f"{{values: {spec}}}"
            )
            mistakes.add(place, f"must be a mapping, such as {example}")
            continue
        mistakes.unknown(place, spec, _PARAMETER_KEYS)
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


def _constant(
    place: str,
    path: Path,
    spec: Mapping[str, Any],
    constants: dict[Path, Any],
    mistakes: _Mistakes,
) -> None:
    others = sorted(set(spec) - {"value", "distribution"})
    if "value" not in spec:
        mistakes.add(f"{place}.value", "is missing; a constant needs one")
    elif others:
        mistakes.add(place, f"has a `value`, so it cannot have {', '.join(others)} as well")
    elif spec.get("distribution", "constant") != "constant":
        mistakes.add(f"{place}.distribution", "can only be constant beside `value`")
    else:
        constants[path] = spec["value"]


def _distribution(place: str, spec: Mapping[str, Any], mistakes: _Mistakes) -> Distribution | None:
    name = spec.get("distribution")
    name = distributions.ALSO.get(name, name) if isinstance(name, str) else name
    if name is not None and name not in distributions.NAMES:
        mistakes.add(
            f"{place}.distribution", f"cannot be {name!r}{_near(name, distributions.NAMES)}"
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
        is_whole = all(isinstance(each, int) and not isinstance(each, bool) for each in both)
        if "q" in spec:
            return "q_uniform"
        return "int_uniform" if is_whole else "uniform"
    if "mu" in spec or "sigma" in spec:
        return "q_normal" if "q" in spec else "normal"
    return None


def _categorical(place: str, spec: Mapping[str, Any], mistakes: _Mistakes) -> Distribution | None:
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
        or not all(_is_number(weight) and weight >= 0 for weight in weights)
        or abs(sum(weights) - 1) > 1e-6
    ):
        mistakes.add(
            f"{place}.probabilities", "must be as many numbers as there are values, adding up to 1"
        )
        return None
    return distributions.categorical(values, weights)


def _numeric(
    place: str, name: str, spec: Mapping[str, Any], mistakes: _Mistakes
) -> Distribution | None:
    is_bounded = name in distributions.BOUNDED
    own = {"min", "max"} if is_bounded else {"mu", "sigma"}
    q = _quantum(place, name, spec, mistakes)
    _refuse(place, spec, own | {"distribution", "q"}, name, mistakes)
    if not is_bounded:
        mu, sigma = spec.get("mu", 0.0), spec.get("sigma", 1.0)
        if not _is_number(mu):
            mistakes.add(f"{place}.mu", f"must be a number, not {mu!r}")
        if not _is_number(sigma) or sigma <= 0:
            mistakes.add(f"{place}.sigma", f"must be a number above 0, not {sigma!r}")
        if not (_is_number(mu) and _is_number(sigma) and sigma > 0):
            return None
        return distributions.normal(name, float(mu), float(sigma), q)
    low, high = spec.get("min"), spec.get("max")
    whole = name == "int_uniform"
    kind = "a whole number" if whole else "a number"
    for key, bound in (("min", low), ("max", high)):
        if bound is None:
            mistakes.add(f"{place}.{key}", f"is missing; {name} needs it")
        elif not _is_number(bound) or (whole and not float(bound).is_integer()):
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
        return distributions.bounded(name, low, high, q)
    except OverflowError:
        mistakes.add(place, f"has bounds that are too large for {name}: they are exponents of e")
        return None


def _quantum(place: str, name: str, spec: Mapping[str, Any], mistakes: _Mistakes) -> float | None:
    if name not in distributions.QUANTISED:
        if "q" in spec:
            mistakes.add(f"{place}.q", f"has no meaning for {name}; use q_{name}")
        return None
    q = spec.get("q", 1)
    if not _is_number(q) or q <= 0:
        mistakes.add(f"{place}.q", f"must be a number above 0, not {q!r}")
        return 1.0
    return float(q)


def _refuse(
    place: str, spec: Mapping[str, Any], allowed: set[str], what: str, mistakes: _Mistakes
) -> None:
    for key in sorted(set(spec) & set(_PARAMETER_KEYS) - allowed):
        mistakes.add(f"{place}.{key}", f"has no meaning beside {what}")


def _check_grid(searched: Mapping[Path, Distribution], mistakes: _Mistakes) -> None:
    for path, distribution in searched.items():
        place = ".".join(("parameters", *path))
        if distribution.values() is None:
            mistakes.add(
                place,
                f"is {distribution.name}, whose values a grid cannot count; give `values`, whole "
                "`min` and `max`, or q_uniform",
            )
        elif distribution.weights:
            mistakes.add(f"{place}.probabilities", "have no meaning in a grid")
