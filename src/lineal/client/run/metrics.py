"""Metrics that `define_metric` defined, and what logged values make of the summary (RUN-26)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from lineal.client.run.summary import Summary, is_number
from lineal.client.values import flat, text
from lineal.core.names import OWN_KEY
from lineal.core.records import RunRecord
from lineal.errors import Invalid

AGGREGATES = ("min", "max", "mean", "best", "first", "last", "none")
COUNTED_ROWS_MAX = 1_000_000
"""Rows read to go on with a mean, or for a new definition: some ten seconds, once. Of more their
number is taken for a mean, and what they hold is not summarised anew."""


@dataclass(frozen=True)
class Metric:
    """What `define_metric` said about one key, or about all that match a name with `*`."""

    name: str
    step_metric: str | None = None
    step_sync: bool = True
    """Add the step metric's last value to rows that lack it; said along with that metric."""
    hidden: bool = False
    summary: tuple[str, ...] = ()
    goal: str | None = None
    """`minimize` or `maximize`; decides what is best."""


def _unescaped(name: str) -> str:
    """Return a metric's name as its key: W&B has a backslash before a dot that is in a key."""
    return text(name).replace("\\.", ".")


def define(
    name: str,
    *,
    step_metric: str | Metric | None,
    step_sync: bool | None,
    hidden: bool | None,
    summary: str | None,
    goal: str | None,
) -> Metric:
    """Check the arguments of `define_metric`; raises Invalid."""
    if not isinstance(name, str) or not name:
        raise Invalid("define_metric needs the name of a metric")
    if "*" in name[:-1]:
        raise Invalid(f"Metric name {name!r} may have `*` only at its end")
    if summary is not None and not isinstance(summary, str):
        raise Invalid(
            f"define_metric(summary={summary!r}): give a text such as `min`, or several with commas"
        )
    if not isinstance(step_metric, (str, Metric, type(None))):
        raise Invalid(
            f"define_metric(step_metric={step_metric!r}): give the name of a metric, or what "
            "define_metric returned"
        )
    if isinstance(step_metric, Metric):
        step_metric = step_metric.name
    parts = (part.strip().lower() for part in (summary or "").split(","))
    aggregates = tuple(part for part in parts if part not in ("", "copy"))  # W&B's word for nothing
    for aggregate in aggregates:
        if aggregate not in AGGREGATES:
            raise Invalid(
                f"define_metric(summary={summary!r}): {aggregate!r} is none of "
                + ", ".join(AGGREGATES)
            )
    goals = {"min": "minimize", "max": "maximize", "minimize": "minimize", "maximize": "maximize"}
    if goal is not None and goal not in list(goals):  # a list has no place in a dict
        raise Invalid(f"define_metric(goal={goal!r}): use `minimize` or `maximize`")
    return Metric(
        name=_unescaped(name),
        step_metric=None if step_metric is None else _unescaped(step_metric),
        step_sync=step_sync is None or bool(step_sync),
        hidden=bool(hidden),
        summary=aggregates,
        goal=goals[goal] if goal is not None else None,
    )


