"""Reading back what a run logged: every row, or a sample of them (API-10)."""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, SupportsFloat, TypeVar

from lineal.client import session, term
from lineal.client.backend import Backend
from lineal.client.values import flat
from lineal.core.names import strings
from lineal.core.records import RunKey, Stream
from lineal.errors import Invalid

_AS_IT_IS = re.compile(r"[ !#-\[\]-~]+")
"""Text that JSON never escapes."""
T = TypeVar("T")
Row = dict[str, Any]

ROWS_AT_ONCE = 100
"""Lines that are parsed by one call, which takes a third of the time of one for each."""
LINES_AT_ONCE = 1_000
"""Lines that are looked through for the texts of keys in a row."""
SHAPES_MOST = 1_000
STEP = "_step"
STREAMS = {"default": Stream.HISTORY, "system": Stream.EVENTS, "events": Stream.EVENTS}
"""`events` is what the guides of W&B call its system metrics."""


class HistoryScan(Iterator[Row]):
    """Rows as they are read. Each loop reads them anew; `next` goes on from where it was."""

    def __init__(self, read: Callable[[], Iterator[Row]]) -> None:
        self._read = read
        self._going: Iterator[Row] | None = None

    def __iter__(self) -> Iterator[Row]:
        return self._read()

    def __next__(self) -> Row:
        if self._going is None:
            self._going = self._read()
        return next(self._going)


def rows(
    backend: Backend,
    run: RunKey,
    keys: Sequence[str] | str | None = None,
    *,
    stream: str = "default",
    min_step: int | None = None,
    max_step: int | None = None,
) -> Iterator[Row]:
    """Yield the rows that have all `keys`, with only these; without keys, whole rows.

    min_step inclusive, max_step exclusive. Lines this process still buffers are sent first.
    """
    wanted = strings(keys, "Keys")
    lines = _lines(backend, run, stream, min_step=min_step, max_step=max_step)
    if not wanted:
        yield from parsed(lines)
        return
    for row in _having(lines, wanted):
        yield {key: row[key] for key in wanted}


def sampled_rows(
    backend: Backend,
    run: RunKey,
    keys: Sequence[str] | str | None,
    count: int,
    *,
    stream: str = "default",
) -> list[Row]:
    """Return a `sample` of `rows`; without keys, only the rows of the sample are parsed."""
    wanted = strings(keys, "Keys")
    lines = _lines(backend, run, stream)
    if not wanted:
        return list(parsed(sample(lines, count)))
    found = sample(_having(lines, wanted), count)
    return [{key: row[key] for key in wanted} for row in found]


def _having(lines: Iterator[bytes], keys: Sequence[str]) -> Iterator[Row]:
    """Yield whole those rows that have all keys."""
    needed = set(keys)
    return (row for row in parsed(_with_texts(lines, needed)) if row.keys() >= needed)


def _with_texts(lines: Iterator[bytes], keys: Iterable[str]) -> Iterator[bytes]:
    """Leave out lines without the text of a key: to parse them takes ten times as long.

    Of a key with dots the last part counts, which nested objects have as well.
    """
    ends = {key.rpartition(".")[2] for key in keys}
    texts = [
        f'{end}"'.encode()
        for end in ends
        if _AS_IT_IS.fullmatch(end) and not end.startswith("_")  # these are in every line
    ]
    while batch := list(islice(lines, LINES_AT_ONCE)):
        for text in texts:
            batch = [line for line in batch if text in line]
        yield from batch


def _lines(
    backend: Backend,
    run: RunKey,
    stream: str,
    *,
    min_step: int | None = None,
    max_step: int | None = None,
) -> Iterator[bytes]:
    if stream not in tuple(STREAMS):
        raise Invalid(f"Unknown stream {stream!r}; use `default` or `system`")
    for step in (min_step, max_step):
        if isinstance(step, bool) or not isinstance(step, SupportsFloat | None):
            raise TypeError(f"min_step and max_step are steps, whole numbers, not {step!r}")
    session.flush()
    return backend.read_lines(run, STREAMS[stream], min_step=min_step, max_step=max_step)


