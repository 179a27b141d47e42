"""Tables: typed columns of values, arrays and media, stored as one JSON file (DAT-2)."""

from __future__ import annotations

import itertools
import math
import operator
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import suppress
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from lineal.client.media import arrays, markup
from lineal.client.media.cells import equal, plain
from lineal.client.media.columns import (
    ANY,
    NONE,
    UNKNOWN,
    ColumnType,
    from_json,
    from_spec,
    infer,
    merge,
    takes_numbers,
)
from lineal.client.media.logged import Logged, log_table, next_part
from lineal.client.media.table_file import read_column, write_columns
from lineal.client.media.types import DataObject, MediaSource, MediaTarget
from lineal.client.term import warn_once
from lineal.errors import IntegrityError, Invalid

if TYPE_CHECKING:
    from typing import Self

LogMode = Literal["IMMUTABLE", "MUTABLE", "INCREMENTAL"]
LOG_MODES = ("IMMUTABLE", "MUTABLE", "INCREMENTAL")
UNNAMED_COLUMNS = ("Input", "Output", "Expected")
"""What W&B calls the columns of a table of three that names none."""

_NONE_TYPE = type(None)
_QUICK: Mapping[str, frozenset[type]] = {
    "string": frozenset({str}),
    "number": frozenset({int, float}),
    "boolean": frozenset({bool}),
    "any": frozenset({str, int, float, bool}),
}
"""Python types that a column takes without another look; most cells of most tables."""


class TableIndex(int):
    """The number of a row, which knows its table; copied or sent elsewhere, a number."""

    _table: Table

    @classmethod
    def _of(cls, table: Table, number: int) -> Self:
        made = cls(number)
        made._table = table
        return made

    def __reduce__(self) -> tuple[Any, ...]:
        return int, (int(self),)

    def get_row(self) -> dict[str | int, Any]:
        """Return the cells of the row by their columns."""
        return dict(zip(self._table.columns, self._table.data[self], strict=True))


