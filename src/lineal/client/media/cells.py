"""Cells of tables: what Python values become, and their JSON.

A cell is kept as None, bool, int, float, str, datetime (UTC, whole milliseconds), list, dict with
string keys, ndarray, or a data object, and comes back from the file as the same.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Callable, Set
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any

from lineal.client import media
from lineal.client.media.arrays import is_tensor, tensor_values
from lineal.client.media.columns import ColumnType, only_option
from lineal.client.media.types import DataObject, MediaSource, MediaTarget, needs_media_extra
from lineal.client.values import NESTING_MAX

_PLAIN = frozenset({type(None), str, bool, int, float})
_SAME_IN_JSON = frozenset({"unknown", "none", "string", "number", "boolean"})
"""Columns of these types need no translation. NaN and infinities are written as Python's json
does, which W&B's client reads too."""
_MILLISECOND = timedelta(milliseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_WIDEST = {"f": 8}
"""Bytes of the widest number that JSON text brings back unchanged."""
_TAG = "_type"
"""Where the column's type does not tell what a cell is, a dict with this key does."""


def plain(value: Any, depth: int = 0) -> Any:
    """Return the value as a cell keeps it; raises TypeError for what no table can hold.

    Values of NumPy, pandas, torch and jax become Python's own, arrays are copied. A moment without
    time zone counts as UTC, so that the same table has the same digest everywhere; microseconds
    are cut off, the file keeps milliseconds (DAT-2). pandas' NA and NaT are None, NaN stays NaN,
    what a masked array masks is None, a member of an enum is its value. A set is a list, in order
    if its items have one; a Decimal a float, a duration its seconds; bytes are the text they hold
    in UTF-8, a path is its text. depth: how many lists, dicts and arrays it is in.
    """
    kind = type(value)
    if kind in _PLAIN or isinstance(value, DataObject):
        return value
    if depth > NESTING_MAX:
        raise TypeError(f"a value nested deeper than {NESTING_MAX} levels cannot be stored")
    if isinstance(value, date):  # datetime, pandas.Timestamp and NaT as well
        return _moment(value)
    if isinstance(value, list | tuple):
        return [plain(item, depth + 1) for item in value]
    if isinstance(value, dict):
        return _plain_dict(value, depth + 1)
    if isinstance(value, Enum):
        return plain(value.value, depth)
    if isinstance(value, set | frozenset):
        return [plain(item, depth + 1) for item in _ordered(value)]
    if isinstance(value, Decimal):
        return math.nan if value.is_nan() else float(value)
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, bytes | bytearray):
        return _decoded(value)
    if isinstance(value, os.PathLike):
        return plain(os.fspath(value))
    if isinstance(value, str):
        return str.__str__(value)
    for base in (int, float):  # their subclasses, such as numpy.float64
        if isinstance(value, base):
            return base(value)
    return _foreign(value, depth)


def _ordered(items: Set[Any]) -> list[Any]:
    """Return the items of a set, the same way in every process: the table's digest needs that."""
    try:
        return sorted(items)
    except TypeError:
        return sorted(items, key=lambda item: (type(item).__qualname__, repr(item)))


def _decoded(value: bytes | bytearray) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise TypeError(
            f"{type(value).__name__} that are not text in UTF-8 cannot be stored in a table"
        ) from None


def _plain_dict(value: dict[Any, Any], depth: int) -> dict[str, Any]:
    for key in value:
        if not isinstance(key, str):
            raise TypeError(f"the key {key!r} of a dict is not a string")
    # Python's own text, not what a subclass shows: of an enum that is its member's name.
    return {str.__str__(key): plain(item, depth) for key, item in value.items()}


def _moment(value: Any) -> datetime | None:
    if value != value:  # pandas.NaT
        return None
    if not isinstance(value, datetime):
        return datetime(value.year, value.month, value.day, tzinfo=UTC)
    aware = value if value.tzinfo is not None else value.replace(tzinfo=UTC)
    try:
        return _EPOCH + (aware - _EPOCH) // _MILLISECOND * _MILLISECOND
    except OverflowError:
        raise TypeError(f"the moment {value} is outside the years 1 to 9999 in UTC") from None


def _moment64(value: Any) -> datetime | None:
    """Translate a datetime64, which reaches further than Python's moments."""
    moment = value.astype("datetime64[ms]").item()
    if isinstance(moment, int):
        raise TypeError(f"the moment {value} is outside the years 1 to 9999")
    return None if moment is None else _moment(moment)


def _foreign(value: Any, depth: int) -> Any:
    """Translate values of libraries that the user has loaded; never loads one."""
    if is_tensor(value):
        value = tensor_values(value)
    pandas = sys.modules.get("pandas")
    if pandas is not None and value is pandas.NA:
        return None
    numpy = sys.modules.get("numpy")
    if numpy is not None and isinstance(value, numpy.datetime64):
        return _moment64(value)
    if numpy is not None and isinstance(value, numpy.timedelta64):
        return plain(value / numpy.timedelta64(1, "s"))
    if numpy is not None and isinstance(value, numpy.generic):
        item = float(value) if isinstance(value, numpy.longdouble) else value.item()
        if type(item) in _PLAIN:
            return item
    if numpy is not None and isinstance(value, numpy.ndarray):
        return _array(value, depth + 1)
    if numpy is not None and hasattr(value, "__array__") and hasattr(value, "shape"):
        return _array(numpy.asarray(value), depth + 1)  # of jax, of tensorflow
    raise TypeError(f"a value of type {type(value).__name__} cannot be stored in a table")