class Metrics:
    """The defined metrics of a run, and the running values their summaries need."""

    def __init__(
        self,
        defined: Mapping[str, Any],
        row_count: int,
        earlier: Callable[[], Iterable[Mapping[str, Any]]] = tuple,
    ) -> None:
        """defined: as `as_config` returned it. row_count: rows logged before this attempt.

        earlier: reads these rows; called once, if a mean goes on.
        """
        self._defined = {name: _metric(fields) for name, fields in defined.items()}
        self._found: dict[str, Metric | None] = {}
        self._last_steps: dict[str, Any] = {}
        """What was logged last of the step metrics: the summary may hold their maximum only."""
        self._counts: dict[str, int] = {}
        self._row_count = row_count
        self._earlier = earlier
        self._earlier_counts: dict[str, int] | None = None

    def __bool__(self) -> bool:
        return bool(self._defined)

    def add(self, metric: Metric, *, overwrite: bool) -> bool:
        """Take a definition; True if it changes how values are summarised."""
        before = self._defined.get(metric.name)
        if before is not None and not overwrite:
            metric = Metric(
                name=metric.name,
                step_metric=metric.step_metric or before.step_metric,
                step_sync=metric.step_sync and (metric.step_metric is not None or before.step_sync),
                hidden=metric.hidden or before.hidden,
                summary=_both(before.summary, metric.summary),
                goal=metric.goal or before.goal,
            )
        self._defined = {**self._defined, metric.name: metric}  # others may go through the old one
        self._found.clear()
        how = None if before is None else (before.summary, before.goal)
        return (metric.summary, metric.goal) != (how or ((), None))

    def keys_of(self, name: str, summary: Summary) -> list[str]:
        """Return the keys in the summary that a definition is about."""
        known = list(summary._values)  # another thread may log meanwhile
        keys = {_summarised_key(key) for key in known if key.startswith(name.rstrip("*"))}
        return [key for key in sorted(keys) if getattr(self.of(key), "name", None) == name]

    def summarise_again(
        self, keys: Iterable[str], rows: Iterable[Mapping[str, Any]], summary: Summary
    ) -> None:
        """Summarise keys as they are defined now; rows: all that were logged, with flat keys."""
        waiting = set(keys)
        wanted = frozenset(waiting)
        for row in rows:
            values = {key: row[key] for key in wanted.intersection(row)}
            for key in waiting.intersection(values):  # what is in no row was set by hand
                summary._remove([key, *(f"{key}.{aggregate}" for aggregate in AGGREGATES)])
                waiting.discard(key)
            summary._record(self.summarised(values, summary))

    def as_config(self) -> dict[str, Any]:
        return {name: asdict(metric) for name, metric in self._defined.items()}

    def of(self, key: str) -> Metric | None:
        """Return the definition of a key: its own, else the first pattern it matches."""
        if key not in self._found:
            patterns = (
                metric
                for metric in self._defined.values()
                if metric.name.endswith("*") and key.startswith(metric.name[:-1])
            )
            self._found[key] = self._defined.get(key) or next(patterns, None)
        return self._found[key]

    def summarised(self, values: Mapping[str, Any], summary: Summary) -> dict[str, Any]:
        """Return what logging these flat values makes of the summary."""
        result: dict[str, Any] = {}
        for key, value in values.items():
            metric = self.of(key)
            if metric is None or not metric.summary:
                result[key] = value
            elif "none" not in metric.summary:
                if key in summary._values:  # from before it was defined so; it hides what is below
                    summary._remove([key])
                result.update(self._aggregated(metric, key, value, summary))
        return result

    def step_values(self, row: Mapping[str, Any], summary: Summary) -> dict[str, Any]:
        """Return the step metrics that the row needs and lacks; remember those it has."""
        row = flat(row)
        steps = {metric.step_metric for metric in self._defined.values() if metric.step_metric}
        self._last_steps.update({name: row[name] for name in steps if name in row})
        missing = {}
        for key in row:
            metric = self.of(key)
            if metric and metric.step_sync and metric.step_metric not in (None, *row):
                name = str(metric.step_metric)
                is_known = name in self._last_steps  # else the summary is looked through for it
                last = self._last_steps[name] if is_known else summary.get(name)
                if last is not None and not isinstance(last, dict):
                    missing[name] = last
        return missing

    def _aggregated(self, metric: Metric, key: str, value: Any, summary: Summary) -> dict[str, Any]:
        result = {}
        for aggregate in metric.summary:
            name = f"{key}.{aggregate}"
            before = summary.get(name)
            if aggregate == "last" or (aggregate == "first" and name not in summary):
                result[name] = value
            elif aggregate == "first":
                continue
            elif (number := _number(value)) is not None:
                result[name] = self._next(aggregate, metric, key, before, number)
        return result

    def _next(self, aggregate: str, metric: Metric, key: str, before: Any, value: float) -> float:
        if not is_number(before):
            if aggregate == "mean":
                self._counts[key] = 1
            return value
        if aggregate == "mean":
            count = (self._counts.get(key) or self._earlier_count(key)) + 1
            self._counts[key] = count
            return float(before + (value - before) / count)
        is_max = aggregate == "max" or (aggregate == "best" and metric.goal == "maximize")
        kept: float = max(before, value) if is_max else min(before, value)
        return kept

    def _earlier_count(self, key: str) -> int:
        """Return of how many values the mean was made before this attempt."""
        if self._earlier_counts is None:
            rows = self._earlier() if self._row_count <= COUNTED_ROWS_MAX else ()
            self._earlier_counts = self._counted(rows)
        # Where the rows are not at hand, as offline, their number is the best estimate.
        return self._earlier_counts.get(key) or max(self._row_count, 1)

    def _counted(self, rows: Iterable[Mapping[str, Any]]) -> dict[str, int]:
        """Count the values of each key that has a mean."""
        counts: dict[str, int] = {}
        has_mean: dict[str, bool] = {}
        for row in rows:
            for key, value in row.items():
                if key not in has_mean:
                    metric = self.of(key)
                    has_mean[key] = metric is not None and "mean" in metric.summary
                if has_mean[key] and _number(value) is not None:
                    counts[key] = counts.get(key, 0) + 1
        return counts


def _number(value: object) -> float | None:
    """Return a number as it is, True and False as 1 and 0; None for NaN and whatever else."""
    if isinstance(value, bool):
        return int(value)
    return value if is_number(value) and not math.isnan(value) else None


def _summarised_key(name: str) -> str:
    """Return the key that a name in the summary belongs to: `loss` for `loss.min`."""
    key, _, aggregate = name.rpartition(".")
    return key if aggregate in AGGREGATES and key else name


def _both(before: tuple[str, ...], added: tuple[str, ...]) -> tuple[str, ...]:
    """Return all aggregates; `none` and others do not go together, and the later wins."""
    if added and "none" in (*before, *added):
        return added
    return tuple(dict.fromkeys((*before, *added)))


def of_run(run: RunRecord, earlier: Callable[[], Iterable[Mapping[str, Any]]] = tuple) -> Metrics:
    """Return what is defined for a run, to go on with it; earlier: reads its rows."""
    own = run.config.get(OWN_KEY) or {}
    return Metrics(own.get("metrics") or {}, run.history_count, earlier)


def _metric(fields: Mapping[str, Any]) -> Metric:
    known = {name: value for name, value in fields.items() if name in Metric.__dataclass_fields__}
    return Metric(**{**known, "summary": tuple(known.get("summary") or ())})
