"""Look into JSON columns: the few expressions that SQLite and PostgreSQL spell differently.

A path is a tuple of object keys. Keys travel as bound parameters, never as SQL text. SQLite
reads its path in a small language of its own that cannot express every key; `is_reachable` says
which keys it can.
"""

from __future__ import annotations

import re
from typing import Any

from sqlalchemy import Boolean, ColumnElement, Float, Text, literal
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from lineal.db.json_values import FLOAT_KEY

Path = tuple[str, ...]

NUMBER_KINDS = ("integer", "real", "number")
TEXT_KINDS = ("text", "string")
TRUE_KINDS = ("true",)
BOOLEAN_KINDS = ("true", "false", "boolean")
"""What SQLite and PostgreSQL call the kinds; the names do not collide, so one list serves both."""

_UNREACHABLE = re.compile(r'["\\\x00-\x1f\ud800-\udfff]')


def is_reachable(key: str) -> bool:
    """Tell whether both databases can look a key up: not empty, no quote, backslash, control."""
    return bool(key) and not _UNREACHABLE.search(key)


class _Access(FunctionElement[Any]):
    """Something about the value at a path; its clauses: column, SQLite's path, each key."""

    inherit_cache = True

    def __init__(self, column: ColumnElement[Any], path: Path) -> None:
        assert path
        assert all(is_reachable(key) for key in path)
        sqlite_path = "$" + "".join(f'."{key}"' for key in path)
        super().__init__(column, literal(sqlite_path, Text), *(literal(key, Text) for key in path))


class Kind(_Access):
    """The kind of the value, NULL where there is none (a JSON null is of kind `null`)."""

    inherit_cache = True
    type = Text()


class Scalar(_Access):
    """The text of a string, number or boolean."""

    inherit_cache = True
    type = Text()


class Number(_Access):
    """The value of a number; look at its kind first."""

    inherit_cache = True
    type = Float()


class Bytewise(FunctionElement[str]):
    """A text that compares by code point everywhere, as it does in SQLite and Python."""

    inherit_cache = True
    type = Text()


class Holds(FunctionElement[bool]):
    """Whether a JSON list of texts has a text in it; not true where there is no list."""

    inherit_cache = True
    type = Boolean()

    def __init__(self, listed: ColumnElement[Any], text: ColumnElement[str]) -> None:
        super().__init__(listed, text)


def special_float(column: ColumnElement[Any], path: Path) -> ColumnElement[Any]:
    """Return `nan`, `inf` or `-inf` where the value is one of these, else NULL."""
    return Scalar(column, (*path, FLOAT_KEY))


@compiles(Kind)
def _kind_sqlite(element: Kind, compiler: SQLCompiler, **kw: Any) -> str:
    column, path = _sqlite_operands(element, compiler, **kw)
    return f"json_type({column}, {path})"


@compiles(Kind, "postgresql")
def _kind_postgresql(element: Kind, compiler: SQLCompiler, **kw: Any) -> str:
    return f"jsonb_typeof({_postgresql_value(element, compiler, **kw)})"


@compiles(Scalar)
@compiles(Number)
def _scalar_sqlite(element: _Access, compiler: SQLCompiler, **kw: Any) -> str:
    column, path = _sqlite_operands(element, compiler, **kw)
    return f"json_extract({column}, {path})"


@compiles(Scalar, "postgresql")
def _scalar_postgresql(element: Scalar, compiler: SQLCompiler, **kw: Any) -> str:
    return f"({_postgresql_value(element, compiler, **kw)} #>> '{{}}')"


@compiles(Number, "postgresql")
def _number_postgresql(element: Number, compiler: SQLCompiler, **kw: Any) -> str:
    """An integer may be larger than any float; a cast that fails would fail the whole query."""
    text = f"({_postgresql_value(element, compiler, **kw)} #>> '{{}}')"
    largest = "1.7976931348623157e308"
    return f"LEAST(GREATEST({text}::numeric, -{largest}), {largest})::float8"


@compiles(Holds)
def _holds_sqlite(element: Holds, compiler: SQLCompiler, **kw: Any) -> str:
    listed, text = (compiler.process(clause, **kw) for clause in element.clauses)
    rows = f"json_each({listed}) AS listed"
    return f"EXISTS (SELECT 1 FROM {rows} WHERE listed.value = {text})"  # noqa: S608 - operands are compiled


@compiles(Holds, "postgresql")
def _holds_postgresql(element: Holds, compiler: SQLCompiler, **kw: Any) -> str:
    listed, text = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"({listed} @> to_jsonb(CAST({text} AS TEXT)))"


@compiles(Bytewise)
def _bytewise_sqlite(element: Bytewise, compiler: SQLCompiler, **kw: Any) -> str:
    return compiler.process(element.clauses, **kw)


@compiles(Bytewise, "postgresql")
def _bytewise_postgresql(element: Bytewise, compiler: SQLCompiler, **kw: Any) -> str:
    return f'({compiler.process(element.clauses, **kw)}) COLLATE "C"'


def _sqlite_operands(element: _Access, compiler: SQLCompiler, **kw: Any) -> tuple[str, str]:
    column, path, *_ = element.clauses
    return compiler.process(column, **kw), compiler.process(path, **kw)


def _postgresql_value(element: _Access, compiler: SQLCompiler, **kw: Any) -> str:
    """`column -> key -> key`: unlike `#>`, text keys never index into arrays."""
    column, _, *keys = element.clauses
    steps = [compiler.process(column, **kw)]
    steps += [f"CAST({compiler.process(key, **kw)} AS TEXT)" for key in keys]
    return "(" + " -> ".join(steps) + ")"
