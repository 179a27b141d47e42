"""A large table as Parquet beside its JSON, for what reads it by columns (DAT-3).

The JSON is the table, and all that is read back here. pyarrow is a slow optional dependency:
without it there is no Parquet.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

from lineal.client.media.columns import ColumnType, only_option
from lineal.client.media.files import MediaFile

PARQUET_FOLDER = "media/parquet"
LARGE_ROWS = 10_000
"""From here on a table is large: W&B shows no more rows of a logged one."""


def as_parquet(
    columns: Mapping[str | int, tuple[ColumnType, Sequence[Any]]], dtypes: Mapping[str, str]
) -> MediaFile | None:
    """Return the columns as a Parquet file, None without pyarrow.

    columns: by their names, with their cells as the JSON has them. dtypes: of vectors, by name.
    Texts, numbers, truth values, moments and lists of these are what they are; any other cell is
    the text of its JSON.
    """
    try:
        import pyarrow  # slow optional dependency
        from pyarrow import parquet
    except ImportError:
        return None
    arrays = [
        _array(pyarrow, type_, cells, dtypes.get(str(name)))
        for name, (type_, cells) in columns.items()
    ]
    # A lone surrogate, which no UTF-8 has, becomes its escape.
    names = [str(name).encode(errors="backslashreplace").decode() for name in columns]
    buffer = io.BytesIO()
    parquet.write_table(pyarrow.table(arrays, names), buffer, compression="zstd")
    return MediaFile(".parquet", data=buffer.getvalue())


def _array(pyarrow: Any, type: ColumnType, cells: Sequence[Any], dtype: str | None) -> Any:
    try:
        arrow_type = _arrow_type(pyarrow, type, cells, dtype)
        if arrow_type is not None:
            return pyarrow.array(cells, type=arrow_type)
    except (ValueError, TypeError, OverflowError, NotImplementedError):
        pass  # a number beyond 64 bits, a lone surrogate, a dtype that Arrow does not have
    texts = [None if cell is None else json.dumps(cell, sort_keys=True) for cell in cells]
    return pyarrow.array(texts, type=pyarrow.string())


def _arrow_type(pyarrow: Any, type: ColumnType, cells: Sequence[Any], dtype: str | None) -> Any:
    """Return the type of a column in Arrow, None where the text of its JSON is all that fits."""
    inner = only_option(type) if type.name == "union" else type
    name = "any" if inner is None else inner.name
    if name == "string":
        return pyarrow.string()
    if name == "boolean":
        return pyarrow.bool_()
    if name == "timestamp":
        return pyarrow.timestamp("ms", tz="UTC")
    if name == "number":
        is_whole = all(cell is None or isinstance(cell, int) for cell in cells)
        return pyarrow.int64() if is_whole else pyarrow.float64()
    if name == "ndarray" and dtype is not None:
        return pyarrow.list_(pyarrow.from_numpy_dtype(dtype))
    if name == "list" and inner is not None and inner.element is not None:
        items = [item for cell in cells if cell is not None for item in cell]
        element = _arrow_type(pyarrow, inner.element, items, None)
        return None if element is None else pyarrow.list_(element)
    return None
