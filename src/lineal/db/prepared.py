"""Statements that are built and compiled once, and on SQLite run on the plain connection.

To run a statement takes SQLAlchemy some 60 µs, of which SQLite needs 10 to 20. A version takes 25
of them, so those that every version or trial takes are `Prepared`. PostgreSQL, where each is a
journey over the network, runs the same statements through SQLAlchemy; so does SQLite for whoever
listens to what is sent (docs/design/001-storage.md, "Small statements").
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import CompoundSelect, Connection, Delete, Dialect, Insert, Row, Select, Update
from sqlalchemy.engine import result_tuple
from sqlalchemy.sql.compiler import SQLCompiler

from lineal.db.engine import on_sqlite, plain

NO_LIMIT = 2**62
"""For the parameter of a LIMIT."""

Statement = Select[Any] | CompoundSelect[*tuple[Any, ...]] | Insert | Update | Delete
Values = Mapping[str, Any]
Convert = Callable[[Any], Any]


class Prepared:
    """A statement with named parameters; an INSERT or UPDATE also takes columns as such."""

    def __init__(self, statement: Statement | Callable[[bool], Statement]) -> None:
        """statement: or, as a decorator, what builds it for SQLite or for PostgreSQL."""
        self._statement = statement
        self._built: dict[bool, Statement] = {}
        self._compiled: dict[tuple[str, ...], _Compiled] = {}
        """For all databases of SQLite: their dialects differ in nothing."""

    def rows(self, connection: Connection, **values: Any) -> Sequence[Row[*tuple[Any, ...]]]:
        compiled = self._direct(connection, values)
        if compiled is not None:
            return compiled.rows(connection, values)
        return connection.execute(self._for(connection), values).all()

    def row(self, connection: Connection, **values: Any) -> Row[*tuple[Any, ...]] | None:
        """Return the only row, None if there is none."""
        found = self.rows(connection, **values)
        return found[0] if found else None

    def value(self, connection: Connection, **values: Any) -> Any:
        """Return the first column of the only row, None if there is none."""
        found = self.rows(connection, **values)
        return found[0][0] if found else None

    def run(self, connection: Connection, **values: Any) -> int:
        """Return how many rows were written."""
        compiled = self._direct(connection, values)
        if compiled is not None:
            return plain(connection).execute(compiled.text, compiled.bound(values)).rowcount
        return connection.execute(self._for(connection), values).rowcount

    def run_each(self, connection: Connection, many: Sequence[Values]) -> None:
        """Run it for each of these; all have the same names."""
        compiled = self._direct(connection, many[0])
        if compiled is not None:
            bound = map(compiled.bound, many)
            plain(connection).executemany(compiled.text, bound)
        else:
            connection.execute(self._for(connection), many)

    def rows_of_each(
        self, connection: Connection, many: Sequence[Values]
    ) -> Sequence[Row[*tuple[Any, ...]]]:
        """Run it for each of these, and return what it returns; all have the same names."""
        compiled = self._direct(connection, many[0])
        if compiled is not None:
            return [row for values in many for row in compiled.rows(connection, values)]
        return connection.execute(self._for(connection), many).all()

    def _for(self, connection: Connection) -> Statement:
        is_sqlite = on_sqlite(connection)
        if is_sqlite not in self._built:
            given = self._statement
            self._built[is_sqlite] = given(is_sqlite) if callable(given) else given
        return self._built[is_sqlite]

    def _direct(self, connection: Connection, values: Values) -> _Compiled | None:
        """Return how it runs on the plain connection, None where SQLAlchemy is to run it."""
        if not on_sqlite(connection) or connection.dispatch.before_cursor_execute:
            return None
        names = tuple(values)
        compiled = self._compiled.get(names)
        if compiled is None:
            compiled = _compile(self._for(connection), connection.dialect, names)
            self._compiled[names] = compiled
        return compiled


class _Parameter(NamedTuple):
    name: str | None
    """None: it is a constant of the statement."""
    constant: Any
    convert: Convert | None


class _Compiled(NamedTuple):
    text: str
    parameters: Sequence[_Parameter]
    make_row: Callable[[Iterable[Any]], Row[*tuple[Any, ...]]]
    converts: Sequence[Convert | None]
    """One per column; empty if all columns are taken as they come."""

    def bound(self, values: Values) -> list[Any]:
        return [
            constant if name is None else values[name] if convert is None else convert(values[name])
            for name, constant, convert in self.parameters
        ]

    def rows(self, connection: Connection, values: Values) -> list[Row[*tuple[Any, ...]]]:
        found = plain(connection).execute(self.text, self.bound(values)).fetchall()
        if self.converts:
            found = [
                [
                    value if convert is None else convert(value)
                    for value, convert in zip(row, self.converts, strict=True)
                ]
                for row in found
            ]
        return [self.make_row(row) for row in found]


def _compile(statement: Statement, dialect: Dialect, names: Sequence[str]) -> _Compiled:
    takes_columns = isinstance(statement, (Insert, Update))
    compiled = statement.compile(
        dialect=dialect, column_keys=list(names) if takes_columns else None
    )
    assert isinstance(compiled, SQLCompiler)
    state = compiled.construct_expanded_state(dict.fromkeys(names))
    assert not state.parameter_expansion  # a list would be as long as it is now
    unknown = set(names).difference(state.positiontup or ())
    assert not unknown, f"Nothing in {state.statement} takes {unknown}"
    parameters = []
    for name in state.positiontup or ():
        convert = compiled.binds[name].type.dialect_impl(dialect).bind_processor(dialect)
        if name in names:
            parameters.append(_Parameter(name, None, convert))
        else:
            constant = state.parameters[name]
            parameters.append(_Parameter(None, convert(constant) if convert else constant, None))
    columns = statement.exported_columns
    converts = [
        column.type.dialect_impl(dialect).result_processor(dialect, None) for column in columns
    ]
    return _Compiled(
        state.statement,
        parameters,
        result_tuple([str(column.key) for column in columns]),
        converts if any(converts) else (),
    )
