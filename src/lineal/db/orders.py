"""Orders that are total, and cursors that continue in them (API-8).

Every order ends with the primary key, and what is missing comes last whichever the direction. A
cursor holds the sort values of the last row seen, so rows that appear meanwhile change nothing.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Row,
    Select,
    and_,
    case,
    func,
    literal,
    or_,
    select,
    type_coerce,
)

from lineal.core.records import PageRequest
from lineal.db.documents import Bytewise
from lineal.db.fields import Condition, FieldKind, FieldSpec, Operand, find_operand
from lineal.errors import Invalid

_LABEL = "sort_"


class Term(NamedTuple):
    """One sort key; never NULL."""

    expression: ColumnElement[Any]
    descending: bool
    type: type[str] | type[float]


class Order(NamedTuple):
    """An order as text, which its cursors carry, and its terms, the last of them unique."""

    text: str
    terms: tuple[Term, ...]

    def reversed(self) -> Order:
        """Return the same order from its end; cursors are places, and those of both are alike."""
        flipped = [term._replace(descending=not term.descending) for term in self.terms]
        return Order(self.text, tuple(flipped))


def parse_order(
    text: str, columns: Mapping[str, FieldSpec], tie_break: ColumnElement[Any] | None
) -> Order:
    """Read `+key` or `-key`; no sign means ascending.

    tie_break: a unique integer column; it follows the direction of the key. None: the key itself
    is unique among what is listed.
    Raises Invalid for an unknown key, with the nearest known one.
    """
    if not isinstance(text, str):
        raise Invalid(f"An order is a text such as `-created_at`, not {text!r}")
    descending, key = text.startswith("-"), text.removeprefix("-").removeprefix("+")
    terms = _terms(key, columns, descending)
    if tie_break is not None:
        terms.append(Term(type_coerce(tie_break, BigInteger), descending, float))
    return Order(text, tuple(terms))


def fetch_page(
    connection: Connection, query: Select[Any], order: Order, request: PageRequest
) -> tuple[Sequence[Row[Any]], str | None, int | None]:
    """Run one page of a query; returns rows, the cursor to the next page, and the total.

    The total is counted for the first page only, if it is wanted, or where nothing else is. Raises
    Invalid for a foreign cursor.
    """
    if request.size < 1:
        raise Invalid(f"A page holds at least one item, not {request.size}")
    if request.backwards:
        order = order.reversed()
    if request.until is not None:
        query = query.where(_after(order.reversed(), _decoded(order, request.until)))
    if request.cursor is not None:
        query = query.where(_after(order, _decoded(order, request.cursor)))
    if request.only_total:
        return [], None, _counted(connection, query)
    is_counted = request.cursor is None and request.with_total
    total = _counted(connection, query) if is_counted else None
    labels = [term.expression.label(f"{_LABEL}{i}") for i, term in enumerate(order.terms)]
    paged = query.add_columns(*labels)
    directions = [t.expression.desc() if t.descending else t.expression.asc() for t in order.terms]
    paged = paged.order_by(*directions).limit(request.size + 1)
    rows = connection.execute(paged.offset(request.skip) if request.skip else paged).all()
    if len(rows) <= request.size:
        return rows, None, total
    rows = rows[: request.size]
    return rows, _encoded(order, rows[-1]), total


def _counted(connection: Connection, query: Select[Any]) -> int:
    narrow = query.with_only_columns(next(iter(query.selected_columns)))
    counting = select(func.count()).select_from(narrow.subquery())
    return connection.execute(counting).scalar_one()


def _terms(key: str, columns: Mapping[str, FieldSpec], descending: bool) -> list[Term]:
    spec = columns.get(key)
    if spec is None or spec.kind is FieldKind.DOCUMENT:
        return _document_terms(find_operand(key, columns), descending)
    column = spec.expression
    if spec.kind is FieldKind.LABELS:
        raise Invalid(f"`{key}` has several values; nothing can be ordered by it")
    type_: type[str] | type[float] = float
    value, blank = column, literal(0)
    if spec.kind is FieldKind.MOMENT:
        value = type_coerce(column, BigInteger)
    elif spec.kind is FieldKind.TEXT:
        type_, value, blank = str, Bytewise(column), literal("")
    if not getattr(column, "nullable", True):
        return [Term(value, descending, type_)]  # bare, so that an index can serve
    is_missing = case((column.is_(None), 1), else_=0)
    return [Term(is_missing, False, float), Term(func.coalesce(value, blank), descending, type_)]


def _document_terms(operand: Operand, descending: bool) -> list[Term]:
    """Values of a key may be of several kinds: numbers and booleans, then texts, then the rest."""
    assert operand.number is not None
    assert operand.text is not None
    number = func.coalesce(operand.number, operand.truth)
    kind = case((number.is_not(None), 0), (operand.text.is_not(None), 1), else_=2)
    return [
        Term(kind, False, float),
        Term(func.coalesce(number, 0), descending, float),
        Term(func.coalesce(operand.text, ""), descending, str),
    ]


def _after(order: Order, values: Sequence[Any]) -> Condition:
    """Rows that come after these sort values: the first difference decides."""
    alternatives: list[Condition] = []
    equal: list[Condition] = []
    for term, value in zip(order.terms, values, strict=True):
        column = term.expression
        alternatives.append(and_(*equal, column < value if term.descending else column > value))
        equal.append(column == value)
    # What the alternatives imply anyway, said once more: an index can use it, but not an OR.
    first, value = order.terms[0], values[0]
    bound = first.expression <= value if first.descending else first.expression >= value
    return and_(bound, or_(*alternatives))


def _encoded(order: Order, row: Row[Any]) -> str:
    values = [row._mapping[f"{_LABEL}{i}"] for i in range(len(order.terms))]
    return base64.urlsafe_b64encode(json.dumps([order.text, *values]).encode()).decode()


def _decoded(order: Order, cursor: str) -> list[Any]:
    try:
        values: list[Any]
        text, *values = json.loads(base64.urlsafe_b64decode(cursor.encode()))
    except (binascii.Error, ValueError, TypeError) as error:
        raise Invalid(f"{cursor!r} is no cursor of this list") from error
    wanted = [str if term.type is str else (int, float) for term in order.terms]
    fits = len(values) == len(wanted) and all(map(isinstance, values, wanted))
    if text != order.text or not fits:
        raise Invalid(f"{cursor!r} is no cursor of this list in the order `{order.text}`")
    return values
