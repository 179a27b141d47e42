"""What changed inside the files that two versions have: lines of texts, rows of tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from lineal.cli import changes, output, table_rows
from lineal.cli.table_rows import TableFile
from lineal.client.references import known_size
from lineal.core import row_diff
from lineal.core.manifest import Entry
from lineal.core.row_diff import RowDiff
from lineal.errors import Invalid, LinealError

if TYPE_CHECKING:
    from lineal.client.artifact.artifact import Artifact

BYTES_MOST = 16 << 20
"""A larger file is not looked into: the rows of two of them may take a gigabyte of memory."""
LINES_MOST = 20_000
"""Longer texts are not compared: what is common to two of them takes minutes to find."""
SHOWN_ROWS = 20
SHOWN_LINES = 200
_LINE_CHARS = 500
_INDENT = "    "
_COLOURS = {"+": "green", "-": "red", "@": "cyan"}


class Content(NamedTuple):
    """How the content of one file changed, as far as that can be told."""

    lines: Sequence[str] | None = None
    """Of a text: a unified diff, without the names of the files."""
    rows: RowDiff | None = None
    """Of a table."""
    note: str | None = None
    """Why there is nothing of both, or why rows are compared otherwise than one would think."""


def compare(
    before: Artifact, after: Artifact, old: Entry, new: Entry, key: Sequence[str]
) -> Content:
    """Look into a file of two versions; raises what reading stored bytes may.

    What a reference led to may be gone or different by now: that is said instead.
    """
    try:
        earlier, later = _read(before, old), _read(after, new)
    except LinealError as error:
        if old.ref is None and new.ref is None:
            raise
        return Content(note=f"not looked into: {error.message}")
    if earlier is None or later is None:
        return Content(note=f"not looked into: larger than {output.size(BYTES_MOST)}")
    old_table, new_table = table_rows.read(old.path, earlier), table_rows.read(new.path, later)
    if old_table is not None and new_table is not None:
        with suppress(RecursionError):  # of cells that are nested hundreds of times
            return _of_tables(old_table, new_table, key)
    return _of_texts(earlier, later)


def _read(artifact: Artifact, entry: Entry) -> bytes | None:
    """Return the bytes of a file; None if they are too many."""
    if (known_size(entry) or 0) > BYTES_MOST:
        return None
    with artifact.open(entry.path) as file:
        data: bytes = file.read(BYTES_MOST + 1)  # of a reference without size it may be more
    return None if len(data) > BYTES_MOST else data


def _of_tables(before: TableFile, after: TableFile, key: Sequence[str]) -> Content:
    notes = []
    try:
        rows = row_diff.diff(before.rows, after.rows, key)
    except Invalid as error:
        notes.append(f"whole rows are compared: {error.message}")
        rows = row_diff.diff(before.rows, after.rows)
    left_out = [*before.left_out, *(name for name in after.left_out if name not in before.left_out)]
    if left_out:
        notes.append(f"arrays are not compared: {', '.join(left_out)}")
    return Content(rows=rows, note="; ".join(notes) or None)


def _of_texts(before: bytes, after: bytes) -> Content:
    try:
        old, new = _lines(before.decode()), _lines(after.decode())
    except UnicodeDecodeError:
        return Content(note="not a text")
    if b"\0" in before or b"\0" in after:
        return Content(note="not a text")
    if max(len(old), len(new)) > LINES_MOST:
        return Content(note=f"not looked into: more than {LINES_MOST:,} lines")
    import difflib  # most calls want no content

    return Content(lines=list(difflib.unified_diff(old, new, lineterm=""))[2:])


def _lines(text: str) -> list[str]:
    lines = text.split("\n")
    if not lines[-1]:
        return lines[:-1]
    return [*lines, "\\ No newline at end of file"]


# --- as it is shown -------------------------------------------------------------------------------


def show(content: Content) -> None:
    """Print it below the line of its file."""
    if content.note is not None:
        output.data(_INDENT + output.cell(content.note))
    if content.rows is not None:
        for sign, text in _shown_rows(content.rows):
            output.data(f"{_INDENT}{sign}{text}", colour=_COLOURS.get(sign, "yellow"))
    lines = content.lines or ()
    for line in lines[:SHOWN_LINES]:
        text = output.cell(line[1:_LINE_CHARS].expandtabs())
        text += "…" if len(line) > _LINE_CHARS else ""
        output.data(f"{_INDENT}{line[:1]}{text}", colour=_COLOURS.get(line[:1]))
    if len(lines) > SHOWN_LINES:
        output.data(f"{_INDENT}… and {len(lines) - SHOWN_LINES:,} more lines; `--json` has all")


def _shown_rows(rows: RowDiff) -> Iterator[tuple[str, str]]:
    """Yield lines, each with the sign in front of it."""
    for sign, columns in (("+", rows.added_columns), ("-", rows.removed_columns)):
        for column in columns:
            yield sign, f" column {output.cell(column)}"
    for sign, found in (("+", rows.added), ("-", rows.removed)):
        for row in found[:SHOWN_ROWS]:
            yield sign, f" {_cells(row)}"
    for each in rows.changed[:SHOWN_ROWS]:
        cells = [
            f"{output.cell(column)} {changes.change(old, new)}"
            for column, (old, new) in each.cells.items()
        ]
        yield "~", f" {_cells(each.key)}: {', '.join(cells)}"
    counts = [
        f"{len(rows.added):,} added",
        f"{len(rows.removed):,} removed",
        *([f"{len(rows.changed):,} changed"] if rows.key else []),
        f"{rows.same_count:,} alike",
    ]
    more = max(map(len, (rows.added, rows.removed, rows.changed))) > SHOWN_ROWS
    first = f"; the first {SHOWN_ROWS} of each kind are listed, `--json` has all" if more else ""
    yield "", f"rows: {', '.join(counts)}{first}"


def _cells(row: Mapping[str, Any]) -> str:
    text = "  ".join(f"{output.cell(name)}={changes.told(value)}" for name, value in row.items())
    return text if len(text) <= _LINE_CHARS else text[:_LINE_CHARS] + "…"


# --- as JSON --------------------------------------------------------------------------------------


def as_json(content: Content) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    if content.lines is not None:
        shown["lines"] = list(content.lines)
    if content.rows is not None:
        rows = content.rows
        shown["rows"] = {
            "key": list(rows.key),
            "added_columns": list(rows.added_columns),
            "removed_columns": list(rows.removed_columns),
            "added": list(rows.added),
            "removed": list(rows.removed),
            "changed": [
                {
                    "key": each.key,
                    "cells": {
                        column: {"before": old, "after": new}
                        for column, (old, new) in each.cells.items()
                    },
                }
                for each in rows.changed
            ],
            "same_count": rows.same_count,
        }
    if content.note is not None:
        shown["note"] = content.note
    return shown
