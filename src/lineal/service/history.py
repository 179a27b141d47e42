"""Lines of runs: history, events and console output, appended by any number of writers (RUN-16)."""

from __future__ import annotations

import heapq
import json
import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection

from lineal.core import access
from lineal.core.access import Action, Actor
from lineal.core.records import LARGEST_STEP, Lines, RunKey, Stream
from lineal.db import history as history_db
from lineal.db.compression import compress
from lineal.db.history import Chunk, Place
from lineal.errors import Invalid
from lineal.service import finding_runs
from lineal.service.instance import Instance

CHUNK_LINES = 20_000
CHUNK_BYTES = 4 << 20
"""A row holds no more (uncompressed) unless one line does: readers hold one row per writer."""
_CHUNKS_PER_LOOK = 8
"""Rows fetched in one transaction; they wait compressed."""

# Parsing a million lines as JSON takes seconds. A quote inside a string is escaped, so these match
# only keys, and before the first inner brace only keys of the line itself.
_STEP = re.compile(rb'"_step"\s*:\s*(-?\d+)\s*[,}]')
_TIMESTAMP = re.compile(rb'"_timestamp"\s*:\s*(-?\d+(?:\.\d+)?)\s*[,}]')

Moment = tuple[float, float]
"""What orders the lines of several writers: (step, seconds), or (0, seconds) outside history."""


# --- append -------------------------------------------------------------------------------------


def append(instance: Instance, actor: Actor, run: RunKey, batches: Sequence[Lines]) -> None:
    """Store lines; those whose offset is stored already change nothing.

    Offsets count per stream and writer; gaps are accepted and may be filled later. A batch
    becomes one row (several if it is huge). Raises RunNotFoundError, Gone, or Invalid: a line
    that is no JSON object on one line.
    """
    access.require(actor, Action.WRITE, f"run {run}")
    prepared = [_prepared(batch) for batch in batches if batch.lines]
    with instance.database.writing() as connection:
        finding_runs.require(connection, run, lock=True)
        for batch in prepared:
            _store(connection, run, batch)


@dataclass(frozen=True)
class _Batch:
    """Lines with what can be worked out before the transaction."""

    lines: Lines
    steps: Sequence[int | None]
    chunks: Sequence[Chunk]
    """As they are stored if nothing of the batch is stored yet."""

    @property
    def first_offset(self) -> int:
        return self.lines.first_offset

    @property
    def end_offset(self) -> int:
        return self.lines.first_offset + len(self.lines.lines)


def _prepared(lines: Lines) -> _Batch:
    if lines.first_offset < 0 or not lines.writer:
        raise Invalid("Lines have an offset of at least 0 and a writer")
    for line in lines.lines:
        if line[:1] != b"{" or line[-1:] != b"}" or b"\n" in line:
            raise Invalid(f"A line of {lines.stream} is one JSON object, not {line[:80]!r}")
    steps: Sequence[int | None] = [None] * len(lines.lines)
    if lines.stream is Stream.HISTORY:
        steps = [_step(line) for line in lines.lines]
    batch = _Batch(lines, steps, ())
    return replace(batch, chunks=_chunks(batch, batch.first_offset, batch.end_offset))


def _store(connection: Connection, run: RunKey, batch: _Batch) -> None:
    first, end = batch.first_offset, batch.end_offset
    place = Place(run, batch.lines.stream, batch.lines.writer)
    stored = history_db.stored_ranges(connection, place, first, end)
    chunks = batch.chunks
    if stored:
        new = _uncovered(first, end, stored)
        chunks = [chunk for first, end in new for chunk in _chunks(batch, first, end)]
    if not chunks:
        return
    history_db.add(connection, place, chunks)
    if place.stream is Stream.HISTORY:
        history_db.count_lines(
            connection,
            run,
            history_count=sum(chunk.line_count for chunk in chunks),
            last_step=max((c.max_step for c in chunks if c.max_step is not None), default=None),
        )
    history_db.compact(connection, place)