def parsed(lines: Iterable[bytes]) -> Iterator[Row]:
    """Yield lines as rows; nested keys are joined with dots (RUN-25)."""
    source = iter(lines)
    while batch := list(islice(source, ROWS_AT_ONCE)):
        text = b"[%b]" % b",".join(batch)
        found = _objects(text, batch)
        if text.count(b"{") == len(batch):  # none is nested
            yield from found
        else:
            yield from (flat(row) if dict in map(type, row.values()) else row for row in found)


def _objects(text: bytes, lines: list[bytes]) -> Iterator[Row]:
    try:
        found: list[Row] = json.loads(text)
    except ValueError:
        found = []
    # of a line that is no JSON, those before it are still rows, and the error is about it alone
    return iter(found) if len(found) == len(lines) else map(json.loads, lines)


def sample(all_rows: Iterable[T], count: int) -> list[T]:
    """Return at most `count` rows at even distances, the first and the last among them.

    Reads once and keeps at most four times `count` rows, however many there are.
    """
    if not isinstance(count, SupportsFloat) or not float(count).is_integer():
        raise TypeError(f"samples={count!r}: how many rows is a whole number")
    count = int(count)  # of 1e3, too
    if count < 1:
        raise Invalid(f"samples must be at least 1, not {count}")
    kept: list[T] = []
    stride = 1
    source = iter(all_rows)
    passed = deque[T](maxlen=1)
    """The last row after the last that is kept."""
    for row in source:
        kept.append(row)
        if len(kept) > 4 * count:
            kept, stride = kept[::2], stride * 2
        passed.clear()
        passed.extend(islice(source, stride - 1))
    kept += passed
    if len(kept) <= count:
        return kept
    if count == 1:
        return kept[:1]
    return [kept[round(index * (len(kept) - 1) / (count - 1))] for index in range(count)]


def frame(sampled: list[Row], *, wanted: bool) -> Any:
    """Return a pandas DataFrame, or the rows where pandas is not wanted or not installed."""
    if not wanted:
        return sampled
    try:
        import pandas  # slow to load, and not always there
    except ImportError:
        term.warning("history() returns a list of dicts: pandas is not installed")
        return sampled
    return pandas.DataFrame.from_records(sampled)


def keys_of(all_rows: Iterable[Row]) -> Row:
    """Return W&B's description of a history: how often each key holds a value of which type."""
    counts: dict[str, dict[str, int]] = {}
    last_step = -1
    shapes: dict[tuple[Any, ...], int] = {}
    for row in all_rows:
        last_step = max(last_step, row.get(STEP, -1))
        # most rows have the same keys and types: counted together, they take half as long
        types = tuple(map(type, row.values()))
        shape = (tuple(row), tuple(map(_kind, row.values())) if dict in types else types)
        shapes[shape] = shapes.get(shape, 0) + 1
        if len(shapes) > SHAPES_MOST:
            _count(shapes, counts)
            shapes.clear()
    _count(shapes, counts)
    described = {
        key: {"typeCounts": [{"type": kind, "count": count} for kind, count in kinds.items()]}
        for key, kinds in counts.items()
    }
    return {"keys": described, "lastStep": last_step}


def _count(shapes: dict[tuple[Any, ...], int], counts: dict[str, dict[str, int]]) -> None:
    for (keys, kinds), count in shapes.items():
        for key, kind in zip(keys, kinds, strict=True):
            name = _KINDS.get(kind, kind)
            of_key = counts.setdefault(key, {})
            of_key[name] = of_key.get(name, 0) + count


_KINDS: dict[Any, str] = {
    bool: "boolean",
    int: "number",
    float: "number",
    str: "string",
    list: "list",
    type(None): "nil",
}


def _kind(value: Any) -> str:
    return str(value.get("_type", "map")) if type(value) is dict else _KINDS[type(value)]
