"""The types of table columns: a small tree, inferred from values and kept in the file (DAT-2).

In the file a type is `{"wb_type": name, "params": {…}}`, as W&B writes it, so that its client can
read our tables.
"""

from __future__ import annotations

import sys
import types
import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import reduce
from typing import Any

from lineal.client.media.types import DataObject


@dataclass(frozen=True, slots=True)
class ColumnType:
    """One node of the tree; which of the parameters count depends on `name`."""

    name: str
    element: ColumnType | None = None
    """Of a list."""
    fields: tuple[tuple[str, ColumnType], ...] = ()
    """Of a dict, sorted by key."""
    shape: tuple[int | None, ...] = ()
    """Of an ndarray; `(None,)` is a vector of any length."""
    options: tuple[ColumnType, ...] = ()
    """Of a union, none first."""

    def __str__(self) -> str:
        return describe(self)


UNKNOWN = ColumnType("unknown")
"""No value yet."""
NONE = ColumnType("none")
ANY = ColumnType("any")
STRING = ColumnType("string")
NUMBER = ColumnType("number")
BOOLEAN = ColumnType("boolean")
TIMESTAMP = ColumnType("timestamp")

_WORDS = {"string": "text", "typedDict": "dict"}
_SCALARS: Mapping[type, ColumnType] = {
    type(None): NONE,
    str: STRING,
    bool: BOOLEAN,
    int: NUMBER,
    float: NUMBER,
    datetime: TIMESTAMP,
}
_SPECS: Mapping[Any, ColumnType] = {
    **_SCALARS,
    None: NONE,
    date: TIMESTAMP,
    Any: ANY,
    object: ANY,
    list: ColumnType("list", element=UNKNOWN),
    dict: ColumnType("typedDict"),
}


def infer(value: object) -> ColumnType:
    """Return the type of a cell as `cells.plain` made it."""
    known = _SCALARS.get(type(value))
    if known is not None:
        return known
    if isinstance(value, DataObject):
        return ColumnType(value.type_name)
    if isinstance(value, list):
        return ColumnType("list", element=_of_elements(infer(item) for item in value))
    if isinstance(value, dict):
        return ColumnType(
            "typedDict", fields=tuple((key, infer(value[key])) for key in sorted(value))
        )
    shape: tuple[int, ...] = value.shape  # type: ignore[attr-defined]  # all that is left is ndarray
    return ColumnType("ndarray", shape=shape)


def _of_elements(found: Iterable[ColumnType]) -> ColumnType:
    return reduce(lambda known, new: merge(known, new) or ANY, found, UNKNOWN)


def merge(known: ColumnType, new: ColumnType) -> ColumnType | None:
    """Return the type that takes the values of both, None if they do not go together."""
    if new in (known, UNKNOWN):
        return known
    if known == UNKNOWN:
        return new
    if known == ANY:
        return ANY
    if new.name == "union":
        return _merge_all(known, new.options)
    if NONE in (known, new):
        return union((NONE, *_options(known), *_options(new)))
    if known.name == "union":
        return _merge_option(known, new)
    if known.name != new.name:
        return None
    if known.name == "list":
        assert known.element is not None
        assert new.element is not None
        element = merge(known.element, new.element)
        return None if element is None else replace(known, element=element)
    if known.name == "typedDict":
        return _merge_fields(dict(known.fields), dict(new.fields))
    if known.name == "ndarray" and len(known.shape) == len(new.shape) == 1:
        return ColumnType("ndarray", shape=(None,))
    return None


def _merge_fields(
    known: Mapping[str, ColumnType], new: Mapping[str, ColumnType]
) -> ColumnType | None:
    """A key that only some rows have may be absent."""
    merged = []
    for key in sorted(known.keys() | new.keys()):
        field = merge(known.get(key, NONE), new.get(key, NONE))
        if field is None:
            return None
        merged.append((key, field))
    return ColumnType("typedDict", fields=tuple(merged))


