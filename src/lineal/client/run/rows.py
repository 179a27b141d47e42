"""History rows: which values of `log` calls make one row, and what they do to the summary.

A row is one JSON object per step. This is the hot path of training: 10,000 calls with plain
numbers take well under 0.15 s, spooling included (benchmarks).
"""

from __future__ import annotations

import json
import math
import operator
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from itertools import chain
from types import MappingProxyType
from typing import Any

from lineal.client import term
from lineal.client.run.spool import Spool
from lineal.client.run.summary import Summary, is_number
from lineal.client.values import PLAIN, MediaWriter, flat, plain, text
from lineal.core.names import OWN_KEY
from lineal.core.records import LARGEST_STEP, RunRecord, Stream
from lineal.errors import Invalid

AGGREGATES = ("min", "max", "mean", "best", "first", "last", "none")
OWN_KEYS = ("_step", "_runtime", "_timestamp")
"""Lineal sets these in every row (RUN-27); the user's values of that name are ignored."""
NOTHING: Mapping[str, Any] = MappingProxyType({})
COUNTED_ROWS_MAX = 1_000_000
"""Rows read to go on with a mean, or for a new definition: some ten seconds, once. Of more their
number is taken for a mean, and what they hold is not summarised anew."""


def _encoder() -> Callable[[Any], str]:
    """Return a JSON encoder made once: `JSONEncoder.encode` makes one for every call."""
    make = getattr(json.encoder, "c_make_encoder", None)
    if make is None:  # an interpreter without the C module
        return json.JSONEncoder(separators=(",", ":"), check_circular=False).encode
    refuse = json.JSONEncoder().default
    text = json.encoder.encode_basestring_ascii
    chunks = make(None, refuse, text, None, ":", ",", False, False, True)
    return lambda value: "".join(chunks(value, 0))


_encode = _encoder()


@dataclass(frozen=True)
class Metric:
    """What `define_metric` said about one key, or about all that match a name with `*`."""

    name: str
    step_metric: str | None = None
    step_sync: bool = True
    """Add the step metric's last value to rows that lack it."""
    hidden: bool = False
    summary: tuple[str, ...] = ()
    goal: str | None = None
    """`minimize` or `maximize`; decides what is best."""


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
        name=text(name),
        step_metric=None if step_metric is None else text(step_metric),
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
                step_sync=metric.step_sync,
                hidden=metric.hidden or before.hidden,
                summary=_both(before.summary, metric.summary),
                goal=metric.goal or before.goal,
            )
        self._defined = {**self._defined, metric.name: metric}  # others may go through the old one
        self._found.clear()
        how = None if before is None else (before.summary, before.goal)
        return (metric.summary, metric.goal) != (how or ((), None))

    def logged(self, name: str, summary: Summary) -> list[str]:
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
                self._counts.pop(key, None)
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


def so_far(run: Any) -> Iterable[Mapping[str, Any]]:
    """Return the rows of a run as they are now, the one that still grows as well.

    None of a run that keeps none, or has more than COUNTED_ROWS_MAX.
    """
    if run.disabled or run.step > COUNTED_ROWS_MAX:
        return ()
    run.flush()
    return chain(run._earlier_rows(), [flat(run._rows._row)])


def _both(before: tuple[str, ...], added: tuple[str, ...]) -> tuple[str, ...]:
    """Return all aggregates; `none` and others do not go together, and the later wins."""
    if added and "none" in (*before, *added):
        return added
    return tuple(dict.fromkeys((*before, *added)))


def metrics_of(
    run: RunRecord, earlier: Callable[[], Iterable[Mapping[str, Any]]] = tuple
) -> Metrics:
    """Return what is defined for a run, to go on with it; earlier: reads its rows."""
    own = run.config.get(OWN_KEY) or {}
    return Metrics(own.get("metrics") or {}, run.history_count, earlier)


def _metric(fields: Mapping[str, Any]) -> Metric:
    known = {name: value for name, value in fields.items() if name in Metric.__dataclass_fields__}
    return Metric(**{**known, "summary": tuple(known.get("summary") or ())})