class Table(DataObject):
    """Rows of typed columns. All rows are kept, however many there are (DAT-3).

    From 10,000 rows on they are stored as Parquet as well, for other programs, where pyarrow is.

    columns: names; rows given without names may have three values (Input, Output, Expected).
    data, rows: an iterable of rows, a 2-D array, or a table of pandas, polars or pyarrow (`rows`
    is the old name).
    dtype: one type for all columns, or one per column in a list or a dict by name; else the first
    value that is neither None nor NaN decides; in a column of texts NaN is None.
    optional: whether None is a value, for all columns or one per column.
    log_mode, when it is logged again under the same key with more rows: `IMMUTABLE` logs it anew
    and warns once, `MUTABLE` logs it anew, `INCREMENTAL` logs the new rows only.
    Raises TypeError naming row and column for a value of the wrong type.
    """

    type_name: ClassVar[str] = "table"
    MAX_ROWS: ClassVar[int] = sys.maxsize
    MAX_ARTIFACT_ROWS: ClassVar[int] = sys.maxsize
    """Where W&B cuts tables, which scripts read and set; no table is cut here."""

    def __init__(
        self,
        columns: Sequence[str | int] | None = None,
        data: Any = None,
        rows: Any = None,
        dataframe: Any = None,
        dtype: Any = None,
        optional: bool | Sequence[bool] = True,
        allow_mixed_types: bool = False,
        log_mode: LogMode = "IMMUTABLE",
    ) -> None:
        if log_mode not in LOG_MODES:
            raise Invalid(f"log_mode cannot be {log_mode!r}; use {', '.join(LOG_MODES)}")
        data = rows if data is None else data
        if dataframe is None and arrays.is_frame(data):
            dataframe, data = data, None
        self.log_mode: LogMode = log_mode
        self._allow_mixed_types = allow_mixed_types
        self._columns: list[str | int] = []
        self._types: list[ColumnType] = []
        self._optional: list[bool] = []
        self._is_given: list[bool] = []
        self._quick: list[frozenset[type]] = []
        self._rows: list[list[Any]] = []
        self._logged: dict[tuple[str, str], Logged] = {}
        """By the run, of which home and project it may be, and the key."""
        frame: list[list[Any]] = []
        if dataframe is not None:
            names, frame = arrays.frame_columns(dataframe)
            columns = names if columns is None else columns
        if columns is not None:
            self._name_columns(arrays.column_names(columns), dtype, optional)
        if frame:
            data = zip(*frame, strict=True)
        for row in _rows(data):
            self.add_data(*row)

    def _name_columns(
        self, names: list[str | int], dtype: Any, optional: bool | Sequence[bool]
    ) -> None:
        flags = _for_each(names, optional, "optional")
        specs = _for_each(names, dtype, "dtype")
        for name, spec, flag in zip(names, specs, flags, strict=True):
            start = ANY if self._allow_mixed_types else UNKNOWN
            type_ = start if spec is None else from_spec(spec)
            self._new_column(name, type_, bool(flag), is_given=spec is not None)

    def _new_column(
        self, name: Any, type: ColumnType, optional: bool, *, is_given: bool = True
    ) -> None:
        if not isinstance(name, str | int) or isinstance(name, bool):
            raise Invalid(f"A column is named by a string or a number, not by {name!r}")
        if isinstance(name, str):
            name = str.__str__(name)  # not a member of an enum, whose text is another
        if str(name) in map(str, self._columns):
            raise Invalid(f"Two columns of the table are called `{name}`")
        self._columns.append(name)
        self._types.append(type)
        self._optional.append(optional)
        self._is_given.append(is_given)
        self._quick.append(_quick(type, optional))

    # --- what is in it ---

    @property
    def columns(self) -> list[str | int]:
        return list(self._columns)

    @property
    def data(self) -> list[list[Any]]:
        """The rows themselves; add with `add_data`, which checks types."""
        return self._rows

    @property
    def column_types(self) -> dict[str | int, ColumnType]:
        return dict(zip(self._columns, self._types, strict=True))

    def __len__(self) -> int:
        return len(self._rows)

    def __bool__(self) -> bool:  # an empty table is still a table
        return True

    def __repr__(self) -> str:
        types = ", ".join(f"{name}: {kind}" for name, kind in self.column_types.items())
        return f"<Table {len(self)} rows ({types})>"

    def _repr_html_(self) -> str:
        """Show the first rows in a notebook."""
        return markup.table(self.columns, self._rows)

    def __eq__(self, other: object) -> bool:
        """Compare columns, their types and every cell; media by content, NaN equals NaN."""
        if not isinstance(other, Table):
            return NotImplemented
        return (
            self._columns == other._columns
            and self._types == other._types
            and len(self) == len(other)
            and all(map(equal, self._rows, other._rows))
        )

    __hash__ = None  # type: ignore[assignment]  # equal tables may change

    def iterrows(self) -> Iterator[tuple[TableIndex, list[Any]]]:
        """Yield (number of the row, row)."""
        return zip(self._indexes(), self._rows, strict=True)

    def get_index(self) -> list[TableIndex]:
        """Return the numbers of all rows."""
        return list(self._indexes())

    def index_ref(self, index: int) -> TableIndex:
        """Return the number of a row, to say in another table which row is meant.

        There it is a number. Raises Invalid where there is no such row.
        """
        if not 0 <= operator.index(index) < len(self):
            raise Invalid(f"The table has {len(self)} rows, from 0 on, and no row {index}")
        return TableIndex._of(self, index)

    def _indexes(self) -> Iterator[TableIndex]:
        return (TableIndex._of(self, number) for number in range(len(self)))

    def get_column(self, name: str | int, convert_to: Literal["numpy"] | None = None) -> Any:
        """Return one column as a list, or as an array.

        Raises Invalid (a ValueError) for an unknown column.
        """
        if convert_to not in (None, "numpy"):
            raise Invalid(f"convert_to cannot be {convert_to!r}; use `numpy` or None")
        position = self._position(name)
        cells = [row[position] for row in self._rows]
        return arrays.column_as_numpy(cells, self._types[position]) if convert_to else cells

    def get_dataframe(self) -> Any:
        """Return a pandas DataFrame of all rows."""
        return arrays.to_frame(self._columns, self._rows)

    def _position(self, name: str | int) -> int:
        try:
            return self._columns.index(name)
        except ValueError:
            known = ", ".join(f"`{column}`" for column in self._columns)
            raise Invalid(f"The table has no column `{name}`; it has {known or 'none'}") from None

    # --- adding ---

    def add_data(self, *data: Any) -> None:
        """Append one row; nothing is added if one value does not fit."""
        if not self._columns and len(data) == len(UNNAMED_COLUMNS):
            self._name_columns(list(UNNAMED_COLUMNS), None, True)
        if len(data) != len(self._columns):
            raise Invalid(
                f"The table has {len(self._columns)} columns {self._columns}, "
                f"but row {len(self)} has {len(data)} values"
            )
        cells, widened = list(data), {}
        for position, value in enumerate(data):
            if type(value) not in self._quick[position]:
                column = (row[position] for row in self._rows)
                cells[position], widened[position] = self._fit(value, position, len(self), column)
        for position, type_ in widened.items():
            if self._set_type(position, type_):
                for row in self._rows:
                    row[position] = None
        self._rows.append(cells)

    def add_row(self, *row: Any) -> None:
        """Append one row; the old name of `add_data`."""
        self.add_data(*row)

    def add_column(
        self, name: str | int, data: Iterable[Any], optional: bool = True, dtype: Any = None
    ) -> None:
        """Append a column with one value for each row; the first column may have any length.

        Nothing is added if one value does not fit, or cannot be read.
        """
        if not isinstance(data, Iterable):
            raise TypeError(f"Column `{name}` takes one value for each row, not {data!r}")
        values = list(data)
        if self._columns and len(values) != len(self):
            raise Invalid(f"Column `{name}` has {len(values)} values for {len(self)} rows")
        self._name_columns([name], [dtype], optional)
        position = len(self._columns) - 1
        try:
            for row, value in enumerate(values):
                if type(value) not in self._quick[position]:
                    before = itertools.islice(values, row)
                    values[row], type_ = self._fit(value, position, row, before)
                    if self._set_type(position, type_):
                        values[:row] = [None] * row
        except BaseException:  # such as of a device that holds a tensor
            self._forget_columns(position)
            raise
        if position == 0:
            self._rows.extend([value] for value in values)
        else:
            for known_row, value in zip(self._rows, values, strict=True):
                known_row.append(value)

    def add_computed_columns(
        self, fn: Callable[[int, dict[str | int, Any]], Mapping[str, Any]]
    ) -> None:
        """Append the columns that `fn(row number, {column: cell})` returns values of.

        Appends none, and raises Invalid, unless it returns the same new columns for each row, and
        TypeError for values of a column that do not go together.
        """
        columns: dict[str, list[Any]] = {}
        for row, cells in self.iterrows():
            for name, value in fn(row, dict(zip(self._columns, cells, strict=True))).items():
                columns.setdefault(name, []).append(value)
        for name, values in columns.items():
            if name in self._columns:
                raise Invalid(f"Column `{name}` is there already; compute one of another name")
            if len(values) != len(self):
                raise Invalid(f"Column `{name}` has {len(values)} values for {len(self)} rows")
        count = len(self._columns)
        try:
            for name, values in columns.items():
                self.add_column(name, values)
        except BaseException:
            self._forget_columns(count)
            for known_row in self._rows:
                del known_row[count:]
            raise

    def _forget_columns(self, start: int) -> None:
        """Take out all that is known of the columns from there on, but for their cells."""
        del self._columns[start:], self._types[start:], self._optional[start:]
        del self._is_given[start:], self._quick[start:]

    def _fit(
        self, value: Any, position: int, row: int, before: Iterable[Any]
    ) -> tuple[Any, ColumnType]:
        """Return the cell and the column's type with it; raises TypeError if it does not fit.

        before: the cells above it.
        """
        where, known = f"Row {row}, column `{self._columns[position]}`", self._types[position]
        try:
            cell = plain(value)
        except TypeError as error:
            raise TypeError(f"{where}: {error}") from error
        cell = arrays.as_array_of(known, cell)
        new = infer(cell)
        merged = merge(known, new)
        if merged is None and isinstance(cell, float) and math.isnan(cell):
            cell, merged = None, merge(known, NONE)  # what pandas has in place of a missing text
        if merged is None and self._optional[position] and self._is_open(position, before):
            merged = merge(NONE, new)
        if cell is None and not self._optional[position]:
            raise TypeError(f"{where}: None is not allowed; expected {known}")
        if merged is None:
            raise TypeError(
                f"{where}: expected {known}, got {new} ({value!r:.80}). "
                "A table made with allow_mixed_types=True takes both"
            )
        return cell, merged

    def _is_open(self, position: int, cells: Iterable[Any]) -> bool:
        """Tell whether all that makes a column one of numbers is NaN, which may stand for None."""
        return (
            not self._is_given[position]
            and takes_numbers(self._types[position])
            and all(cell is None or cell != cell for cell in cells)
        )

    def cast(self, col_name: str | int, dtype: Any, optional: bool = False) -> ColumnType:
        """Say what a column takes from now on, and return its type; nothing is converted.

        dtype: as of the table. optional: whether None is a value. Raises Invalid for an unknown
        column, TypeError for a cell that is none of these, and then changes nothing.
        """
        position = self._position(col_name)
        before = self._types[position], self._optional[position]
        self._types[position], self._optional[position] = from_spec(dtype), optional
        cells: list[Any] = []
        try:
            for number, row in enumerate(self._rows):
                cell, type_ = self._fit(row[position], position, number, ())
                cells.append(cell)
                self._types[position] = type_
        except BaseException:
            self._types[position], self._optional[position] = before
            raise
        for row, cell in zip(self._rows, cells, strict=True):
            row[position] = cell
        self._is_given[position] = True
        self._quick[position] = _quick(self._types[position], optional)
        return self._types[position]

    def _set_type(self, position: int, type_: ColumnType) -> bool:
        """Widen a column; True if it was of numbers and is not now: then its NaNs become None."""
        known = self._types[position]
        if type_ is not known:
            self._types[position] = type_
            self._quick[position] = _quick(type_, self._optional[position])
        return takes_numbers(known) and not takes_numbers(type_)

    # --- the file ---

    def write(self, target: MediaTarget) -> dict[str, Any]:
        """Return the table's JSON object (DAT-2); media and big arrays go to side files."""
        written = {"_type": self.type_name, **write_columns(self.column_types, self._rows, target)}
        return {**written, "log_mode": self.log_mode}

    @classmethod
    def read(cls, json_obj: dict[str, Any], source: MediaSource) -> Self:
        """Rebuild a table; arrays are read now, media when they are looked at.

        Raises IntegrityError for a file that is not a table.
        """
        try:
            return cls._read(json_obj, source)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            if isinstance(error, IntegrityError):
                raise
            raise IntegrityError(
                f"This is not a table file that Lineal can read: {error!r}"
            ) from error

    @classmethod
    def _read(cls, json_obj: dict[str, Any], source: MediaSource) -> Self:
        table = cls(log_mode=json_obj.get("log_mode") or "IMMUTABLE")
        type_map = json_obj.get("column_types", {}).get("params", {}).get("type_map", {})
        dtypes = json_obj.get("array_dtypes", {})
        names, rows = json_obj["columns"], json_obj["data"]
        for number, row in enumerate(rows):
            if len(row) != len(names):
                raise IntegrityError(f"Row {number} has {len(row)} values for {len(names)} columns")
        columns: list[list[Any]] = []
        for position, name in enumerate(names):
            tree = type_map.get(str(name), {"wb_type": "any"})
            table._new_column(name, from_json(tree), True)
            cells = [row[position] for row in rows]
            columns.append(
                read_column(cells, tree, table._types[position], dtypes.get(str(name)), source)
            )
        table._rows = [list(row) for row in zip(*columns, strict=True)]
        return table

    def _log(self, run: Any, key: str, step: int) -> dict[str, Any]:
        """Log the table as an artifact of its own (DAT-5); the same rows make no new version.

        INCREMENTAL sends only the rows added since the last time (DAT-4). Differs from W&B:
        IMMUTABLE logs rows added later as well, as MUTABLE does, and says so once, where W&B
        leaves them out.
        """
        place = f"{run.backend.url}/{run.entity}/{run.project}/{run.id}", key
        known = self._logged.get(place)
        shape = (len(self), len(self._columns))
        if known is not None and known.shape == shape and self.log_mode != "MUTABLE":
            return known.value
        if known is not None and self.log_mode == "IMMUTABLE":
            warn_once(
                f"the table `{key}` has changed since it was logged and is logged again; "
                'make it with log_mode="MUTABLE", or "INCREMENTAL" to store only new rows'
            )
        part = None
        if self.log_mode == "INCREMENTAL":
            grew = known is not None and known.shape[1] == shape[1]  # else rows changed as well
            start = known.shape[0] if known is not None and grew else 0
            part = next_part(None if known is None else known.part, run, key)
            value = log_table(self._rows_from(start), run, key, part=part) | {"nrows": len(self)}
        else:
            value = log_table(self, run, key)
        self._logged[place] = Logged(part, shape, value)
        return value

    def _rows_from(self, start: int) -> Table:
        part = Table(log_mode=self.log_mode)
        part._columns, part._types, part._rows = self._columns, self._types, self._rows[start:]
        return part


