"""Media and the array libraries: NumPy columns, `.npz` side files, pandas frames.

NumPy and pandas are slow optional dependencies, imported where they are needed.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any

from lineal.client.media.columns import ColumnType, only_option
from lineal.client.media.files import MediaFile
from lineal.client.media.types import needs_media_extra
from lineal.core.names import strings
from lineal.errors import Invalid

ARRAY_FOLDER = "media/serialized_data"


def numpy_for(what: str) -> Any:
    try:
        import numpy  # slow optional dependency
    except ImportError as error:
        needs_media_extra(what, "numpy", error)
    return numpy


def array_type(type: ColumnType) -> ColumnType | None:
    """Return the ndarray type of a column of arrays, with or without none."""
    inner = only_option(type) if type.name == "union" else type
    return inner if inner is not None and inner.name == "ndarray" else None


def stacked(cells: Sequence[Any], shape: Sequence[int | None]) -> Any:
    """Return one array over all rows; rows without a value are zero."""
    numpy = numpy_for("A table with arrays")
    whole = numpy.zeros((len(cells), *shape), dtype=_common_dtype(cells))
    for row, cell in enumerate(cells):
        if cell is not None:
            whole[row] = cell
    return whole


def pack(columns: dict[str, Sequence[Any]]) -> MediaFile:
    """Return the `.npz` file of the columns with more than one dimension, by their keys.

    `<key>.present` tells which rows have a value, if not all. Equal arrays give equal bytes:
    NumPy writes no times into the archive.
    """
    numpy = numpy_for("A table with arrays")
    arrays = {}
    for key, cells in columns.items():
        shape = next(cell.shape for cell in cells if cell is not None)
        arrays[key] = stacked(cells, shape)
        if any(cell is None for cell in cells):
            arrays[key + ".present"] = numpy.array([cell is not None for cell in cells])
    buffer = io.BytesIO()
    numpy.savez_compressed(buffer, **arrays)
    return MediaFile(".npz", data=buffer.getvalue())


def unpack(path: str, key: str) -> list[Any]:
    """Return the cells of one packed column."""
    numpy = numpy_for("A table with arrays")
    with numpy.load(path, allow_pickle=False) as archive:
        whole = archive[key]
        present = archive.get(key + ".present")
    return [cell if present is None or present[row] else None for row, cell in enumerate(whole)]


def as_array_of(type: ColumnType, cell: Any) -> Any:
    """Return a list as an array where the column has arrays of as many dimensions.

    Anything else stays as it is.
    """
    wanted = array_type(type)
    if wanted is None or not isinstance(cell, list):
        return cell
    try:
        found = numpy_for("A table with arrays").array(cell)
    except ValueError:  # lists of different lengths
        return cell
    is_alike = found.ndim == len(wanted.shape) and found.dtype.kind in "biuf"
    return found if is_alike else cell


def vector_dtype(cells: Iterable[Any]) -> str:
    """Return the dtype that takes all vectors of a column, as NumPy spells it: `<f4`."""
    return str(_common_dtype(cells).str)


def _common_dtype(cells: Iterable[Any]) -> Any:
    """Return the dtype that takes all arrays of a column.

    Raises Invalid where it has floats that would round whole numbers of some row.
    """
    numpy = numpy_for("A table with arrays")
    present = [cell for cell in cells if cell is not None]
    dtype = numpy.result_type(*present)
    if dtype.kind == "f":
        exact = 1 << (numpy.finfo(dtype).nmant + 1)
        for cell in present:
            if cell.dtype.kind not in "iu":
                continue
            large = cell[(cell > exact) | (cell < -exact)].tolist()
            rounded = [number for number in large if int(dtype.type(number)) != number]
            if rounded:
                raise Invalid(
                    f"An array of {cell.dtype} in the table has {rounded[0]}, which {dtype} would "
                    "round, and other arrays of its column need that; give all of them one dtype"
                )
    return dtype


def column_as_numpy(cells: Sequence[Any], type: ColumnType) -> Any:
    """Return a column as one array.

    Missing numbers are NaN, images pixels; lists of equal lengths, such as embeddings, are rows.
    Of anything else it is an array of objects.
    """
    numpy = numpy_for("get_column(convert_to='numpy')")
    inner = only_option(type) if type.name == "union" else type
    name = "any" if inner is None else inner.name
    if name == "number":
        return numpy.array([float("nan") if cell is None else cell for cell in cells])
    if name == "image-file":
        cells = [None if cell is None else cell.to_numpy() for cell in cells]
    arrays = name in ("ndarray", "image-file") and all(cell is not None for cell in cells)
    if arrays and len({cell.shape for cell in cells}) == 1:
        return numpy.stack(cells)
    if inner is not None and _is_of_scalars(inner) and None not in cells:
        with suppress(ValueError):  # lists of different lengths
            return numpy.array(cells)
    whole = numpy.empty(len(cells), dtype=object)
    whole[:] = cells
    return whole


def _is_of_scalars(type: ColumnType) -> bool:
    """Tell texts, truth values and numbers, and lists of them."""
    if type.name == "list":
        return type.element is not None and _is_of_scalars(type.element)
    return type.name in ("string", "boolean", "number")


def is_tensor(value: object) -> bool:
    """Tell a tensor of torch from everything else; its modules have `cpu` as well."""
    return hasattr(value, "detach") and hasattr(value, "cpu")


def tensor_values(tensor: Any) -> Any:
    """Return a torch tensor as a NumPy array; as float32 where NumPy has no such number."""
    tensor = tensor.detach().cpu()
    try:
        return tensor.numpy()
    except TypeError:  # bfloat16 and narrower
        return tensor.float().numpy()


def as_numpy(data: Any, what: str) -> Any:
    """Return an array of numbers or booleans; raises Invalid for anything else."""
    numpy = numpy_for(what)
    if is_tensor(data):
        data = tensor_values(data)
    elif hasattr(data, "numpy"):  # tensorflow
        data = data.numpy()
    try:
        values = numpy.asarray(data)
    except ValueError as error:  # rows of different lengths
        raise Invalid(f"{what} cannot be made from these data: {error}") from error
    if values.dtype.kind not in "buif":
        raise Invalid(
            f"{what} cannot be made from {type(data).__name__} with {values.dtype} values"
        )
    return values


def is_frame(value: object) -> bool:
    """Tell a table of pandas, polars or pyarrow from rows."""
    return hasattr(value, "columns") and any(
        hasattr(value, of_its_own) for of_its_own in ("iloc", "iter_columns", "column_names")
    )


def column_names(columns: Any) -> list[str | int]:
    """Return the names that are given for columns; raises Invalid for a frame with all its rows.

    Such a frame is the first thing that some give a table, and its names alone would be an empty
    one.
    """
    if is_frame(columns):
        raise Invalid(
            f"`columns` are names, not a {type(columns).__name__} with rows; for a table of it say "
            "Table(dataframe=…)"
        )
    return list(strings(columns, "Columns"))


def frame_columns(frame: Any) -> tuple[list[str | int], list[list[Any]]]:
    """Return names and cells of a table of pandas, polars or pyarrow.

    What is missing in a text column is None. Raises Invalid for anything else.
    """
    if not is_frame(frame):
        raise Invalid(
            f"{type(frame).__name__} is no table of pandas, polars or pyarrow; give `data` rows"
        )
    if hasattr(frame, "column_names"):  # pyarrow
        return list(frame.column_names), [column.to_pylist() for column in frame.columns]
    if hasattr(frame, "iter_columns"):  # polars
        return list(frame.columns), [column.to_list() for column in frame.iter_columns()]
    names = [label if isinstance(label, str | int) else str(label) for label in frame.columns]
    return names, [_series_cells(frame.iloc[:, i]) for i in range(len(names))]


def _series_cells(series: Any) -> list[Any]:
    if getattr(series.dtype, "kind", "O") in "iufb" and not hasattr(series.dtype, "na_value"):
        return list(series.tolist())
    missing = series.isna()
    return [None if gone else cell for cell, gone in zip(series, missing, strict=True)]


def to_frame(columns: Sequence[str | int], rows: Sequence[list[Any]]) -> Any:
    try:
        import pandas  # slow optional dependency
    except ImportError as error:
        raise Invalid(
            "get_dataframe() needs pandas, which is not installed; run `pip install pandas`"
        ) from error
    return pandas.DataFrame.from_records(list(rows), columns=list(columns))