class Rows:
    """Builds the rows of one writer; `log` may be called from any thread (RUN-25).

    Also from the handler of a signal that interrupts another `log`: they may share a row.
    """

    def __init__(
        self, spool: Spool, summary: Summary, metrics: Metrics, *, step: int, started_at: float
    ) -> None:
        """step: the first step to write. started_at: `time.monotonic`, less earlier runtime."""
        self.spool = spool
        self.step = step
        self._summary = summary
        self._metrics = metrics
        self._started_at = started_at
        self._row: dict[str, Any] = {}
        self._lock = threading.RLock()

    def log(
        self, data: Mapping[str, Any], step: int | None, commit: bool | None, media: MediaWriter
    ) -> None:
        """Add values to the present row; see `Run.log`."""
        values, is_nested = _values(data, media)
        if step is not None:
            step = _whole(step)
            _check_size(step)
        is_committed = commit or (commit is None and step is None)
        with self._lock:
            if step is not None and not self._at(step):
                return
            _check_size(self.step)  # after the largest there is no next one
            row = self._row
            row.update(values)
            summarised = flat(values) if is_nested else values
            if self._metrics:
                summarised = self._metrics.summarised(summarised, self._summary)
            if is_committed and self._row is row:
                own = self._write()
                self._summary._record({**summarised, **own})
                return
            self._summary._record(summarised)
            if not is_committed:
                self.spool.hold(_encode(self._finished(self._row, self.step)).encode())

    def flush(self) -> None:
        """Write the row that still waits for more values."""
        with self._lock:
            if self._row:
                self._summary._record(self._write())

    def after_fork(self, spool: Spool) -> None:
        """Go on in a forked child, as another writer (RUN-16)."""
        self.spool = spool
        self._lock = threading.RLock()
        self._row = {}  # the parent writes what it has begun

    def _at(self, step: int) -> bool:
        """Move on to a step; False when it lies behind."""
        if step < self.step:
            term.warn_once(
                f"log(step={step}) was ignored: the run is at step {self.step} already. "
                "Steps must not go back; use define_metric for another x axis",
                key=f"step of {self.spool.writer}",
                again_seconds=60,
            )
            return False
        if step > self.step:
            if self._row:
                self._summary._record(self._write())
            self.step = step
        return True

    def _finished(self, row: dict[str, Any], step: int) -> dict[str, Any]:
        row["_step"] = step
        row["_runtime"] = time.monotonic() - self._started_at  # the time of day may jump
        row["_timestamp"] = time.time()
        return row

    def _write(self) -> dict[str, Any]:
        """Give the row to the spool, go on to the next step; return Lineal's own values in it."""
        # at once, and before it is written: what interrupts that may log, and its row has its own
        row, self._row, step, self.step = self._row, {}, self.step, self.step + 1
        if self._metrics:
            row.update(self._metrics.step_values(row, self._summary))
        line = _encode(self._finished(row, step)).encode()
        self.spool.append(Stream.HISTORY, line)
        return {"_step": row["_step"], "_runtime": row["_runtime"], "_timestamp": row["_timestamp"]}


def _whole(step: Any) -> int:
    """Return a step as Python's own number: it may come from NumPy or a tensor."""
    try:
        return operator.index(step)
    except TypeError:
        is_integer = getattr(step, "is_integer", None)  # floats have it, NumPy's too
        if is_integer is not None and is_integer():
            return int(step)
        raise TypeError(f"A step must be a whole number, not {step!r}") from None


def _check_size(step: int) -> None:
    """Refuse here what could not be taken over from the spool, nor anything behind it."""
    if step > LARGEST_STEP:
        raise Invalid(
            f"Step {step} is larger than any step can be, {LARGEST_STEP}. Nothing of this call is "
            "kept"
        )


def require_values(data: object) -> None:
    """Raises TypeError for what `log` cannot take at all."""
    if not isinstance(data, Mapping):
        raise TypeError(f"log takes a dict of values, not a {type(data).__name__}")


def _values(data: Mapping[str, Any], media: MediaWriter) -> tuple[dict[str, Any], bool]:
    """Return the data as JSON values, and whether there are dicts among them.

    A copy, so that the caller may change theirs.
    """
    require_values(data)
    values = dict(data)
    is_nested = False
    for key, value in data.items():
        if not isinstance(key, str):
            raise TypeError(
                f"Keys given to log must be strings, not {key!r}. Nothing of this call is kept"
            )
        if type(value) not in PLAIN:
            values[key] = plain(value, key, media)
            is_nested = is_nested or type(values[key]) is dict
        elif type(value) is not float:
            values[key] = plain(value, key)
        if type(key) is not str or not key.isascii():
            values[text(key)] = values.pop(key)
    for key in OWN_KEYS:
        values.pop(key, None)
    return values, is_nested