def _uncovered(first: int, end: int, stored: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return what of a range lies outside ordered, disjoint ranges."""
    starts = [first, *(max(first, stored_end) for _, stored_end in stored)]
    ends = [*(stored_first for stored_first, _ in stored), end]
    return [(start, stop) for start, stop in zip(starts, ends, strict=True) if start < stop]


def _chunks(batch: _Batch, first: int, end: int) -> list[Chunk]:
    """Pack the lines of a range of offsets into rows of bounded size."""
    chunks = []
    start = size_bytes = 0
    lines = batch.lines.lines[first - batch.first_offset : end - batch.first_offset]
    for index, line in enumerate(lines):
        is_full = index - start >= CHUNK_LINES or size_bytes + len(line) > CHUNK_BYTES
        if is_full and index > start:
            chunks.append(_chunk(batch, first + start, lines[start:index]))
            start, size_bytes = index, 0
        size_bytes += len(line) + 1
    return [*chunks, _chunk(batch, first + start, lines[start:])]


def _chunk(batch: _Batch, offset: int, lines: Sequence[bytes]) -> Chunk:
    index = offset - batch.first_offset
    steps = [step for step in batch.steps[index : index + len(lines)] if step is not None]
    return Chunk(
        first_offset=offset,
        line_count=len(lines),
        min_step=min(steps, default=None),
        max_step=max(steps, default=None),
        content=compress(b"\n".join(lines)),
    )


# --- read ---------------------------------------------------------------------------------------


def read(
    instance: Instance,
    actor: Actor,
    run: RunKey,
    stream: Stream,
    *,
    min_step: int | None = None,
    max_step: int | None = None,
) -> Iterator[bytes]:
    """Yield the lines of all writers merged: history by step, the rest by time.

    min_step inclusive, max_step exclusive; history only. No transaction stays open between two
    lines, and one row per writer is in memory. Lines appended meanwhile by these writers come,
    too. Raises RunNotFoundError or Gone before the first line.
    """
    access.require(actor, Action.READ, f"run {run}")
    with instance.database.reading() as connection:
        finding_runs.require(connection, run)
        writers = history_db.writers(connection, run, stream)
    if stream is not Stream.HISTORY:
        min_step = max_step = None
    streams = [
        _of_writer(instance, Place(run, stream, writer), min_step, max_step) for writer in writers
    ]
    if len(streams) == 1:
        return streams[0]
    return _merged(streams, _history_moment if stream is Stream.HISTORY else _moment)


def _of_writer(
    instance: Instance, place: Place, min_step: int | None, max_step: int | None
) -> Iterator[bytes]:
    offset = 0
    while True:
        with instance.database.reading() as connection:
            chunks = history_db.chunks_from(
                connection,
                place,
                offset,
                min_step=min_step,
                max_step=max_step,
                limit=_CHUNKS_PER_LOOK,
            )
        if not chunks:
            return
        for chunk in chunks:
            lines = history_db.lines_of(chunk).split(b"\n")[max(0, offset - chunk.first_offset) :]
            offset = chunk.end_offset
            yield from lines if min_step is max_step is None else _within(lines, min_step, max_step)


def _within(lines: Sequence[bytes], min_step: int | None, max_step: int | None) -> Iterator[bytes]:
    low = -math.inf if min_step is None else min_step
    high = math.inf if max_step is None else max_step
    for line in lines:
        step = _step(line)
        if step is not None and low <= step < high:
            yield line


def cut(chunk: Chunk, step: int) -> Chunk:
    """Return what is left of a history chunk without the lines after a step (RUN-19).

    A line that says no step belongs to the one before it.
    """
    lines: list[bytes] = []
    steps: list[int] = []
    last = -math.inf
    for line in history_db.lines_of(chunk).split(b"\n"):
        own = _step(line)
        last = last if own is None else own
        if last <= step:
            lines.append(line)
            steps += [] if own is None else [own]
    return Chunk(
        first_offset=chunk.first_offset,
        line_count=len(lines),
        min_step=min(steps, default=None),
        max_step=max(steps, default=None),
        content=compress(b"\n".join(lines)),
    )


def _merged(
    streams: Sequence[Iterator[bytes]], moment: Callable[[bytes], Moment | None]
) -> Iterator[bytes]:
    marked = [_marked(lines, moment) for lines in streams]
    for _, line in heapq.merge(*marked, key=itemgetter(0)):
        yield line


def _marked(
    lines: Iterator[bytes], moment: Callable[[bytes], Moment | None]
) -> Iterator[tuple[Moment, bytes]]:
    """Say when each line was written; one that does not say belongs to the one before it."""
    last: Moment = (-math.inf, -math.inf)
    for line in lines:
        last = moment(line) or last
        yield last, line


# --- what a line says ---------------------------------------------------------------------------


def _own(pattern: re.Pattern[bytes], line: bytes) -> bytes | None:
    found = pattern.search(line)
    if found is None or line.find(b"{", 1, found.start()) >= 0:
        return None
    return found[1]


def _step(line: bytes) -> int | None:
    found = _own(_STEP, line)
    step: Any = int(found) if found else _object(line).get("_step")
    if isinstance(step, float) and step.is_integer():
        step = int(step)
    if not isinstance(step, int) or isinstance(step, bool):
        return None
    if abs(step) > LARGEST_STEP:
        raise Invalid(f"Step {step} is larger than any step can be")
    return step


def _history_moment(line: bytes) -> Moment | None:
    step = _step(line)
    if step is None:
        return None
    found = _own(_TIMESTAMP, line)
    return step, float(found) if found else _seconds(_object(line).get("_timestamp"))


def _moment(line: bytes) -> Moment | None:
    values = _object(line)
    found = values.get("ts", values.get("_timestamp"))
    return None if found is None else (0, _seconds(found))


def _seconds(value: Any) -> float:
    """Read a moment: seconds since 1970, or ISO text; 0 if it is neither."""
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            return 0.0
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    return float(value) if isinstance(value, (int, float)) else 0.0


def _object(line: bytes) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except ValueError as error:
        raise Invalid(f"A line of a run is one JSON object, not {line[:80]!r}") from error
    return value if isinstance(value, dict) else {}