def _merge_all(known: ColumnType, options: Iterable[ColumnType]) -> ColumnType | None:
    merged: ColumnType | None = known
    for option in options:
        merged = None if merged is None else merge(merged, option)
    return merged


def _merge_option(known: ColumnType, new: ColumnType) -> ColumnType | None:
    """Widen the first option that takes the new type; a union gains no option but `none`."""
    for position, option in enumerate(known.options):
        merged = None if option == NONE else merge(option, new)
        if merged is not None:
            return union((*known.options[:position], merged, *known.options[position + 1 :]))
    return None


def _options(type: ColumnType) -> tuple[ColumnType, ...]:
    return type.options if type.name == "union" else (type,)


def union(options: Iterable[ColumnType]) -> ColumnType:
    """Return the type of cells that are one of these."""
    unique = sorted(dict.fromkeys(options), key=lambda option: option != NONE)
    return unique[0] if len(unique) == 1 else ColumnType("union", options=tuple(unique))


def takes_numbers(type: ColumnType) -> bool:
    return NUMBER in _options(type)


def only_option(type: ColumnType) -> ColumnType | None:
    """Return X for `none or X`, None for a union of more."""
    real = [option for option in type.options if option != NONE]
    return real[0] if len(real) == 1 else None


def from_spec(spec: object) -> ColumnType:
    """Read what a user gives as `dtype`: `int`, `str | None`, `datetime`, `Image`, a ColumnType …

    Raises TypeError for anything else.
    """
    if isinstance(spec, ColumnType):
        return spec
    if isinstance(spec, type) and issubclass(spec, DataObject):
        return ColumnType(spec.type_name)
    if isinstance(spec, types.UnionType) or typing.get_origin(spec) is typing.Union:
        return union(from_spec(option) for option in typing.get_args(spec))
    if typing.get_origin(spec) is list:
        return ColumnType("list", element=from_spec(typing.get_args(spec)[0]))
    numpy = sys.modules.get("numpy")
    if numpy is not None and isinstance(spec, type) and issubclass(spec, numpy.generic):
        return _SCALARS[type(numpy.zeros(1, spec).item())]
    try:
        return _SPECS[spec]
    except (KeyError, TypeError):
        raise TypeError(
            f"{spec!r} is not a column type; use str, int, float, bool, datetime, list, dict, a "
            "data type such as Image, or a union of these"
        ) from None


def describe(type: ColumnType) -> str:
    """Say in words what a column takes."""
    if type.name == "union":
        return " or ".join(describe(option) for option in (*type.options[1:], type.options[0]))
    if type.name == "list" and type.element not in (None, ANY, UNKNOWN):
        return f"list of {type.element}"
    if type.name == "typedDict" and type.fields:
        return "dict with " + ", ".join(f"`{key}`: {field}" for key, field in type.fields)
    if type.name == "ndarray":
        return f"ndarray of shape {type.shape}" if None not in type.shape else "vector"
    return _WORDS.get(type.name, type.name)


def to_json(type: ColumnType) -> dict[str, Any]:
    params: dict[str, Any] = {}
    if type.element is not None:
        params["element_type"] = to_json(type.element)
    if type.name == "typedDict":
        params["type_map"] = {key: to_json(field) for key, field in type.fields}
    if type.name == "ndarray":
        params = {"shape": list(type.shape), "serialization_path": None}
    if type.options:
        params["allowed_types"] = [to_json(option) for option in type.options]
    return {"wb_type": type.name, "params": params} if params else {"wb_type": type.name}


def from_json(tree: Mapping[str, Any]) -> ColumnType:
    """Read a type back; raises KeyError or TypeError for what `to_json` cannot have written."""
    params = tree.get("params") or {}
    element = params.get("element_type")
    return ColumnType(
        tree["wb_type"],
        element=None if element is None else from_json(element),
        fields=tuple(
            (key, from_json(field)) for key, field in sorted(params.get("type_map", {}).items())
        ),
        shape=tuple(params.get("shape") or ()),
        options=tuple(from_json(option) for option in params.get("allowed_types", ())),
    )
