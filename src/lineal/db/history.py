"""The lines a run writes: many in one compressed row, so that a million steps are a few hundred.

The chunks of one writer's stream are disjoint and, by offset, in the order they were written;
there may be gaps. Whoever changes them holds the run's row (SQLite: the write lock).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    and_,
    case,
    delete,
    func,
    insert,
    literal,
    or_,
    select,
    update,
)

from lineal.core.records import Stream
from lineal.db.compression import compress, decompress
from lineal.db.schema import line_chunks, runs
from lineal.errors import IntegrityError

SMALL_CHUNKS_MOST = 64
"""A run that flushes every second must not leave a row per second: more small chunks than this
at the end of a stream become one. Each line is rewritten at most 16 times on the way."""
SMALL_CHUNK_LINES = 1_000
SMALL_CHUNK_BYTES = 16 << 10
"""Compressed. With both limits a merged row stays small enough to be read as one."""


class Chunk(NamedTuple):
    """Consecutive lines, joined by line breaks."""

    first_offset: int
    line_count: int
    min_step: int | None
    max_step: int | None
    content: bytes
    """Compressed."""

    @property
    def end_offset(self) -> int:
        return self.first_offset + self.line_count


class Place(NamedTuple):
    """Where a chunk belongs."""

    run: int
    stream: Stream
    writer: str

    @property
    def condition(self) -> ColumnElement[bool]:
        return and_(
            line_chunks.c.run_id == self.run,
            line_chunks.c.stream == self.stream,
            line_chunks.c.writer == self.writer,
        )


def stored_ranges(
    connection: Connection, place: Place, first_offset: int, end_offset: int
) -> list[tuple[int, int]]:
    """Return what is stored of a range of offsets, as ordered, disjoint (first, end)."""
    query = select(line_chunks.c.first_offset, line_chunks.c.line_count).where(
        place.condition,
        line_chunks.c.first_offset < end_offset,
        line_chunks.c.first_offset >= _start(place, first_offset),
    )
    rows = connection.execute(query.order_by(line_chunks.c.first_offset))
    ranges = [(row.first_offset, row.first_offset + row.line_count) for row in rows]
    return [(first, end) for first, end in ranges if end > first_offset]


def add(connection: Connection, place: Place, chunks: Sequence[Chunk]) -> None:
    connection.execute(insert(line_chunks), [_values(place, chunk) for chunk in chunks])


def compact(connection: Connection, place: Place) -> None:
    """Merge the small chunks at the end of a stream if there are too many of them.

    Damaged ones stay as they are: new lines must not be lost for them.
    """
    tail = connection.execute(
        select(
            line_chunks.c.first_offset,
            line_chunks.c.line_count,
            func.length(line_chunks.c.content).label("size_bytes"),
        )
        .where(place.condition)
        .order_by(line_chunks.c.first_offset.desc())
        .limit(SMALL_CHUNKS_MOST + 1)
    ).all()
    if len(tail) <= SMALL_CHUNKS_MOST or not all(
        row.line_count < SMALL_CHUNK_LINES and row.size_bytes < SMALL_CHUNK_BYTES for row in tail
    ):
        return
    in_tail = and_(place.condition, line_chunks.c.first_offset >= tail[-1].first_offset)
    rows = connection.execute(
        select(line_chunks).where(in_tail).order_by(line_chunks.c.first_offset)
    )
    chunks = [_chunk(row) for row in rows]
    try:
        merged = [_merged(group) for group in _gapless(chunks)]
    except IntegrityError:
        return
    if len(merged) < len(chunks):
        connection.execute(delete(line_chunks).where(in_tail))
        add(connection, place, merged)


def count_lines(
    connection: Connection, run: int, *, history_count: int, last_step: int | None
) -> None:
    """Add to what the run's row says of its history."""
    step = runs.c.last_step
    highest = step if last_step is None else case((step < last_step, last_step), else_=step)
    connection.execute(
        update(runs)
        .where(runs.c.id == run)
        .values(history_count=runs.c.history_count + history_count, last_step=highest)
    )


# --- rewinding (RUN-19) -------------------------------------------------------------------------


def has_steps_after(connection: Connection, run: int, step: int) -> bool:
    query = select(line_chunks.c.id).where(_history_of(run), line_chunks.c.max_step > step)
    return connection.execute(query.limit(1)).first() is not None


def hand_over_after(connection: Connection, run: int, copy: int, step: int) -> None:
    """Give all lines of a run to another one, which has none, and leave history up to a step.

    Chunks on both sides of the step (`across`) stay whole with both; cut them next. Lines of
    other streams have no step and all go.
    """
    is_later = and_(_history_of(run), line_chunks.c.min_step > step)
    kept = [column for column in line_chunks.c if column.name not in ("id", "run_id")]
    shared = select(literal(copy), *kept).where(
        _history_of(run), or_(line_chunks.c.min_step.is_(None), line_chunks.c.min_step <= step)
    )
    names = ["run_id", *(column.name for column in kept)]
    connection.execute(insert(line_chunks).from_select(names, shared.order_by(line_chunks.c.id)))
    gone = or_(is_later, and_(line_chunks.c.run_id == run, line_chunks.c.stream != Stream.HISTORY))
    connection.execute(update(line_chunks).where(gone).values(run_id=copy))


