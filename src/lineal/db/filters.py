"""Mongo-style filters as SQL (API-8).

Meaning, the same on both databases and for every kind of field:
- A number compares only with numbers, a string with strings, a boolean with booleans, a moment
  with ISO dates. What is missing, null or NaN matches no comparison, so `$ne` and `$nin` do match.
- `None` stands for missing, null or NaN: `{"group": None}`, `{"summary_metrics.x": {"$ne": None}}`.
- `$exists` asks whether the key is there, whatever its value.
- `config.a.b` is the key `a.b` if there is one, else `b` inside `a`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import and_, false, func, not_, or_, true

from lineal.db.fields import COMPARISONS, Condition, FieldSpec, Operand, find_operand, unknown
from lineal.errors import Invalid

MAX_DEPTH = 16
MAX_CONDITIONS = 200
"""SQLite parses with a stack of 100 and refuses trees deeper than 1,000; a chain of ANDs nests."""
MAX_LISTED = 10_000
"""Values after all `$in` and `$nin`; databases take some 30,000 parameters."""

_OPERATORS = (*COMPARISONS, "$ne", "$in", "$nin", "$exists", "$regex", "$not")
_CONNECTIVES = ("$and", "$or", "$nor", "$not")


def compile_filter(document: Mapping[str, Any], columns: Mapping[str, FieldSpec]) -> Condition:
    """Turn a filter into an SQL condition that is safe to put into any WHERE.

    columns: what may be named; of a document field, any key after its name and a dot.
    Raises Invalid for an unknown key or operator (with the nearest known one), a value of a kind
    that can never match, a bad regular expression, or a filter too large to run.
    """
    if isinstance(document, Mapping):
        _check_size(document)
    return _document(document, columns)


def _document(document: Any, columns: Mapping[str, FieldSpec]) -> Condition:
    if not isinstance(document, Mapping):
        raise Invalid(f"A filter is a dictionary such as {{'state': 'finished'}}, not {document!r}")
    conditions = []
    for key, value in document.items():
        if not isinstance(key, str):
            raise Invalid(f"The keys of a filter are strings, not {key!r}")
        if key.startswith("$"):
            conditions.append(_connective(key, value, columns))
        else:
            conditions.append(_field(key, find_operand(key, columns), value))
    return _all_of(conditions)


def _connective(name: str, value: Any, columns: Mapping[str, FieldSpec]) -> Condition:
    if name not in _CONNECTIVES:
        unknown(f"No operator `{name}` can stand here", name, _CONNECTIVES)
    if name == "$not":
        return _negated(_document(value, columns))
    if not isinstance(value, (list, tuple)) or not value:
        raise Invalid(f"`{name}` takes a list of at least one filter, not {value!r}")
    parts = [_document(part, columns) for part in value]
    if name == "$and":
        return _all_of(parts)
    return or_(*parts) if name == "$or" else _negated(or_(*parts))


def _field(key: str, operand: Operand, value: Any) -> Condition:
    """Apply `{operator: value, …}` or a bare value to one field."""
    if not isinstance(value, Mapping):
        return operand.compare(key, "$eq", value)
    if not value:
        raise Invalid(f"The filter on `{key}` is empty; give a value or an operator")
    return _all_of([_operation(key, operand, name, value[name]) for name in value])


def _operation(key: str, operand: Operand, name: Any, argument: Any) -> Condition:
    if name not in _OPERATORS:
        wrong = f"No operator `{name}` for `{key}`"
        is_key = isinstance(name, str) and name[:1] != "$" and f"${name}" not in _OPERATORS
        if is_key and "." in key:
            wrong += f"; to filter by what is inside, write `{key}.{name}`"
        unknown(wrong, str(name), _OPERATORS)
    if name == "$not":
        return _negated(_field(key, operand, argument))
    if name == "$ne":
        return _negated(operand.compare(key, "$eq", argument))
    if name in ("$in", "$nin"):
        if not isinstance(argument, (list, tuple, set, frozenset)):
            raise Invalid(f"`{name}` of `{key}` takes a list, not {argument!r}")
        among = operand.among(key, argument)
        return among if name == "$in" else _negated(among)
    if name == "$regex":
        return operand.matches(key, _pattern(key, argument))
    if name == "$exists":
        if argument not in (True, False):
            raise Invalid(f"`$exists` of `{key}` is true or false, not {argument!r}")
        return operand.exists if argument else _negated(operand.exists)
    return operand.compare(key, name, argument)


def _all_of(conditions: Sequence[Condition]) -> Condition:
    return and_(true(), *conditions)


def _negated(condition: Condition) -> Condition:
    """SQL's NOT leaves unknown unknown; here what is not known to match does not match."""
    return not_(func.coalesce(condition, false()))


def _pattern(key: str, pattern: Any) -> str:
    if not isinstance(pattern, str):
        raise Invalid(f"`$regex` of `{key}` is a string, not {pattern!r}")
    try:
        re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        raise Invalid(f"`$regex` of `{key}` is wrong: {pattern!r}: {error}") from error
    return pattern


def _check_size(document: Any) -> None:
    """Refuse what would exhaust Python's stack or the database's."""
    conditions = listed = 0
    pending = [(document, 0)]
    while pending:
        value, depth = pending.pop()
        if depth > MAX_DEPTH:
            raise Invalid(f"This filter is nested deeper than {MAX_DEPTH} levels")
        is_mapping = isinstance(value, Mapping)
        for item in value.values() if is_mapping else value:
            if isinstance(item, (Mapping, list, tuple)) and _is_inner(item):
                is_level = isinstance(item, Mapping) or not is_mapping  # `$and` and its list: one
                pending.append((item, depth + is_level))
            else:
                conditions += 1
                listed += len(item) if isinstance(item, (list, tuple, set, frozenset)) else 0
    if listed > MAX_LISTED:
        raise Invalid(f"`$in` and `$nin` of this filter list more than {MAX_LISTED:,} values")
    if conditions > MAX_CONDITIONS:
        raise Invalid(f"This filter has more than {MAX_CONDITIONS} conditions; use `$in`")


def _is_inner(item: Any) -> bool:
    return isinstance(item, Mapping) or any(isinstance(part, (Mapping, list)) for part in item)
