"""The rows of a file that holds a table, as far as a file tells: for `lineal artifact diff`."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from lineal.core.row_diff import Rows

_TABLES = (".table.json", ".eval-table.json")
"""What the names of logged and added tables end with."""
_DELIMITERS = {".csv": ",", ".tsv": "\t"}
_JSON_LINES = (".jsonl", ".ndjson")
_JSON = ".json"
_PARQUET = ".parquet"


class TableFile(NamedTuple):
    """What a file tells of a table."""

    rows: Rows
    left_out: Sequence[str] = ()
    """Columns of arrays, which are in a file of their own."""


def read(path: str, data: bytes) -> TableFile | None:
    """Return the rows of a file; None if it is no table, or none that can be read here.

    By the end of its path it is one of `Table`, CSV or TSV with names in the first line, a list
    of objects in JSON, JSON lines that are objects, or Parquet, where pyarrow is installed.
    """
    name = path.lower()
    found: TableFile | None = None
    try:
        if name.endswith(_TABLES):
            found = _of_table(json.loads(data))
        elif name.endswith(tuple(_DELIMITERS)):
            found = _of_csv(data.decode("utf-8-sig"), _DELIMITERS[name[-4:]])
        elif name.endswith(_JSON):
            found = _of_objects(json.loads(data))
        elif name.endswith(_JSON_LINES):
            lines = data.decode().split("\n")
            found = _of_objects([json.loads(line) for line in lines if line.strip()])
        elif name.endswith(_PARQUET):
            found = _of_parquet(data)
        return found if found is not None and _is_even(found.rows) else None
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError, csv.Error):
        return None  # it is something else than its name says, and compared as that


def _is_even(found: Rows) -> bool:
    """Tell whether columns have names of their own and each row has a cell for each."""
    width = len(found.columns)
    return len(set(found.columns)) == width and all(len(row) == width for row in found.rows)


def _of_table(tree: Any) -> TableFile:
    columns = [str(column) for column in tree["columns"]]
    types: Mapping[str, Any] = tree.get("column_types", {}).get("params", {}).get("type_map", {})
    left_out = [name for name in columns if "serialization_path" in json.dumps(types.get(name))]
    if not left_out:
        return TableFile(Rows(columns, tree["data"]))
    kept = [number for number, name in enumerate(columns) if name not in left_out]
    rows = [[row[number] for number in kept] for row in tree["data"]]
    return TableFile(Rows([columns[number] for number in kept], rows), left_out)


def _of_csv(text: str, delimiter: str) -> TableFile | None:
    before = csv.field_size_limit(sys.maxsize)
    try:
        lines = [
            row for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter) if row
        ]
    finally:
        csv.field_size_limit(before)
    if not lines or any(map(_is_number, lines[0])):  # its first line has no names then
        return None
    return TableFile(Rows(lines[0], lines[1:]))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _of_objects(objects: Any) -> TableFile | None:
    is_table = isinstance(objects, list) and objects and all(isinstance(o, dict) for o in objects)
    if not is_table:
        return None
    columns = list(dict.fromkeys(name for each in objects for name in each))
    return TableFile(Rows(columns, [[each.get(name) for name in columns] for each in objects]))


def _of_parquet(data: bytes) -> TableFile | None:
    try:
        import pyarrow  # slow optional dependency
        from pyarrow import parquet
    except ImportError:
        return None
    try:
        table = parquet.read_table(pyarrow.BufferReader(data))
    except pyarrow.ArrowException:
        return None
    cells = [column.to_pylist() for column in table.columns]
    return TableFile(Rows(table.column_names, list(zip(*cells, strict=True))))
