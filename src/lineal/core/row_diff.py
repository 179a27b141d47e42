"""What changed from one table to another: rows found by a key, or compared as wholes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from lineal.errors import Invalid

_QUICK = frozenset({str, int, type(None)})
"""Types of most cells, which are compared as they are."""


class Rows(NamedTuple):
    """A table; its cells are values that JSON has."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    """Each as long as `columns`."""


class ChangedRow(NamedTuple):
    """A row that both tables have, with other cells."""

    key: Mapping[str, Any]
    cells: Mapping[str, tuple[Any, Any]]
    """Column → what was in it and what is; only of columns that changed."""


class RowDiff(NamedTuple):
    """The difference of two tables. In which order columns and rows come does not count."""

    key: tuple[str, ...]
    """Columns by which rows were found; empty: rows were compared as wholes, and none is `changed`.
    """
    added_columns: tuple[str, ...]
    removed_columns: tuple[str, ...]
    added: tuple[Mapping[str, Any], ...]
    """Rows by column, in their order."""
    removed: tuple[Mapping[str, Any], ...]
    changed: tuple[ChangedRow, ...]
    same_count: int
    """Rows that are alike in all columns that both tables have."""


def diff(before: Rows, after: Rows, key: Sequence[str] = ()) -> RowDiff:
    """Compare two tables in the columns that both have.

    key: columns whose cells together are in one row only. Raises Invalid if a table lacks one of
    them, or has two rows with the same.
    """
    had, has = set(before.columns), set(after.columns)
    shared = [column for column in before.columns if column in has]
    compared = _keyed(before, after, shared, key) if key else _whole(before, after, shared)
    return compared._replace(
        added_columns=tuple(column for column in after.columns if column not in had),
        removed_columns=tuple(column for column in before.columns if column not in has),
    )


def _keyed(before: Rows, after: Rows, shared: Sequence[str], key: Sequence[str]) -> RowDiff:
    for rows in (before, after):
        _require_columns(rows, key)
    old, new = _by_key(before, key), _by_key(after, key)
    others = [column for column in shared if column not in key]
    left_at, right_at = _positions(before), _positions(after)
    columns = [(column, left_at[column], right_at[column]) for column in others]
    changed = []
    for found, row in new.items():
        earlier = old.get(found)
        if earlier is None:
            continue
        cells = {
            column: (earlier[left], row[right])
            for column, left, right in columns
            if comparable(earlier[left]) != comparable(row[right])
        }
        if cells:
            by_column = _named(after, row)
            changed.append(ChangedRow({column: by_column[column] for column in key}, cells))
    return RowDiff(
        key=tuple(key),
        added_columns=(),
        removed_columns=(),
        added=tuple(_named(after, row) for found, row in new.items() if found not in old),
        removed=tuple(_named(before, row) for found, row in old.items() if found not in new),
        changed=tuple(changed),
        same_count=sum(found in old for found in new) - len(changed),
    )


def _whole(before: Rows, after: Rows, shared: Sequence[str]) -> RowDiff:
    """Compare rows as a whole; equal ones count as often as they are there."""
    old, new = _comparables(before, shared), _comparables(after, shared)
    if not shared:  # no row is like another then
        old, new = list(range(len(old))), [-1 - number for number in range(len(new))]
    added = _beyond(after, new, Counter(old))
    return RowDiff(
        key=(),
        added_columns=(),
        removed_columns=(),
        added=added,
        removed=_beyond(before, old, Counter(new)),
        changed=(),
        same_count=len(new) - len(added),
    )


def _beyond(
    table: Rows, found: Iterable[Hashable], known: Counter[Hashable]
) -> tuple[Mapping[str, Any], ...]:
    """Return the rows of a table that the other one, which `known` counts, has less often."""
    left = []
    for row, comparable in zip(table.rows, found, strict=True):
        if known[comparable] > 0:
            known[comparable] -= 1
        else:
            left.append(_named(table, row))
    return tuple(left)


def _require_columns(table: Rows, key: Sequence[str]) -> None:
    missing = [column for column in key if column not in table.columns]
    if missing:
        raise Invalid(f"no column {missing[0]!r} among {', '.join(map(repr, table.columns))}")


def _by_key(table: Rows, key: Sequence[str]) -> dict[Hashable, Sequence[Any]]:
    found: dict[Hashable, Sequence[Any]] = {}
    for row, comparable in zip(table.rows, _comparables(table, key), strict=True):
        if found.setdefault(comparable, row) is not row:
            cells = _named(table, row)
            same = ", ".join(f"{column}={cells[column]!r}" for column in key)
            raise Invalid(f"more than one row has {same}")
    return found


def _comparables(table: Rows, columns: Sequence[str]) -> list[Hashable]:
    at = _positions(table)
    positions = [at[column] for column in columns]
    return [tuple(comparable(row[position]) for position in positions) for row in table.rows]


def comparable(cell: Any) -> Hashable:
    """Return what is equal for equal cells: 1 and 1.0 are, 1 and true are not, NaN is itself."""
    if type(cell) in _QUICK:
        found: Hashable = cell
    elif isinstance(cell, bool):
        found = ("bool", cell)
    elif isinstance(cell, list | tuple):
        found = ("list", *map(comparable, cell))
    elif isinstance(cell, Mapping):
        found = ("dict", *((name, comparable(cell[name])) for name in sorted(cell)))
    elif isinstance(cell, float) and cell != cell:
        found = ("nan",)
    else:
        found = cell
    return found


def _positions(table: Rows) -> dict[str, int]:
    return {column: number for number, column in enumerate(table.columns)}


def _named(table: Rows, row: Sequence[Any]) -> dict[str, Any]:
    return dict(zip(table.columns, row, strict=True))
