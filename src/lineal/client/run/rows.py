"""History rows: which values of `log` calls make one row.

A row is one JSON object per step. This is the hot path of training: 10,000 calls with plain
numbers take well under 0.15 s, spooling included (benchmarks).
"""

from __future__ import annotations

import json
import operator
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from itertools import chain
from types import MappingProxyType
from typing import Any

from lineal.client import term
from lineal.client.run.metrics import COUNTED_ROWS_MAX, Metrics
from lineal.client.run.spool import Spool
from lineal.client.run.summary import Summary
from lineal.client.values import PLAIN, MediaWriter, flat, plain, text
from lineal.core.records import LARGEST_STEP, Stream
from lineal.errors import Invalid

OWN_KEYS = ("_step", "_runtime", "_timestamp")
"""Lineal sets these in every row (RUN-27); the user's values of that name are ignored."""
NOTHING: Mapping[str, Any] = MappingProxyType({})


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


def so_far(run: Any) -> Iterable[Mapping[str, Any]]:
    """Return the rows of a run as they are now, the one that still grows as well.

    None of a run that keeps none, or has more than COUNTED_ROWS_MAX.
    """
    if run.disabled or run.step > COUNTED_ROWS_MAX:
        return ()
    run.flush()
    return chain(run._earlier_rows(), [flat(run._rows._row)])


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