def across(connection: Connection, run: int, step: int) -> list[tuple[Place, Chunk]]:
    """Return the chunks with history both up to a step and after it: about one per writer."""
    query = select(line_chunks).where(
        _history_of(run), line_chunks.c.min_step <= step, line_chunks.c.max_step > step
    )
    rows = connection.execute(query.order_by(line_chunks.c.id))
    return [(Place(run, Stream.HISTORY, row.writer), _chunk(row)) for row in rows]


def replace(connection: Connection, place: Place, chunk: Chunk) -> None:
    """Put a shorter chunk where one with the same first offset is."""
    is_there = and_(place.condition, line_chunks.c.first_offset == chunk.first_offset)
    connection.execute(update(line_chunks).where(is_there).values(**_values(place, chunk)))


def recount(connection: Connection, run: int) -> None:
    """Make what the run's row says of its history true again."""
    query = select(
        func.coalesce(func.sum(line_chunks.c.line_count), 0),
        func.coalesce(func.max(line_chunks.c.max_step), -1),
    ).where(_history_of(run))
    count, last_step = connection.execute(query).one()
    connection.execute(
        update(runs).where(runs.c.id == run).values(history_count=int(count), last_step=last_step)
    )


def _history_of(run: int) -> ColumnElement[bool]:
    return and_(line_chunks.c.run_id == run, line_chunks.c.stream == Stream.HISTORY)


# --- reading ------------------------------------------------------------------------------------


def writers(connection: Connection, run: int, stream: Stream) -> Sequence[str]:
    """Return who wrote to a stream, in an order that does not change."""
    query = select(line_chunks.c.writer).where(
        line_chunks.c.run_id == run, line_chunks.c.stream == stream
    )
    return connection.scalars(query.distinct().order_by(line_chunks.c.writer)).all()


def chunks_from(
    connection: Connection,
    place: Place,
    offset: int,
    *,
    min_step: int | None,
    max_step: int | None,
    limit: int,
) -> list[Chunk]:
    """Return the next chunks with lines from `offset` on, leaving out those of other steps."""
    conditions = [
        place.condition,
        line_chunks.c.first_offset >= _start(place, offset),
        line_chunks.c.first_offset + line_chunks.c.line_count > offset,
    ]
    if min_step is not None:
        conditions.append(line_chunks.c.max_step >= min_step)
    if max_step is not None:
        conditions.append(line_chunks.c.min_step < max_step)
    rows = connection.execute(
        select(line_chunks).where(*conditions).order_by(line_chunks.c.first_offset).limit(limit)
    )
    return [_chunk(row) for row in rows]


def _start(place: Place, offset: int) -> ColumnElement[int]:
    """Return the first offset of the chunk that an offset may lie in: merging moves it."""
    before = select(func.max(line_chunks.c.first_offset)).where(
        place.condition, line_chunks.c.first_offset <= offset
    )
    return func.coalesce(before.scalar_subquery(), offset)


def _gapless(chunks: Sequence[Chunk]) -> Iterator[list[Chunk]]:
    group = [chunks[0]]
    for before, chunk in pairwise(chunks):
        if before.end_offset != chunk.first_offset:
            yield group
            group = []
        group.append(chunk)
    yield group


def _merged(chunks: Sequence[Chunk]) -> Chunk:
    if len(chunks) == 1:
        return chunks[0]
    return Chunk(
        first_offset=chunks[0].first_offset,
        line_count=sum(chunk.line_count for chunk in chunks),
        min_step=min((c.min_step for c in chunks if c.min_step is not None), default=None),
        max_step=max((c.max_step for c in chunks if c.max_step is not None), default=None),
        content=compress(b"\n".join(lines_of(chunk) for chunk in chunks)),
    )


def lines_of(chunk: Chunk) -> bytes:
    """Return the lines of a chunk, one per line; raises IntegrityError."""
    return decompress(chunk.content, f"a chunk of {chunk.line_count} lines of a run")


def _chunk(row: Row[Any]) -> Chunk:
    return Chunk(row.first_offset, row.line_count, row.min_step, row.max_step, row.content)


def _values(place: Place, chunk: Chunk) -> dict[str, Any]:
    return {
        "run_id": place.run,
        "stream": str(place.stream),
        "writer": place.writer,
        "first_offset": chunk.first_offset,
        "line_count": chunk.line_count,
        "min_step": chunk.min_step,
        "max_step": chunk.max_step,
        "content": chunk.content,
    }
