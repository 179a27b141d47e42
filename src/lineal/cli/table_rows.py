"""The rows of a file that holds a table, as far as a file tells: for `lineal artifact diff`."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Mapping
from typing import Any

from lineal.core.row_diff import Rows

TABLE = ".table.json"
"""What the name of a logged or added `Table` ends with."""
_DELIMITERS = {".csv": ",", ".tsv": "\t"}
_JSON_LINES = (".jsonl", ".ndjson")
_PARQUET = ".parquet"


def read(path: str, data: bytes) -> Rows | None:
    """Return the rows of a file; None if it is no table, or none that can be read here.

    By the end of its path it is one of `Table`, CSV or TSV with names in the first line, JSON
    lines that are objects, or Parquet, where pyarrow is installed. Of a table that has columns of
    arrays of more dimensions, which are in a file of their own, these are left out.
    """
    name = path.lower()
    found: Rows | None = None
    try:
        if name.endswith(TABLE):
            found = _of_table(json.loads(data))
        elif name.endswith(tuple(_DELIMITERS)):
            found = _of_csv(data.decode("utf-8-sig"), _DELIMITERS[name[-4:]])
        elif name.endswith(_JSON_LINES):
            found = _of_json_lines(data.decode())
        elif name.endswith(_PARQUET):
            found = _of_parquet(data)
        return found if found is not None and _is_even(found) else None
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError, csv.Error):
        return None  # it is something else than its name says, and compared as that


def _is_even(found: Rows) -> bool:
    """Tell whether columns have names of their own and each row has a cell for each."""
    width = len(found.columns)
    return len(set(found.columns)) == width and all(len(row) == width for row in found.rows)


def _of_table(tree: Any) -> Rows:
    columns = [str(column) for column in tree["columns"]]
    types: Mapping[str, Any] = tree.get("column_types", {}).get("params", {}).get("type_map", {})
    kept = [
        number
        for number, column in enumerate(columns)
        if "serialization_path" not in json.dumps(types.get(column))
    ]
    if len(kept) == len(columns):
        return Rows(columns, tree["data"])
    rows = [[row[number] for number in kept] for row in tree["data"]]
    return Rows([columns[number] for number in kept], rows)


def _of_csv(text: str, delimiter: str) -> Rows | None:
    before = csv.field_size_limit(sys.maxsize)
    try:
        lines = [
            row for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter) if row
        ]
    finally:
        csv.field_size_limit(before)
    return Rows(lines[0], lines[1:]) if lines else None


def _of_json_lines(text: str) -> Rows | None:
    objects = [json.loads(line) for line in text.split("\n") if line.strip()]
    if not objects or not all(isinstance(each, dict) for each in objects):
        return None
    columns = list(dict.fromkeys(name for each in objects for name in each))
    return Rows(columns, [[each.get(column) for column in columns] for each in objects])


def _of_parquet(data: bytes) -> Rows | None:
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
    return Rows(table.column_names, list(zip(*cells, strict=True)))