def _array(value: Any, depth: int) -> Any:
    numpy = sys.modules["numpy"]  # loaded: the value is an array
    if isinstance(value, numpy.ma.MaskedArray):
        if value.ndim == 0 and numpy.ma.is_masked(value):
            return None
        if value.dtype.kind == "M":
            value = value.astype("datetime64[ms]")  # the finest that become Python's own
        value = value.astype(object) if numpy.ma.is_masked(value) else value.data
    if value.dtype.kind == "V" and value.dtype.names is None:
        value = value.astype("float32")  # bfloat16 and the like, which Python has no number for
    if value.dtype.kind in "cSmV" or value.dtype.itemsize > _WIDEST.get(
        value.dtype.kind, sys.maxsize
    ):
        what = f"an array of {value.dtype}" if value.ndim else f"a value of type {value.dtype}"
        raise TypeError(f"{what} cannot be stored in a table")
    if value.ndim == 0:
        return plain(value[()], depth)
    if value.dtype.kind in "OM":
        return [plain(item, depth) for item in value]
    return value.copy()  # the caller may use the buffer again


def encoder(type: ColumnType, target: MediaTarget) -> Callable[[Any], Any] | None:
    """Return what turns cells of this type into JSON, None where nothing is to be done."""
    if type.name in _SAME_IN_JSON:
        return None
    return lambda value: encode(value, type, target)


def encode(value: Any, type: ColumnType | None, target: MediaTarget) -> Any:
    """Return the JSON of a cell; `type` None stands for any.

    Media files go to the target. Timestamps are milliseconds where the type says so.
    """
    if value is None:
        return None
    kind, name = _looked_through(type)
    if isinstance(value, DataObject):
        return value.write(target)
    if isinstance(value, list):
        element = kind.element if kind is not None and name == "list" else None
        return [encode(item, element, target) for item in value]
    if isinstance(value, dict):
        fields = dict(kind.fields) if kind is not None and name == "typedDict" else {}
        written = {key: encode(item, fields.get(key), target) for key, item in value.items()}
        return {_TAG: "dict", "value": written} if _TAG in value else written
    if isinstance(value, datetime):
        milliseconds = (value - _EPOCH) // _MILLISECOND
        return milliseconds if name == "timestamp" else {_TAG: "timestamp", "value": milliseconds}
    if isinstance(value, str | int | float):
        return value
    return {_TAG: "ndarray", "dtype": value.dtype.str, "value": value.tolist()}


def _looked_through(type: ColumnType | None) -> tuple[ColumnType | None, str]:
    """Return the type that a cell with a value has, and its name; None and `any` if open."""
    kind = only_option(type) if type is not None and type.name == "union" else type
    return (None, "any") if kind is None else (kind, kind.name)


def decoder(type: ColumnType, source: MediaSource) -> Callable[[Any], Any] | None:
    """Return what turns JSON of cells of this type back, None where nothing is to be done."""
    if type.name in _SAME_IN_JSON:
        return None
    return lambda value: decode(value, type, source)


def decode(value: Any, type: ColumnType | None, source: MediaSource) -> Any:
    """Undo `encode`; media files are not fetched yet."""
    if value is None:
        return None
    kind, name = _looked_through(type)
    if isinstance(value, list):
        element = kind.element if kind is not None and name == "list" else None
        return [decode(item, element, source) for item in value]
    if isinstance(value, dict):
        return _decode_dict(value, dict(kind.fields) if kind is not None else {}, source)
    if name == "timestamp":
        return _EPOCH + value * _MILLISECOND
    return value


def _decode_dict(value: dict[str, Any], fields: dict[str, ColumnType], source: MediaSource) -> Any:
    if media.is_cell(value):
        return media.class_for(value[_TAG]).read(value, source)
    tag = value.get(_TAG)
    if tag == "timestamp":
        return _EPOCH + value["value"] * _MILLISECOND
    if tag == "ndarray":
        return array_of(value["value"], value["dtype"])
    if tag == "dict":
        value = value["value"]
    return {key: decode(item, fields.get(key), source) for key, item in value.items()}


def array_of(values: Any, dtype: str | None) -> Any:
    try:
        import numpy  # slow optional dependency
    except ImportError as error:
        needs_media_extra("A table with arrays", "numpy", error)
    return numpy.array(values, dtype=dtype)


def equal(left: Any, right: Any) -> bool:
    """Compare two cells: NaN equals NaN, 1 equals 1.0, True does not equal 1."""
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(equal, left, right))
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(equal(left[k], right[k]) for k in left)
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, float) and isinstance(right, float):
        return left == right or (math.isnan(left) and math.isnan(right))
    if hasattr(left, "dtype") or hasattr(right, "dtype"):
        return _equal_arrays(left, right)
    return bool(left == right)


def _equal_arrays(left: Any, right: Any) -> bool:
    numpy = sys.modules["numpy"]  # loaded: one of them is an array
    if not isinstance(left, numpy.ndarray) or not isinstance(right, numpy.ndarray):
        return False
    may_be_nan = left.dtype.kind == right.dtype.kind == "f"
    return bool(numpy.array_equal(left, right, equal_nan=may_be_nan))
