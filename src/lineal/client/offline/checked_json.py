"""What folders say of themselves in JSON, checked: anybody may have written it.

Without a library: each that does this takes longer to load than an offline run takes to begin.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T", bound="DataclassInstance")


def read(kind: type[T], fields: object) -> T:
    """Make a dataclass of what JSON says.

    Its fields are texts, whole numbers, yes or no, tuples of texts, or None. Raises ValueError
    naming the first field that is missing, unknown or of another type.
    """
    if not isinstance(fields, Mapping):
        raise ValueError("it is no JSON object")
    known = {each.name: each for each in dataclasses.fields(kind)}
    for name in fields:
        if name not in known:
            raise ValueError(f"`{name}` is not known")
    hints = typing.get_type_hints(kind)
    values = {}
    for name, each in known.items():
        if name in fields:
            values[name] = _value(name, fields[name], hints[name])
        elif each.default is dataclasses.MISSING:
            raise ValueError(f"`{name}` is missing")
    return kind(**values)


def _value(name: str, value: Any, hint: Any) -> Any:
    options = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    for option in options:
        if typing.get_origin(option) is tuple:
            if isinstance(value, list) and all(isinstance(each, str) for each in value):
                return tuple(value)
        elif type(value) is option:  # else True would be a number
            return value
    shown = str(hint) if len(options) > 1 else getattr(hint, "__name__", str(hint))
    raise ValueError(f"`{name}` is {value!r}, not {shown}")