def _for_each(names: Sequence[str | int], value: Any, what: str) -> list[Any]:
    """Spread one value over all columns, or check that there is one for each."""
    if isinstance(value, Mapping):
        return [value.get(name) for name in names]
    if isinstance(value, list | tuple):
        if len(value) != len(names):
            raise Invalid(f"{what} has {len(value)} items for {len(names)} columns")
        return list(value)
    return [value] * len(names)


def _quick(type: ColumnType, optional: bool) -> frozenset[type]:
    options = type.options if type.name == "union" else [type]
    none = {_NONE_TYPE} if NONE in options or type.name == "any" else set()
    known = [_QUICK.get(option.name, frozenset()) for option in options]
    return frozenset().union(*known, none if optional else ())


def _rows(data: Any) -> Iterator[Any]:
    if data is None:
        return
    for number, row in enumerate(_items(data, "Table data must be a list of rows, or a frame")):
        yield _items(row, f"Row {number} must be a list with a value for each column")


def _items(value: Any, wanted: str) -> Iterator[Any]:
    """Return what is in a sequence; raises TypeError for a dict, whose keys are no values."""
    if not isinstance(value, Mapping | Set):
        with suppress(TypeError):
            return iter(value)
    raise TypeError(f"{wanted}, not {value!r:.80}")
