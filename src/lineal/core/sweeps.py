"""What a sweep is told: its document, checked as a whole, and the points of a grid (SWP-2…SWP-7).

Every mistake in a document is found at once, each with its place in the document.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from lineal.core import names, parameters
from lineal.core.distributions import Distribution
from lineal.core.hyperband import Hyperband
from lineal.core.mistakes import Mistakes, near
from lineal.core.numbers import is_finite, is_whole
from lineal.core.parameters import Path
from lineal.errors import Invalid

METHODS = ("grid", "random", "bayes")
GOALS = ("minimize", "maximize")
KEYS = (
    "program", "method", "parameters", "metric", "name", "description", "entity", "project",
    "early_terminate", "command", "run_cap", "controller", "best_alias", "best_type",
)  # fmt: skip
_METRIC_KEYS = ("name", "goal", "target")
_STOP_KEYS = ("type", "min_iter", "max_iter", "s", "eta", "strict")
BEST_ALIAS, BEST_TYPE = "best", "model"
MACRO = re.compile(r"\$\{([^}]+)\}")
MACROS_IN_WORDS = ("interpreter", "program")
MACROS = (
    *MACROS_IN_WORDS, "env", "args", "args_no_boolean_flags", "args_no_hyphens", "args_json",
    "args_json_file",
)  # fmt: skip
"""What `command` may name beside parameters and variables (SWP-6); most are a word of its own."""
VARIABLE = "envvar:"


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


def plan(document: Mapping[str, Any], *, is_new: bool = False) -> Plan:
    """Read a sweep's document; raises Invalid that names every mistake in it.

    is_new: also those that only agents mind, which a sweep that is there may have.
    """
    mistakes = Mistakes()
    if not isinstance(document, Mapping):
        raise Invalid(f"A sweep is described by a mapping, not a {type(document).__name__}")
    mistakes.unknown("", document, KEYS)
    _check_texts(document, mistakes)
    method = document.get("method")
    if method is None:
        mistakes.add("method", f"is missing; use one of {', '.join(METHODS)}")
    elif method not in METHODS:
        mistakes.add("method", f"cannot be {method!r}{near(method, METHODS)}")
    metric = _metric(document, mistakes)
    parameters.check_names(document.get("parameters"), mistakes)
    constants, searched = parameters.read(document, mistakes)
    if is_new:
        paths = [".".join(path) for path in (*constants, *searched)]
        _check_macros(document.get("command"), document, paths, mistakes)
        parameters.check_values(constants, searched, mistakes, is_grid=method == "grid")
    if method == "grid":
        parameters.check_grid(searched, mistakes)
    if method == "bayes" and metric is None and document.get("metric") is None:
        mistakes.add("metric", "is missing; bayes needs to know what to make better")
    stops = _stops(document, metric, mistakes)
    run_cap = document.get("run_cap")
    if run_cap is not None and not is_whole(run_cap, least=1):
        mistakes.add("run_cap", f"must be a whole number of at least 1, not {run_cap!r}")
    best_alias, best_type = _best(document, metric, mistakes)
    if is_new and best_alias:
        try:
            names.alias(best_alias)
        except Invalid as error:
            mistakes.add("best_alias", f"cannot be used: {error.message}")
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
            # define_metric(summary="min") keeps what it computes under keys of their own
            computed = {key: summary.get(f"{metric.name}.{key}") for key in _computed(metric)}
            found = {key: value for key, value in computed.items() if value is not None}
    if isinstance(found, Mapping):
        found = next((found[key] for key in _computed(metric) if key in found), None)
    if isinstance(found, bool) or not isinstance(found, (int, float)):
        return None
    return None if math.isnan(found) else float(found)


def _computed(metric: Metric) -> tuple[str, ...]:
    """Return which values of a metric that was defined say how good it is, the best first."""
    return ("min" if metric.goal == "minimize" else "max", "best", "last", "mean")


def is_reached(metric: Metric | None, value: float | None) -> bool:
    """Say whether a value ends the sweep (`metric.target`)."""
    if metric is None or metric.target is None or value is None:
        return False
    return value * metric.sign <= metric.target * metric.sign


# --- reading, part by part ----------------------------------------------------------------------


def _check_texts(document: Mapping[str, Any], mistakes: Mistakes) -> None:
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


def _check_macros(
    command: Any, document: Mapping[str, Any], paths: Sequence[str], mistakes: Mistakes
) -> None:
    """paths: the parameters, nested ones with dots; a value may be a mapping with more below it."""
    for part in map(str, command if isinstance(command, list) else ()):
        for name in MACRO.findall(part):
            if name in paths or any(name.startswith(f"{each}.") for each in paths):
                continue
            if name == "program" and not document.get("program"):
                mistakes.add("command", "names ${program}, but the sweep has no `program`")
            elif name in MACROS and name not in MACROS_IN_WORDS and not MACRO.fullmatch(part):
                mistakes.add("command", f"must have ${{{name}}} as an element by itself")
            elif name not in MACROS and not name.startswith(VARIABLE):
                known = (*MACROS, f"{VARIABLE}NAME", *paths)
                mistakes.add("command", f"names ${{{name}}}, which is not known{near(name, known)}")


def _metric(document: Mapping[str, Any], mistakes: Mistakes) -> Metric | None:
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
        mistakes.add("metric.goal", f"cannot be {goal!r}{near(goal, GOALS)}")
    if target is not None and not is_finite(target):
        mistakes.add("metric.target", f"must be a number, not {target!r}")
    return Metric(str(name), str(goal), target if is_finite(target) else None)


def _best(
    document: Mapping[str, Any], metric: Metric | None, mistakes: Mistakes
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
    if metric is None and document.get("metric") is None:
        mistakes.add("best_alias", "needs `metric`, which says what is best")
    return str(alias), str(type_)


def _stops(
    document: Mapping[str, Any], metric: Metric | None, mistakes: Mistakes
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
    if metric is None and document.get("metric") is None:
        mistakes.add(place, "needs `metric`, by which runs are compared")
    for key in ("min_iter", "max_iter", "s"):
        if given.get(key) is not None and not is_whole(given[key], least=1):
            mistakes.add(
                f"{place}.{key}", f"must be a whole number of at least 1, not {given[key]!r}"
            )
    eta = given.get("eta", 3)
    if not is_finite(eta) or eta <= 1:
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
