"""What filters and orders may name, and how each kind of field is compared (API-8)."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from enum import Enum
from operator import eq, ge, gt, le, lt
from typing import Any, NamedTuple, NoReturn

from sqlalchemy import Column, ColumnElement, Float, and_, case, false, func, literal, or_, select

from lineal.db import documents
from lineal.db.documents import Bytewise, Kind, Number, Path, Scalar
from lineal.errors import Invalid
from lineal.nearest import nearest

Condition = ColumnElement[bool]

COMPARISONS: Mapping[str, Callable[[Any, Any], Any]] = {
    "$eq": eq,
    "$gt": gt,
    "$gte": ge,
    "$lt": lt,
    "$lte": le,
}
_LARGEST_INTEGER = 2**63 - 1
"""What both databases take as an integer parameter; larger numbers travel as floats."""


class FieldKind(Enum):
    TEXT = "text"
    NUMBER = "number"
    MOMENT = "moment"
    DOCUMENT = "document"
    """A JSON object; filters name a key of it after a dot."""
    LABELS = "labels"
    """Several texts, such as tags; a condition holds if it holds for any of them."""


class FieldSpec(NamedTuple):
    """Something a filter or an order may name; made by the functions below."""

    kind: FieldKind
    expression: ColumnElement[Any]
    wrapper: str | None = None
    """Of documents: as W&B writes it, `config.lr.value` means `config.lr`, and
    `config.opt.value.lr` means `config.opt.lr`."""
    owned: Condition | None = None
    """Of labels: what ties a row of labels to the row that is filtered."""


def text_field(expression: ColumnElement[Any]) -> FieldSpec:
    return FieldSpec(FieldKind.TEXT, expression)


def number_field(expression: ColumnElement[Any]) -> FieldSpec:
    return FieldSpec(FieldKind.NUMBER, expression)


def moment_field(expression: ColumnElement[Any]) -> FieldSpec:
    return FieldSpec(FieldKind.MOMENT, expression)


def document_field(expression: ColumnElement[Any], *, wrapper: str | None = None) -> FieldSpec:
    return FieldSpec(FieldKind.DOCUMENT, expression, wrapper=wrapper)


def label_field(label: Column[str], owned: Condition) -> FieldSpec:
    """label: the column of another table; owned: its join with the table that is filtered."""
    return FieldSpec(FieldKind.LABELS, label, owned=owned)


class Operand(NamedTuple):
    """One field, seen as each kind of value; NULL where its value is of another kind."""

    exists: Condition
    is_blank: Condition
    """Missing, null or NaN."""
    text: ColumnElement[Any] | None = None
    number: ColumnElement[Any] | None = None
    truth: ColumnElement[Any] | None = None
    """1 or 0."""
    moment: ColumnElement[Any] | None = None
    wrap: Callable[[Condition], Condition] | None = None
    """Of labels: there is a label for which the condition holds."""

    def compare(self, key: str, operator: str, value: Any) -> Condition:
        """Compare with one value; unknown (NULL) or false where the kinds differ."""
        if value is None:
            return self.is_blank if operator == "$eq" else false()
        column, bound = self._comparable(key, value)
        if column is None:
            return false()
        condition: Condition = COMPARISONS[operator](column, bound)
        return self.wrapped(condition)

    def among(self, key: str, values: Iterable[Any]) -> Condition:
        """Tell whether it equals any of several values, which may be of several kinds."""
        groups: dict[int, tuple[ColumnElement[Any], list[Any]]] = {}
        conditions = []
        for value in values:
            if value is None:
                conditions.append(self.is_blank)
                continue
            column, bound = self._comparable(key, value)
            if column is not None:
                groups.setdefault(id(column), (column, []))[1].append(bound)
        conditions += [self.wrapped(column.in_(bound)) for column, bound in groups.values()]
        return or_(false(), *conditions)

    def matches(self, key: str, pattern: str) -> Condition:
        if self.text is None:
            return false()
        return self.wrapped(self.text.regexp_match(_text(key, pattern)))

    def wrapped(self, condition: Condition) -> Condition:
        return condition if self.wrap is None else self.wrap(condition)

    def _comparable(self, key: str, value: Any) -> tuple[ColumnElement[Any] | None, Any]:
        """Return the side that values of this kind compare with, and the value as it is bound."""
        if self.moment is not None:
            return self.moment, _moment(key, value)
        if isinstance(value, bool):
            return self.truth, int(value)
        if isinstance(value, (int, float)):
            is_nan = value != value  # `math.isnan` fails for integers beyond all floats
            return (None, None) if is_nan else (self.number, _number(value))
        if isinstance(value, str):
            return self.text, _text(key, value)
        raise Invalid(f"`{key}` compares with strings, numbers, booleans and None, not {value!r}")


def find_operand(key: str, columns: Mapping[str, FieldSpec]) -> Operand:
    """Find what a filter names; raises Invalid with the nearest known name."""
    name, dot, rest = key.partition(".")
    spec = columns.get(key)
    if spec is not None and spec.kind is not FieldKind.DOCUMENT:
        return _column_operand(spec)
    spec = columns.get(name)
    if spec is not None and dot and spec.kind is not FieldKind.DOCUMENT:
        raise Invalid(
            f"Nothing here is called `{key}`: `{name}` has no parts; did you mean `{name}`?"
        )
    if spec is None:
        unknown(f"Nothing here is called `{key}`", name, columns, rest=dot + rest)
    if not rest:
        raise Invalid(f"`{name}` is a dictionary; name a key of it, such as `{name}.lr`")
    return _document_operand(spec.expression, _paths(key, rest, spec.wrapper))


def unknown(message: str, name: str, known: Iterable[str], *, rest: str = "") -> NoReturn:
    names = list(known)
    near = nearest(name, names)
    hint = f"; did you mean `{near[0]}{rest}`?" if near else f". Known: {', '.join(names)}"
    raise Invalid(message + hint)


def _column_operand(spec: FieldSpec) -> Operand:
    column = spec.expression
    if spec.kind is FieldKind.LABELS:
        return _label_operand(spec)
    exists, is_blank = column.is_not(None), column.is_(None)
    if spec.kind is FieldKind.TEXT:
        return Operand(exists, is_blank, text=Bytewise(column))
    if spec.kind is FieldKind.NUMBER:
        return Operand(exists, is_blank, number=column)
    return Operand(exists, is_blank, moment=column)


def _label_operand(spec: FieldSpec) -> Operand:
    label, owned = spec.expression, spec.owned
    assert isinstance(label, Column)
    assert owned is not None
    table = label.table

    def any_label(*conditions: Condition) -> Condition:
        owners = select(label).where(owned, *conditions)
        return owners.correlate_except(table).exists()

    return Operand(any_label(), ~any_label(), text=Bytewise(label), wrap=any_label)


def _document_operand(column: ColumnElement[Any], paths: list[Path]) -> Operand:
    """Look at the first of the paths that exists."""

    def chosen(look: Callable[[ColumnElement[Any], Path], ColumnElement[Any]]) -> Any:
        *before, last = [(Kind(column, path), look(column, path)) for path in paths]
        if not before:
            return last[1]
        return case(*((kind.is_not(None), found) for kind, found in before), else_=last[1])

    kind, scalar, special = chosen(Kind), chosen(Scalar), chosen(documents.special_float)
    is_true = or_(kind.in_(documents.TRUE_KINDS), and_(kind == "boolean", scalar == "true"))
    return Operand(
        exists=kind.is_not(None),
        is_blank=or_(kind.is_(None), kind == "null", func.coalesce(special, "") == "nan"),
        text=Bytewise(case((kind.in_(documents.TEXT_KINDS), scalar))),
        number=case(
            (kind.in_(documents.NUMBER_KINDS), chosen(Number)),
            (special == "inf", literal(math.inf, Float)),
            (special == "-inf", literal(-math.inf, Float)),
        ),
        truth=case((is_true, 1), (kind.in_(documents.BOOLEAN_KINDS), 0)),
    )


def _paths(key: str, rest: str, wrapper: str | None) -> list[Path]:
    """List where a dotted key may be, most literal first: `a.b` itself, then `b` inside `a`."""
    spellings = [rest]
    if wrapper is not None and rest.endswith("." + wrapper):
        spellings.append(rest.removesuffix("." + wrapper))
    first, _, inside = rest.partition(f".{wrapper}.")
    if wrapper is not None and inside and "." not in first:
        spellings.append(f"{first}.{inside}")
    paths: list[Path] = []
    for spelling in spellings:
        for path in ((spelling,), tuple(spelling.split("."))):
            if path not in paths and all(documents.is_reachable(part) for part in path):
                paths.append(path)
    if not paths:
        raise Invalid(
            f"`{key}` cannot be looked up: keys with quotes, backslashes or control characters, "
            "and empty keys, are not filtered by"
        )
    return paths


def _text(key: str, value: str) -> str:
    if re.search("[\0\ud800-\udfff]", value):
        raise Invalid(f"`{key}` cannot be compared with {value!r}: a NUL or invalid Unicode")
    return value


def _number(value: float) -> float:
    if isinstance(value, int) and abs(value) > _LARGEST_INTEGER:
        try:
            return float(value)
        except OverflowError:
            return math.inf if value > 0 else -math.inf
    return value


def _moment(key: str, value: Any) -> datetime:
    try:
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    except (TypeError, ValueError) as error:
        raise Invalid(
            f"`{key}` compares with ISO dates such as `2026-01-31` or `2026-01-31T12:00:00Z`, "
            f"not {value!r}"
        ) from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
