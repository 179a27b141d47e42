"""The columns of a table as its file has them: JSON, and beside it media and big arrays (DAT-2).

A large table is there as Parquet, too (DAT-3).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lineal.client.media import arrays
from lineal.client.media.cells import array_of, decoder, encoder
from lineal.client.media.columns import ColumnType, to_json
from lineal.client.media.parquet import LARGE_ROWS, PARQUET_FOLDER, as_parquet
from lineal.client.media.types import MediaSource, MediaTarget
from lineal.errors import IntegrityError


def write_columns(
    column_types: Mapping[str | int, ColumnType], rows: Sequence[Sequence[Any]], target: MediaTarget
) -> dict[str, Any]:
    """Return the names, types and cells; what does not go into JSON becomes a side file.

    Columns of arrays with more than one dimension are in one `.npz` file, their cells null.
    Vectors are lists, their dtype in `array_dtypes`. NaN and infinities are written as Python's
    json does. Where pyarrow is, a large table has all columns but the packed ones as `parquet`.
    """
    types = {str(name): to_json(type_) for name, type_ in column_types.items()}
    columns = [[row[position] for row in rows] for position in range(len(column_types))]
    dtypes: dict[str, str] = {}
    packed: dict[str, Sequence[Any]] = {}
    for position, (name, type_) in enumerate(column_types.items()):
        cells = columns[position]
        array = arrays.array_type(type_)
        if array is not None and any(cell is not None for cell in cells):
            if len(array.shape) > 1:
                packed[str(position)] = cells
                columns[position] = [None] * len(rows)
            else:
                dtypes[str(name)] = arrays.vector_dtype(cells)
                columns[position] = [None if c is None else c.tolist() for c in cells]
        elif (encode := encoder(type_, target)) is not None:
            columns[position] = list(map(encode, cells))
    if packed:
        names = list(column_types)
        path = arrays.pack(packed).write(target, arrays.ARRAY_FOLDER)["path"]
        for key in packed:
            place = {"path": path, "key": key}
            _array_params(types[str(names[int(key)])])["serialization_path"] = place
    written: dict[str, Any] = {
        "columns": list(column_types),
        "column_types": {"wb_type": "typedDict", "params": {"type_map": types}},
        "data": [list(row) for row in zip(*columns, strict=True)],
        "ncols": len(column_types),
        "nrows": len(rows),
    }
    if dtypes:
        written["array_dtypes"] = dtypes
    if len(rows) >= LARGE_ROWS:
        found = {
            name: (type_, columns[position])
            for position, (name, type_) in enumerate(column_types.items())
            if str(position) not in packed
        }
        file = as_parquet(found, dtypes)
        if file is not None:
            written["parquet"] = file.write(target, PARQUET_FOLDER)
    return written


def read_column(
    cells: list[Any],
    tree: dict[str, Any],
    type: ColumnType,
    dtype: str | None,
    source: MediaSource,
) -> list[Any]:
    """Return the cells of a column; tree: its type as the file has it. Raises IntegrityError."""
    place = _array_params(tree).get("serialization_path")
    if place is not None:
        found = arrays.unpack(source.path(place["path"]), place["key"])
        if len(found) != len(cells):
            raise IntegrityError(f"{place['path']} has {len(found)} rows, the table {len(cells)}")
        return found
    if arrays.array_type(type) is not None:
        return [None if cell is None else array_of(cell, dtype) for cell in cells]
    decode = decoder(type, source)
    return cells if decode is None else list(map(decode, cells))


def _array_params(tree: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters of the ndarray type in a column's tree; empty if it has none."""
    params: dict[str, Any] = tree.get("params") or {}
    if tree["wb_type"] == "ndarray":
        return params
    for option in params.get("allowed_types", ()):
        if option["wb_type"] == "ndarray":
            return option.get("params") or {}
    return {}
